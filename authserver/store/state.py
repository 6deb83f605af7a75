"""The one row that every process polls: the version of clients, resources and keys, and the epoch of the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import col

from authserver.store.engine import NOW, as_time
from authserver.store.tables import State as StateTable

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the row said at the database's ``now``."""

    version: int
    epoch: int
    now: datetime


async def load(tx: Tx) -> State:
    """Return the row and the database's clock."""
    row = (await tx.raw(f"SELECT version, epoch, ({NOW[tx.dialect]}) AS now FROM state")).one()  # noqa: S608
    return State(version=row.version, epoch=row.epoch, now=as_time(row.now))


async def bump(tx: Tx) -> int:
    """Move the version and return it: every process reloads what changed within a second.

    The row stays locked until the commit, so versions become visible in their order, and whoever bumps first changes
    clients, resources and keys alone.
    """
    version = col(StateTable.version)
    statement = update(StateTable).values(version=version + 1).returning(version)
    return int((await tx.execute(statement)).scalar_one())


async def raise_epoch(tx: Tx, epoch: int) -> None:
    """Set the epoch, never back: a restored database is told that it has been looked after (DESIGN §5, Restore)."""
    await tx.execute(update(StateTable).where(col(StateTable.epoch) < epoch).values(epoch=epoch))
