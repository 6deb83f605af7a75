"""Sign-ins under way: the request as it came, and what the steps have stored so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlmodel import col

from authserver.oauth.values import Transaction
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx


async def add(tx: Tx, transaction: Transaction) -> None:
    """Store a sign-in that begins now."""
    await tx.execute(insert(Transactions).values(to_columns(transaction)))


async def find(tx: Tx, transaction_id: UUID, browser_hash: bytes) -> Transaction | None:
    """Return a sign-in that this browser began, an expired one too; to any other browser there is none."""
    statement = select(Transactions).where(
        col(Transactions.id) == transaction_id, col(Transactions.browser_hash) == browser_hash
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(Transaction, row)


async def consent(tx: Tx, transaction_id: UUID, user_id: UUID, scope: Iterable[str], resources: Iterable[str]) -> bool:
    """Note what a user allowed; return False where the sign-in is finished."""
    return await _set(
        tx,
        transaction_id,
        consented_by=user_id,
        consented_scope=frozenset(scope),
        consented_resources=frozenset(resources),
        denied_at=None,
    )


async def deny(tx: Tx, transaction_id: UUID) -> bool:
    """Note that the user said no; return False where the sign-in is finished."""
    return await _set(tx, transaction_id, denied_at=await tx.now())


async def finish(tx: Tx, transaction_id: UUID, at: datetime) -> bool:
    """Note when a sign-in was finished; return False where it had been, and keep the first time."""
    return await _set(tx, transaction_id, finished_at=at)


async def _set(tx: Tx, transaction_id: UUID, **columns: object) -> bool:
    statement = update(Transactions).where(
        col(Transactions.id) == transaction_id, col(Transactions.finished_at).is_(None)
    )
    return (await tx.execute(statement.values(columns))).rowcount > 0
