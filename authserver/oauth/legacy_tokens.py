"""Refresh tokens of djangorestframework-simplejwt, for the window in which a project moves over.

Such a token is a JWT that is good for one use here: it becomes a grant of ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_JTI: Final = 255
MAX_USER_ID: Final = 255
_LAST_TIME: Final = 253_402_300_799  # the end of the year 9999, the last that a datetime can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyToken:
    """What a token says that counts: which one it is, whose, since when and until when."""

    jti: str
    user_id: str
    issued_at: datetime
    expires_at: datetime

    @property
    def replay_key(self) -> bytes:
        """What the token is remembered by once it was used, here or where it comes from."""
        return replay_key(self.jti)


def read_legacy_token(claims: Mapping[str, object], now: datetime) -> LegacyToken:
    """Return what a verified token says, or raise ``invalid_grant``: another type of token, over, or without an id.

    simplejwt's own claims: ``token_type``, ``exp``, ``iat``, ``jti``, ``user_id`` (a number or a text).
    """
    if claims.get("token_type") != "refresh":
        raise refuse_legacy("it is no refresh token")
    expires_at = _read_time(claims.get("exp"))
    if expires_at is None:
        raise refuse_legacy("it does not say until when")
    if expires_at <= now:
        raise OAuthError(ErrorCode.INVALID_GRANT, "the refresh token has expired", Refusal.LEGACY_TOKEN_EXPIRED)
    jti, user_id = claims.get("jti"), claims.get("user_id")
    if not isinstance(jti, str) or not 1 <= len(jti) <= MAX_JTI:
        raise refuse_legacy("it has no id")
    if isinstance(user_id, bool) or not isinstance(user_id, str | int) or not 1 <= len(str(user_id)) <= MAX_USER_ID:
        raise refuse_legacy("it names no user")
    issued_at = _read_time(claims.get("iat")) or now
    return LegacyToken(jti=jti, user_id=str(user_id), issued_at=min(issued_at, now), expires_at=expires_at)


def replay_key(jti: str) -> bytes:
    """Return what a token with this id is remembered by."""
    return hashlib.sha256(f"legacy\x00{jti}".encode("utf-8", "surrogatepass")).digest()


def refuse_legacy(why: str) -> OAuthError:
    """Return the refusal of a token that is none of that project's refresh tokens."""
    return OAuthError(ErrorCode.INVALID_GRANT, f"the refresh token is not valid: {why}", Refusal.LEGACY_TOKEN_INVALID)


def _read_time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LAST_TIME:
        return None
    return datetime.fromtimestamp(value, UTC)
