"""The outbox as those see it who send: claim what is due, and write down what came of it.

A claim is a lease on one row. Several processes claim at once and get different rows; what a process had claimed when
it died is due again when its lease is over. Then a mail may leave twice, and never not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, literal_column, select, update
from sqlmodel import col

from authserver.store.outbox import State, recipient_key, state_of
from authserver.store.rows import to_value
from authserver.store.tables import OutboxMails

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select, Update

    from authserver.store.engine import Tx

LEASE: Final = timedelta(minutes=3)  # longer than a mail server may take for one message
_IS_WAITING: Final = col(OutboxMails.state) == literal_column(
    "'waiting'"
)  # as text: bound, it would fit no partial index
_HAS_CONTENT: Final = col(OutboxMails.sealed).is_not(None)
_EMPTY: Final = {"sealed": None, "claim": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """A mail as stored. ``sealed`` is None once it has been sent or is too late; ``attempts`` counts the tries."""

    id: UUID
    kind: str
    recipient: str
    locale: str | None
    user_id: UUID | None
    sealed: bytes | None
    state: str
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    expires_at: datetime | None
    settled_at: datetime | None
    last_answer: str | None

    @property
    def seconds_left(self) -> float:
        """How long a mail just claimed is of use: without end, or until it expires."""
        if self.expires_at is None:
            return math.inf
        return (self.expires_at - (self.next_attempt_at - LEASE)).total_seconds()

    @property
    def told_state(self) -> State:
        """The state in the words for people."""
        return state_of(self.state, self.last_answer)


async def claim_next(tx: Tx, owner: UUID) -> QueuedMail | None:
    """Take the mail that is most urgent for three minutes and count a try; None where nothing is due.

    What expires goes first: a code that somebody waits for does not stand behind a day's backlog of notices. Of two
    processes the second passes over what the first has locked.
    """
    now = await tx.now()
    is_due = _IS_WAITING & (col(OutboxMails.next_attempt_at) <= now)
    expires_at = col(OutboxMails.expires_at)
    code = select(col(OutboxMails.id)).where(is_due, _HAS_CONTENT, expires_at > now).order_by(expires_at)
    notice = select(col(OutboxMails.id)).where(is_due, expires_at.is_(None)).order_by(col(OutboxMails.next_attempt_at))
    return await _claim(tx, owner, now, code) or await _claim(tx, owner, now, notice)


async def _claim(tx: Tx, owner: UUID, now: datetime, first: Select[UUID]) -> QueuedMail | None:
    """Claim the first of an order that an index has: a long backlog must not be sorted for each mail."""
    due = first.limit(1).with_for_update(skip_locked=True)
    statement = (
        update(OutboxMails)
        .where(col(OutboxMails.id) == due.scalar_subquery())  # evaluated once, where IN might be for each row
        .values(claim=owner, next_attempt_at=now + LEASE, attempts=col(OutboxMails.attempts) + 1)
        .returning(*OutboxMails.__table__.columns)  # type: ignore[attr-defined]  # SQLModel does not declare it
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(QueuedMail, row)


async def mark_sent(tx: Tx, mail_id: UUID, *, keep: bool = False) -> None:
    """Note that the mail server has taken a mail over, and blank it, unless the inbox page is to show it.

    True whoever has claimed it meanwhile: it has left, and need not leave again.
    """
    values = {"state": "sent", "settled_at": await tx.now(), "claim": None, "last_answer": None}
    await tx.execute(_of(mail_id).values(values if keep else values | _EMPTY))


async def put_off(tx: Tx, mail: QueuedMail, owner: UUID, wait: timedelta, answer: str) -> None:
    """Have a mail tried again after a wait, and with it what else is waiting for the same address."""
    until = await tx.now() + wait
    await tx.execute(_of(mail.id, owner).values(next_attempt_at=until, claim=None, last_answer=answer))
    others = update(OutboxMails).where(
        col(OutboxMails.recipient_key) == recipient_key(mail.recipient),
        _IS_WAITING,
        col(OutboxMails.claim).is_(None),
        col(OutboxMails.attempts) > 0,  # a new mail has its first try, whatever became of an older one
        col(OutboxMails.next_attempt_at) < until,
    )
    await tx.execute(others.values(next_attempt_at=until))


async def give_back(tx: Tx, mail_id: UUID, owner: UUID, wait: timedelta, answer: str | None) -> None:
    """Undo a claim that came to nothing: the mail server was not to be had. The try does not count."""
    values: dict[str, object] = {
        "next_attempt_at": await tx.now() + wait,
        "claim": None,
        "attempts": col(OutboxMails.attempts) - 1,
    }
    await tx.execute(_of(mail_id, owner).values(values if answer is None else values | {"last_answer": answer}))


async def mark_failed(tx: Tx, mail_id: UUID, owner: UUID, answer: str) -> None:
    """Note that nobody will take this mail. What it says stays sealed a while: an operator may have it tried again."""
    await tx.execute(
        _of(mail_id, owner).values(state="failed", settled_at=await tx.now(), claim=None, last_answer=answer)
    )


async def expire(tx: Tx) -> int:
    """Drop what is no use any more, failed mail too, and return how many were waiting. Nobody may be sending it now."""
    now = await tx.now()
    is_over = col(OutboxMails.expires_at) <= now
    await tx.execute(
        update(OutboxMails).where(_HAS_CONTENT, is_over, col(OutboxMails.state) == "failed").values(_EMPTY)
    )
    free = col(OutboxMails.claim).is_(None) | (col(OutboxMails.next_attempt_at) <= now)
    statement = update(OutboxMails).where(_HAS_CONTENT, is_over, _IS_WAITING, free)
    return (await tx.execute(statement.values({"state": "expired", "settled_at": now, **_EMPTY}))).rowcount


async def next_due(tx: Tx) -> timedelta | None:
    """Return in how long a mail wants to be tried or dropped, not above zero where one does now; None for none."""
    next_try = select(func.min(col(OutboxMails.next_attempt_at))).where(_IS_WAITING)
    expires_at = col(OutboxMails.expires_at)
    next_end = select(func.min(expires_at)).where(_IS_WAITING, _HAS_CONTENT, expires_at.is_not(None))
    row = (await tx.execute(select(next_try.scalar_subquery(), next_end.scalar_subquery()))).one()
    moments = [moment for moment in row if moment is not None]
    return min(moments) - await tx.now() if moments else None


async def retry(tx: Tx, mail_id: UUID | None) -> int:
    """Have a failed mail, or all of them, tried again from now, and return how many; the count of tries starts anew.

    One whose time is over, or whose content is gone, stays as it is.
    """
    now = await tx.now()
    expires_at = col(OutboxMails.expires_at)
    statement = update(OutboxMails).where(
        col(OutboxMails.state) == "failed",
        col(OutboxMails.sealed).is_not(None),
        expires_at.is_(None) | (expires_at > now),
    )
    if mail_id is not None:
        statement = statement.where(col(OutboxMails.id) == mail_id)
    values = {"state": "waiting", "attempts": 0, "next_attempt_at": now, "settled_at": None}
    return (await tx.execute(statement.values(values))).rowcount


async def hurry(tx: Tx, mail_id: UUID) -> bool:
    """Have a waiting mail tried now instead of later; False where it is not waiting, or is being sent."""
    now = await tx.now()
    statement = update(OutboxMails).where(col(OutboxMails.id) == mail_id, _IS_WAITING, col(OutboxMails.claim).is_(None))
    return (await tx.execute(statement.values(next_attempt_at=now))).rowcount > 0


async def get(tx: Tx, mail_id: UUID) -> QueuedMail | None:
    """Return a mail, whatever has become of it."""
    row = (await tx.execute(select(OutboxMails).where(col(OutboxMails.id) == mail_id))).one_or_none()
    return None if row is None else to_value(QueuedMail, row)


async def list_all(
    tx: Tx, *, state: State | None = None, user_id: UUID | None = None, limit: int = 1000
) -> tuple[QueuedMail, ...]:
    """Return mails, the youngest first; of one state or one user where these are named."""
    statement = select(OutboxMails).order_by(col(OutboxMails.id).desc()).limit(limit)
    if state is not None:
        statement = statement.where(_is(state))
    if user_id is not None:
        statement = statement.where(col(OutboxMails.user_id) == user_id)
    return tuple(to_value(QueuedMail, row) for row in await tx.execute(statement))


def _is(state: State) -> ColumnElement[bool]:
    if state in {"waiting", "trying again"}:
        answered = col(OutboxMails.last_answer)
        return _IS_WAITING & (answered.is_(None) if state == "waiting" else answered.is_not(None))
    return col(OutboxMails.state) == state


def _of(mail_id: UUID, owner: UUID | None = None) -> Update:
    """Change a mail that is on its way, of one owner where told."""
    statement = update(OutboxMails).where(col(OutboxMails.id) == mail_id, _IS_WAITING)
    return statement if owner is None else statement.where(col(OutboxMails.claim) == owner)
