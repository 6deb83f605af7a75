"""The keys clients sign with: what they may register, how they are fetched, and whose signature it is.

Only the signature is verified here; what a client assertion's claims must say is decided in ``oauth``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from authserver.jose.compact import Compact, Fault, TokenError, parse_compact, parse_object
from authserver.jose.jwk import CLIENT_ALGORITHMS, SAME_ALGORITHM, ClientKey, JwkError, read_jwks
from authserver.jose.signature import check_signature

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from authserver.oauth.values import Client

FRESH_FOR: Final = 300.0  # seconds a fetched set is used without asking again
STALE_FOR: Final = 3600.0  # seconds a fetched set is used while its address does not answer
RETRY_AFTER: Final = 30.0  # seconds before an address is asked again: after a failure, or for an unknown kid
MAX_CACHED: Final = 1000
_TYPES: Final = frozenset({None, "jwt", "client-authentication+jwt"})


def check_jwks(document: object) -> str | None:
    """Return why a JWK set cannot be registered for a client, or None where it can (RFC 7591 §2, RFC 8725 §3)."""
    try:
        read_jwks(document, skip_unusable=False)
    except JwkError as error:
        return str(error)
    return None


def read_subject(assertion: str) -> str | None:
    """Return the client an assertion claims to come from, unverified: only to look its keys up (RFC 7521 §4.2)."""
    try:
        subject = parse_compact(assertion).claims().get("sub")
    except TokenError:
        return None
    return subject if isinstance(subject, str) else None


@dataclass(slots=True)
class _Fetched:
    """What an address gave last, and when it may be asked again; times are monotonic seconds."""

    keys: Sequence[ClientKey] | None = None
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")


class ClientKeys:
    """Verifies what clients signed, with the keys they registered by value (``jwks``) or by address (``jwks_uri``).

    ``fetch`` returns the bytes of an address or raises OSError; ``monotonic`` is a clock in seconds.
    """

    __slots__ = ("_by_uri", "_fetch", "_locks", "_monotonic", "_registered")

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], monotonic: Callable[[], float]) -> None:
        """Start with empty caches."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._registered: OrderedDict[str, tuple[Mapping[str, object], Sequence[ClientKey]]] = OrderedDict()
        self._by_uri: OrderedDict[str, _Fetched] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def verify_assertion(self, client: Client, assertion: str) -> dict[str, Any]:
        """Return the claims of a client assertion that this client signed (RFC 7523 §3 rule 9).

        Raise :class:`TokenError`. Algorithm and key are the client's registration's to choose; nothing the header
        brings along (``jwk``, ``jku``, ``x5c``, ``x5u``) is looked at (RFC 8725 §3.10).
        """
        compact = parse_compact(assertion)
        allowed, alg = client.token_endpoint_auth_signing_alg, compact.alg
        if alg not in CLIENT_ALGORITHMS or (
            allowed and SAME_ALGORITHM.get(alg, alg) != SAME_ALGORITHM.get(allowed, allowed)
        ):
            raise TokenError(Fault.ALGORITHM, "signed with an algorithm the client did not register")
        if compact.typ not in _TYPES:
            raise TokenError(Fault.TYPE, "another kind of JWT")
        key = _choose(await self._keys(client, refetch=False), compact)
        if key is None and client.jwks is None:
            key = _choose(await self._keys(client, refetch=True), compact)
        if key is None:
            raise TokenError(Fault.KEY_UNKNOWN, "no key of the client fits kid and alg")
        check_signature(compact, key.key)
        return compact.claims()

    async def _keys(self, client: Client, *, refetch: bool) -> Sequence[ClientKey]:
        if client.jwks is not None:
            return self._read_registered(client.client_id, client.jwks)
        if client.jwks_uri is None:
            raise TokenError(Fault.KEYS_UNAVAILABLE, "the client has registered no keys")
        uri = client.jwks_uri
        async with self._locks.setdefault(uri, asyncio.Lock()):  # one request at a time for one address
            fetched = await self._refresh(uri, refetch=refetch)
        if fetched.keys is None or self._monotonic() >= fetched.fetched_at + STALE_FOR:
            raise TokenError(Fault.KEYS_UNAVAILABLE, "the client's jwks_uri gave no keys")
        return fetched.keys

    def _read_registered(self, client_id: str, jwks: Mapping[str, object]) -> Sequence[ClientKey]:
        known = self._registered.get(client_id)
        if known is not None and known[0] is jwks:
            self._registered.move_to_end(client_id)
            return known[1]
        try:
            keys = read_jwks(jwks, skip_unusable=True)
        except JwkError as error:
            raise TokenError(Fault.KEYS_UNAVAILABLE, str(error)) from error
        self._registered[client_id] = (jwks, keys)
        if len(self._registered) > MAX_CACHED:
            self._registered.popitem(last=False)
        return keys

    async def _refresh(self, uri: str, *, refetch: bool) -> _Fetched:
        fetched = self._by_uri.setdefault(uri, _Fetched())
        self._by_uri.move_to_end(uri)
        now = self._monotonic()
        is_due = refetch or now >= fetched.fetched_at + FRESH_FOR
        if is_due and now >= fetched.tried_at + RETRY_AFTER:
            fetched.tried_at = now
            try:
                fetched.keys = read_jwks(parse_object(await self._fetch(uri)), skip_unusable=True)
                fetched.fetched_at = now
            except (OSError, TokenError, JwkError):
                pass  # the answer before, if any, is good for a while; the next try waits
        if len(self._by_uri) > MAX_CACHED:
            self._locks.pop(self._by_uri.popitem(last=False)[0], None)
        return fetched


def _choose(keys: Sequence[ClientKey], compact: Compact) -> ClientKey | None:
    """Return the one key that fits ``kid`` and ``alg``; without ``kid``, the only one that fits ``alg``."""
    fitting = [key for key in keys if key.fits(compact.alg) and compact.kid in (None, key.kid)]
    return fitting[0] if len(fitting) == 1 else None
