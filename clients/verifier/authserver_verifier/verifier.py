"""The verifier: what a resource server makes once, and asks about every request."""

import asyncio
import concurrent.futures
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import httpx2

from authserver_verifier.bearer import find_token
from authserver_verifier.claims import AccessToken, Expectation, check_claims
from authserver_verifier.issuer import Issuer
from authserver_verifier.jwt import UnverifiedToken, decode_segment, encode_token, parse_object, parse_token
from authserver_verifier.key_cache import KeyCache
from authserver_verifier.keys import ALGORITHMS, KeysByName
from authserver_verifier.refusals import Refusal, RequestRefusedError, TokenRefusedError

if TYPE_CHECKING:
    from authserver_verifier.asgi import Application, BearerGuard
    from authserver_verifier.fastapi import Dependency
    from authserver_verifier.starlette import Decorator

logger = logging.getLogger("authserver_verifier")

MAX_WAIT = 5.0
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class _Seen(NamedTuple):
    """A token that was verified with one of `keys`; its lifetime ends at `over_at`, Unix seconds with the leeway in."""

    access_token: AccessToken
    keys: KeysByName
    over_at: float


class Verifier:
    """Verifies access tokens of one issuer for one audience, from keys in memory (RFC 9068 §4).

    Make one per process, at the start: nothing is fetched before the first token comes. Safe in threads and in
    event loops; neither ever waits for the network because keys merely need renewing.

    Args:
        issuer: the issuer's URL, exactly as its tokens' `iss` and its metadata spell it.
        audience: this resource server's identifier, which `aud` must name. It is the realm of challenges, too.
        algorithms: of ES256, RS256, PS256 and EdDSA those to accept.
        leeway: seconds by which the issuer's clock may differ from ours.
        seen_tokens: how many verified tokens to remember, so that their signature is not computed again.
        refetch_interval: seconds for which unknown key ids do not make the issuer be asked again.
        http: makes the client for one fetch, where a proxy, another CA or a client certificate is needed.
        clock: Unix seconds, for `exp`, `nbf` and `iat`.
        monotonic: seconds that only grow, for the age of keys.

    Raises ValueError where the issuer is no https URL (http on this machine), or an argument cannot be right.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        algorithms: Collection[str] = ALGORITHMS,
        leeway: float = 10.0,
        seen_tokens: int = 4096,
        refetch_interval: float = 30.0,
        http: Callable[[], httpx2.Client] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not algorithms or not ALGORITHMS.issuperset(algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}")
        if not _SCOPE_TOKEN.fullmatch(audience):
            raise ValueError("the audience is a URI: printable ASCII without spaces, quotes and backslashes")
        self.audience = audience
        self._algorithms = frozenset(algorithms)
        self._expected = Expectation(issuer=issuer, audience=audience, leeway=leeway)
        self._keys = KeyCache(Issuer(issuer, self._algorithms, http), monotonic, refetch_interval)
        self._clock = clock
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self._seen_tokens = seen_tokens
        self._remembering = Lock()

    # --- frameworks ---------------------------------------------------------------------------------------------------

    def scope(self, *scopes: str) -> "Dependency":
        """A FastAPI dependency that gives the `AccessToken`: `token = Depends(verify.scope("notes.read"))`."""
        from authserver_verifier.fastapi import dependency  # noqa: PLC0415  # FastAPI is optional

        return dependency(self, check_scopes(scopes))

    def starlette(self, *scopes: str) -> "Decorator":
        """A decorator for Starlette endpoints `(request, token)`: `@verify.starlette("notes.read")`."""
        from authserver_verifier.starlette import decorator  # noqa: PLC0415  # Starlette is optional

        return decorator(self, check_scopes(scopes))

    def asgi(self, app: "Application", *scopes: str) -> "BearerGuard":
        """An ASGI application that lets only such requests through to `app`, the token in `scope["state"]`."""
        from authserver_verifier.asgi import BearerGuard  # noqa: PLC0415  # it imports this module

        return BearerGuard(app, self, check_scopes(scopes))

    async def authorize(
        self, headers: Iterable[tuple[bytes, bytes]], query_string: bytes, needed: frozenset[str]
    ) -> AccessToken:
        """Return the access token of an ASGI request if it carries every scope of `needed`; raise a refusal if not."""
        try:
            access_token = await self.verify_async(find_token(headers, query_string))
            access_token.check_scope(needed)
        except RequestRefusedError as refused:
            logger.info("request refused: %s", refused.refusal)
            raise
        return access_token

    # --- tokens -------------------------------------------------------------------------------------------------------

    def verify(self, token: str) -> AccessToken:
        """Verify an access token in a thread, which waits (at most 5 s) where the issuer has to be asked first.

        Raises `TokenRefusedError`, or `IssuerUnavailableError` where that cannot be decided.
        """
        encoded = encode_token(token)
        digest = sha256(encoded).digest()
        access_token = self._recall(digest)
        if access_token is not None:
            return access_token
        unverified = parse_token(encoded, self._algorithms)
        fetch = self._keys.worth_waiting_for(unverified.key_id, unverified.algorithm)
        if fetch is not None:
            concurrent.futures.wait([fetch], MAX_WAIT)
        return self._check(digest, unverified)

    async def verify_async(self, token: str) -> AccessToken:
        """The same in an asyncio event loop, which goes on with other work meanwhile."""
        encoded = encode_token(token)
        digest = sha256(encoded).digest()
        access_token = self._recall(digest)
        if access_token is not None:
            return access_token
        unverified = parse_token(encoded, self._algorithms)
        fetch = self._keys.worth_waiting_for(unverified.key_id, unverified.algorithm)
        if fetch is not None:
            # Not wait_for: it would cancel the fetch that others wait for.
            await asyncio.wait([asyncio.wrap_future(fetch)], timeout=MAX_WAIT)
        return self._check(digest, unverified)

    def _recall(self, digest: bytes) -> AccessToken | None:
        """Return a token verified before, unless it is over or the keys have changed: its own may have been dropped."""
        seen = self._seen.get(digest)
        if seen is None or seen.keys is not self._keys.usable() or self._clock() >= seen.over_at:
            return None
        return seen.access_token

    def _check(self, digest: bytes, unverified: UnverifiedToken) -> AccessToken:
        keys = self._keys.require()
        key = keys.get((unverified.key_id, unverified.algorithm))
        if key is None:
            raise TokenRefusedError(Refusal.KEY_UNKNOWN)
        if not key.verifies(unverified.signing_input, unverified.signature):
            raise TokenRefusedError(Refusal.SIGNATURE_WRONG)
        claims = parse_object(decode_segment(unverified.payload))
        access_token = check_claims(claims, unverified.key_id, self._expected, self._clock())
        over_at = access_token.expires_at.timestamp() + self._expected.leeway
        with self._remembering:
            self._seen[digest] = _Seen(access_token, keys, over_at)
            if len(self._seen) > self._seen_tokens:
                self._seen.popitem(last=False)
        return access_token


def check_scopes(scopes: Collection[str]) -> frozenset[str]:
    """Return the scopes as a set. Raise ValueError for one that is no scope token (RFC 6749 §3.3)."""
    for scope in scopes:
        if not _SCOPE_TOKEN.fullmatch(scope):
            raise ValueError(f"not a scope: {scope!r} (several scopes are several arguments)")
    return frozenset(scopes)
