"""Passkeys; the statement that uses one compares its counter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select, update
from sqlmodel import col

from authserver.oauth.passkey_rules import Passkey
from authserver.store.insert import insert_new
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Passkeys

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.store.engine import Tx


async def add(tx: Tx, passkey: Passkey) -> bool:
    """Store a passkey; False where its credential id is somebody's already. The caller holds the user's row."""
    statement = insert_new(tx, Passkeys, to_columns(passkey))
    return (await tx.execute(statement.returning(col(Passkeys.id)))).one_or_none() is not None


async def find(tx: Tx, credential_id: bytes) -> Passkey | None:
    """Return the passkey with this credential id, whoever's it is."""
    row = (await tx.execute(select(Passkeys).where(col(Passkeys.credential_id) == credential_id))).one_or_none()
    return None if row is None else to_value(Passkey, row)


async def list_of_user(tx: Tx, user_id: UUID) -> tuple[Passkey, ...]:
    """Return a user's passkeys, the oldest first."""
    rows = await tx.execute(select(Passkeys).where(col(Passkeys.user_id) == user_id).order_by(col(Passkeys.id)))
    return tuple(to_value(Passkey, row) for row in rows)


async def has_any(tx: Tx, user_id: UUID) -> bool:
    """Tell whether a user has a passkey."""
    statement = select(col(Passkeys.id)).where(col(Passkeys.user_id) == user_id).limit(1)
    return (await tx.execute(statement)).first() is not None


async def use(tx: Tx, passkey_id: UUID, *, sign_count: int, backed_up: bool) -> bool:
    """Note that a passkey was used; False where its counter has not gone up, or it was removed meanwhile.

    An authenticator that does not count says 0 each time (WebAuthn Level 3 §6.1.1).
    """
    goes_up = or_(
        col(Passkeys.sign_count) < sign_count,
        (col(Passkeys.sign_count) == 0) & (sign_count == 0),
    )
    statement = update(Passkeys).where(col(Passkeys.id) == passkey_id, goes_up)
    values = {"sign_count": sign_count, "backed_up": backed_up, "last_used_at": await tx.now()}
    return (await tx.execute(statement.values(values))).rowcount > 0


async def rename(tx: Tx, user_id: UUID, passkey_id: UUID, name: str) -> bool:
    """Give a user's passkey another name; False where they have no such passkey."""
    statement = update(Passkeys).where(col(Passkeys.id) == passkey_id, col(Passkeys.user_id) == user_id)
    return (await tx.execute(statement.values(name=name))).rowcount > 0


async def remove(tx: Tx, user_id: UUID, passkey_id: UUID) -> str | None:
    """Remove a user's passkey and return its name, None where they have no such passkey."""
    statement = delete(Passkeys).where(col(Passkeys.id) == passkey_id, col(Passkeys.user_id) == user_id)
    return (await tx.execute(statement.returning(col(Passkeys.name)))).scalar_one_or_none()


async def remove_all(tx: Tx, user_id: UUID) -> int:
    """Remove a user's passkeys and return how many there were."""
    return (await tx.execute(delete(Passkeys).where(col(Passkeys.user_id) == user_id))).rowcount
