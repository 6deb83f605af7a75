"""What an access token says, and whether that is meant for this resource server now (RFC 9068 §2.2 and §4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from authserver_verifier.refusals import Refusal, TokenRefusedError

_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: what datetime can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A verified access token: its signature, issuer, audience and times were right when it was checked.

    `subject` is a user, or the client itself where a client acts for itself. `claims` is the whole payload, read-only;
    `key_id` names the issuer's key that signed it.
    """

    subject: str
    client_id: str
    scope: frozenset[str]
    expires_at: datetime
    key_id: str
    claims: Mapping[str, object]

    def check_scope(self, needed: frozenset[str]) -> None:
        """Refuse with 403 `insufficient_scope` unless the token carries every scope of `needed` (RFC 6750 §3.1)."""
        if not needed <= self.scope:
            raise TokenRefusedError(Refusal.SCOPE_INSUFFICIENT, scope=" ".join(sorted(needed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a token must say to be taken: `leeway` is seconds that the issuer's clock may differ from ours."""

    issuer: str
    audience: str
    leeway: float


def check_claims(claims: dict[str, object], key_id: str, expected: Expectation, now: float) -> AccessToken:
    """Return the access token that the claims describe, or raise `TokenRefusedError`. `now` is Unix seconds.

    A token is over at `exp` plus the leeway, that very second included. A token with `cnf` is refused: taking it
    without proof of its key would make a bearer token of it (RFC 9449 §7.2, RFC 8705 §3).
    """
    if claims.get("iss") != expected.issuer:
        raise TokenRefusedError(Refusal.ISSUER_WRONG)
    if expected.audience not in _audience(claims):
        raise TokenRefusedError(Refusal.AUDIENCE_WRONG)
    expires_at = _seconds(claims, "exp")
    if now >= expires_at + expected.leeway:
        raise TokenRefusedError(Refusal.EXPIRED)
    if _seconds(claims, "iat") > now + expected.leeway:
        raise TokenRefusedError(Refusal.ISSUED_IN_THE_FUTURE)
    if "nbf" in claims and _seconds(claims, "nbf") > now + expected.leeway:
        raise TokenRefusedError(Refusal.NOT_YET_VALID)
    if "cnf" in claims:
        raise TokenRefusedError(Refusal.BOUND_TO_A_KEY)
    _text(claims, "jti")
    return AccessToken(
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        scope=_scope(claims),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
        key_id=key_id,
        claims=MappingProxyType(claims),
    )


def _audience(claims: dict[str, object]) -> list[object]:
    audience = claims.get("aud")
    if isinstance(audience, str):
        return [audience]
    if not isinstance(audience, list) or not all(isinstance(member, str) for member in audience):
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return audience


def _seconds(claims: dict[str, object], name: str) -> float:
    """A NumericDate (RFC 7519 §2) between 1970 and 9999; `true` is a bool and no number here."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        raise TokenRefusedError(Refusal.CLAIM_MALFORMED)
    return value


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
    return frozenset(value.split(" ")) - {""}
