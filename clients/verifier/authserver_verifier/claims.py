"""What an access token says, and whether that is meant for this resource server now (RFC 9068 §2.2 and §4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from authserver_verifier.refusals import Refusal, TokenRefusedError

_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: what datetime can hold
_CONFIRMATIONS = frozenset({"jkt", "x5t#S256"})
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReference:
    """Where the issuer says whether the token still stands: a place in a Token Status List."""

    uri: str
    index: int


class AccessToken(NamedTuple):
    """A verified access token: its signature, issuer, audience and times were right when it was checked.

    `subject` is a user, or the client itself where a client acts for itself. `claims` is the whole payload, read-only;
    `key_id` names the issuer's key that signed it. `bound_key` is the thumbprint of the DPoP key that the client has to
    prove (RFC 9449 §6.1), `bound_certificate` that of its certificate (RFC 8705 §3.1); None where it is not bound.
    """  # a tuple, as one is made for each new token: a frozen dataclass takes a microsecond more

    subject: str
    client_id: str
    scope: frozenset[str]
    expires_at: datetime
    key_id: str
    claims: Mapping[str, object]
    bound_key: str | None = None
    bound_certificate: str | None = None
    status: StatusReference | None = None

    @property
    def is_bound(self) -> bool:
        """Whether somebody who merely holds the token may not use it."""
        return self.bound_key is not None or self.bound_certificate is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a token must say to be taken: `leeway` is seconds that the issuer's clock may differ from ours.

    `origin` is the issuer's scheme, host and port: the status list has to be there.
    """

    issuer: str
    origin: str
    audience: str
    leeway: float


def check_claims(claims: dict[str, object], key_id: str, expected: Expectation, now: float) -> AccessToken:
    """Return the access token that the claims describe, or raise `TokenRefusedError`. `now` is Unix seconds.

    A token is over at `exp` plus the leeway, that very second included. What `cnf` asks to be proved is not proved yet.
    """
    if claims.get("iss") != expected.issuer:
        raise TokenRefusedError(Refusal.ISSUER_WRONG)
    if expected.audience not in _audience(claims):
        raise TokenRefusedError(Refusal.AUDIENCE_WRONG)
    expires_at = parse_seconds(claims, "exp")
    if now >= expires_at + expected.leeway:
        raise TokenRefusedError(Refusal.EXPIRED)
    if parse_seconds(claims, "iat") > now + expected.leeway:
        raise TokenRefusedError(Refusal.ISSUED_IN_THE_FUTURE)
    if "nbf" in claims and parse_seconds(claims, "nbf") > now + expected.leeway:
        raise TokenRefusedError(Refusal.NOT_YET_VALID)
    bound_key, bound_certificate = _confirmation(claims)
    _text(claims, "jti")
    return AccessToken(
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        scope=_scope(claims),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        key_id=key_id,
        claims=MappingProxyType(claims),
        bound_key=bound_key,
        bound_certificate=bound_certificate,
        status=_status(claims, expected.origin),
    )


def parse_seconds(claims: Mapping[str, object], name: str) -> float:
    """A NumericDate (RFC 7519 §2) between 1970 and 9999; `true` is a bool and no number here."""
    value = claims.get(name)
    if (type(value) is not int and type(value) is not float) or not 0 <= value <= _LAST_SECOND:
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return value


def _confirmation(claims: dict[str, object]) -> tuple[str | None, str | None]:
    """Return the thumbprints of the DPoP key and of the certificate that `cnf` names (RFC 7800 §3.1).

    A way of confirmation that is not known here cannot be checked, so such a token is refused.
    """
    if "cnf" not in claims:
        return None, None
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict) or not confirmation:
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    if not _CONFIRMATIONS.issuperset(confirmation):
        raise TokenRefusedError(Refusal.BOUND_TO_A_KEY)
    for thumbprint in confirmation.values():
        if not isinstance(thumbprint, str) or not _THUMBPRINT.fullmatch(thumbprint):
            raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return confirmation.get("jkt"), confirmation.get("x5t#S256")


def _status(claims: dict[str, object], origin: str) -> StatusReference | None:
    """Return the place in a status list that the token names (Token Status List §6.2); other mechanisms are passed by.

    A list anywhere but at the issuer's own origin is refused: who serves it would decide about our requests.
    """
    if "status" not in claims:
        return None
    status = claims["status"]
    if not isinstance(status, dict):
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    if "status_list" not in status:
        return None
    reference = status["status_list"]
    if not isinstance(reference, dict):
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    uri, index = reference.get("uri"), reference.get("idx")
    if not isinstance(uri, str) or isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    if not uri.startswith(f"{origin}/"):
        raise TokenRefusedError(Refusal.STATUS_ELSEWHERE)
    return StatusReference(uri=uri, index=index)


def _audience(claims: dict[str, object]) -> list[object]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return [audience]
    if not isinstance(audience, list) or not all(isinstance(member, str) for member in audience):
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return audience


def _text(claims: dict[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return value


def _scope(claims: dict[str, object]) -> frozenset[str]:
    """The space-separated scopes; a token without `scope` carries none (RFC 9068 §2.2.3)."""
    value = claims.get("scope", "")
    if not isinstance(value, str):
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return frozenset(filter(None, value.split(" ")))
