"""What users gave to apps: see it, and take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.operations import users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.store import audit, grants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.oauth.values import Grant
    from authserver.operations.operator import Operator

REASON: Final = "revoked_by_operator"


async def find_all(
    operator: Operator, *, user: str | None = None, client_id: str | None = None, limit: int = 1000
) -> Sequence[Grant]:
    """Return grants that live, the youngest first; of one user or one client where these are named."""
    async with operator.engine.read() as tx:
        user_id = (await users.load(tx, user)).id if user is not None else None
        return await grants.list_all(tx, user_id=user_id, client_id=client_id, limit=limit)


async def revoke(operator: Operator, grant_id: str) -> Grant:
    """Revoke a grant: its refresh token dies at once, its access tokens at their end or where somebody asks."""
    async with operator.begin() as tx:
        grant = await grants.get(tx, parse_id(grant_id, "grants"))
        if grant is None:
            raise OperationError(
                f"There is no grant {grant_id}.", problem=Problem.NOT_FOUND, fix="See: authserver grants list"
            )
        if await grants.revoke(tx, grant.id, REASON):
            await audit.add(
                tx,
                "grant_revoked",
                actor=operator.actor,
                user_id=grant.user_id,
                client_id=grant.client_id,
                grant_id=grant.id,
                detail={"reason": REASON},
            )
    return grant
