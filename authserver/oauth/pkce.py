"""Proof Key for Code Exchange (RFC 7636): S256 only."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client

METHODS_OFFERED: Final = ("S256",)

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of 32 bytes, no padding (RFC 7636 §4.2)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


def is_required(client: Client) -> bool:
    """Tell whether the client must send a challenge: every public client, and each confidential one not let off."""
    return client.is_public or client.require_pkce


def parse_challenge(params: Params, client: Client) -> str | None:
    """Return the S256 ``code_challenge`` of an authorization request, or None where it may come without.

    Raises ``invalid_request`` (RFC 7636 §4.4.1). A challenge without method means ``plain`` (§4.3), which is refused.
    """
    challenge = params.get("code_challenge")
    method = params.get("code_challenge_method")
    if challenge is None:
        if method is None and not is_required(client):
            return None
        raise _refuse_challenge("code_challenge is missing", Refusal.CHALLENGE_MISSING)
    if method not in METHODS_OFFERED:
        raise _refuse_challenge("code_challenge_method must be S256", Refusal.CHALLENGE_METHOD_UNSUPPORTED)
    if not _CHALLENGE.fullmatch(challenge):
        raise _refuse_challenge(
            "code_challenge must be the 43 characters base64url(SHA-256(code_verifier)) has",
            Refusal.CHALLENGE_MALFORMED,
        )
    return challenge


def check_verifier(code_challenge: str | None, code_verifier: str | None) -> None:
    """Refuse a ``code_verifier`` that is absent, malformed, wrong, or came for a code without challenge.

    Raises ``invalid_grant`` (RFC 7636 §4.6; RFC 9700 §4.8.2 for the last). The comparison takes constant time.
    """
    if code_challenge is None:
        if code_verifier is None:
            return
        raise _refuse_verifier(
            "code_verifier was sent for a code without challenge", Refusal.VERIFIER_WITHOUT_CHALLENGE
        )
    if code_verifier is None:
        raise _refuse_verifier("code_verifier is missing", Refusal.VERIFIER_MISSING)
    if not _VERIFIER.fullmatch(code_verifier):
        raise _refuse_verifier("code_verifier must be 43 to 128 letters, digits or - . _ ~", Refusal.VERIFIER_MALFORMED)
    if not compare_digest(create_s256_code_challenge(code_verifier), code_challenge):
        raise _refuse_verifier("code_verifier does not fit the challenge", Refusal.VERIFIER_WRONG)


def _refuse_challenge(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, description, refusal)


def _refuse_verifier(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_GRANT, description, refusal)
