"""What may be used once: a client assertion's jti (RFC 7523 §3 rule 7), the challenge of a passkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col

from authserver.store.insert import insert_new
from authserver.store.tables import Replays

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.store.engine import Tx


async def claim(tx: Tx, key_hash: bytes, expires_at: datetime) -> bool:
    """Use a proof up; return False where it was used before. ``expires_at`` is when it would be refused anyway.

    One statement: of two at once the second waits for the first one's end, and is the first use if that rolled back.
    """
    statement = insert_new(tx, Replays, {"key_hash": key_hash, "expires_at": expires_at})
    return (await tx.execute(statement.returning(col(Replays.key_hash)))).one_or_none() is not None
