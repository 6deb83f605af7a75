"""Client authentication without its I/O: which method a request uses, and whether it proves the client (RFC 6749 §2.3).

An unknown client, a wrong secret and another method than the registered one are answered with the same words, after the
same work; only the log tells them apart.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import decode_form
from authserver.oauth.values import AuthMethod

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.oauth.params import Params
    from authserver.oauth.values import Client

METHODS_OFFERED: Final = tuple(
    method.value for method in (AuthMethod.BASIC, AuthMethod.POST, AuthMethod.PRIVATE_KEY_JWT, AuthMethod.NONE)
)
SIGNING_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "RS256")  # for jose/
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2

# RFC 9110 §15.5.2 wants a challenge with each 401, and RFC 6749 §5.2 where the header was tried: so it is always there.
CHALLENGE: Final = ("www-authenticate", 'Basic realm="clients"')

_FAILED: Final = "client authentication failed: unknown client, wrong credentials, or not the method it registered"
_FORM_ENCODED: Final = re.compile(r"[^%\x00-\x1f\x7f-\uffff]*(?:%[0-9A-Fa-f]{2}[^%\x00-\x1f\x7f-\uffff]*)*")
_NO_HASH: Final = bytes(sha256().digest_size)  # no secret has it: stands in where there is nothing to compare with


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request offers as proof of its client. The secret and the assertion stay out of ``repr``.

    ``client_id`` is None only for an assertion without a ``client_id`` parameter: its ``sub`` names the client.
    """

    method: AuthMethod
    client_id: str | None
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)


def choose_credentials(
    authorization: str | None, params: Params, *, authentication_required: bool = False
) -> Credentials:
    """Return the one set of credentials a request came with.

    ``authorization`` is the header's value. Raises ``invalid_client`` (401) for a header that cannot be read, and
    ``invalid_request`` (400) for two methods at once (RFC 6749 §2.3), for two different client ids, and for none at
    all; that last is 401 where ``authentication_required``: no client may stay unauthenticated there (RFC 7662 §2.1).
    """
    client_id = params.get("client_id")
    secret = params.get("client_secret")
    assertion = _parse_assertion(params)
    if sum(given is not None for given in (authorization, secret, assertion)) > 1:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "use one client authentication method only", Refusal.CLIENT_METHODS_COMBINED
        )
    if authorization is not None:
        basic = _parse_basic(authorization)
        if client_id is not None and client_id != basic.client_id:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST,
                "client_id differs from the one in the Authorization header",
                Refusal.CLIENT_ID_MISMATCH,
            )
        return basic
    if assertion is not None:
        return Credentials(method=AuthMethod.PRIVATE_KEY_JWT, client_id=client_id, assertion=assertion)
    if client_id is None:
        raise _not_identified(authentication_required=authentication_required)
    if secret is not None:
        return Credentials(method=AuthMethod.POST, client_id=client_id, secret=secret)
    return Credentials(method=AuthMethod.NONE, client_id=client_id)


def get_authenticated(client: Client | None, credentials: Credentials, now: datetime) -> Client:
    """Return the client, if it exists, is active, registered this method, and the secret it sent is alive.

    An assertion is proved by the caller: its signature in ``jose``, its claims by ``client_assertion``. Raises
    ``invalid_client``. ``now`` is the process's clock.
    """
    wrong = find_fault(client, credentials.secret, now) if credentials.secret is not None else None
    if client is None:
        raise refuse(Refusal.CLIENT_UNKNOWN)
    if not client.is_active:
        raise refuse(Refusal.CLIENT_DISABLED)
    if client.token_endpoint_auth_method is not credentials.method:
        raise refuse(Refusal.CLIENT_METHOD_MISMATCH)
    if wrong is not None:
        raise refuse(wrong)
    return client


def find_fault(client: Client | None, secret: str, now: datetime) -> Refusal | None:
    """Return why a secret is none of the client's live ones, or None where it is one.

    It is compared with each secret there is, and with a stand-in where there is none, so that the time tells neither
    which one fitted nor whether the client exists (SECURITY row 37).
    """
    given = sha256(secret.encode()).digest()
    secrets = client.secrets if client is not None else ()
    fitting = [one for one in secrets if compare_digest(given, one.secret_hash)]
    if not secrets:
        compare_digest(given, _NO_HASH)
    if not fitting:
        return Refusal.CLIENT_SECRET_WRONG
    if all(one.expires_at is not None and one.expires_at <= now for one in fitting):
        return Refusal.CLIENT_SECRET_EXPIRED
    return None


def refuse(refusal: Refusal, description: str = _FAILED) -> OAuthError:
    """Return ``invalid_client`` with its challenge (RFC 6749 §5.2)."""
    return OAuthError(ErrorCode.INVALID_CLIENT, description, refusal, headers=(CHALLENGE,))


def _parse_assertion(params: Params) -> str | None:
    assertion = params.get("client_assertion")
    kind = params.get("client_assertion_type")
    if assertion is None:
        if kind is not None:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST,
                "client_assertion_type came without client_assertion",
                Refusal.PARAMETER_MISSING,
            )
        return None
    if kind != JWT_BEARER:
        raise refuse(Refusal.ASSERTION_TYPE_UNKNOWN, f"client_assertion_type must be {JWT_BEARER}")
    return assertion


def _parse_basic(authorization: str) -> Credentials:
    """Decode ``Basic base64(form-encoded client_id ":" form-encoded secret)`` (RFC 6749 §2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise refuse(Refusal.AUTHORIZATION_SCHEME_UNKNOWN, "clients authenticate with scheme Basic in this header")
    try:
        decoded = b64decode(encoded.strip(" "), validate=True).decode("ascii")
        client_id, colon, secret = decoded.partition(":")
        if colon and client_id and _FORM_ENCODED.fullmatch(decoded):
            return Credentials(method=AuthMethod.BASIC, client_id=_decode(client_id), secret=_decode(secret))
    except ValueError:  # no base64, or no ASCII, or percent-encoded bytes that are no UTF-8
        pass
    raise refuse(
        Refusal.BASIC_MALFORMED,
        "the Basic credentials cannot be decoded: base64(client_id:client_secret), each form-encoded",
    )


def _decode(form_encoded: str) -> str:
    text = decode_form(form_encoded)
    if "\x00" in text:
        raise ValueError
    return text


def _not_identified(*, authentication_required: bool) -> OAuthError:
    if authentication_required:
        return refuse(Refusal.CLIENT_NOT_IDENTIFIED, "client authentication is required")
    return OAuthError(
        ErrorCode.INVALID_REQUEST, "client_id is missing, and no client authenticated", Refusal.CLIENT_NOT_IDENTIFIED
    )
