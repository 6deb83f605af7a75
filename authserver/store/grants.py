"""Grants: one row for all the tokens that a user gave one client on one device (DESIGN §5)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Text, bindparam, cast, func, insert, literal, select, update
from sqlmodel import col

from authserver.oauth.values import Grant, LogoutScope, User
from authserver.store import imported_ids
from authserver.store.engine import as_time
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Clients, Grants, Users

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Row, Select

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAndUser:
    """A grant, its user where the row is still there, and the database's clock after any wait for the row."""

    grant: Grant
    user: User | None
    now: datetime


async def add(tx: Tx, grant: Grant) -> None:
    """Store a new grant; the caller holds the user, session, consent and client that it rests on."""
    await tx.execute(insert(Grants).values(to_columns(grant)))


async def add_all(tx: Tx, new: Sequence[Grant]) -> None:
    """Store many grants at once; at least one."""
    await tx.execute(insert(Grants), [to_columns(grant) for grant in new])


async def get(tx: Tx, grant_id: UUID) -> Grant | None:
    """Return a grant, a revoked one too."""
    row = (await tx.execute(select(Grants).where(col(Grants.id) == grant_id))).one_or_none()
    return None if row is None else to_value(Grant, row)


async def lock(tx: Tx, grant_id: UUID) -> GrantAndUser | None:
    """Return a grant that nobody else can rotate or revoke before this transaction ends.

    Of two requests with one refresh token the second waits, and decides on what the first has left. The user's row is
    read without a lock: whoever disables a user revokes the grants, and waits for this row.
    """
    row = (await tx.execute(_with_user(tx.dialect), {"grant_id": grant_id})).one_or_none()
    return None if row is None else _to_grant_and_user(row)


async def list_all(
    tx: Tx, *, user_id: UUID | None = None, client_id: str | None = None, limit: int = 1000
) -> tuple[Grant, ...]:
    """Return grants that have neither been revoked nor reached their end, the youngest first."""
    is_live = col(Grants.revoked_at).is_(None) & (col(Grants.expires_at) > await tx.now())
    statement = select(Grants).where(is_live).order_by(col(Grants.id).desc()).limit(limit)
    if user_id is not None:
        statement = statement.where(col(Grants.user_id) == user_id)
    if client_id is not None:
        statement = statement.where(col(Grants.client_id) == client_id)
    return tuple(to_value(Grant, row) for row in await tx.execute(statement))


async def client_ids_of_session(tx: Tx, session_id: UUID) -> tuple[str, ...]:
    """Return the clients that hold a live grant which this session's logout would end."""
    statement = (
        select(col(Grants.client_id)).where(col(Grants.revoked_at).is_(None), *_ends_with(session_id)).distinct()
    )
    return tuple(sorted((await tx.execute(statement)).scalars()))


async def revoke(tx: Tx, grant_id: UUID, reason: str) -> bool:
    """Revoke a grant; return False where it is gone or has been revoked, and keep the first reason."""
    return await _revoke(tx, reason, col(Grants.id) == grant_id) > 0


async def revoke_of_user(
    tx: Tx,
    user_id: UUID,
    reason: str,
    *,
    except_session: UUID | None = None,
    except_grant: UUID | None = None,
) -> int:
    """Revoke a user's grants and return how many; the caller has changed the user's row before.

    Those of ``except_session``, and ``except_grant``, stay: whoever changes a password stays signed in where that is.
    Refresh tokens of the project that the user came from are grants not made yet, so they end too.
    """
    await imported_ids.forget_user(tx, user_id)
    which = [col(Grants.user_id) == user_id]
    if except_session is not None:
        which.append(col(Grants.session_id).is_distinct_from(except_session))
    if except_grant is not None:
        which.append(col(Grants.id) != except_grant)
    return await _revoke(tx, reason, *which)


async def revoke_of_client(tx: Tx, client_id: str, reason: str) -> int:
    """Revoke all of a client's grants and return how many; the caller has changed the client's row before."""
    return await _revoke(tx, reason, col(Grants.client_id) == client_id)


async def revoke_of_consent(tx: Tx, user_id: UUID, client_id: str, reason: str) -> int:
    """Revoke what a user gave one client and return how many; the caller has withdrawn the consent before."""
    return await _revoke(tx, reason, col(Grants.user_id) == user_id, col(Grants.client_id) == client_id)


async def revoke_of_session(tx: Tx, session_id: UUID, reason: str) -> int:
    """Revoke what ends with a session and return how many grants; the caller has ended the session before.

    Grants with offline_access stay, and those of clients whose grants stand alone (DESIGN §5).
    """
    return await _revoke(tx, reason, *_ends_with(session_id))


def _ends_with(session_id: UUID) -> tuple[ColumnElement[bool], ...]:
    standalone = select(col(Clients.client_id)).where(col(Clients.logout_scope) == LogoutScope.STANDALONE.value)
    words = literal(" ") + cast(col(Grants.scope), Text) + literal(" ")
    return (
        col(Grants.session_id) == session_id,
        ~words.contains(" offline_access ", autoescape=True),
        col(Grants.client_id).not_in(standalone),
    )


async def _revoke(tx: Tx, reason: str, *which: ColumnElement[bool]) -> int:
    statement = update(Grants).where(*which, col(Grants.revoked_at).is_(None))
    return (await tx.execute(statement.values(revoked_at=await tx.now(), reason=reason))).rowcount


@cache  # building so wide a statement costs more than running it
def _with_user(dialect: str) -> Select[Any]:
    # Read after the wait for the lock where the row had changed: PostgreSQL then computes the whole row anew.
    clock = func.clock_timestamp() if dialect == "postgresql" else func.strftime("%Y-%m-%d %H:%M:%f", "now")
    return (
        select(Grants, Users, clock.label("clock"))
        .join(Users, col(Users.id) == col(Grants.user_id), isouter=True)
        .where(col(Grants.id) == bindparam("grant_id"))
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
        .with_for_update(of=Grants)
    )


def _to_grant_and_user(row: Row[Any]) -> GrantAndUser:
    user = None if row.users_id is None else to_value(User, row, "users_")
    return GrantAndUser(grant=to_value(Grant, row, "grants_"), user=user, now=as_time(row.clock))
