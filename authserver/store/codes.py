"""Authorization codes. Each use is counted by the statement that reads the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlmodel import col

from authserver.oauth.values import AuthorizationCode
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import AuthorizationCodes

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.store.engine import Tx


async def add(tx: Tx, code: AuthorizationCode) -> None:
    """Store a code; the caller holds the user, the session and the client."""
    await tx.execute(insert(AuthorizationCodes).values(to_columns(code)))


async def claim(tx: Tx, code_hash: bytes, client_id: str) -> AuthorizationCode | None:
    """Count one use of a client's code and return it with ``uses`` as counted, or None where it has no such code.

    One statement, so two requests with one code cannot both see ``uses`` 1: the second waits for the first one's row
    lock and counts from what it left. Another client's request leaves the code untouched.
    """
    statement = (
        update(AuthorizationCodes)
        .where(col(AuthorizationCodes.code_hash) == code_hash, col(AuthorizationCodes.client_id) == client_id)
        .values(uses=col(AuthorizationCodes.uses) + 1)
        .returning(AuthorizationCodes)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(AuthorizationCode, row)


async def delete_unused(tx: Tx, user_id: UUID, client_id: str) -> int:
    """Delete the codes a user's app holds and has not redeemed; wait for one that it is redeeming, which then counts.

    Used ones stay: a replay must find the grant that it revokes.
    """
    statement = delete(AuthorizationCodes).where(
        col(AuthorizationCodes.user_id) == user_id,
        col(AuthorizationCodes.client_id) == client_id,
        col(AuthorizationCodes.uses) == 0,
    )
    return (await tx.execute(statement)).rowcount


async def is_of_another_client(tx: Tx, code_hash: bytes, client_id: str) -> bool:
    """Tell whether a code that this client presented is somebody else's: for the audit, not for the answer."""
    statement = select(col(AuthorizationCodes.client_id)).where(col(AuthorizationCodes.code_hash) == code_hash)
    owner = (await tx.execute(statement)).scalar_one_or_none()
    return owner is not None and owner != client_id
