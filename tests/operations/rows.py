"""Rows that operations look at and change: written and read past the operations themselves."""

import secrets
from datetime import timedelta

from sqlalchemy import insert, select
from sqlmodel import col

from authserver.ids import uuid7
from authserver.oauth.values import Grant, Session
from authserver.operations import users
from authserver.operations.operator import Operator
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import AuditEvents, Grants, Sessions


async def make_user(operator: Operator, username="ann"):
    return await users.create(operator, username=username, email=f"{username}@example.org")


async def add_session(operator: Operator, user) -> Session:
    async with operator.engine.begin() as tx:
        now = await tx.now()
        session = Session(
            id=uuid7(now),
            user_id=user.id,
            auth_time=now,
            acr="1",
            amr=("pwd",),
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(days=1),
        )
        more = {"cookie_hash": secrets.token_bytes(32), "end_reason": None, "user_agent": "", "address": "192.0.2.1"}
        await tx.execute(insert(Sessions).values({**to_columns(session), **more}))
    return session


async def add_grant(operator: Operator, user, session, *, client_id="demo", scope=("openid",)) -> Grant:
    async with operator.engine.begin() as tx:
        now = await tx.now()
        grant = Grant(
            id=uuid7(now),
            client_id=client_id,
            user_id=user.id,
            session_id=session.id if session else None,
            scope=frozenset(scope),
            resources=(),
            acr="1",
            amr=("pwd",),
            auth_time=now,
            secret_hash=secrets.token_bytes(32),
            generation=0,
            rotated_at=now,
            expires_at=now + timedelta(days=30),
            created_at=now,
        )
        await tx.execute(insert(Grants).values({**to_columns(grant), "authorization_details": None}))
    return grant


async def live_sessions(operator: Operator, user) -> list[Session]:
    statement = select(Sessions).where(col(Sessions.user_id) == user.id, col(Sessions.ended_at).is_(None))
    async with operator.engine.read() as tx:
        return [to_value(Session, row) for row in await tx.execute(statement)]


async def live_grants(operator: Operator, user) -> list[Grant]:
    statement = select(Grants).where(col(Grants.user_id) == user.id, col(Grants.revoked_at).is_(None))
    async with operator.engine.read() as tx:
        return [to_value(Grant, row) for row in await tx.execute(statement)]


async def audited(operator: Operator) -> list[str]:
    """Return the names of the events, the oldest first; each must name who did it."""
    async with operator.engine.read() as tx:
        rows = (await tx.execute(select(AuditEvents).order_by(col(AuditEvents.at), col(AuditEvents.id)))).all()
    assert all(row.actor == operator.actor for row in rows)
    return [row.event for row in rows]
