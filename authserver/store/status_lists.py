"""Token status lists: who has which place in them, and which places say "revoked" now.

A place is given to a grant with its row and goes with it. ``grants.revoked_at`` is the one source of the bits, for
clients ``disabled_at`` and ``deleted_at``.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import bindparam, exists, select, update
from sqlmodel import col

from authserver.oauth.status_list import FIRST_LIST_OF_GRANTS, LIST_BITS, LIST_SIZE, place_at
from authserver.store import state
from authserver.store.tables import Clients, Grants
from authserver.store.tables import StatusLists as StatusListsTable
from authserver.store.types import spell_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Select

    from authserver.store.engine import Engine, Tx

BLOCK: Final = 2048  # places that a process reserves at a time; what it has left when it ends is lost to the list
LOW: Final = 1024  # more than requests can be under way between the look at the stock and the grant
_SEED_BYTES: Final = 16
_SECONDS: Final = {
    "sqlite": ("?", "CAST(strftime('%s', {at}) AS INTEGER)"),
    "postgresql": ("%s", "CAST(extract(epoch FROM {at}) AS bigint)"),
}
_ENDS: Final = (("grants", "revoked_at"), ("clients", "disabled_at"), ("clients", "deleted_at"))
_REVOKED: Final = {
    dialect: " UNION ALL ".join(
        f"SELECT status_index, {seconds.format(at=at)} FROM {table} "  # noqa: S608 - names of ours
        f"WHERE {at} > {placeholder} AND status_index IS NOT NULL"
        for table, at in _ENDS
    )
    for dialect, (placeholder, seconds) in _SECONDS.items()
}
_TRIES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Which lists there are, and how long a revoked token has to stand in them, at the database's ``now``.

    ``used`` places of ``open_list`` have been given away, in the order of ``seed``.
    """

    lists: int
    open_list: int
    used: int
    seed: bytes
    longest_lifetime: timedelta
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Places of one list that nobody else gets: ``count`` positions from ``first`` on."""

    number: int
    seed: bytes
    first: int
    count: int


class StatusIndexes:
    """Places that this process has reserved for the grants it will make. Taking one costs no database."""

    def __init__(self, engine: Engine) -> None:
        """Have none before the first :meth:`stock`."""
        self._engine = engine
        self._reserving = asyncio.Lock()
        self._blocks: list[Block] = []

    async def stock(self) -> None:
        """Have places for all requests that are under way. No transaction may be open."""
        if self._left() >= LOW:
            return
        async with self._reserving:
            if self._left() >= LOW:
                return
            async with self._engine.begin() as tx:
                block = await reserve(tx, BLOCK)
            self._blocks = [known for known in self._blocks if known.seed == block.seed] + [block]

    def take(self) -> int | None:
        """Return an index for one new grant; None where there was a rush: then the grant gets one within a minute."""
        if not self._blocks:
            return None
        block, *rest = self._blocks
        left = Block(number=block.number, seed=block.seed, first=block.first + 1, count=block.count - 1)
        self._blocks = [left, *rest] if left.count else rest
        return place_at(block.seed, block.number, block.first)

    def keep_to(self, lists: Lists) -> None:
        """Give up places of a list that was closed: it may be begun anew when the last of its grants is gone.

        And those that a database which lost commits knows nothing of: somebody else will get them.
        """
        current = (lists.open_list, lists.seed)
        self._blocks = [
            block
            for block in self._blocks
            if (block.number, block.seed) == current and block.first + block.count <= lists.used
        ]

    def give_up(self) -> None:
        """Give up all of them: the database was away, and may have come back without its last commits."""
        self._blocks = []

    def _left(self) -> int:
        return sum(block.count for block in self._blocks)


async def reserve(tx: Tx, count: int) -> Block:
    """Reserve places of the open list; where it has not so many left, open the next one.

    The row stays locked until the commit: two processes never get the same places.
    """
    table = StatusListsTable
    used = col(table.used)
    statement = update(table).values(used=used + count).where(used + count <= LIST_SIZE)
    row = (await tx.execute(statement.returning(col(table.open_list), used, col(table.seed)))).one_or_none()
    if row is not None:
        return Block(number=row.open_list, seed=row.seed, first=row.used - count, count=count)
    return await _open_another(tx, count)


async def load(tx: Tx) -> Lists:
    """Return the row, and the database's clock."""
    row = (await tx.execute(_lists())).one()
    return Lists(
        lists=row.lists,
        open_list=row.open_list,
        used=row.used,
        seed=row.seed,
        longest_lifetime=row.longest_lifetime,
        now=await tx.now(),
    )


async def load_revoked(tx: Tx, since: datetime) -> dict[int, int]:
    """Return each index whose grant was revoked, or whose client was disabled or deleted, after ``since``.

    With it, in whole Unix seconds, when that was. Asked every second, also after an operator's sweep of a hundred
    thousand grants: so the rows are the driver's own.
    """
    at = spell_time(since) if tx.dialect == "sqlite" else since
    rows = await tx.fetch(_REVOKED[tx.dialect], [at, at, at])
    revoked: dict[int, int] = dict(cast("Sequence[tuple[int, int]]", rows))
    if len(revoked) < len(rows):  # a client that was disabled, and then deleted
        for index, ended_at in rows:
            revoked[index] = max(ended_at, revoked[index])
    return revoked


async def remember_lifetime(tx: Tx, longest: timedelta, margin: timedelta) -> None:
    """Note how long access tokens may live now; a longer one from before is forgotten when its last token has ended."""
    table = StatusListsTable
    row = (await tx.execute(select(table).with_for_update())).one()
    now = await tx.now()
    if longest >= row.longest_lifetime:
        values: dict[str, object] = {"longest_lifetime": longest, "lowered_at": None}
    elif row.lowered_at is None:
        values = {"lowered_at": now}
    elif row.lowered_at + row.longest_lifetime + margin < now:
        values = {"longest_lifetime": longest, "lowered_at": None}
    else:
        return
    if any(getattr(row, name) != value for name, value in values.items()):
        await tx.execute(update(table).values(values))


async def give_to_grants(tx: Tx, limit: int) -> int:
    """Give an index to grants without one, which a program before this made, and return how many they were."""
    without = select(col(Grants.id)).where(col(Grants.status_index).is_(None)).limit(limit)
    ids = list((await tx.execute(without.with_for_update(skip_locked=True))).scalars())
    if not ids:
        return 0
    block = await reserve(tx, len(ids))
    statement = update(Grants).where(col(Grants.id) == bindparam("grant_id"))
    places = (place_at(block.seed, block.number, block.first + position) for position in range(len(ids)))
    await tx.execute(
        statement.values(status_index=bindparam("place")),
        [{"grant_id": grant_id, "place": place} for grant_id, place in zip(ids, places, strict=True)],
    )
    return len(ids)


async def give_to_clients(tx: Tx, limit: int) -> int:
    """Give an index to clients without one, which a program before this made, and return how many they were."""
    without = select(col(Clients.client_id)).where(col(Clients.status_index).is_(None)).limit(limit)
    if not (await tx.execute(without)).first():
        return 0
    version = await state.bump(tx)
    given = 0
    for client_id in (await tx.execute(without)).scalars():
        place = await choose_for_client(tx)
        if place is None:
            break
        statement = update(Clients).where(col(Clients.client_id) == client_id)
        await tx.execute(statement.values(status_index=place, version=version))
        given += 1
    return given


async def choose_for_client(tx: Tx) -> int | None:
    """Return a free place of list 0; None where it is all but full. The caller holds the version row, so it stays free.

    Clients are few: what is drawn is nearly always free.
    """
    drawn = {secrets.randbelow(LIST_SIZE) for _ in range(_TRIES)}
    statement = select(col(Clients.status_index)).where(col(Clients.status_index).in_(drawn))
    free = drawn - set((await tx.execute(statement)).scalars())
    return free.pop() if free else None


async def _open_another(tx: Tx, count: int) -> Block:
    """Open a list that has no grants any more, or else a new one; its places come in a new order."""
    table = StatusListsTable
    row = (await tx.execute(select(table).with_for_update())).one()
    if row.used + count <= LIST_SIZE:  # another process has just done it
        return await reserve(tx, count)
    number = row.lists
    for known in range(FIRST_LIST_OF_GRANTS, row.lists):
        if known != row.open_list and not await _has_grants(tx, known):
            number = known
            break
    seed = secrets.token_bytes(_SEED_BYTES)
    values = {"lists": max(row.lists, number + 1), "open_list": number, "used": count, "seed": seed}
    await tx.execute(update(table).values(values))
    return Block(number=number, seed=seed, first=0, count=count)


async def _has_grants(tx: Tx, number: int) -> bool:
    index = col(Grants.status_index)
    inside = (index >= number << LIST_BITS) & (index < (number + 1) << LIST_BITS)
    return bool((await tx.execute(select(exists().where(inside)))).scalar_one())


@cache
def _lists() -> Select[int, int, int, bytes, timedelta]:
    table = StatusListsTable
    return select(col(table.lists), col(table.open_list), col(table.used), col(table.seed), col(table.longest_lifetime))
