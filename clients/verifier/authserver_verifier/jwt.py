"""Reading a JWT in compact form, strictly (RFC 7515 §7.1, RFC 8725 §3).

What JSON and base64 libraries let through is refused here: names that occur twice, `crit`, base64url with spare bits
set, oversized tokens.
"""

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import lru_cache
from typing import NamedTuple, NoReturn

from authserver_verifier.refusals import Refusal, TokenRefusedError

MAX_TOKEN_BYTES = 8192
MAX_KEY_ID_BYTES = 256
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_DOTS = 2
_WHITESPACE = " \t\n\r"  # JSON's (RFC 8259 §2)
_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")  # the other alphabet; what is none of ours is in neither
_PADDING = (b"", b"", b"==", b"=")
# What a last group of two or three characters may end with: any other sets bits that are not part of a byte.
_LAST: tuple[frozenset[int], ...] = (frozenset(), frozenset(), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


class UnverifiedToken(NamedTuple):
    """A token whose header has been checked and whose signature has not: nothing in it may be believed yet.

    `payload` is the segment as it was sent: it is decoded only once the signature is known to be good.
    """

    algorithm: str
    key_id: str
    signing_input: bytes
    payload: bytes
    signature: bytes


def encode_token(token: str) -> bytes:
    """Return a token's bytes, unless it is longer than any access token or not ASCII."""
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenRefusedError(Refusal.TOKEN_TOO_LONG)
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise TokenRefusedError(Refusal.NOT_COMPACT) from None


def split_token(token: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the signing input, its header and payload, and the signature of a compact JWS, as they were sent."""
    if token.count(b".") != _DOTS:
        raise TokenRefusedError(Refusal.NOT_COMPACT)
    signing_input, _, signature = token.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    return signing_input, header, payload, signature


def parse_token(
    token: bytes, algorithms: frozenset[str], types: frozenset[str] = ACCESS_TOKEN_TYPES
) -> UnverifiedToken:
    """Take a compact JWS apart and check its header; `types` are those it may have. Raises `TokenRefusedError`."""
    signing_input, header_segment, payload, signature_segment = split_token(token)
    algorithm, key_id = _parse_header(header_segment, algorithms, types)
    return UnverifiedToken(algorithm, key_id, signing_input, payload, decode_segment(signature_segment))


@lru_cache(maxsize=64)  # an issuer has one header per key
def _parse_header(segment: bytes, algorithms: frozenset[str], types: frozenset[str]) -> tuple[str, str]:
    """Return algorithm and key id of a header with the right type, an allowed algorithm and nothing critical.

    `jwk`, `jku`, `x5u` and `x5c` are not looked at: a token does not bring its own key (RFC 8725 §3.10).
    """
    header = parse_object(decode_segment(segment))
    if "crit" in header:
        raise TokenRefusedError(Refusal.HEADER_CRITICAL)
    token_type, algorithm, key_id = header.get("typ"), header.get("alg"), header.get("kid")
    if not isinstance(token_type, str) or token_type.lower() not in types:
        raise TokenRefusedError(Refusal.TYPE_WRONG)
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefusedError(Refusal.ALGORITHM_NOT_ALLOWED)
    if not isinstance(key_id, str) or not 0 < len(key_id.encode("utf-8", "replace")) <= MAX_KEY_ID_BYTES:
        raise TokenRefusedError(Refusal.KEY_ID_MALFORMED)
    return algorithm, key_id


def decode_segment(segment: bytes) -> bytes:
    """Decode base64url without padding, from its one canonical spelling only (RFC 7515 §2, RFC 4648 §3.5)."""
    rest = len(segment) & 3
    if not segment or rest == 1 or (rest and segment[-1] not in _LAST[rest]):
        raise TokenRefusedError(Refusal.NOT_CANONICAL)
    try:
        return a2b_base64(segment.translate(_STANDARD) + _PADDING[rest], strict_mode=True)
    except Base64Error:
        raise TokenRefusedError(Refusal.NOT_CANONICAL) from None


def parse_object(text: bytes) -> dict[str, object]:
    """Parse one JSON object in UTF-8. A name sent twice, NaN, infinities and endless nesting are refused."""
    try:
        decoded = text.decode().strip(_WHITESPACE)
        value, end = _DECODER.raw_decode(decoded)
    except (ValueError, RecursionError):
        raise TokenRefusedError(Refusal.JSON_MALFORMED) from None
    if end != len(decoded) or not isinstance(value, dict):
        raise TokenRefusedError(Refusal.JSON_MALFORMED)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenRefusedError(Refusal.NAME_REPEATED)
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise TokenRefusedError(Refusal.JSON_MALFORMED)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
