"""The audit: what happened, written in the transaction that did it, so neither is there without the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlmodel import col

from authserver.ids import uuid7
from authserver.store.rows import to_value
from authserver.store.tables import AuditEvents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that happened. ``actor`` is an operator (``cli:ann``) or a job, else it was the client or user."""

    id: UUID
    at: datetime
    event: str
    actor: str | None
    user_id: UUID | None
    client_id: str | None
    grant_id: UUID | None
    session_id: UUID | None
    request_id: str | None
    address: str | None
    detail: Mapping[str, object]


async def add(
    tx: Tx,
    event: str,
    *,
    detail: Mapping[str, object],
    actor: str | None = None,
    user_id: UUID | None = None,
    client_id: str | None = None,
    grant_id: UUID | None = None,
    session_id: UUID | None = None,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """Write down an event. ``detail`` is JSON, and never holds a token, code, secret or password."""
    now = await tx.now()
    values = {
        "id": uuid7(now),
        "at": now,
        "event": event,
        "actor": actor,
        "user_id": user_id,
        "client_id": client_id,
        "grant_id": grant_id,
        "session_id": session_id,
        "request_id": request_id,
        "address": address,
        "detail": dict(detail),
    }
    await tx.execute(insert(AuditEvents).values(values))


async def list_all(
    tx: Tx, *, event: str | None = None, user_id: UUID | None = None, client_id: str | None = None, limit: int = 1000
) -> tuple[AuditEvent, ...]:
    """Return events, the youngest first, of one kind, user or client where these are named."""
    statement = select(AuditEvents).order_by(col(AuditEvents.id).desc()).limit(limit)
    if event is not None:
        statement = statement.where(col(AuditEvents.event) == event)
    if user_id is not None:
        statement = statement.where(col(AuditEvents.user_id) == user_id)
    if client_id is not None:
        statement = statement.where(col(AuditEvents.client_id) == client_id)
    return tuple(to_value(AuditEvent, row) for row in await tx.execute(statement))
