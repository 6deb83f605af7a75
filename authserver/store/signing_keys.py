"""Signing keys, sealed. Every change moves the version row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy import update as update_table
from sqlmodel import col

from authserver.sealing.records import SigningKey
from authserver.store import state
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import SigningKeys

if TYPE_CHECKING:
    from authserver.store.engine import Tx


async def add(tx: Tx, key: SigningKey) -> None:
    """Store a new key. Raise ConflictError where another node has made the key of this generation already."""
    await state.bump(tx)
    await tx.execute(insert(SigningKeys).values(to_columns(key)))


async def update(tx: Tx, key: SigningKey) -> bool:
    """Store a key's new times; return False where it is gone."""
    await state.bump(tx)
    statement = update_table(SigningKeys).where(col(SigningKeys.kid) == key.kid).values(to_columns(key))
    return (await tx.execute(statement)).rowcount > 0


async def reseal(tx: Tx, key: SigningKey, sealed: bytes) -> bool:
    """Store the same private key sealed anew; return False where somebody else has changed the sealed value.

    The version stays: a process that has opened the key has no need to open it again.
    """
    column = col(SigningKeys.sealed_private)
    statement = update_table(SigningKeys).where(col(SigningKeys.kid) == key.kid, column == key.sealed_private)
    return (await tx.execute(statement.values(sealed_private=sealed))).rowcount > 0


async def list_all(tx: Tx) -> tuple[SigningKey, ...]:
    """Return every key there ever was, tombstones too, by algorithm and generation."""
    statement = select(SigningKeys).order_by(col(SigningKeys.alg), col(SigningKeys.generation))
    return tuple(to_value(SigningKey, row) for row in await tx.execute(statement))
