"""Whether the issuer has revoked a token before its end: Token Status Lists (draft-ietf-oauth-status-list).

The issuer publishes one bit or a few per token, signed and compressed; a list is a few hundred bytes and says nothing
about who holds which token.
"""

import concurrent.futures
import logging
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from authserver_verifier.claims import StatusReference, parse_seconds
from authserver_verifier.documents import FAULTS, MAX_DOCUMENT_BYTES, NOT_MODIFIED, OK, get_document
from authserver_verifier.issuer import Issuer
from authserver_verifier.jwt import decode_segment, parse_token
from authserver_verifier.key_cache import KeyCache
from authserver_verifier.keys import verify_claims
from authserver_verifier.refusals import IssuerUnavailableError, Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.single_flight import SingleFlight

logger = logging.getLogger("authserver_verifier")

REFRESH_INTERVAL = 10.0
PATIENCE = 2.0
RETRY_INTERVAL = 5.0
MIN_FAIL_CLOSED_AFTER = 15.0
MAX_LISTS = 1024
MAX_STATUSES_BYTES = 4 * 1024 * 1024
_MAX_TOKEN_BYTES = 16 * MAX_DOCUMENT_BYTES
_TYPES = frozenset({"statuslist+jwt", "application/statuslist+jwt"})
_BITS = frozenset({1, 2, 4, 8})
_KEY_WAIT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """The statuses of one list: `bits` for each, the first in the lowest bits of the first byte.

    `over_at` is the Unix second after which it may not be confirmed any more, None if it does not end; `refresh_after`
    is how many seconds to keep it before the issuer is asked again.
    """

    bits: int
    statuses: bytes
    over_at: float | None
    refresh_after: float
    etag: str | None = None

    def at(self, index: int) -> int | None:
        """Return the status at an index, 0 for valid; None where the list ends before it."""
        place = index * self.bits
        if place >> 3 >= len(self.statuses):
            return None
        return self.statuses[place >> 3] >> (place & 7) & ((1 << self.bits) - 1)


class StatusLists:
    """The issuer's status lists in memory, each asked for again every ten seconds while tokens that name it come.

    A list that cannot be had is a fault that is counted and logged. Then the last one goes on serving, and where there
    is none, tokens are taken until they end; unless `fail_closed_after` says after how many seconds without a list
    their requests are refused with 503.
    """

    def __init__(
        self,
        issuer: Issuer,
        keys: KeyCache,
        algorithms: frozenset[str],
        leeway: float,
        fail_closed_after: float | None,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        counts: Counter[str],
    ) -> None:
        if fail_closed_after is not None and fail_closed_after < MIN_FAIL_CLOSED_AFTER:
            raise ValueError(
                f"fail_closed_after is {MIN_FAIL_CLOSED_AFTER:.0f} s or more: lists are renewed every 10 s"
            )
        self._issuer = issuer
        self._keys = keys
        self._algorithms = algorithms
        self._leeway = leeway
        self._fail_closed_after = fail_closed_after
        self._clock = clock
        self._monotonic = monotonic
        self._counts = counts
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._lock = Lock()

    def worth_waiting_for(self, uri: str) -> Future[None] | None:
        """Return the fetch of a list that is needed before tokens can be answered; None where the one at hand will do.

        A list of ten seconds is renewed in the background. Only a first one, and one that nobody asked for during
        twelve seconds, are waited for; after a fault nobody waits.
        """
        source = self._sources.get(uri) or self._add(uri)
        held, was_faulty = source.held, source.is_faulty
        if held is None:
            fetch = source.flight.ask(RETRY_INTERVAL)
            return None if was_faulty else fetch
        age = self._monotonic() - source.confirmed_at
        if age < held.refresh_after:
            return None
        fetch = source.flight.ask(RETRY_INTERVAL if was_faulty else held.refresh_after)
        return None if was_faulty or age < held.refresh_after + PATIENCE else fetch

    def check(self, reference: StatusReference) -> None:
        """Refuse a token whose status is anything but valid (0), or which its list does not reach."""
        source = self._sources.get(reference.uri) or self._add(reference.uri)
        held = source.held
        if held is not None and held.at(reference.index) != 0:
            raise TokenRefusedError(Refusal.REVOKED)
        limit = self._fail_closed_after
        if limit is not None and (held is None or self._monotonic() - source.confirmed_at > limit):
            wait = source.flight.asked_at + RETRY_INTERVAL - self._monotonic()
            raise IssuerUnavailableError(int(wait) + 1, Refusal.STATUS_UNAVAILABLE)
        if held is None:
            self._counts["status_unknown"] += 1

    def _add(self, uri: str) -> "_Source":
        with self._lock:
            source = self._sources.get(uri)
            if source is None:
                source = self._sources[uri] = _Source(uri, self._fetch, self._monotonic)
                if len(self._sources) > MAX_LISTS:
                    self._sources.popitem(last=False)
            return source

    def _fetch(self, source: "_Source") -> None:
        """Ask the issuer for one list; runs in the source's own thread."""
        self._counts["status_list_asked"] += 1
        asked_at = self._monotonic()
        try:
            source.held = self._read(source)
        except (RequestRefusedError, *FAULTS) as fault:
            source.is_faulty = True
            self._counts["status_list_fault"] += 1
            logger.warning("the status list %s could not be had: %s: %s", source.uri, type(fault).__name__, fault)
        except Exception:  # a bug, in a client of the user's own making perhaps: it ends nobody's request
            source.is_faulty = True
            self._counts["status_list_fault"] += 1
            logger.exception("the status list %s could not be had", source.uri)
        else:
            source.is_faulty = False
            source.confirmed_at = asked_at  # it is as old as the question, not as the answer

    def _read(self, source: "_Source") -> StatusList:
        now = self._clock()
        known = source.held
        if known is not None and known.over_at is not None and now >= known.over_at:
            known = None  # confirming it would not do: a whole one is needed
        with self._issuer.open() as client:
            answer = get_document(
                client,
                source.uri,
                known.etag if known else None,
                accept="application/statuslist+jwt",
                limit=_MAX_TOKEN_BYTES,
            )
        if known and answer.status == NOT_MODIFIED:
            return known
        if answer.status != OK:
            raise ValueError(f"answered with status {answer.status}")
        claims = self._verify(answer.body.strip())
        return parse_status_list(
            claims, source.uri, self._issuer.url, now, self._leeway, etag=answer.headers.get("etag")
        )

    def _verify(self, token: bytes) -> dict[str, object]:
        """Return the claims of a status list token that one of the issuer's keys signed."""
        unverified = parse_token(token, self._algorithms, _TYPES)
        fetch = self._keys.worth_waiting_for(unverified.key_id, unverified.algorithm)
        if fetch is not None:
            concurrent.futures.wait([fetch], _KEY_WAIT)
        return verify_claims(unverified, self._keys.require())


class _Source:
    """One list's address, what was last read there, and how that went."""

    def __init__(self, uri: str, fetch: Callable[["_Source"], None], monotonic: Callable[[], float]) -> None:
        self.uri = uri
        self.held: StatusList | None = None
        self.confirmed_at = 0.0
        self.is_faulty = False
        self.flight = SingleFlight(lambda: fetch(self), monotonic, "authserver-verifier-status")


def parse_status_list(
    claims: dict[str, object], uri: str, issuer: str, now: float, leeway: float, *, etag: str | None = None
) -> StatusList:
    """Return the list in the claims of a status list token, if it is the one of `uri` and of now (§5.1, §8.3).

    Raises ValueError or `TokenRefusedError`. A list that unpacks to more than 4 MiB is refused unread.
    """
    if claims.get("sub") != uri or claims.get("iss", issuer) != issuer:
        raise ValueError("the status list is another one's")
    if parse_seconds(claims, "iat") > now + leeway:
        raise ValueError("the status list was issued in the future")
    over_at = parse_seconds(claims, "exp") + leeway if "exp" in claims else None
    if over_at is not None and now >= over_at:
        raise ValueError("the status list is over")
    lifetime = parse_seconds(claims, "ttl") if "ttl" in claims else REFRESH_INTERVAL
    members = claims.get("status_list")
    if not isinstance(members, dict):
        raise ValueError("there is no status list in it")  # noqa: TRY004  # the document's fault, not a caller's
    bits, packed = members.get("bits"), members.get("lst")
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in _BITS or not isinstance(packed, str):
        raise ValueError("the status list is malformed")
    return StatusList(
        bits=bits,
        statuses=_unpack(decode_segment(packed.encode("ascii", "replace"))),
        over_at=over_at,
        refresh_after=min(REFRESH_INTERVAL, max(1.0, lifetime)),
        etag=etag,
    )


def _unpack(packed: bytes) -> bytes:
    """Decompress ZLIB data (RFC 1950), whole and without anything after it."""
    inflater = zlib.decompressobj()
    try:
        statuses = inflater.decompress(packed, MAX_STATUSES_BYTES)
    except zlib.error as error:
        raise ValueError(f"the status list cannot be unpacked: {error}") from None
    if not inflater.eof or inflater.unused_data:
        raise ValueError("the status list is too long, cut off, or more than one")
    return statuses
