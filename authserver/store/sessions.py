"""Browser sessions, and the browsers in which somebody signed in before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, literal, select, update
from sqlmodel import col

from authserver.oauth.values import Session, User
from authserver.store import grants, logout_notices, second_factors
from authserver.store.driver_rows import ValueRows
from authserver.store.insert import insert_into
from authserver.store.prepared import Prepared
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Devices, Sessions, Users

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Select

    from authserver.store.engine import Tx

TOUCH_INTERVAL: Final = timedelta(minutes=1)

_SESSIONS: Final = ValueRows(Session, Sessions)
_USERS: Final = ValueRows(User, Users)


def _select_by_id() -> Select[Any]:
    return select(*_SESSIONS.selected).where(col(Sessions.id) == bindparam("id"))


def _select_by_cookie() -> Select[Any]:
    found = select(*_SESSIONS.selected, *_USERS.selected).join(Users, col(Users.id) == col(Sessions.user_id))
    return found.where(col(Sessions.cookie_hash) == bindparam("cookie_hash"))


def _select_device() -> Select[Any]:
    return select(literal(1)).where(col(Devices.user_id) == bindparam("user_id")).limit(1)


_ADD: Final = Prepared(lambda _: insert(Sessions), columns=(*_SESSIONS.names, "cookie_hash", "user_agent", "address"))
_GET: Final = Prepared(lambda _: _select_by_id())
_LOCK_FOR_SHARE: Final = Prepared(lambda _: _select_by_id().with_for_update(read=True))
_FIND_BY_COOKIE: Final = Prepared(lambda _: _select_by_cookie())
_REMEMBER_DEVICE: Final = Prepared(
    lambda dialect: insert_into(dialect, Devices).on_conflict_do_nothing(),
    columns=("device_hash", "user_id", "created_at"),
)
_HAS_DEVICE: Final = Prepared(lambda _: _select_device())
_IS_KNOWN_DEVICE: Final = Prepared(
    lambda _: _select_device().where(col(Devices.device_hash) == bindparam("device_hash"))
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """How many of a user's sessions were ended, and how many grants were revoked."""

    sessions: int
    grants: int


async def add(tx: Tx, session: Session, cookie_hash: bytes, *, user_agent: str, address: str) -> None:
    """Store a session that begins now; the caller holds the user's row."""
    await _ADD.fetch(tx, **to_columns(session), cookie_hash=cookie_hash, user_agent=user_agent, address=address)


async def renew(tx: Tx, session: Session, cookie_hash: bytes) -> None:
    """Store a session whose user has signed in again, under another cookie: the old one is worth nothing."""
    statement = update(Sessions).where(col(Sessions.id) == session.id)
    await tx.execute(statement.values({**to_columns(session), "cookie_hash": cookie_hash}))


async def find_by_cookie(tx: Tx, cookie_hash: bytes) -> tuple[Session, User] | None:
    """Return the session of a cookie and its user, whatever has become of them."""
    row = await _FIND_BY_COOKIE.fetch_one(tx, cookie_hash=cookie_hash)
    if row is None:
        return None
    return _SESSIONS.read(row, tx.dialect), _USERS.read(row, tx.dialect, _SESSIONS.width)


async def get(tx: Tx, session_id: UUID) -> Session | None:
    """Return a session, an ended one too."""
    return await _find(tx, _GET, session_id)


async def lock_for_share(tx: Tx, session_id: UUID) -> Session | None:
    """Return a session that nobody can end before this transaction does (SECURITY fault B29)."""
    return await _find(tx, _LOCK_FOR_SHARE, session_id)


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
    """End a session, and have its clients told; return False where it had been ended.

    Its grants stay: :func:`end_with_grants` ends them too.
    """
    statement = update(Sessions).where(col(Sessions.id) == session_id, col(Sessions.ended_at).is_(None))
    if (await tx.execute(statement.values(ended_at=at, end_reason=reason))).rowcount == 0:
        return False
    await logout_notices.add_for_sessions(tx, col(Sessions.id) == session_id)
    return True


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


async def end_all_of_user(
    tx: Tx,
    user_id: UUID,
    *,
    reason: str,
    keep_session: UUID | None = None,
    keep_grant: UUID | None = None,
) -> SignedOut:
    """End a user's sessions, then all grants, those that would outlive a logout too; sign-ins under way end as well.

    ``keep_session`` stays with the grants of its apps, and ``keep_grant``. The caller holds the user's row.
    """
    await second_factors.forget_pending_of_user(tx, user_id)
    statement = update(Sessions).where(col(Sessions.user_id) == user_id, col(Sessions.ended_at).is_(None))
    if keep_session is not None:
        statement = statement.where(col(Sessions.id) != keep_session)
    ended = await tx.execute(statement.values(ended_at=await tx.now(), end_reason=reason).returning(col(Sessions.id)))
    ids = list(ended.scalars())
    if ids:
        await logout_notices.add_for_sessions(tx, col(Sessions.id).in_(ids))
    revoked = await grants.revoke_of_user(tx, user_id, reason, except_session=keep_session, except_grant=keep_grant)
    return SignedOut(sessions=len(ids), grants=revoked)


async def remember_device(tx: Tx, device_hash: bytes, user_id: UUID) -> None:
    """Note that this user signed in in the browser that holds this cookie."""
    await _REMEMBER_DEVICE.fetch(tx, device_hash=device_hash, user_id=user_id, created_at=await tx.now())


async def has_device(tx: Tx, user_id: UUID) -> bool:
    """Tell whether this user has signed in in any browser before that was to be remembered."""
    return await _HAS_DEVICE.fetch_one(tx, user_id=user_id) is not None


async def is_known_device(tx: Tx, device_hash: bytes, user_id: UUID) -> bool:
    """Tell whether this user, and no other, signed in with this cookie before."""
    return await _IS_KNOWN_DEVICE.fetch_one(tx, device_hash=device_hash, user_id=user_id) is not None


async def _find(tx: Tx, statement: Prepared, session_id: UUID) -> Session | None:
    row = await statement.fetch_one(tx, id=session_id)
    return None if row is None else _SESSIONS.read(row, tx.dialect)
