"""Keys in memory: fresh, stale but usable, or to be fetched; and when the issuer may be asked (DESIGN §7)."""

import logging
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from authserver_verifier.documents import IssuerFaultError
from authserver_verifier.issuer import Issuer, KeySet
from authserver_verifier.keys import KeysByName
from authserver_verifier.refusals import IssuerUnavailableError
from authserver_verifier.single_flight import SingleFlight

logger = logging.getLogger("authserver_verifier")

MAX_STALE = 3600.0
RETRY_INTERVAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A key set and its two ends in monotonic seconds: fresh until the first, usable until the second."""

    key_set: KeySet
    fresh_until: float
    usable_until: float


class KeyCache:
    """The issuer's keys, asked for by one thread at a time and answered from memory to everybody else.

    - Fresh keys cost nothing. Stale ones go on serving, for at most `max_stale` seconds, while one thread asks again.
    - A key id that is not among them makes the issuer be asked again, once per `refetch_interval` and not once per
      token: whoever invents key ids reaches us and not the issuer.
    - After a fault the issuer is left alone for `RETRY_INTERVAL` seconds.

    All methods may be called from any thread and from an event loop: none waits for the network. `monotonic` gives
    seconds that only grow. `counts` is told of every fetch.
    """

    def __init__(
        self,
        issuer: Issuer,
        monotonic: Callable[[], float],
        refetch_interval: float,
        max_stale: float,
        counts: Counter[str],
    ) -> None:
        self._issuer = issuer
        self._monotonic = monotonic
        self._refetch_interval = refetch_interval
        self._max_stale = max_stale
        self._counts = counts
        self._held: _Held | None = None
        self._flight = SingleFlight(self._fetch, monotonic, "authserver-verifier-keys")

    def usable(self) -> KeysByName | None:
        """Return the keys at hand, and have them renewed in the background where they are stale."""
        held, now = self._held, self._monotonic()
        if held is None:
            return None
        if now >= held.fresh_until:
            self._flight.ask(RETRY_INTERVAL)
        return held.key_set.keys if now < held.usable_until else None

    def worth_waiting_for(self, key_id: str, algorithm: str) -> Future[None] | None:
        """Return the fetch that may bring this key, under way or started now.

        None where none would help: the key is at hand, or the issuer was asked too short a time ago.
        """
        keys = self.usable()
        if keys is None:
            return self._flight.ask(RETRY_INTERVAL)
        if (key_id, algorithm) in keys:
            return None
        return self._flight.ask(self._refetch_interval)

    def require(self) -> KeysByName:
        """Return the keys at hand, or raise `IssuerUnavailableError` with the seconds until the next fetch."""
        keys = self.usable()
        if keys is None:
            raise IssuerUnavailableError(math.ceil(self._flight.asked_at + RETRY_INTERVAL - self._monotonic()))
        return keys

    def _fetch(self) -> None:
        held = self._held
        self._counts["key_set_asked"] += 1
        try:
            key_set = self._issuer.fetch_keys(held.key_set if held else None, self._monotonic())
        except IssuerFaultError as fault:
            self._counts["key_set_fault"] += 1
            logger.warning("the issuer's keys could not be fetched: %s", fault)
        except Exception:  # a bug, in a client of the user's own making perhaps: whoever waits gets a 503, not nothing
            self._counts["key_set_fault"] += 1
            logger.exception("the issuer's keys could not be fetched")
        else:
            fresh_until = self._monotonic() + key_set.fresh_for
            self._held = _Held(key_set=key_set, fresh_until=fresh_until, usable_until=fresh_until + self._max_stale)
