"""Decisions on grants that stand already, many in one transaction (DESIGN §6).

Refresh and revocation hand in a pure function each; this module loads, calls it, stores what it says, and commits.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, cast
from weakref import WeakValueDictionary

from authserver.oauth.errors import OAuthError
from authserver.phases import UnavailableError
from authserver.store import audit, grant_rows, grants
from authserver.store.batcher import QUEUE_LENGTH, Batcher, busy, deadline
from authserver.store.grant_rows import ChangedGrant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from authserver.oauth.refresh_rules import RowChange
    from authserver.store.audit import AuditEntry
    from authserver.store.engine import Engine, Tx
    from authserver.store.grants import GrantAndUser
    from authserver.store.outbox import Mail, Outbox

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

LANES: Final = 2
WAITING_AT_ONCE: Final = 4  # with the lanes, fewer than the pool's connections: who waits for a row blocks no batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Generic[T_co]):
    """What was decided on one grant: the answer, and what of it is stored. A refusal too is stored and committed.

    ``revoke_reason`` ends a grant that has not been revoked; one that has keeps its first reason.
    """

    answer: T_co | OAuthError
    change: RowChange | None = None
    revoke_reason: str | None = None
    audit: tuple[AuditEntry, ...] = ()
    mail: tuple[Mail, ...] = ()

    def get_answer(self) -> T_co:
        """Return the answer, or raise it where it is a refusal."""
        if isinstance(self.answer, OAuthError):
            raise self.answer
        return self.answer


Decide: TypeAlias = "Callable[[GrantAndUser | None], Verdict[T]]"
"""A pure decision on a grant as it is now, or on None where there is none; it runs while rows are locked.

Where PostgreSQL undoes a transaction the decision is taken anew, on the row as it is then.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    grant_id: UUID
    decide: Decide[object]
    until: float  # the event loop's time at which its caller is told that nothing could be decided


class GrantBatches:
    """The hot path to grants: batches for all that is free, a waiting lane for what somebody else has locked."""

    def __init__(self, engine: Engine, outbox: Outbox | None = None) -> None:
        """Keep the engine, and the outbox of what decisions tell people; nothing is opened before the first item."""
        self._engine = engine
        self._outbox = outbox
        one_writer = engine.dialect == "sqlite"
        self._decisions: Batcher[_Item, Verdict[object] | None] = Batcher(
            self._decide_batch, lanes=1 if one_writer else LANES
        )
        self._reads: Batcher[UUID, GrantAndUser | None] = Batcher(self._read_batch, lanes=LANES)
        self._waiting: WeakValueDictionary[UUID, Batcher[_Item, Verdict[object]]] = WeakValueDictionary()
        self._waiters = 0
        self._room = asyncio.Semaphore(WAITING_AT_ONCE)

    async def decide(self, grant_id: UUID, decide: Decide[T]) -> T:
        """Decide on a grant, and return the answer when what it stores is committed; raise the OAuthError it may be.

        Several decisions on one grant happen in order, each on the row as the one before has left it. Raise
        UnavailableError within five seconds where the database or the grant's row is not to be had.
        """
        item = _Item(grant_id=grant_id, decide=decide, until=deadline())
        verdict = await self._decisions.submit(item, until=item.until)
        if verdict is None:
            verdict = await self._wait_for(item)
        return cast("T", verdict.get_answer())

    async def find(self, grant_id: UUID) -> GrantAndUser | None:
        """Return a grant as it is committed now, without a lock: for introspection, which changes nothing."""
        return await self._reads.submit(grant_id)

    async def close(self) -> None:
        """Wait for what is under way; the engine is still open."""
        await self._decisions.close()
        await self._reads.close()
        for lane in list(self._waiting.values()):
            await lane.close()

    async def _decide_batch(self, items: Sequence[_Item]) -> list[Verdict[object] | Exception | None]:
        """Decide what can be locked at once; None for the others, which are absent or somebody else's just now."""

        async def decide_free(tx: Tx) -> list[Verdict[object] | Exception | None]:
            found = _Found(await grant_rows.lock_free(tx, {item.grant_id for item in items}))
            outcomes = [found.decide(item) if item.grant_id in found else None for item in items]
            await found.store(tx, self._outbox)
            return outcomes

        return await self._engine.retrying(decide_free)

    async def _wait_for(self, item: _Item) -> Verdict[object]:
        """Decide in a transaction that waits for the grant's row: one for each grant, whoever else asks for it."""
        if self._waiters >= QUEUE_LENGTH:
            raise busy()
        lane = self._waiting.get(item.grant_id)
        if lane is None:
            lane = self._waiting[item.grant_id] = Batcher(self._decide_waiting, lanes=1)
        self._waiters += 1
        try:
            return await lane.submit(item, until=item.until)
        finally:
            self._waiters -= 1

    async def _decide_waiting(self, items: Sequence[_Item]) -> list[Verdict[object] | Exception]:
        """Decide items of one grant."""
        async with self._room:
            return await self._engine.retrying(lambda tx: _decide_locked(tx, items, self._outbox))

    async def _read_batch(self, grant_ids: Sequence[UUID]) -> list[GrantAndUser | None]:
        async with self._engine.read() as tx:
            found = await grant_rows.load(tx, set(grant_ids))
        return [found.get(grant_id) for grant_id in grant_ids]


async def decide_in(tx: Tx, grant_id: UUID, decide: Decide[T], outbox: Outbox | None = None) -> Verdict[T]:
    """Decide on a grant in the caller's own transaction, which waits for its row; the caller commits refusals too."""
    (outcome,) = await _decide_locked(tx, [_Item(grant_id=grant_id, decide=decide, until=deadline())], outbox)
    if isinstance(outcome, Exception):
        raise outcome
    return cast("Verdict[T]", outcome)


async def _decide_locked(tx: Tx, items: Sequence[_Item], outbox: Outbox | None) -> list[Verdict[object] | Exception]:
    """Wait for the one grant of these items, decide them in order, store."""
    grant_id = items[0].grant_id
    loaded = await grants.lock(tx, grant_id)
    found = _Found({} if loaded is None else {grant_id: loaded})
    outcomes = [found.decide(item) for item in items]
    await found.store(tx, outbox)
    return outcomes


class _Found:
    """The grants of one transaction, as its decisions change them."""

    def __init__(self, rows: dict[UUID, GrantAndUser]) -> None:
        self._rows = rows
        self._changed: dict[UUID, ChangedGrant] = {}
        self._audit: list[AuditEntry] = []
        self._mail: list[Mail] = []

    def __contains__(self, grant_id: UUID) -> bool:
        return grant_id in self._rows

    def decide(self, item: _Item) -> Verdict[object] | Exception:
        """Return the verdict and remember what it stores; an exception is this item's alone and stores nothing."""
        if asyncio.get_running_loop().time() >= item.until:  # its caller has been told; a lock took that long
            return UnavailableError("the database was not to be had in time")
        row, before = self._rows.get(item.grant_id), self._changed.get(item.grant_id)
        if row is not None and before is not None:  # built here only: few grants come twice, and it costs 7 us
            row = replace(row, grant=replace(row.grant, **before._asdict()))
        try:
            verdict = item.decide(row)
            after = _apply(verdict, row)
        except Exception as error:  # noqa: BLE001 - raised to the item's caller, where the edge logs it
            return error
        self._audit += verdict.audit
        self._mail += verdict.mail
        if after is not None:
            self._changed[item.grant_id] = after
        return verdict

    async def store(self, tx: Tx, outbox: Outbox | None) -> None:
        """Write what the decisions changed, and nothing where they changed nothing."""
        if self._changed:
            await grant_rows.store_changes(tx, self._changed.values())
        if self._audit:
            now = next(iter(self._rows.values())).now if self._rows else await tx.now()
            await audit.add_all(tx, self._audit, now)
        for mail in self._mail:
            if outbox is None:
                raise RuntimeError("a decision has mail, and there is no outbox")
            await outbox.add(tx, mail)


def _apply(verdict: Verdict[object], row: GrantAndUser | None) -> ChangedGrant | None:
    """Return what the verdict makes of the grant; None where it leaves it as it is."""
    change, reason = verdict.change, verdict.revoke_reason
    if change is None and reason is None:
        return None
    if row is None:
        raise ValueError("a verdict changes a grant that is not there")
    rotation, grant = change or row.grant, row.grant
    is_ended = reason is not None and grant.revoked_at is None
    if change is None and not is_ended:
        return None
    return ChangedGrant(
        id=grant.id,
        generation=rotation.generation,
        rotated_at=rotation.rotated_at,
        late=rotation.late,
        revoked_at=row.now if is_ended else grant.revoked_at,
        reason=reason if is_ended else grant.reason,
    )
