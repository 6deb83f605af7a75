"""When an authorization code may be redeemed (RFC 6749 §4.1.3, RFC 7636 §4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.pkce import check_verifier

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.oauth.params import Params
    from authserver.oauth.values import AuthorizationCode, Client


def get_code(code: AuthorizationCode | None) -> AuthorizationCode:
    """Return what the claim found; raise ``invalid_grant`` where the client has no such code."""
    if code is None:
        raise _refuse("the authorization code is not valid", Refusal.CODE_UNKNOWN)
    return code


def check_redemption(code: AuthorizationCode, client: Client, params: Params, now: datetime) -> None:
    """Refuse a code that is not this client's, not this redirect's, used before or too old (``invalid_grant``).

    ``code`` is what the claim left: this use is already counted, so a first use has ``uses == 1``. ``now`` is the
    database's clock. On ``Refusal.CODE_REPLAYED`` the caller revokes the code's grant in the same transaction
    (§4.1.2); it is looked at before expiry, because late theft is still theft.
    """
    if code.client_id != client.client_id:
        raise _refuse("the authorization code is not valid", Refusal.CODE_OF_ANOTHER_CLIENT)
    if code.uses > 1:
        raise _refuse("the authorization code was used before; its tokens are revoked", Refusal.CODE_REPLAYED)
    if now >= code.expires_at:
        raise _refuse("the authorization code has expired", Refusal.CODE_EXPIRED)
    _check_redirect_uri(code, params.get("redirect_uri"))
    check_verifier(code.code_challenge, params.get("code_verifier"))


def _check_redirect_uri(code: AuthorizationCode, given: str | None) -> None:
    """Refuse another redirect URI than the authorization request's, and a missing one that nothing stands in for.

    It had to be repeated where it was sent (RFC 6749 §4.1.3) so that a code injected into another client's response
    is noticed; a challenge notices that better, and OAuth 2.1 §4.1.3 has dropped the parameter for it.
    """
    if given is None:
        if code.redirect_uri_given and code.code_challenge is None:
            raise _refuse("redirect_uri is missing", Refusal.REDIRECT_URI_MISSING)
    elif given != code.redirect_uri:
        raise _refuse("redirect_uri is not the one of the authorization request", Refusal.REDIRECT_URI_DIFFERS)


def _refuse(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_GRANT, description, refusal)
