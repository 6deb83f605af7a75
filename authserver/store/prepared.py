"""Core statements as the drivers run them: the text is made once, and running it passes SQLAlchemy by (DESIGN §6).

For what every sign-in and every page asks. A connection keeps each of them prepared, so there are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from authserver.store.driver_rows import spoken_dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.expression import ClauseElement

    from authserver.store.driver_rows import Processor
    from authserver.store.engine import DriverRow, Tx

    Mark: TypeAlias = tuple[
        str | None, Any, Processor
    ]  # name of the value, or None and a fixed value; how it is spelled


class Prepared:
    """One statement. Its ``bindparam``s are the keyword arguments of :meth:`fetch`; an INSERT's are its columns."""

    def __init__(self, build: Callable[[str], ClauseElement], *, columns: Sequence[str] = ()) -> None:
        """Take what builds the statement for a dialect, when it is needed first; ``columns`` are an INSERT's."""
        self._build = build
        self._columns = list(columns) or None
        self._texts: dict[str, tuple[str, list[Mark]]] = {}

    async def fetch(self, tx: Tx, **values: object) -> Sequence[DriverRow]:
        """Run it and return its rows as the driver has them; every parameter without a value of its own is given."""
        sql, marks = self._texts.get(tx.dialect) or self._compile(tx.dialect)
        parameters = []
        for name, fixed, spell in marks:
            value = fixed if name is None else values[name]
            parameters.append(value if spell is None or value is None else spell(value))
        return await tx.fetch(sql, parameters)

    async def fetch_one(self, tx: Tx, **values: object) -> DriverRow | None:
        """Run it and return its only row, or None; a second row is a bug."""
        rows = await self.fetch(tx, **values)
        if len(rows) > 1:
            raise ValueError("a statement found more rows than one")
        return rows[0] if rows else None

    def _compile(self, dialect: str) -> tuple[str, list[Mark]]:
        spoken = spoken_dialect(dialect)
        compiled = cast("SQLCompiler", self._build(dialect).compile(dialect=spoken, column_keys=self._columns))
        marks: list[Mark] = []
        for name in compiled.positiontup or ():
            bound = compiled.binds[name]
            spell = bound.type.dialect_impl(spoken).bind_processor(spoken)
            marks.append((name, None, spell) if bound.required else (None, bound.effective_value, spell))
        text = self._texts[dialect] = str(compiled), marks
        return text
