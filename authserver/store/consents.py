"""What users agreed that clients may have: one row for each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlmodel import col

from authserver.oauth.values import Consent
from authserver.store.insert import insert_new
from authserver.store.rows import to_value
from authserver.store.tables import Consents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A consent, and when it was given or widened last."""

    consent: Consent
    since: datetime


async def find(tx: Tx, user_id: UUID, client_id: str) -> Consent | None:
    """Return what a user agreed to, a withdrawn consent too."""
    row = (await tx.execute(select(Consents).where(*_pair(user_id, client_id)))).one_or_none()
    return None if row is None else to_value(Consent, row)


async def list_of_user(tx: Tx, user_id: UUID) -> tuple[Given, ...]:
    """Return what a user agreed to and has not taken back."""
    statement = select(Consents).where(col(Consents.user_id) == user_id, col(Consents.withdrawn_at).is_(None))
    rows = await tx.execute(statement.order_by(col(Consents.client_id)))
    return tuple(Given(consent=to_value(Consent, row), since=row.updated_at) for row in rows)


async def lock_for_share(tx: Tx, user_id: UUID, client_id: str) -> Consent | None:
    """Return a consent that nobody can withdraw before this transaction ends (SECURITY fault B29)."""
    statement = select(Consents).where(*_pair(user_id, client_id)).with_for_update(read=True)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(Consent, row)


async def merge(tx: Tx, user_id: UUID, client_id: str, scope: Iterable[str], resources: Iterable[str]) -> None:
    """Add to what the user agreed to; after a withdrawal it begins anew. Two tabs at once lose nothing."""
    values: dict[str, object] = {"user_id": user_id, "client_id": client_id, "updated_at": await tx.now()}
    asked_scope, asked_resources = frozenset(scope), frozenset(resources)
    await tx.execute(
        insert_new(tx, Consents, {**values, "scope": asked_scope, "resources": asked_resources, "withdrawn_at": None})
    )
    statement = select(Consents).where(*_pair(user_id, client_id)).with_for_update()
    before = to_value(Consent, (await tx.execute(statement)).one())
    if before.withdrawn_at is None:
        asked_scope, asked_resources = asked_scope | before.scope, asked_resources | before.resources
    changed = {**values, "scope": asked_scope, "resources": asked_resources, "withdrawn_at": None}
    await tx.execute(update(Consents).where(*_pair(user_id, client_id)).values(changed))


async def withdraw(tx: Tx, user_id: UUID, client_id: str) -> bool:
    """Take a consent back; return False where there was none. Its grants are the caller's to revoke, afterwards."""
    statement = update(Consents).where(*_pair(user_id, client_id), col(Consents.withdrawn_at).is_(None))
    return (await tx.execute(statement.values(withdrawn_at=await tx.now()))).rowcount > 0


def _pair(user_id: UUID, client_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Consents.user_id) == user_id, col(Consents.client_id) == client_id
