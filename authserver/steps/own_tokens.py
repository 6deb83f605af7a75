"""Access tokens of ours that come back to us: at userinfo, introspection, revocation and registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.jose.compact import Fault, TokenError
from authserver.oauth import bearer
from authserver.oauth.claims import parse_jti
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.introspection import is_live

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import User


def read_access_token(call: Call, token: str) -> Mapping[str, object] | None:
    """Return the claims of a live-looking access token of this issuer; None for any other text (RFC 9068 §4)."""
    try:
        return call.services.verified_tokens.verify(call.services.live.keyring, token, now=call.now)
    except TokenError:
        return None


async def find_user_of(call: Call, claims: Mapping[str, object]) -> User | None:
    """Return the user of a verified token whose client, grant and user still stand; None where one has fallen.

    The grant's state comes from the database each time: what people cut is never cached (DESIGN §4).
    """
    live, user = await is_token_live(call, claims)
    return user if live else None


async def is_token_live(call: Call, claims: Mapping[str, object]) -> tuple[bool, User | None]:
    """Tell whether what a verified token rests on still stands, and who its user is (None: the client itself)."""
    client = call.services.directory.find_client(str(claims.get("client_id")))
    grant_id = parse_jti(claims.get("jti"))
    if grant_id is None:
        return is_live(claims, client=client, grant=None, user=None), None
    found = await call.services.grant_batches.find(grant_id)
    if found is None:
        return False, None
    return is_live(claims, client=client, grant=found.grant, user=found.user), found.user


def authenticate_bearer(call: Call, form: Params | None) -> Mapping[str, object]:
    """Return the claims of the access token that a request to this server carries; raise RFC 6750's errors."""
    token = bearer.parse_token(call.facts.header(b"authorization"), form)
    try:
        return call.services.verified_tokens.verify(call.services.live.keyring, token, now=call.now)
    except TokenError as error:
        if error.fault is Fault.EXPIRED:
            raise bearer.refuse(
                ErrorCode.INVALID_TOKEN, "the access token has expired", Refusal.TOKEN_EXPIRED
            ) from error
        raise bearer.refuse(
            ErrorCode.INVALID_TOKEN, "this is no access token of this issuer", Refusal.TOKEN_MALFORMED
        ) from error
