"""Rows as the drivers have them, past SQLAlchemy: read and written as Core would have (DESIGN §4, §6)."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy.dialects import registry
from sqlmodel.sql.sqltypes import UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Column, Dialect
    from sqlmodel import SQLModel

    from authserver.store.engine import DriverRow, Tx

V = TypeVar("V")
Processor: TypeAlias = "Callable[[Any], Any] | None"
Processors: TypeAlias = "tuple[Sequence[tuple[str, Callable[[Any], Any]]], Sequence[Processor]]"

_DRIVERS: Final = {"sqlite": "sqlite.aiosqlite", "postgresql": "postgresql.psycopg_async"}
_MARKS: Final = {"sqlite": "qmark", "postgresql": "format"}


class ValueRows(Generic[V]):
    """How values of one kind stand in the rows of their table; every field of the value is a column."""

    def __init__(self, kind: type[V], table: type[SQLModel]) -> None:
        """Keep both; columns are looked at when they are needed first."""
        self._kind = kind
        self._table = table.__table__  # type: ignore[attr-defined]  # SQLModel's metaclass sets it
        self.names = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]  # values are dataclasses
        self.width = len(self.names)

    @cached_property
    def columns(self) -> str:
        """The columns of a SELECT, each with its table's name, for :meth:`read`."""
        return ", ".join(f"{self._table.name}.{name}" for name in self.names)

    @cached_property
    def selected(self) -> tuple[Column[Any], ...]:
        """The columns of a SELECT of Core's, for :meth:`read`."""
        return tuple(self._column(name) for name in self.names)

    def read(self, row: DriverRow, dialect: str, at: int = 0) -> V:
        """Return the value whose columns begin at this place of a row."""
        found = dict(zip(self.names, row[at : at + self.width], strict=True))
        for name, processor in self._results(dialect):
            found[name] = processor(found[name])
        return self._kind(**found)

    async def insert(self, tx: Tx, values: Sequence[V]) -> None:
        """Store new rows in one statement; at least one, and as many as a batch has."""
        rows = [self._spell(value, tx.dialect) for value in values]
        if tx.dialect == "sqlite":
            await tx.fetch(self._insert_values(len(rows)), [value for row in rows for value in row])
        else:
            document = json.dumps([dict(zip(self.names, row, strict=True)) for row in rows], default=_spell_for_json)
            await tx.fetch(self._insert_document, [document])

    def _spell(self, value: V, dialect: str) -> list[Any]:
        return [
            found if processor is None or found is None else processor(found)
            for found, processor in [
                (getattr(value, name), processor)
                for name, processor in zip(self.names, self._binds(dialect), strict=True)
            ]
        ]

    @cached_property
    def _insert_document(self) -> str:
        """PostgreSQL's statement: one text for any number of rows, so that a connection prepares it once."""
        spoken = spoken_dialect("postgresql")
        typed = ", ".join(f"{name} {self._column(name).type.compile(spoken)}" for name in self.names)
        names = ", ".join(self.names)
        return (
            f"INSERT INTO {self._table.name} ({names}) "  # noqa: S608 - names of our own tables
            f"SELECT {names} FROM jsonb_to_recordset(%s::jsonb) AS added ({typed})"
        )

    def _insert_values(self, count: int) -> str:
        """SQLite's: its JSON has no bytes."""
        row = f"({', '.join('?' * self.width)})"
        return (
            f"INSERT INTO {self._table.name} ({', '.join(self.names)}) "  # noqa: S608 - names of our own tables
            f"VALUES {', '.join([row] * count)}"
        )

    def _column(self, name: str) -> Column[Any]:
        column: Column[Any] = self._table.c[name]
        return column

    def _results(self, dialect: str) -> Sequence[tuple[str, Callable[[Any], Any]]]:
        return self._processors(dialect)[0]

    def _binds(self, dialect: str) -> Sequence[Processor]:
        return self._processors(dialect)[1]

    @cached_property
    def _known(self) -> dict[str, Processors]:
        return {}

    def _processors(self, dialect: str) -> Processors:
        """Return what Core makes of columns' values in this dialect: on the way out where anything, on the way in."""
        known = self._known.get(dialect)
        if known is None:
            spoken = spoken_dialect(dialect)
            types = [self._column(name).type.dialect_impl(spoken) for name in self.names]
            results = [
                (name, processor)
                for name, kind in zip(self.names, types, strict=True)
                if not (dialect == "postgresql" and isinstance(kind, UTCDateTime))  # our sessions give UTC already
                and (processor := kind.result_processor(spoken, None)) is not None
            ]
            known = self._known[dialect] = results, [kind.bind_processor(spoken) for kind in types]
        return known


@cache
def spoken_dialect(name: str) -> Dialect:
    """Return the dialect as the driver is spoken to past SQLAlchemy: with marks in the order of their values."""
    spoken: Dialect = registry.load(_DRIVERS[name])(paramstyle=_MARKS[name])
    return spoken


def _spell_for_json(value: object) -> str:
    """Spell what JSON has not, as PostgreSQL reads it back into the column's type."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(f"a {type(value).__name__} in a column")
