"""Whom an id of the project that people came from means here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlmodel import col

from authserver.store.insert import insert_new
from authserver.store.tables import ImportedIds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from authserver.store.engine import Tx


async def add_all(tx: Tx, user_ids: Mapping[str, UUID]) -> None:
    """Note ids that are new; one that is known already stays with its account."""
    rows = [{"source_id": source_id, "user_id": user_id} for source_id, user_id in user_ids.items()]
    if rows:
        await tx.execute(insert_new(tx, ImportedIds, rows))


async def find(tx: Tx, source_id: str) -> UUID | None:
    """Return the account, None where nobody came with this id."""
    statement = select(col(ImportedIds.user_id)).where(col(ImportedIds.source_id) == source_id)
    return (await tx.execute(statement)).scalar_one_or_none()


async def forget_user(tx: Tx, user_id: UUID) -> None:
    """Let no token of that project stand for a user any more."""
    await tx.execute(delete(ImportedIds).where(col(ImportedIds.user_id) == user_id))
