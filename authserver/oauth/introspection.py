"""Token introspection: who may ask about which token, whether it is still good, and what the answer says.

RFC 7662 in JSON; RFC 9701 as a signed JWT around the same members.

A resource server asks as a client of type service whose ``introspects`` lists the resources it serves, set by an
operator; a client with credentials may also ask about the tokens issued to itself. Everybody else learns nothing, not
even that the token exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.oauth.claims import parse_jti, present
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.scope import join_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from authserver.oauth.values import Client, Grant, Resource, User

INACTIVE: Final[Mapping[str, object]] = {"active": False}
DEFAULT_SIGNED_RESPONSE_ALG: Final = "RS256"  # of clients that registered none (RFC 9701 §6)


def check_caller(caller: Client) -> None:
    """Refuse a caller without credentials: naming a ``client_id`` proves nothing (RFC 7662 §2.1, §4)."""
    if caller.is_public:
        raise OAuthError(
            ErrorCode.INVALID_CLIENT, "introspection needs client authentication", Refusal.CALLER_WITHOUT_CREDENTIALS
        )


def may_ask(caller: Client, claims: Mapping[str, object]) -> bool:
    """Tell whether the caller may know of this access token: its own, or one for a resource it serves (§4)."""
    if claims.get("client_id") == caller.client_id:
        return True
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return any(identifier in audiences for identifier in caller.introspects)


def is_live(claims: Mapping[str, object], *, client: Client | None, grant: Grant | None, user: User | None) -> bool:
    """Tell whether what a verified access token rests on still stands: its client, and its grant with its user.

    ``grant`` and ``user`` are the rows of now. A token without a grant is the client's own (client_credentials), and
    then its subject is the client; anything else without a grant is over.
    """
    if client is None or not client.is_active or claims.get("client_id") != client.client_id:
        return False
    grant_id = parse_jti(claims.get("jti"))
    if grant_id is None:
        return claims.get("sub") == client.client_id
    if grant is None or grant.id != grant_id or grant.client_id != client.client_id or grant.revoked_at is not None:
        return False
    return user is not None and user.id == grant.user_id and user.is_active


def build_access_token_response(claims: Mapping[str, object]) -> dict[str, object]:
    """Return what is said of a live access token: its own claims (§2.2). No user name: ``sub`` identifies."""
    return {**claims, "active": True, "token_type": "Bearer"}


def narrow(claims: Mapping[str, object], caller: Client, resources: Iterable[Resource]) -> Mapping[str, object]:
    """Return the claims without the scope of APIs that are not the caller's business (RFC 7662 §2.2, RFC 9701 §5).

    Only a token for several audiences has any, and the client it was issued to may know them all.
    """
    scope = claims.get("scope")
    if not isinstance(claims.get("aud"), list) or not isinstance(scope, str):
        return claims
    if claims.get("client_id") == caller.client_id:
        return claims
    known = tuple(resources)
    served = {word for resource in known if resource.identifier in caller.introspects for word in resource.scope}
    foreign = {word for resource in known for word in resource.scope} - served
    return {**claims, "scope": " ".join(word for word in scope.split(" ") if word not in foreign)}


def build_signed_claims(
    response: Mapping[str, object], *, issuer: str, audience: str, now: datetime
) -> dict[str, object]:
    """Return the claims of an introspection response as a JWT for one caller, its ``client_id`` (RFC 9701 §5).

    Neither ``sub`` nor ``exp`` stand at the top: nobody may take it for an access token.
    """
    return {"iss": issuer, "aud": audience, "iat": int(now.timestamp()), "token_introspection": dict(response)}


def build_refresh_token_response(
    grant: Grant, *, issuer: str, issued_at: datetime, expires_at: datetime
) -> dict[str, object]:
    """Return what is said of a refresh token that could be used now, to the client it belongs to (§2.2)."""
    claims = {
        "active": True,
        "iss": issuer,
        "sub": str(grant.user_id),
        "client_id": grant.client_id,
        "scope": join_scope(grant.scope),
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return present(claims)
