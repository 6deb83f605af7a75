"""Access tokens presented to this server itself, and the challenge when one is missing or wrong (RFC 6750)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.scope import join_scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.oauth.params import Params

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # b64token (RFC 6750 §2.1)


def parse_token(authorization: str | None, form: Params | None) -> str:
    """Return the access token of the Authorization header (§2.1) or of a form's body (§2.2), never of a URL (§2.3).

    ``form`` is None for a request without a form body. Raises ``invalid_request`` for two tokens, and a bare challenge
    where there is none at all (§3.1).
    """
    in_body = form.get("access_token") if form is not None else None
    if authorization is None:
        if in_body is None:
            raise refuse_missing()
        return _parse_spelling(in_body)
    scheme, _, in_header = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise refuse_missing()
    if in_body is not None:
        raise refuse(ErrorCode.INVALID_REQUEST, "send the access token in one way only", Refusal.TOKEN_REPEATED)
    return _parse_spelling(in_header.strip(" "))


def refuse(error: ErrorCode, description: str, refusal: Refusal, *, scope: Iterable[str] = ()) -> OAuthError:
    """Return a refusal with its challenge; ``scope`` is what would have been enough (§3, ``insufficient_scope``)."""
    attributes = [f'error="{error.value}"', f'error_description="{description}"']
    if needed := join_scope(scope):
        attributes.append(f'scope="{needed}"')
    return OAuthError(error, description, refusal, headers=(("www-authenticate", f"Bearer {', '.join(attributes)}"),))


def refuse_missing() -> OAuthError:
    """Return the refusal of a request without a token: its challenge names no error (§3.1)."""
    return OAuthError(
        ErrorCode.INVALID_TOKEN,
        "send an access token with scheme Bearer",
        Refusal.TOKEN_MISSING,
        headers=(("www-authenticate", "Bearer"),),
    )


def _parse_spelling(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise refuse(ErrorCode.INVALID_TOKEN, "the access token cannot be read", Refusal.TOKEN_MALFORMED)
    return token
