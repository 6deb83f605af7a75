"""The issuer says that a session is over: whether to believe it (OpenID Connect Back-Channel Logout 1.0 §2.6).

Anybody can post to the address that takes logout tokens. Every check here refuses one that somebody else made, that was
made for somebody else, or that has been here before.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from joserfc.errors import JoseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from issuer import Issuer

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
TYPE: Final = "logout+jwt"
LEEWAY: Final = 60  # seconds that the issuer's clock may differ
LONGEST: Final = 600  # seconds that a logout token may live: for so long its `jti` is remembered


class LogoutTokenError(Exception):
    """The token is not to be believed; the text says why, to the issuer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is over: one session where ``sid`` is there, else every session of ``sub``."""

    sub: str | None
    sid: str | None

    def means(self, session: Mapping[str, Any]) -> bool:
        """Tell whether one of this app's sessions rests on what is over."""
        if "user" not in session:
            return False
        is_same_user = self.sub is None or session["user"]["sub"] == self.sub
        return is_same_user and (self.sid is None or session.get("sid") == self.sid)


class LogoutTokens:
    """Checks logout tokens, and takes each once."""

    def __init__(self, issuer: Issuer) -> None:
        """Take the issuer whose tokens are believed."""
        self._issuer = issuer
        self._seen: dict[str, float] = {}  # jti -> until when it has to be remembered

    async def check(self, token: str) -> Ended:
        """Return what is over; raise LogoutTokenError. Where the issuer's keys cannot be had, IssuerError."""
        try:
            header, claims = await self._issuer.verify(token)
        except (JoseError, ValueError) as error:
            raise LogoutTokenError("this issuer did not sign the token") from error
        if str(header.get("typ", "")).lower() != TYPE:
            raise LogoutTokenError("typ is not logout+jwt")
        self._check_origin(claims)
        now = time.time()
        expires_at = _check_times(claims, now)
        _check_kind(claims)
        ended = _read_ended(claims)
        self._take_once(claims.get("jti"), expires_at, now)
        return ended

    def _check_origin(self, claims: Mapping[str, Any]) -> None:
        registration = self._issuer.registration
        if claims.get("iss") != registration.issuer:
            raise LogoutTokenError("iss is another issuer")
        audience = claims.get("aud")
        if registration.client_id not in (audience if isinstance(audience, list) else [audience]):
            raise LogoutTokenError("aud is another client")

    def _take_once(self, jti: object, expires_at: float, now: float) -> None:
        """Refuse a token that was here before: to repeat it could only end a session begun since."""
        if not isinstance(jti, str) or not jti:
            raise LogoutTokenError("jti is missing")
        self._seen = {seen: until for seen, until in self._seen.items() if until > now}
        if jti in self._seen:
            raise LogoutTokenError("the token was here before")
        self._seen[jti] = expires_at + LEEWAY


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int) or not isinstance(expires_at, int):
        raise LogoutTokenError("iat or exp is missing")
    if issued_at > now + LEEWAY or expires_at <= now - LEEWAY:
        raise LogoutTokenError("the token has expired, or is from the future")
    if expires_at - issued_at > LONGEST:
        raise LogoutTokenError("the token lives for too long")
    return expires_at


def _check_kind(claims: Mapping[str, Any]) -> None:
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise LogoutTokenError("events does not say logout")
    if "nonce" in claims:
        raise LogoutTokenError("nonce is for ID tokens")


def _read_ended(claims: Mapping[str, Any]) -> Ended:
    sub, sid = claims.get("sub"), claims.get("sid")
    if not all(value is None or (isinstance(value, str) and value) for value in (sub, sid)) or sub is sid is None:
        raise LogoutTokenError("sub and sid say nobody")
    return Ended(sub=sub, sid=sid)
