"""What the claims of a client assertion must say (RFC 7523 §3, and draft-ietf-oauth-rfc7523bis for the audience).

The signature is ``jose``'s to verify, first; the ``jti`` is the store's to claim, last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from authserver.oauth.client_auth import refuse
from authserver.oauth.errors import OAuthError, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from authserver.oauth.values import Client

MAX_LIFETIME: Final = timedelta(minutes=5)
SKEW: Final = timedelta(seconds=60)
MAX_JTI: Final = 256

_LATEST: Final = 2**36  # seconds: the year 4147, from which no arithmetic leaves the calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionUse:
    """What must be remembered so that the assertion is good once: its ``jti``, until nobody would accept it anyway."""

    jti: str
    forget_at: datetime


def parse_assertion_claims(
    claims: Mapping[str, object],
    client: Client,
    *,
    endpoint_urls: Collection[str],
    issuer: str,
    now: datetime,
) -> AssertionUse:
    """Return the single use an assertion's claims allow; raise ``invalid_client`` for claims that prove nothing.

    ``endpoint_urls`` are the token endpoint's and that of the endpoint called; a client of a FAPI 2.0 profile must
    name the issuer alone. ``now`` is the process's clock: other machines' clocks may be ``SKEW`` off.
    """
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise _refuse(Refusal.ASSERTION_CLAIMS, "iss and sub must both be the client_id")
    if not _is_audience(claims.get("aud"), client, endpoint_urls, issuer):
        raise _refuse(Refusal.ASSERTION_AUDIENCE, f"aud must be {issuer}")
    expires_at = _parse_expiry(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not jti.isprintable():
        raise _refuse(Refusal.ASSERTION_CLAIMS, f"jti must be 1 to {MAX_JTI} printable characters")
    return AssertionUse(jti=jti, forget_at=expires_at + SKEW)


def _is_audience(audience: object, client: Client, endpoint_urls: Collection[str], issuer: str) -> bool:
    """Tell whether the assertion is for this server and for nobody else besides (CVE-2025-27370)."""
    if (client.profile or "").startswith("fapi2"):
        return audience == issuer
    accepted = {issuer, *endpoint_urls}
    members = audience if isinstance(audience, list) else [audience]
    return bool(members) and all(isinstance(member, str) and member in accepted for member in members)


def _parse_expiry(claims: Mapping[str, object], now: datetime) -> datetime:
    expires_at = _time(claims, "exp")
    issued_at = _time(claims, "iat")
    not_before = _time(claims, "nbf")
    if expires_at is None:
        raise _refuse(Refusal.ASSERTION_CLAIMS, "exp is missing")
    if expires_at + SKEW <= now:
        raise _refuse(Refusal.ASSERTION_EXPIRED, "it has expired")
    if any(time is not None and time > now + SKEW for time in (issued_at, not_before)):
        raise _refuse(Refusal.ASSERTION_EXPIRED, "iat or nbf lies in the future")
    if expires_at > now + MAX_LIFETIME + SKEW or (issued_at is not None and expires_at > issued_at + MAX_LIFETIME):
        raise _refuse(Refusal.ASSERTION_TOO_LONG_LIVED, "exp may be 5 minutes after iat at most")
    return expires_at


def _time(claims: Mapping[str, object], name: str) -> datetime | None:
    """Return a NumericDate (RFC 7519 §2); None where the claim is absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:  # NaN is not
        raise _refuse(Refusal.ASSERTION_CLAIMS, f"{name} must be a date in seconds")
    return datetime.fromtimestamp(value, UTC)


def _refuse(refusal: Refusal, reason: str) -> OAuthError:
    return refuse(refusal, f"the client assertion is refused: {reason}")
