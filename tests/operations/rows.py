"""Rows that operations look at and change: written and read past the operations themselves."""

import secrets
from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from authserver.ids import uuid7
from authserver.oauth.values import Grant, Session
from authserver.operations import users
from authserver.operations.operator import Operator
from authserver.store import grants, sessions
from authserver.store.tables import AuditEvents


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
        await sessions.add(tx, session, secrets.token_bytes(32), user_agent="", address="192.0.2.1")
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
        await grants.add(tx, grant)
    return grant


async def live_sessions(operator: Operator, user) -> list[Session]:
    async with operator.engine.read() as tx:
        return list(await sessions.list_all(tx, user_id=user.id))


async def live_grants(operator: Operator, user) -> list[Grant]:
    async with operator.engine.read() as tx:
        return list(await grants.list_all(tx, user_id=user.id))


async def audited(operator: Operator) -> list[str]:
    """Return the names of the events, the oldest first; each must name who did it."""
    async with operator.engine.read() as tx:
        rows = (await tx.execute(select(AuditEvents).order_by(col(AuditEvents.at), col(AuditEvents.id)))).all()
    assert {row.actor for row in rows} <= {operator.actor}
    return [row.event for row in rows]
