"""What an ``id_token_hint`` says about the user that a client has in mind (OIDC Core §3.1.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.jose.compact import TokenError
from authserver.jose.jwt import ID_TOKEN_TYPE, verify_own
from authserver.oauth.authorization_request import Checked
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.id_token_hint import read_id_token_hint

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.id_token_hint import IdTokenHint
    from authserver.oauth.values import AuthorizationRequest


def read_hint(call: Call, request: AuthorizationRequest) -> str | None:
    """Return the ``sub`` of the request's hint, None where there is none.

    The token may have expired; it must be an ID token of ours for this client. Raise ``AuthorizationError`` otherwise.
    """
    if request.id_token_hint is None:
        return None
    hint = verify_hint(call, request.id_token_hint, client_id=request.client.client_id)
    if hint is None:
        error = OAuthError(
            ErrorCode.INVALID_REQUEST,
            "id_token_hint is no ID token that this issuer gave to this client",
            Refusal.HINT_MALFORMED,
        )
        raise Checked.of(request).redirect(error)
    return hint.sub


def verify_hint(call: Call, hint: str, *, client_id: str | None = None) -> IdTokenHint | None:
    """Return what an ID token of this issuer says, expired or not; None for anything else."""
    try:
        claims = verify_own(call.services.live.keyring, hint, typ=ID_TOKEN_TYPE, now=call.now, accept_expired=True)
    except TokenError:
        return None
    return read_id_token_hint(claims, client_id=client_id)
