"""Initial access tokens: who holds one may register clients at /register (RFC 7591 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.store import audit, registration_tokens
from authserver.store.registration_tokens import RegistrationToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.operations.operator import Operator

DEFAULT_LIFETIME: Final = timedelta(days=7)
MAX_LIFETIME: Final = timedelta(days=366)
MAX_USES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token as stored, and its text: the only time it is known."""

    stored: RegistrationToken
    token: str


async def create(operator: Operator, *, uses: int = 1, lifetime: timedelta = DEFAULT_LIFETIME) -> NewToken:
    """Make a token for so many registrations within its lifetime."""
    if not 1 <= uses <= MAX_USES:
        raise OperationError(f"A token is for 1 to {MAX_USES} registrations.", field="uses")
    if not timedelta(seconds=1) <= lifetime <= MAX_LIFETIME:
        raise OperationError(f"A token lives for 1 to {int(MAX_LIFETIME.total_seconds())} seconds.", field="expires_in")
    token = new_secret(Prefix.INITIAL_ACCESS_TOKEN)
    async with operator.begin() as tx:
        now = await tx.now()
        stored = RegistrationToken(
            id=uuid7(now),
            token_hash=hash_secret(token),
            uses_left=uses,
            created_at=now,
            expires_at=now + lifetime,
        )
        await registration_tokens.add(tx, stored)
        await audit.add(
            tx,
            "registration_token_created",
            actor=operator.actor,
            detail={"registration_token": str(stored.id), "uses": uses, "expires_in": int(lifetime.total_seconds())},
        )
    return NewToken(stored=stored, token=token)


async def find_all(operator: Operator) -> Sequence[RegistrationToken]:
    """Return every token that is kept, used up and expired ones too."""
    async with operator.engine.read() as tx:
        return await registration_tokens.list_all(tx)


async def revoke(operator: Operator, token_id: str) -> None:
    """End a token; clients that were registered with it stay."""
    parsed = parse_id(token_id, "registration-tokens")
    async with operator.begin() as tx:
        if not await registration_tokens.revoke(tx, parsed, await tx.now()):
            raise OperationError(
                f"There is no registration token {token_id} that could still be used.",
                problem=Problem.NOT_FOUND,
                fix="See: authserver registration-tokens list",
            )
        await audit.add(
            tx, "registration_token_revoked", actor=operator.actor, detail={"registration_token": str(parsed)}
        )
