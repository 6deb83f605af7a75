"""The keys clients sign with: what they may register, how they are fetched, and whose signature it is.

Only the signature is verified here; what a client assertion's claims must say is decided in ``oauth``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from authserver.jose.compact import Fault, TokenError, parse_compact
from authserver.jose.jwk import CLIENT_ALGORITHMS, SAME_ALGORITHM, ClientKey, JwkError, choose_key, read_jwks
from authserver.jose.remote_keys import read_remote_jwks
from authserver.jose.signature import check_signature
from authserver.remote_documents import MAX_CACHED, RemoteDocuments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from authserver.oauth.values import Client

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


class ClientKeys:
    """Verifies what clients signed, with the keys they registered by value (``jwks``) or by address (``jwks_uri``).

    ``fetch`` returns the bytes of an address or raises OSError; ``monotonic`` is a clock in seconds.
    """

    __slots__ = ("_registered", "_remote")

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], monotonic: Callable[[], float]) -> None:
        """Start with empty caches."""
        self._registered: OrderedDict[str, tuple[Mapping[str, object], Sequence[ClientKey]]] = OrderedDict()
        self._remote = RemoteDocuments(fetch, read_remote_jwks, monotonic)

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
        key = choose_key(await self._keys(client, refetch=False), compact)
        if key is None and client.jwks is None:
            key = choose_key(await self._keys(client, refetch=True), compact)
        if key is None:
            raise TokenError(Fault.KEY_UNKNOWN, "no key of the client fits kid and alg")
        check_signature(compact, key.key)
        return compact.claims()

    async def _keys(self, client: Client, *, refetch: bool) -> Sequence[ClientKey]:
        if client.jwks is not None:
            return self._read_registered(client.client_id, client.jwks)
        if client.jwks_uri is None:
            raise TokenError(Fault.KEYS_UNAVAILABLE, "the client has registered no keys")
        keys = await self._remote.find(client.jwks_uri, refetch=refetch)
        if keys is None:
            raise TokenError(Fault.KEYS_UNAVAILABLE, "the client's jwks_uri gave no keys")
        return keys

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
