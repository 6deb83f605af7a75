"""Proofs that a client holds the key that its token is bound to (RFC 9449 §4.3 and §7.1)."""

import hmac
import math
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from urllib.parse import unquote, urlsplit

from authserver_verifier.claims import parse_seconds
from authserver_verifier.jwt import MAX_TOKEN_BYTES, decode_segment, parse_object, split_token
from authserver_verifier.keys import VerificationKey, parse_proof_key
from authserver_verifier.refusals import Refusal, TokenRefusedError
from authserver_verifier.request import ProtectedRequest

PROOF_LIFETIME = 60.0
NONCE_LIFETIME = 300.0
MAX_PROOFS = 100_000
_TYPE = "dpop+jwt"
_DEFAULT_PORTS = {"http": 80, "https": 443}

ClaimProof = Callable[[str, float], bool]


class ProofMemory:
    """The proofs that this process has seen, each until it is too old to be taken anyway; bounded.

    When it is full, the oldest goes, and proofs made up to then (`forgotten_until`, Unix seconds) are too old from now
    on: no flood brings a used proof back.
    """

    def __init__(self, clock: Callable[[], float], leeway: float, size: int = MAX_PROOFS) -> None:
        self.forgotten_until = -math.inf
        self._clock = clock
        self._leeway = leeway
        self._size = size
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def claim(self, key: str, lifetime: float) -> bool:
        """Tell whether this is the first time the key is seen in `lifetime` seconds."""
        with self._lock:
            now = self._clock()
            while self._seen and next(iter(self._seen.values())) <= now:
                self._seen.popitem(last=False)
            if key in self._seen:
                return False
            if len(self._seen) >= self._size:
                _, over_at = self._seen.popitem(last=False)
                seen_at = over_at - lifetime
                self.forgotten_until = max(self.forgotten_until, seen_at + self._leeway)
            self._seen[key] = now + lifetime
            return True


class Nonces:
    """Nonces that say when they were made and that only this API can have made (RFC 9449 §9); none is stored.

    Processes that share `key` (32 bytes) take each other's.
    """

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock

    def mint(self) -> str:
        """Return a nonce that is good for five minutes."""
        return self._sign(int(self._clock()))

    def is_good(self, nonce: object) -> bool:
        """Tell whether the nonce is ours and not older than five minutes."""
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        made, _, _ = nonce.partition(".")
        if not made.isdigit() or len(made) > len("9999999999"):
            return False
        genuine = hmac.compare_digest(nonce, self._sign(int(made)))
        return genuine and self._clock() - int(made) < NONCE_LIFETIME

    def _sign(self, made: int) -> str:
        mac = hmac.digest(self._key, b"dpop-nonce %d" % made, "sha256")
        return f"{made}.{urlsafe_b64encode(mac[:18]).decode()}"


class ProofChecker:
    """Checks the proof of a request against the key that the token names.

    `origin` is the scheme, host and port that clients use for this API, `prefix` a path that a proxy takes away before
    the request gets here. `claim` takes a string and the seconds to keep
    it, and tells whether it is new: for several processes something that they share.
    """

    def __init__(
        self,
        origin: str,
        algorithms: frozenset[str],
        *,
        leeway: float,
        prefix: str = "",
        clock: Callable[[], float] = time.time,
        claim: ClaimProof | None = None,
        nonce_key: bytes | None = None,
    ) -> None:
        self._origin = normalize_origin(origin)
        self._prefix = prefix
        self._algorithms = algorithms
        self._leeway = leeway
        self._clock = clock
        self._memory = ProofMemory(clock, leeway)
        self._claim = claim or self._memory.claim
        self._nonces = Nonces(nonce_key, clock) if nonce_key is not None else None

    def check(self, request: ProtectedRequest, token: str, thumbprint: str) -> None:
        """Refuse unless the request carries one good and new proof for this token by the key of this thumbprint."""
        proof = _find_proof(request)
        key, actual, payload, signing_input, signature = self._parse(proof)
        if not hmac.compare_digest(actual, thumbprint):  # first: a stranger's key is not worth computing with
            raise TokenRefusedError(Refusal.DPOP_KEY_WRONG)
        if not key.verifies(signing_input, signature):
            raise TokenRefusedError(Refusal.DPOP_SIGNATURE_WRONG)
        claims = _parse_claims(payload)
        if claims.get("htm") != request.method:
            raise TokenRefusedError(Refusal.DPOP_METHOD_WRONG)
        if not self._is_for(claims.get("htu"), request.path):
            raise TokenRefusedError(Refusal.DPOP_URL_WRONG)
        digest = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
        if claims.get("ath") != digest:
            raise TokenRefusedError(Refusal.DPOP_TOKEN_WRONG)
        self._check_freshness(claims, actual)

    def _parse(self, proof: bytes) -> tuple[VerificationKey, str, bytes, bytes, bytes]:
        """Return key, thumbprint, payload, signing input and signature of a proof."""
        try:
            signing_input, header, payload, signature = split_token(proof)
            key, thumbprint = _parse_header(header, self._algorithms)
            return key, thumbprint, decode_segment(payload), signing_input, decode_segment(signature)
        except (TokenRefusedError, ValueError):
            raise TokenRefusedError(Refusal.DPOP_PROOF_MALFORMED) from None

    def _is_for(self, url: object, path: str) -> bool:
        """Compare `htu` with the request's URL, without query and fragment (RFC 9449 §4.3, RFC 3986 §6.2)."""
        if not isinstance(url, str):
            return False
        try:
            named = unquote(urlsplit(url).path) or "/"
            return normalize_origin(url) == self._origin and named == ((self._prefix + path) or "/")
        except ValueError:
            return False

    def _check_freshness(self, claims: Mapping[str, object], thumbprint: str) -> None:
        """Refuse a proof of another time, without our nonce, or seen before; the last thing, as it is remembered."""
        try:
            issued_at = parse_seconds(claims, "iat")
        except TokenRefusedError:
            raise TokenRefusedError(Refusal.DPOP_PROOF_MALFORMED) from None
        identifier = claims.get("jti")
        if not isinstance(identifier, str) or not identifier:
            raise TokenRefusedError(Refusal.DPOP_PROOF_MALFORMED)
        if self._nonces and not self._nonces.is_good(claims.get("nonce")):
            raise TokenRefusedError(Refusal.DPOP_NONCE_NEEDED, nonce=self._nonces.mint())
        now = self._clock()
        is_recent = now - PROOF_LIFETIME - self._leeway <= issued_at <= now + self._leeway
        if not is_recent or issued_at <= self._memory.forgotten_until:
            raise TokenRefusedError(Refusal.DPOP_TIME_WRONG)
        digest = sha256(f"{thumbprint} {identifier}".encode("utf-8", "surrogatepass")).hexdigest()
        if not self._claim(digest, PROOF_LIFETIME + 2 * self._leeway):
            raise TokenRefusedError(Refusal.DPOP_REPLAYED)


def normalize_origin(url: str) -> str:
    """Return scheme, host and port of a URL as they are compared: in lower case, the default port left out.

    Raises ValueError where it has none.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        raise ValueError(f"not an http or https URL: {url!r}")
    port = parts.port or _DEFAULT_PORTS[scheme]
    return f"{scheme}://{parts.hostname}:{port}"


def _find_proof(request: ProtectedRequest) -> bytes:
    proofs = request.values(b"dpop")
    if not proofs:
        raise TokenRefusedError(Refusal.DPOP_PROOF_MISSING)
    if len(proofs) > 1 or b"," in proofs[0]:  # WSGI joins two headers with a comma
        raise TokenRefusedError(Refusal.DPOP_PROOF_REPEATED)
    if len(proofs[0]) > MAX_TOKEN_BYTES:
        raise TokenRefusedError(Refusal.DPOP_PROOF_MALFORMED)
    return proofs[0]


@lru_cache(maxsize=1024)  # a client's header is the same each time: its key is parsed once
def _parse_header(segment: bytes, algorithms: frozenset[str]) -> tuple[VerificationKey, str]:
    header = parse_object(decode_segment(segment))
    algorithm = header.get("alg")
    if header.get("typ") != _TYPE or "crit" in header or not isinstance(algorithm, str) or algorithm not in algorithms:
        raise ValueError("not a proof that is taken here")
    return parse_proof_key(header.get("jwk"), algorithm)


def _parse_claims(payload: bytes) -> dict[str, object]:
    try:
        return parse_object(payload)
    except TokenRefusedError:
        raise TokenRefusedError(Refusal.DPOP_PROOF_MALFORMED) from None
