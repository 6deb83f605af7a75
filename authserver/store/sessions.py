"""Browser sessions, and the browsers in which somebody signed in before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, insert, select, update
from sqlmodel import col

from authserver.oauth.values import Session, User
from authserver.store import grants, second_factors
from authserver.store.insert import insert_new
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Devices, Sessions, Users

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx

TOUCH_INTERVAL: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """A session with what is known of its browser: what it called itself and where it was when the session began."""

    session: Session
    user_agent: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """Whether a session had not been ended before, and how many grants fell with it."""

    was_live: bool
    grants: int


async def add(tx: Tx, session: Session, cookie_hash: bytes, *, user_agent: str, address: str) -> None:
    """Store a session that begins now; the caller holds the user's row."""
    values = {**to_columns(session), "cookie_hash": cookie_hash, "user_agent": user_agent, "address": address}
    await tx.execute(insert(Sessions).values(values))


async def renew(tx: Tx, session: Session, cookie_hash: bytes) -> None:
    """Store a session whose user has signed in again, under another cookie: the old one is worth nothing."""
    statement = update(Sessions).where(col(Sessions.id) == session.id)
    await tx.execute(statement.values({**to_columns(session), "cookie_hash": cookie_hash}))


async def find_by_cookie(tx: Tx, cookie_hash: bytes) -> tuple[Session, User] | None:
    """Return the session of a cookie and its user, whatever has become of them."""
    statement = (
        select(Sessions, Users)
        .join(Users, col(Users.id) == col(Sessions.user_id))
        .where(col(Sessions.cookie_hash) == cookie_hash)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else (to_value(Session, row, "sessions_"), to_value(User, row, "users_"))


async def get(tx: Tx, session_id: UUID) -> Session | None:
    """Return a session, an ended one too."""
    row = (await tx.execute(select(Sessions).where(col(Sessions.id) == session_id))).one_or_none()
    return None if row is None else to_value(Session, row)


async def lock_for_share(tx: Tx, session_id: UUID) -> Session | None:
    """Return a session that nobody can end before this transaction does (SECURITY fault B29)."""
    statement = select(Sessions).where(col(Sessions.id) == session_id).with_for_update(read=True)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(Session, row)


async def list_all(tx: Tx, *, user_id: UUID | None = None, limit: int = 1000) -> tuple[Session, ...]:
    """Return sessions that have neither been ended nor reached their end, the youngest first."""
    is_live = col(Sessions.ended_at).is_(None) & (col(Sessions.expires_at) > await tx.now())
    statement = select(Sessions).where(is_live).order_by(col(Sessions.id).desc()).limit(limit)
    if user_id is not None:
        statement = statement.where(col(Sessions.user_id) == user_id)
    return tuple(to_value(Session, row) for row in await tx.execute(statement))


def is_stale(session: Session, now: datetime) -> bool:
    """Tell whether a use is worth noting: at most one a minute is, so that reading a page seldom writes."""
    return now - session.last_seen_at >= TOUCH_INTERVAL


async def touch(tx: Tx, session: Session) -> None:
    """Note that a session was used, where that is worth it."""
    now = await tx.now()
    if is_stale(session, now):
        await tx.execute(update(Sessions).where(col(Sessions.id) == session.id).values(last_seen_at=now))


async def end(tx: Tx, session_id: UUID, at: datetime, reason: str) -> bool:
    """End a session; return False where it had been ended. Its grants stay: :func:`end_with_grants` ends them too."""
    statement = update(Sessions).where(col(Sessions.id) == session_id, col(Sessions.ended_at).is_(None))
    return (await tx.execute(statement.values(ended_at=at, end_reason=reason))).rowcount > 0


async def list_browsers(tx: Tx, user_id: UUID, limit: int = 1000) -> tuple[Browser, ...]:
    """Return where a user is signed in, the last used first; one that has been idle for too long may be among them."""
    is_live = col(Sessions.ended_at).is_(None) & (col(Sessions.expires_at) > await tx.now())
    statement = select(Sessions).where(is_live, col(Sessions.user_id) == user_id)
    rows = await tx.execute(statement.order_by(col(Sessions.last_seen_at).desc()).limit(limit))
    return tuple(
        Browser(session=to_value(Session, row), user_agent=row.user_agent, address=row.address) for row in rows
    )


async def end_with_grants(tx: Tx, session_id: UUID, at: datetime, reason: str) -> EndedSession:
    """End a session, the row first, then what apps hold through it but for offline access (DESIGN §5).

    Whoever is inserting a grant on the session holds its row until the grant is there to be revoked (SECURITY B29).
    """
    was_live = await end(tx, session_id, at, reason)
    return EndedSession(was_live=was_live, grants=await grants.revoke_of_session(tx, session_id, reason))


async def end_all_of_user(tx: Tx, user_id: UUID, *, at: datetime, reason: str, except_id: UUID | None = None) -> int:
    """End a user's sessions, but for ``except_id``, and return how many were live; sign-ins under way end too."""
    await second_factors.forget_pending_of_user(tx, user_id)
    statement = update(Sessions).where(col(Sessions.user_id) == user_id, col(Sessions.ended_at).is_(None))
    if except_id is not None:
        statement = statement.where(col(Sessions.id) != except_id)
    return (await tx.execute(statement.values(ended_at=at, end_reason=reason))).rowcount


async def remember_device(tx: Tx, device_hash: bytes, user_id: UUID) -> None:
    """Note that this user signed in in the browser that holds this cookie."""
    values = {"device_hash": device_hash, "user_id": user_id, "created_at": await tx.now()}
    await tx.execute(insert_new(tx, Devices, values))


async def has_device(tx: Tx, user_id: UUID) -> bool:
    """Tell whether this user has signed in in any browser before that was to be remembered."""
    statement = select(col(Devices.user_id)).where(col(Devices.user_id) == user_id).limit(1)
    return (await tx.execute(statement)).first() is not None


async def is_known_device(tx: Tx, device_hash: bytes, user_id: UUID) -> bool:
    """Tell whether this user, and no other, signed in with this cookie before."""
    statement = select(col(Devices.user_id)).where(col(Devices.device_hash) == device_hash)
    return (await tx.execute(statement)).scalar_one_or_none() == user_id
