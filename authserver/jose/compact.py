"""A compact JWS taken apart strictly (RFC 7515 §3.1, §7.1), before any key is touched.

joserfc accepts duplicate names, an empty ``crit`` and other spellings of the same bytes (SECURITY fact 6); whatever
passes here has one spelling and says each thing once.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn

MAX_TOKEN: Final = 8192  # characters
MAX_HEADER: Final = 4096  # bytes: an RSA key in a DPoP proof's header takes up to 776
MAX_KID: Final = 256
_MAX_INTEGER: Final = 2**53  # RFC 8259 §6: what every reader understands alike
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Fault(StrEnum):
    """What is wrong with a token."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    TYPE = "type"
    KEY_UNKNOWN = "key_unknown"
    KEYS_UNAVAILABLE = "keys_unavailable"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    CLAIMS = "claims"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


class TokenError(Exception):
    """A token is refused. ``fault`` is for the caller; the text may be sent: plain ASCII, and nothing of the token."""

    def __init__(self, fault: Fault, text: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """The parts of a JWS; nothing of it is verified yet."""

    header: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def alg(self) -> str:
        """The algorithm the header names; always text."""
        alg: str = self.header["alg"]
        return alg

    @property
    def kid(self) -> str | None:
        """The key id the header names; text of at most 256 characters, or None."""
        return self.header.get("kid")

    @property
    def typ(self) -> str | None:
        """The type the header names (RFC 7515 §4.1.9), in small letters and without ``application/``, or None."""
        typ = self.header.get("typ")
        return typ.lower().removeprefix("application/") if typ is not None else None

    def claims(self) -> dict[str, Any]:
        """Return the payload as a claims set; raise :class:`TokenError` where it is no JSON object (RFC 7519 §7.2)."""
        return parse_object(self.payload)


def parse_compact(token: str) -> Compact:
    """Take a token apart, or raise :class:`TokenError`: too long, not three canonical segments, or a bad header.

    ``crit`` is refused whatever it holds: no extension is understood here (RFC 7515 §4.1.11).
    """
    if len(token) > MAX_TOKEN:
        raise TokenError(Fault.MALFORMED, f"longer than {MAX_TOKEN} characters")
    segments = token.split(".", 3)
    if len(segments) != 3:  # noqa: PLR2004 - header, payload, signature
        raise TokenError(Fault.MALFORMED, "not three segments")
    raw_header, payload, signature = (_decode(segment) for segment in segments)
    if len(raw_header) > MAX_HEADER:
        raise TokenError(Fault.MALFORMED, f"the header is longer than {MAX_HEADER} bytes")
    header = parse_object(raw_header)
    _check_header(header)
    return Compact(
        header=header,
        payload=payload,
        signing_input=token[: token.rindex(".")].encode("ascii"),
        signature=signature,
    )


def parse_object(text: bytes) -> dict[str, Any]:
    """Return a JSON object; raise :class:`TokenError` for anything else, and for what :func:`parse_json` refuses."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise TokenError(Fault.MALFORMED, "not a JSON object")
    return value


def read_document(text: bytes) -> dict[str, Any]:
    """Return a JSON object that was fetched, as :func:`parse_object` does; raise ValueError where it is none."""
    try:
        return parse_object(text)
    except TokenError as error:
        raise ValueError(str(error)) from error


def parse_json(text: bytes) -> Any:  # noqa: ANN401  # what json.loads gives
    """Return a JSON value; raise :class:`TokenError` where it cannot be read.

    Refused too, at any depth: a name sent twice, NaN, infinities and numbers beyond 2^53.
    """
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except (ValueError, RecursionError) as error:
        raise TokenError(Fault.MALFORMED, "not JSON that can be read") from error


def decode_base64url(text: str) -> bytes | None:
    """Return the bytes, or None where the text is not the one canonical spelling of them (RFC 7515 §2)."""
    if not _SEGMENT.fullmatch(text):
        return None
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return decoded if encode_base64url(decoded) == text else None


def encode_base64url(octets: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _decode(segment: str) -> bytes:
    decoded = decode_base64url(segment)
    if decoded is None:
        raise TokenError(Fault.MALFORMED, "a segment is not canonical base64url")
    return decoded


def _check_header(header: dict[str, Any]) -> None:
    kid, typ = header.get("kid"), header.get("typ")
    if "crit" in header:
        raise TokenError(Fault.MALFORMED, "the header has crit")
    if not isinstance(header.get("alg"), str):
        raise TokenError(Fault.MALFORMED, "the header has no alg")
    if "kid" in header and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        raise TokenError(Fault.MALFORMED, "the header's kid is no text, or too long")
    if "typ" in header and not isinstance(typ, str):
        raise TokenError(Fault.MALFORMED, "the header's typ is no text")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a name is repeated"
        raise ValueError(message)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or abs(number) > _MAX_INTEGER:
        raise ValueError(text)
    return number


def _parse_int(text: str) -> int:
    if len(text) > len(str(_MAX_INTEGER)) or abs(int(text)) > _MAX_INTEGER:
        raise ValueError(text)
    return int(text)
