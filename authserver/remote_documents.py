"""Documents of other servers, fetched once for many requests: JWK sets and discovery documents.

An address is asked again when what it gave grows old, and when somebody needs what is not in it; what it gave before
is good for an hour while it does not answer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

V = TypeVar("V")

FRESH_FOR: Final = 300.0  # seconds a fetched document is used without asking again
STALE_FOR: Final = 3600.0  # seconds a fetched document is used while its address does not answer
RETRY_AFTER: Final = 30.0  # seconds before an address is asked again: after a failure, or for what was not in it
MAX_CACHED: Final = 1000


@dataclass(slots=True)
class _Fetched(Generic[V]):
    """What an address gave last, and when it may be asked again; times are monotonic seconds."""

    document: V | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")


class RemoteDocuments(Generic[V]):
    """One kind of document by its address.

    ``fetch`` returns the bytes of an address or raises OSError; ``read`` makes the document of them or raises
    ValueError; ``monotonic`` is a clock in seconds.
    """

    __slots__ = ("_by_uri", "_fetch", "_locks", "_monotonic", "_read")

    def __init__(
        self, fetch: Callable[[str], Awaitable[bytes]], read: Callable[[bytes], V], monotonic: Callable[[], float]
    ) -> None:
        """Start with nothing fetched."""
        self._fetch = fetch
        self._read = read
        self._monotonic = monotonic
        self._by_uri: OrderedDict[str, _Fetched[V]] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def find(self, uri: str, *, refetch: bool = False) -> V | None:
        """Return the document of an address, None where it gave none for too long.

        ``refetch`` is for who needs something newer than what is here; the address is asked every 30 s at most.
        """
        async with self._locks.setdefault(uri, asyncio.Lock()):  # one request at a time for one address
            fetched = await self._refresh(uri, refetch=refetch)
        return fetched.document if self._monotonic() < fetched.fetched_at + STALE_FOR else None

    async def _refresh(self, uri: str, *, refetch: bool) -> _Fetched[V]:
        fetched = self._by_uri.setdefault(uri, _Fetched())
        self._by_uri.move_to_end(uri)
        now = self._monotonic()
        is_due = refetch or now >= fetched.fetched_at + FRESH_FOR
        if is_due and now >= fetched.tried_at + RETRY_AFTER:
            fetched.tried_at = now
            try:
                fetched.document = self._read(await self._fetch(uri))
                fetched.fetched_at = now
            except (OSError, ValueError):
                pass  # the answer before, if any, is good for a while; the next try waits
        if len(self._by_uri) > MAX_CACHED:
            self._locks.pop(self._by_uri.popitem(last=False)[0], None)
        return fetched
