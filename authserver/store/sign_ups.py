"""Accounts that somebody asked for and whose address is not proven yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert
from sqlmodel import col

from authserver.store.rows import to_columns, to_value
from authserver.store.tables import SignUps

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """What the account will be made of once the code has proven the address."""

    id: UUID
    email: str
    name: str | None
    password_hash: str
    locale: str | None
    created_at: datetime
    expires_at: datetime


async def add(tx: Tx, sign_up: SignUp) -> None:
    """Store what somebody asked for."""
    await tx.execute(insert(SignUps).values(to_columns(sign_up)))


async def claim(tx: Tx, sign_up_id: UUID) -> SignUp | None:
    """Take a sign-up out, once; None where it is gone."""
    statement = delete(SignUps).where(col(SignUps.id) == sign_up_id).returning(SignUps)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(SignUp, row)
