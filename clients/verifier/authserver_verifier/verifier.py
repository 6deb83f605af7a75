"""The verifier: what a resource server makes once, and asks about every request."""

import asyncio
import concurrent.futures
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Generator, Mapping
from concurrent.futures import Future
from hashlib import sha256
from secrets import token_bytes
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import httpx2

from authserver_verifier.bearer import Credentials, find_credentials
from authserver_verifier.certificates import check_certificate
from authserver_verifier.claims import AccessToken, Expectation, check_claims, parse_seconds
from authserver_verifier.dpop import ClaimProof, ProofChecker, normalize_origin
from authserver_verifier.issuer import Issuer
from authserver_verifier.jwt import UnverifiedToken, encode_token, parse_token
from authserver_verifier.key_cache import MAX_STALE, KeyCache
from authserver_verifier.keys import ALGORITHMS, KeysByName, verify_claims
from authserver_verifier.refusals import Challenge, Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.request import ProtectedRequest
from authserver_verifier.requirement import SCOPE_TOKEN, Requirement, require
from authserver_verifier.resource_metadata import build_metadata, metadata_path, metadata_url
from authserver_verifier.status_list import StatusLists

if TYPE_CHECKING:
    from flask import Blueprint
    from starlette.routing import Route

    from authserver_verifier.asgi import Application, BearerGuard
    from authserver_verifier.fastapi import Dependency
    from authserver_verifier.flask import Decorator as FlaskDecorator
    from authserver_verifier.starlette import Decorator as StarletteDecorator

logger = logging.getLogger("authserver_verifier")

MAX_WAIT = 5.0
_MIN_NONCE_KEY_BYTES = 32
_PROVED = "authserver_verifier.proved"  # in a request's memory: which verifier proved which token


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
        max_stale: seconds for which keys go on serving when they are not fresh any more and the issuer is gone.
        check_status: whether to look up tokens in the status list that they name.
        fail_closed_after: seconds without a status list after which tokens that name it are refused with 503; None
            takes them until they end.
        url: where clients reach this API, for DPoP proofs. Its path is one that a proxy takes away from requests.
            Without it the scheme, host and port of the audience, where that is a URL.
        dpop: whether tokens bound to a DPoP key are taken, taken alone, or refused.
        dpop_nonce: make clients put a nonce of ours into proofs; 32 bytes that several processes share, or True.
        claim_proof: remembers a string for some seconds and tells whether it is new, for several processes.
        certificate_header: the header in which a proxy tells the client's certificate. It must strip a client's own.
        metadata: members to publish about this API (RFC 9728), `{}` for none but our own; None publishes nothing.
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
        max_stale: float = MAX_STALE,
        check_status: bool = True,
        fail_closed_after: float | None = None,
        url: str | None = None,
        dpop: Literal["accept", "require", "refuse"] = "accept",
        dpop_nonce: bool | bytes = False,
        claim_proof: ClaimProof | None = None,
        certificate_header: str | None = None,
        metadata: Mapping[str, object] | None = None,
        http: Callable[[], httpx2.Client] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not algorithms or not ALGORITHMS.issuperset(algorithms):
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}")
        if not SCOPE_TOKEN.fullmatch(audience):
            raise ValueError("the audience is a URI: printable ASCII without spaces, quotes and backslashes")
        self.audience = audience
        self.counts: Counter[str] = Counter()
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._clock = clock
        source = Issuer(issuer, self._algorithms, http)
        self._expected = Expectation(issuer=issuer, origin=source.origin, audience=audience, leeway=leeway)
        self._keys = KeyCache(source, monotonic, refetch_interval, max_stale, self.counts)
        self._statuses = StatusLists(
            source, self._keys, self._algorithms, leeway, fail_closed_after, clock, monotonic, self.counts
        )
        self._check_status = check_status
        self._certificate_header = certificate_header.lower().encode() if certificate_header else None
        self._requires_dpop = dpop == "require"
        self._proofs = self._make_proof_checker(dpop, url, dpop_nonce, claim_proof)
        proof_algorithms = tuple(sorted(self._algorithms)) if self._proofs else ()
        self.metadata: bytes | None = None
        if metadata is not None:
            self.metadata = build_metadata(
                issuer, audience, proof_algorithms, requires_dpop=self._requires_dpop, more=metadata
            )
        self.challenge = Challenge(
            realm=audience,
            metadata_url=None if metadata is None else metadata_url(audience),
            dpop_algorithms=proof_algorithms,
            bearer=not self._requires_dpop,
        )
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self._seen_tokens = seen_tokens
        self._remembering = Lock()

    def _make_proof_checker(
        self, dpop: str, url: str | None, nonce: Literal[True, False] | bytes, claim: ClaimProof | None
    ) -> ProofChecker | None:
        """Return what checks proofs, or None where no bound token is taken, or this API does not know its own URL."""
        if dpop not in {"accept", "require", "refuse"}:
            raise ValueError("dpop is accept, require or refuse")
        if isinstance(nonce, bytes) and len(nonce) < _MIN_NONCE_KEY_BYTES:
            raise ValueError(f"dpop_nonce is {_MIN_NONCE_KEY_BYTES} random bytes or more")
        public = url or (self.audience if urlsplit(self.audience).scheme in {"https", "http"} else None)
        if dpop == "refuse" or (public is None and dpop == "accept"):
            return None
        if public is None:
            raise ValueError("dpop='require' needs url: where clients reach this API")
        return ProofChecker(
            normalize_origin(public),
            self._algorithms,
            leeway=self._leeway,
            prefix=unquote(urlsplit(url).path).rstrip("/") if url else "",
            clock=self._clock,
            claim=claim,
            nonce_key=nonce if isinstance(nonce, bytes) else token_bytes(32) if nonce else None,
        )

    # --- frameworks ---------------------------------------------------------------------------------------------------

    def scope(self, *scopes: str, acr_values: Collection[str] = (), max_age: int | None = None) -> "Dependency":
        """A FastAPI dependency that gives the `AccessToken`: `token = Depends(verify.scope("notes.read"))`."""
        from authserver_verifier.fastapi import dependency  # noqa: PLC0415  # FastAPI is optional

        return dependency(self, require(scopes, acr_values, max_age))

    def starlette(
        self, *scopes: str, acr_values: Collection[str] = (), max_age: int | None = None
    ) -> "StarletteDecorator":
        """A decorator for Starlette endpoints `(request, token)`: `@verify.starlette("notes.read")`."""
        from authserver_verifier.starlette import decorator  # noqa: PLC0415  # Starlette is optional

        return decorator(self, require(scopes, acr_values, max_age))

    def starlette_metadata(self) -> "Route":
        """A Starlette or FastAPI route that answers this API's metadata (RFC 9728)."""
        from authserver_verifier.starlette import metadata_route  # noqa: PLC0415  # Starlette is optional

        return metadata_route(self)

    def flask(self, *scopes: str, acr_values: Collection[str] = (), max_age: int | None = None) -> "FlaskDecorator":
        """A decorator for Flask views; they find the token as `g.access_token`: `@verify.flask("notes.read")`."""
        from authserver_verifier.flask import decorator  # noqa: PLC0415  # Flask is optional

        return decorator(self, require(scopes, acr_values, max_age))

    def flask_metadata(self) -> "Blueprint":
        """A Flask blueprint that answers this API's metadata (RFC 9728)."""
        from authserver_verifier.flask import metadata_blueprint  # noqa: PLC0415  # Flask is optional

        return metadata_blueprint(self)

    def asgi(
        self, app: "Application", *scopes: str, acr_values: Collection[str] = (), max_age: int | None = None
    ) -> "BearerGuard":
        """An ASGI application that lets only such requests through to `app`, the token in `scope["state"]`."""
        from authserver_verifier.asgi import BearerGuard  # noqa: PLC0415  # it imports this module

        return BearerGuard(app, self, require(scopes, acr_values, max_age))

    @property
    def metadata_path(self) -> str:
        """Where this API's metadata are to be answered. Raises ValueError where it publishes none."""
        if self.metadata is None:
            raise ValueError("this API publishes no metadata: give Verifier(metadata={…})")
        return metadata_path(self.audience)

    # --- requests -----------------------------------------------------------------------------------------------------

    def authorize(self, request: ProtectedRequest, requirement: Requirement) -> AccessToken:
        """Return the access token of a request that meets the requirement; raise a refusal if not. Waits in a thread.

        What a bound token wants proved is proved here: its DPoP key, its client certificate.
        """
        return _wait(self._authorization(request, requirement))

    async def authorize_async(self, request: ProtectedRequest, requirement: Requirement) -> AccessToken:
        """The same in an asyncio event loop, which goes on with other work meanwhile."""
        return await _wait_async(self._authorization(request, requirement))

    def check(self, access_token: AccessToken, requirement: Requirement) -> None:
        """Refuse the bearer of a token that was verified before but does not meet this requirement."""
        try:
            requirement.check(access_token, self._clock(), self._leeway)
        except TokenRefusedError as refused:
            refused.is_dpop = access_token.bound_key is not None
            logger.info("request refused: %s", refused.refusal)
            raise

    # --- tokens -------------------------------------------------------------------------------------------------------

    def verify(self, token: str) -> AccessToken:
        """Verify an access token in a thread, which waits (at most 5 s) where the issuer has to be asked first.

        Without its request a token that is bound to a key cannot be taken. Raises `TokenRefusedError`, or
        `IssuerUnavailableError` where that cannot be decided.
        """
        return _check_unbound(_wait(self._verification(token)))

    async def verify_async(self, token: str) -> AccessToken:
        """The same in an asyncio event loop, which goes on with other work meanwhile."""
        return _check_unbound(await _wait_async(self._verification(token)))

    # --- how ----------------------------------------------------------------------------------------------------------
    # The generators yield each fetch that has to be waited for; how, a thread and an event loop decide each in its way.

    def _authorization(
        self, request: ProtectedRequest, requirement: Requirement
    ) -> Generator[Future[None], None, AccessToken]:
        proved, is_dpop = request.memory.get(_PROVED), False
        try:
            if proved is not None and proved[0] is self:
                access_token: AccessToken = proved[1]
                is_dpop = access_token.bound_key is not None
            else:
                credentials = find_credentials(request.headers, request.query)
                is_dpop = credentials.dpop
                access_token = yield from self._verification(credentials.token)
                self._check_binding(request, credentials, access_token)
                request.memory[_PROVED] = self, access_token
            requirement.check(access_token, self._clock(), self._leeway)
        except RequestRefusedError as refused:
            refused.is_dpop = is_dpop
            if isinstance(refused, TokenRefusedError) and refused.refusal is Refusal.NO_TOKEN and self.metadata:
                refused.scope = requirement.scope  # a client that finds its way by metadata asks for this
            logger.info("request refused: %s", refused.refusal)
            raise
        return access_token

    def _verification(self, token: str) -> Generator[Future[None], None, AccessToken]:
        encoded = encode_token(token)
        digest = sha256(encoded).digest()
        access_token = self._recall(digest)
        if access_token is None:
            unverified = parse_token(encoded, self._algorithms)
            fetch = self._keys.worth_waiting_for(unverified.key_id, unverified.algorithm)
            if fetch is not None:
                yield fetch
            access_token = self._check(digest, unverified)
        status = access_token.status
        if status is not None and self._check_status:
            fetch = self._statuses.worth_waiting_for(status.uri)
            if fetch is not None:
                yield fetch
            self._statuses.check(status)
        return access_token

    def _recall(self, digest: bytes) -> AccessToken | None:
        """Return a token verified before, unless it is over or the keys have changed: its own may have been dropped."""
        seen = self._seen.get(digest)
        if seen is None or seen.keys is not self._keys.usable() or self._clock() >= seen.over_at:
            return None
        return seen.access_token

    def _check(self, digest: bytes, unverified: UnverifiedToken) -> AccessToken:
        keys = self._keys.require()
        claims = verify_claims(unverified, keys)
        access_token = check_claims(claims, unverified.key_id, self._expected, self._clock())
        over_at = parse_seconds(claims, "exp") + self._leeway
        with self._remembering:
            self._seen[digest] = _Seen(access_token, keys, over_at)
            if len(self._seen) > self._seen_tokens:
                self._seen.popitem(last=False)
        return access_token

    def _check_binding(self, request: ProtectedRequest, credentials: Credentials, access_token: AccessToken) -> None:
        """Refuse a bound token without proof of its key, and a scheme that does not fit (RFC 9449 §7, RFC 8705 §3)."""
        if access_token.bound_key is None:
            if credentials.dpop:
                raise TokenRefusedError(Refusal.DPOP_NOT_BOUND)
            if self._requires_dpop:
                raise TokenRefusedError(Refusal.DPOP_REQUIRED)
        else:
            if self._proofs is None:
                raise TokenRefusedError(Refusal.BOUND_TO_A_KEY)
            if not credentials.dpop:
                raise TokenRefusedError(Refusal.DPOP_DOWNGRADED)
            self._proofs.check(request, credentials.token, access_token.bound_key)
        if access_token.bound_certificate is not None:
            check_certificate(request, access_token.bound_certificate, self._certificate_header)


def _check_unbound(access_token: AccessToken) -> AccessToken:
    if access_token.is_bound:
        raise TokenRefusedError(Refusal.BOUND_TO_A_KEY)
    return access_token


def _wait(steps: Generator[Future[None], None, AccessToken]) -> AccessToken:
    try:
        while True:
            concurrent.futures.wait([next(steps)], MAX_WAIT)
    except StopIteration as done:
        access_token: AccessToken = done.value
        return access_token


async def _wait_async(steps: Generator[Future[None], None, AccessToken]) -> AccessToken:
    try:
        while True:
            # Not wait_for: it would cancel the fetch that others wait for.
            await asyncio.wait([asyncio.wrap_future(next(steps))], timeout=MAX_WAIT)
    except StopIteration as done:
        access_token: AccessToken = done.value
        return access_token
