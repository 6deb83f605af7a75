"""Whose account an account at another provider is linked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update
from sqlmodel import col

from authserver.oauth.upstream import Identity
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Passkeys, UpstreamIdentities, Users

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Row

    from authserver.store.engine import Tx


async def add(tx: Tx, identity: Identity) -> None:
    """Store a link; raise ConflictError where the account there is linked already. The caller holds the user's row."""
    await tx.execute(insert(UpstreamIdentities).values(to_columns(identity)))


async def find(tx: Tx, provider: str, subject: str) -> Identity | None:
    """Return whose account this is."""
    statement = select(UpstreamIdentities).where(*_is(provider, subject))
    return _to_identity((await tx.execute(statement)).one_or_none())


async def use(tx: Tx, identity: Identity) -> bool:
    """Note that somebody signs in by a link; False where it is not that user's any more. The caller holds the user."""
    statement = update(UpstreamIdentities).where(
        *_is(identity.provider, identity.subject), col(UpstreamIdentities.user_id) == identity.user_id
    )
    return (await tx.execute(statement.values(last_used_at=await tx.now()))).rowcount > 0


async def list_of_user(tx: Tx, user_id: UUID) -> tuple[Identity, ...]:
    """Return what a user has linked, the oldest first."""
    statement = (
        select(UpstreamIdentities)
        .where(col(UpstreamIdentities.user_id) == user_id)
        .order_by(col(UpstreamIdentities.created_at), col(UpstreamIdentities.subject))
    )
    return tuple(to_value(Identity, row) for row in await tx.execute(statement))


async def remove(tx: Tx, user_id: UUID, provider: str, subject: str) -> bool:
    """Delete a link of this user; return False where there is none. The caller holds the user's row."""
    statement = delete(UpstreamIdentities).where(*_is(provider, subject), col(UpstreamIdentities.user_id) == user_id)
    return (await tx.execute(statement)).rowcount > 0


async def remove_all_of_user(tx: Tx, user_id: UUID) -> int:
    """Delete every link of a user who is being deleted: the account there may be linked anew at once."""
    return (await tx.execute(delete(UpstreamIdentities).where(col(UpstreamIdentities.user_id) == user_id))).rowcount


async def count_of_provider(tx: Tx, provider: str) -> tuple[int, int]:
    """Return how many accounts are linked through a provider, and how many of their users can only sign in by it."""
    is_of_provider = col(UpstreamIdentities.provider) == provider
    elsewhere = select(col(UpstreamIdentities.user_id)).where(~is_of_provider)
    left_without = (
        select(func.count())
        .select_from(Users)
        .where(
            col(Users.id).in_(select(col(UpstreamIdentities.user_id)).where(is_of_provider)),
            col(Users.id).not_in(elsewhere),
            col(Users.id).not_in(select(col(Passkeys.user_id))),
            col(Users.password_hash).is_(None),
        )
    )
    linked = select(func.count()).select_from(UpstreamIdentities).where(is_of_provider)
    return int((await tx.execute(linked)).scalar_one()), int((await tx.execute(left_without)).scalar_one())


def _is(provider: str, subject: str) -> tuple[Any, Any]:
    return (col(UpstreamIdentities.provider) == provider, col(UpstreamIdentities.subject) == subject)


def _to_identity(row: Row[Any] | None) -> Identity | None:
    return None if row is None else to_value(Identity, row)
