"""Logout tokens, and what a client's answer to one means (OpenID Connect Back-Channel Logout §2.4, §2.5, §2.8)."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME: Final = timedelta(minutes=2)  # §4: a captured one is soon worth nothing
RETRIES: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=8),
)

_DELIVERED: Final = frozenset({200, 204})  # frameworks turn an empty 200 into 204
_REFUSED: Final = 400


class Outcome(StrEnum):
    """What became of one try."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    MISSED = "missed"
    GONE = "gone"


def build_logout_token_claims(
    *, issuer: str, client_id: str, subject: str, session_id: UUID, jti: UUID, now: datetime
) -> Mapping[str, object]:
    """Return the claims of a logout token for one session. There is never a ``nonce``, so it passes for no ID token."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "sub": subject,
        "aud": client_id,
        "iat": issued_at,
        "exp": issued_at + int(LIFETIME.total_seconds()),
        "jti": str(jti),
        "sid": str(session_id),
        "events": {LOGOUT_EVENT: {}},
    }


def judge_answer(status: int) -> Outcome:
    """Return what an HTTP status says.

    400 is the client's own no, to which the same again would be no answer (§2.5). Whatever else is not success may
    come from what stands before the client, and pass: it counts as if nobody had been there.
    """
    if status in _DELIVERED:
        return Outcome.DELIVERED
    return Outcome.REFUSED if status == _REFUSED else Outcome.MISSED


def retry_after(attempts: int) -> timedelta | None:
    """Return the wait after the ``attempts``-th try (from 1), or None where that was the last one: after a day.

    >>> [str(retry_after(attempts)) for attempts in (1, 10, 11)]
    ['0:00:05', '8:00:00', 'None']
    """
    return RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
