"""Failed client authentications of one client from one address: slowed down, never locked out (SECURITY row 56).

A client's secret has 256 random bits, so this is against noise, not against guessing: the count lives in the process,
only failures are counted, and a right secret is answered whatever the count says.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.web.forwarded import network_of

if TYPE_CHECKING:
    from collections.abc import Callable

FREE_FAILURES: Final = 30
WINDOW: Final = 60.0  # seconds
MAX_KEYS: Final = 10_000


class ClientFailures:
    """A bounded table of (client, network) to the failures of the current minute."""

    __slots__ = ("_counts", "_monotonic", "_scale")

    def __init__(self, monotonic: Callable[[], float], scale: float) -> None:
        """Take a clock in seconds and the factor of every per-address limit."""
        self._counts: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._monotonic = monotonic
        self._scale = scale

    def count(self, client_id: str, address: str, failure: OAuthError) -> None:
        """Count a failure; past the free ones, raise 429 instead of it, with the rest of the minute to wait."""
        now = self._monotonic()
        key = (client_id[:256], network_of(address))
        started, failures = self._counts.pop(key, (now, 0))
        if now - started >= WINDOW:
            started, failures = now, 0
        self._counts[key] = (started, failures + 1)
        if len(self._counts) > MAX_KEYS:
            self._counts.popitem(last=False)
        if failures >= FREE_FAILURES * self._scale:
            wait = str(int(started + WINDOW - now) + 1)
            raise OAuthError(
                ErrorCode.INVALID_CLIENT,
                f"client authentication failed too often from this address; wait {wait} seconds",
                Refusal.CLIENT_THROTTLED,
                status=429,
                headers=(("retry-after", wait),),
            ) from failure
