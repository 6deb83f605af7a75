"""JWTs of our own: sign them, and know them again (RFC 7519, RFC 9068, RFC 8725)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from authserver.jose.compact import Compact, Fault, TokenError, encode_base64url, parse_compact
from authserver.jose.signature import check_signature, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from authserver.jose.keyring import Keyring

ID_TOKEN_TYPE: Final = "JWT"  # noqa: S105 - a media type (RFC 7519 §5.1)
LOGOUT_TOKEN_TYPE: Final = "logout+jwt"  # noqa: S105 - a media type (Back-Channel Logout §2.4)
ACCESS_TOKEN_ALG: Final = "ES256"  # noqa: S105 - PERFORMANCE: 20 us against 231 us for RS256
_ES256: Final = ECDSA(SHA256())
_LEEWAY: Final = 60  # seconds that the clock of another node may be ahead
_OWN_HEADER: Final = frozenset({"alg", "typ", "kid"})
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def sign_access_token(keyring: Keyring, claims: Mapping[str, object], *, now: datetime) -> str:
    """Return an ``at+jwt`` (RFC 9068 §2) signed with ES256.

    The hot path's own signer: the header is encoded once a key, the signature is made without a layer between.
    """
    key = keyring.signing_key(ACCESS_TOKEN_ALG, now)
    signing_input = f"{key.access_token_header}.{encode_base64url(_encode(claims).encode())}"
    private = key.private
    assert isinstance(private, EllipticCurvePrivateKey)  # noqa: S101 - what ES256 keys are
    r, s = decode_dss_signature(private.sign(signing_input.encode("ascii"), _ES256))
    return f"{signing_input}.{encode_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def sign(keyring: Keyring, claims: Mapping[str, object], *, alg: str, typ: str, now: datetime) -> str:
    """Return a signed JWT of any other kind, such as an ID token (OIDC Core §2)."""
    key = keyring.signing_key(alg, now)
    header = _encode({"alg": alg, "typ": typ, "kid": key.kid})
    signing_input = f"{encode_base64url(header.encode())}.{encode_base64url(_encode(claims).encode())}"
    return f"{signing_input}.{encode_base64url(make_signature(signing_input, alg, key.key))}"


def verify_own(
    keyring: Keyring, token: str, *, typ: str, now: datetime, accept_expired: bool = False
) -> dict[str, Any]:
    """Return the claims of a token this issuer signed, of kind ``typ``; raise :class:`TokenError` for any other.

    Checked: spelling, header, kind, key, signature, ``iss``, ``exp``, ``nbf``, ``iat``. Not checked: ``aud`` and what
    the database says, which the caller must. ``accept_expired`` is for ``id_token_hint`` (OIDC Core §3.1.2.1).
    """
    compact = parse_compact(token)
    if set(compact.header) != _OWN_HEADER:
        raise TokenError(Fault.MALFORMED, "the header is not one of ours")
    if compact.header["typ"] != typ:
        raise TokenError(Fault.TYPE, f"the token is no {typ}")
    _verify_signature(keyring, compact, now)
    claims = compact.claims()
    if claims.get("iss") != keyring.issuer:
        raise TokenError(Fault.ISSUER, "another issuer's token")
    _check_times(claims, now, accept_expired=accept_expired)
    return claims


def _verify_signature(keyring: Keyring, compact: Compact, now: datetime) -> None:
    key = keyring.find(compact.kid or "", now)
    if key is None:
        raise TokenError(Fault.KEY_UNKNOWN, "no such key, or dropped, or revoked")
    if compact.alg != key.alg:
        raise TokenError(Fault.ALGORITHM, "the key is for another algorithm")
    check_signature(compact, key.key)


def _check_times(claims: Mapping[str, Any], now: datetime, *, accept_expired: bool) -> None:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if "exp" not in times or not all(type(time) in (int, float) for time in times.values()):  # True is no time
        raise TokenError(Fault.CLAIMS, "a time is missing or no number")
    moment = now.timestamp()
    if max(times.get("iat", moment), times.get("nbf", moment)) > moment + _LEEWAY:
        raise TokenError(Fault.NOT_YET_VALID, "the token is from the future")
    if not accept_expired and moment >= times["exp"]:
        raise TokenError(Fault.EXPIRED, "the token has expired")
