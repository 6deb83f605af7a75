"""Initial access tokens: each is good for a number of registrations (RFC 7591 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlmodel import col

from authserver.store.rows import to_columns, to_value
from authserver.store.tables import RegistrationTokens

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationToken:
    """An initial access token as stored; 256 random bits, kept as SHA-256. ``expires_at`` None means never."""

    id: UUID
    token_hash: bytes
    uses_left: int
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


async def add(tx: Tx, token: RegistrationToken) -> None:
    """Store a new token."""
    await tx.execute(insert(RegistrationTokens).values(to_columns(token)))


async def spend(tx: Tx, token_hash: bytes) -> bool:
    """Use a token once; return False where it is unknown, used up, expired or revoked.

    One statement, so of two requests for the last use the second waits and then finds none left.
    """
    expires_at = col(RegistrationTokens.expires_at)
    statement = update(RegistrationTokens).where(
        col(RegistrationTokens.token_hash) == token_hash,
        col(RegistrationTokens.uses_left) > 0,
        col(RegistrationTokens.revoked_at).is_(None),
        expires_at.is_(None) | (expires_at > await tx.now()),
    )
    return (await tx.execute(statement.values(uses_left=col(RegistrationTokens.uses_left) - 1))).rowcount > 0


async def revoke(tx: Tx, token_id: UUID, at: datetime) -> bool:
    """End a token; return False where there is none that could still be used."""
    expires_at = col(RegistrationTokens.expires_at)
    statement = update(RegistrationTokens).where(
        col(RegistrationTokens.id) == token_id,
        col(RegistrationTokens.uses_left) > 0,
        col(RegistrationTokens.revoked_at).is_(None),
        expires_at.is_(None) | (expires_at > at),
    )
    return (await tx.execute(statement.values(revoked_at=at))).rowcount > 0


async def list_all(tx: Tx) -> tuple[RegistrationToken, ...]:
    """Return every token that is kept, the youngest first."""
    rows = await tx.execute(select(RegistrationTokens).order_by(col(RegistrationTokens.id).desc()))
    return tuple(to_value(RegistrationToken, row) for row in rows)
