"""INSERT … ON CONFLICT, which both databases know and Core spells in two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlmodel import SQLModel

    from authserver.store.engine import Tx


def insert_into(dialect: str, table: type[SQLModel]) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT of a dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_new(
    tx: Tx, table: type[SQLModel], values: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> postgresql.Insert | sqlite.Insert:
    """Return an INSERT that leaves rows alone which are there already, and never raises ConflictError.

    Where another transaction is inserting the same key, it waits for that one's end.
    """
    return insert_into(tx.dialect, table).values(values).on_conflict_do_nothing()
