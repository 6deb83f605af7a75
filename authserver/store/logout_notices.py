"""Logout notices: which clients are to hear that a session is over, stored with what ended it (Back-Channel Logout).

A claim is a lease on one row, as in the outbox of mail: several processes claim at once and get different rows; what
one had claimed when it died is due again when its lease is over. Then a client may hear twice, and never not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy import insert, literal_column, select, union, update
from sqlmodel import col

from authserver.ids import uuid7
from authserver.store.insert import insert_new
from authserver.store.rows import to_value
from authserver.store.tables import Clients, Grants, LogoutNotices, SessionClients, Sessions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select, Update

    from authserver.store.engine import Tx

State: TypeAlias = Literal["waiting", "trying again", "delivered", "refused", "failed"]
"""What an operator is told of a notice: *refused* is the client's own no, *failed* was given up."""
Settled: TypeAlias = Literal["delivered", "refused", "failed"]

LEASE: Final = timedelta(seconds=30)  # many times what a request to a client may take
_IS_WAITING: Final = col(LogoutNotices.state) == literal_column("'waiting'")  # as text: bound, it would fit no index


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutNotice:
    """That one client is to hear of one session's end. ``attempts`` counts the tries."""

    id: UUID
    client_id: str
    session_id: UUID
    user_id: UUID
    state: str
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    settled_at: datetime | None
    last_answer: str | None

    @property
    def told_state(self) -> State:
        """The state in the words for people."""
        match self.state:
            case "delivered" | "refused" | "failed":
                return self.state
            case _:
                return "waiting" if self.last_answer is None else "trying again"


async def add_for_sessions(tx: Tx, which: ColumnElement[bool]) -> None:
    """Store a notice for each client of the sessions that ``which`` says, which this transaction has just ended.

    Those are the clients that named an address and were ever given a grant in the session, whatever has become of it:
    who has given a refresh token back, or never had one, may still have somebody signed in.
    """
    now = await tx.now()
    over = select(col(Sessions.id)).where(which)
    in_grants, kept = col(Grants.session_id), col(SessionClients.session_id)
    told = union(
        select(in_grants.label("session_id"), col(Grants.client_id)).where(in_grants.in_(over)),
        select(kept, col(SessionClients.client_id)).where(kept.in_(over)),
    ).subquery()
    statement = (
        select(told.c.client_id, told.c.session_id, col(Sessions.user_id))
        .join(Sessions, col(Sessions.id) == told.c.session_id)
        .join(Clients, col(Clients.client_id) == told.c.client_id)
        .where(col(Clients.backchannel_logout_uri).is_not(None), col(Clients.deleted_at).is_(None))
    )
    blank = {
        "state": "waiting",
        "attempts": 0,
        "next_attempt_at": now,
        "claim": None,
        "created_at": now,
        "settled_at": None,
        "last_answer": None,
    }
    rows = [{"id": uuid7(now), **row._asdict(), **blank} for row in await tx.execute(statement)]
    if rows:
        await tx.execute(insert(LogoutNotices), rows)


async def keep_clients(tx: Tx, held: Iterable[tuple[UUID | None, str]]) -> None:
    """Keep which clients held grants of sessions that live on: (session, client) of grants that are being purged.

    No session is locked: one that ends meanwhile finds the grant, or what is kept of it, as both go in one commit.
    """
    pairs = {(session_id, client_id) for session_id, client_id in held if session_id is not None}
    if not pairs:
        return
    session_ids = {session_id for session_id, _ in pairs}
    living = select(col(Sessions.id)).where(col(Sessions.id).in_(session_ids), col(Sessions.ended_at).is_(None))
    alive = set((await tx.execute(living)).scalars())
    rows = [{"session_id": one, "client_id": client_id} for one, client_id in sorted(pairs) if one in alive]
    if rows:
        await tx.execute(insert_new(tx, SessionClients, rows))


async def client_ids_of_session(tx: Tx, session_id: UUID) -> frozenset[str]:
    """Return the clients that hear, or have heard, of a session's end."""
    statement = select(col(LogoutNotices.client_id)).where(col(LogoutNotices.session_id) == session_id)
    return frozenset((await tx.execute(statement)).scalars())


async def is_any_due(tx: Tx, *, leave_out: Collection[str] = ()) -> bool:
    """Tell whether :func:`claim_next` would find something; this takes no lock."""
    return (await tx.execute(_due(await tx.now(), leave_out))).first() is not None


async def claim_next(tx: Tx, owner: UUID, *, leave_out: Collection[str] = ()) -> LogoutNotice | None:
    """Take the notice that has been due for longest for half a minute and count a try; None where nothing is due.

    Clients in ``leave_out`` are passed over, as is what another process has locked.
    """
    now = await tx.now()
    due = _due(now, leave_out).with_for_update(skip_locked=True)
    statement = (
        update(LogoutNotices)
        .where(col(LogoutNotices.id) == due.scalar_subquery())  # evaluated once, where IN might be for each row
        .values(claim=owner, next_attempt_at=now + LEASE, attempts=col(LogoutNotices.attempts) + 1)
        .returning(*LogoutNotices.__table__.columns)  # type: ignore[attr-defined]  # SQLModel does not declare it
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(LogoutNotice, row)


async def put_off(tx: Tx, notice_id: UUID, owner: UUID, wait: timedelta, answer: str) -> None:
    """Have a notice tried again after a wait; nothing, where somebody else has claimed it meanwhile."""
    until = await tx.now() + wait
    await tx.execute(_of(notice_id, owner).values(next_attempt_at=until, claim=None, last_answer=answer))


async def settle(tx: Tx, notice_id: UUID, owner: UUID, state: Settled, answer: str) -> bool:
    """Write down how a notice ended, and return whether it had not. What was delivered is, whoever has claimed it."""
    statement = _of(notice_id, None if state == "delivered" else owner)
    values = {"state": state, "settled_at": await tx.now(), "claim": None, "last_answer": answer}
    return (await tx.execute(statement.values(values))).rowcount > 0


async def retry(tx: Tx, notice_id: UUID | None) -> int:
    """Have a notice that was refused or given up, or all of them, tried again from now; return how many."""
    statement = update(LogoutNotices).where(col(LogoutNotices.state).in_(("refused", "failed")))
    if notice_id is not None:
        statement = statement.where(col(LogoutNotices.id) == notice_id)
    values = {"state": "waiting", "attempts": 0, "next_attempt_at": await tx.now(), "settled_at": None}
    return (await tx.execute(statement.values(values))).rowcount


async def hurry(tx: Tx, notice_id: UUID) -> bool:
    """Have a waiting notice tried now instead of later; False where it is not waiting, or is being delivered."""
    statement = _of(notice_id, None).where(col(LogoutNotices.claim).is_(None))
    return (await tx.execute(statement.values(next_attempt_at=await tx.now()))).rowcount > 0


async def get(tx: Tx, notice_id: UUID) -> LogoutNotice | None:
    """Return a notice, whatever has become of it."""
    row = (await tx.execute(select(LogoutNotices).where(col(LogoutNotices.id) == notice_id))).one_or_none()
    return None if row is None else to_value(LogoutNotice, row)


async def list_all(
    tx: Tx,
    *,
    state: State | None = None,
    client_id: str | None = None,
    user_id: UUID | None = None,
    limit: int = 1000,
) -> tuple[LogoutNotice, ...]:
    """Return notices, the youngest first; of one state, client or user where these are named."""
    statement = select(LogoutNotices).order_by(col(LogoutNotices.id).desc()).limit(limit)
    if state is not None:
        statement = statement.where(_is(state))
    if client_id is not None:
        statement = statement.where(col(LogoutNotices.client_id) == client_id)
    if user_id is not None:
        statement = statement.where(col(LogoutNotices.user_id) == user_id)
    return tuple(to_value(LogoutNotice, row) for row in await tx.execute(statement))


def _due(now: datetime, leave_out: Collection[str]) -> Select[UUID]:
    """Select the notice that has been due for longest: all that is asked of it stands in one index."""
    due = select(col(LogoutNotices.id)).where(_IS_WAITING, col(LogoutNotices.next_attempt_at) <= now)
    if leave_out:
        due = due.where(col(LogoutNotices.client_id).not_in(sorted(leave_out)))
    return due.order_by(col(LogoutNotices.next_attempt_at)).limit(1)


def _is(state: State) -> ColumnElement[bool]:
    if state in {"waiting", "trying again"}:
        answered = col(LogoutNotices.last_answer)
        return _IS_WAITING & (answered.is_(None) if state == "waiting" else answered.is_not(None))
    return col(LogoutNotices.state) == state


def _of(notice_id: UUID, owner: UUID | None) -> Update:
    """Change a notice that is on its way, of one owner where told."""
    statement = update(LogoutNotices).where(col(LogoutNotices.id) == notice_id, _IS_WAITING)
    return statement if owner is None else statement.where(col(LogoutNotices.claim) == owner)
