"""Leases: which process does a background job at present.

A lease saves double work; it is no lock. An owner that was slow or away may still be at work when its lease is over and
somebody else has begun, so whatever is done under one has to be safe to do twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import String, delete, func, or_
from sqlmodel import col

from authserver.store.insert import insert_into
from authserver.store.tables import Leases

if TYPE_CHECKING:
    from datetime import timedelta
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from authserver.store.engine import Tx


async def claim(tx: Tx, name: str, owner: UUID, lifetime: timedelta) -> bool:
    """Take a lease that is free or over, or renew one's own, for ``lifetime`` from now; return whether one has it.

    One statement: of two at once the second waits for the first one's end and judges by what that left. Every time in
    it is the database's, read after the wait, so the clocks of the processes do not matter.
    """
    values = {"name": name, "owner": owner, "expires_at": _clock(tx, lifetime)}
    statement = insert_into(tx.dialect, Leases).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": owner, "expires_at": _clock(tx, lifetime)},
        where=or_(col(Leases.owner) == owner, col(Leases.expires_at) <= _clock(tx)),
    )
    return (await tx.execute(statement.returning(col(Leases.name)))).one_or_none() is not None


async def release(tx: Tx, name: str, owner: UUID) -> None:
    """Let go of a lease, so that anybody may claim it at once; another owner's is left alone."""
    await tx.execute(delete(Leases).where(col(Leases.name) == name, col(Leases.owner) == owner))


def _clock(tx: Tx, later: timedelta | None = None) -> ColumnElement[object]:
    """Return the expression of the database's time, some time later if told."""
    if tx.dialect == "postgresql":
        now = func.clock_timestamp()
        return now if later is None else now + later
    seconds = 0.0 if later is None else later.total_seconds()
    # Spelled as Core spells a time: SQLite's clock has milliseconds, the text six digits.
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", f"{seconds:+.3f} seconds", type_=String())
