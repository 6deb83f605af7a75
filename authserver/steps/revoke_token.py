"""A client gives a token back: the grant behind it falls whole (RFC 7009 §2.1)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from authserver.oauth.claims import parse_jti
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.sealing.opaque import is_secret
from authserver.steps.audit_trail import entry_of_grant
from authserver.steps.client_auth import spend_proof
from authserver.steps.grant_decisions import decide_on_grant
from authserver.steps.own_tokens import read_access_token
from authserver.store.grant_batches import Verdict

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call, Caller
    from authserver.store.grants import GrantAndUser

REASON: Final = "revoked_by_client"


async def revoke_token(call: Call, caller: Caller, token: str) -> UUID | None:
    """Revoke the grant behind a token of this client, and return its id; None where the token names none.

    A token that is not its own, or no token at all, changes nothing and is no error (§2.2). Raise
    ``unsupported_token_type`` for an access token of client_credentials, which no grant stands behind.
    """
    grant_id, secret = find_grant_id(call, caller.client.client_id, token)
    if grant_id is not None:
        await decide_on_grant(call, caller, grant_id, partial(decide, call, caller.client.client_id, secret))
    else:
        await spend_proof(call, caller)
    return grant_id


def decide(call: Call, client_id: str, secret: bytes | None, found: GrantAndUser | None) -> Verdict[None]:
    """Revoke the grant if it is this client's and the secret, where one was presented, is its own."""
    if found is None or found.grant.client_id != client_id or found.grant.revoked_at is not None:
        return Verdict(answer=None)
    if secret is not None and not is_secret(secret, found.grant.secret_hash):
        return Verdict(answer=None)
    entry = entry_of_grant(call, "grant_revoked", client_id, found.grant, REASON)
    return Verdict(answer=None, revoke_reason=REASON, audit=(entry,))


def find_grant_id(call: Call, client_id: str, token: str) -> tuple[UUID | None, bytes | None]:
    """Return the grant that a token of ours names, and the secret to prove it with where it is a refresh token."""
    refresh_token = call.services.refresh_tokens.open(token)
    if refresh_token is not None:
        return refresh_token.grant_id, refresh_token.secret
    claims = read_access_token(call, token)
    if claims is None or claims.get("client_id") != client_id:
        return None, None
    grant_id = parse_jti(claims.get("jti"))
    if grant_id is None:
        raise OAuthError(
            ErrorCode.UNSUPPORTED_TOKEN_TYPE,
            "an access token of client_credentials cannot be revoked; it ends by itself",
            Refusal.TOKEN_TYPE_UNSUPPORTED,
        )
    return grant_id, None
