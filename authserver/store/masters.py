"""The sealed secrets from which subkeys are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlmodel import col

from authserver.sealing.records import SealedMaster
from authserver.store import state
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Masters

if TYPE_CHECKING:
    from authserver.store.engine import Tx


async def add(tx: Tx, master: SealedMaster) -> None:
    """Store a new master. Raise ConflictError where there is one with its id."""
    await state.bump(tx)
    await tx.execute(insert(Masters).values(to_columns(master)))


async def reseal(tx: Tx, master: SealedMaster, sealed: bytes) -> bool:
    """Store the same master sealed anew; return False where somebody else has changed the sealed value."""
    column = col(Masters.sealed)
    statement = update(Masters).where(col(Masters.key_id) == master.key_id, column == master.sealed)
    return (await tx.execute(statement.values(sealed=sealed))).rowcount > 0


async def list_all(tx: Tx) -> tuple[SealedMaster, ...]:
    """Return every master, the current one last."""
    rows = await tx.execute(select(Masters).order_by(col(Masters.key_id)))
    return tuple(to_value(SealedMaster, row) for row in rows)
