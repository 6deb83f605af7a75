"""The audit: what happened, written in the transaction that did it, so neither is there without the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from authserver.ids import uuid7
from authserver.store.rows import to_value
from authserver.store.tables import AuditEvents
from authserver.store.types import spell_id, spell_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An event to be written down: all of :class:`AuditEvent` that the database does not say."""

    event: str
    detail: Mapping[str, object]
    actor: str | None = None
    user_id: UUID | None = None
    client_id: str | None = None
    grant_id: UUID | None = None
    session_id: UUID | None = None
    request_id: str | None = None
    address: str | None = None


_COLUMNS: Final = tuple(field.name for field in fields(AuditEvent))
_ADD: Final = {
    "sqlite": (
        f"INSERT INTO audit_events ({', '.join(_COLUMNS)}) SELECT "  # noqa: S608 - the columns' names
        + ", ".join(f"json_extract(added.value, '$[{place}]')" for place in range(len(_COLUMNS)))
        + " FROM json_each(?) AS added"
    ),
    "postgresql": (
        f"INSERT INTO audit_events ({', '.join(_COLUMNS)}) SELECT "  # noqa: S608 - the columns' names
        "(value ->> 0)::uuid, (value ->> 1 || '+00')::timestamptz, value ->> 2, value ->> 3, (value ->> 4)::uuid, "
        "value ->> 5, (value ->> 6)::uuid, (value ->> 7)::uuid, value ->> 8, value ->> 9, (value ->> 10)::jsonb "
        "FROM jsonb_array_elements(%s::jsonb) AS added (value)"
    ),
}


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
    entry = AuditEntry(
        event=event,
        detail=detail,
        actor=actor,
        user_id=user_id,
        client_id=client_id,
        grant_id=grant_id,
        session_id=session_id,
        request_id=request_id,
        address=address,
    )
    await add_all(tx, [entry], await tx.now())


async def add_all(tx: Tx, entries: Iterable[AuditEntry], now: datetime) -> None:
    """Write down events of one transaction in one statement, whose text is the same for any number of them."""
    at = spell_time(now)
    rows = [
        (
            spell_id(uuid7(now)),
            at,
            *(_spell(getattr(entry, name)) for name in _COLUMNS[2:-1]),
            json.dumps(dict(entry.detail)),
        )
        for entry in entries
    ]
    await tx.fetch(_ADD[tx.dialect], [json.dumps(rows)])


def _spell(value: object) -> object:
    return spell_id(value) if isinstance(value, UUID) else value


async def list_of_user(
    tx: Tx, user_id: UUID, *, events: Collection[str], before: UUID | None = None, limit: int
) -> tuple[AuditEvent, ...]:
    """Return events of these kinds about a user, the youngest first, from below an event's id where one is given."""
    statement = select(AuditEvents).where(
        col(AuditEvents.user_id) == user_id, col(AuditEvents.event).in_(sorted(events))
    )
    if before is not None:
        statement = statement.where(col(AuditEvents.id) < before)
    rows = await tx.execute(statement.order_by(col(AuditEvents.id).desc()).limit(limit))
    return tuple(to_value(AuditEvent, row) for row in rows)


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
