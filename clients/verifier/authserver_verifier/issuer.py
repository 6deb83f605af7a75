"""Asking the issuer: its metadata (RFC 8414, OpenID Connect Discovery) and its key set (RFC 7517), over HTTP.

Blocking; `key_cache` runs it in a thread of its own. What comes back is checked before anything is trusted.
"""

import ipaddress
import logging
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx2

from authserver_verifier.jwt import parse_object
from authserver_verifier.keys import KeysByName, parse_key_set
from authserver_verifier.refusals import TokenRefusedError

logger = logging.getLogger("authserver_verifier")

TIMEOUT = 3.0
METADATA_LIFETIME = 3600.0
DEFAULT_FRESHNESS = 300.0
MIN_FRESHNESS = 5.0
MAX_FRESHNESS = 3600.0
_MAX_DOCUMENT_BYTES = 65536
_OK, _NOT_MODIFIED, _NOT_FOUND = 200, 304, 404
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_NO_CACHE = re.compile(r"(?:^|[\s,])no-(?:cache|store)(?:$|[\s,=])", re.IGNORECASE)


class IssuerFaultError(Exception):
    """The issuer could not be reached, or what it answered cannot be trusted. The text is for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The issuer's keys as last confirmed, and for how many seconds from then they are fresh."""

    keys: KeysByName
    fresh_for: float
    document: bytes
    etag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the issuer answered: status 200 with a whole document, 304 or 404."""

    status: int
    headers: httpx2.Headers
    body: bytes


def default_http() -> httpx2.Client:
    """An HTTP client that verifies certificates against the system's store and honours the proxy environment."""
    return httpx2.Client(timeout=TIMEOUT)


def loopback_http() -> httpx2.Client:
    """The same for an issuer on this machine, which no proxy can reach."""
    return httpx2.Client(timeout=TIMEOUT, trust_env=False)


def check_url(url: str) -> bool:
    """Tell whether an issuer's URL is on this machine. Raise ValueError where it cannot be one (RFC 8414 §2)."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or "?" in url or "#" in url:
        raise ValueError(f"not the URL of an issuer: {url!r}")
    loopback = _is_loopback(parts.hostname)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError(f"the URL of an issuer begins with https; http is for this machine only: {url!r}")
    return loopback


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Issuer:
    """The issuer as a source of keys. One thread at a time uses it; it remembers metadata, ETag and parsed keys."""

    def __init__(self, url: str, algorithms: Collection[str], http: Callable[[], httpx2.Client] | None) -> None:
        self._url = url
        self._algorithms = algorithms
        self._loopback = check_url(url)
        self._http = http or (loopback_http if self._loopback else default_http)
        self._jwks_uri: str | None = None
        self._metadata_until = 0.0

    def fetch_keys(self, known: KeySet | None, now: float) -> KeySet:
        """Return the issuer's keys as they are now; `keys` is the known object itself where they have not changed.

        The metadata are read again when they are an hour old and after every fault. `now` is monotonic seconds.
        Raises `IssuerFaultError`.
        """
        try:
            with self._http() as client:
                if self._jwks_uri is None or now >= self._metadata_until:
                    self._jwks_uri = self._discover(client)
                    self._metadata_until = now + METADATA_LIFETIME
                return self._read_keys(client, self._jwks_uri, known)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            self._jwks_uri = None
            raise IssuerFaultError(f"{type(error).__name__}: {error}") from error

    def _discover(self, client: httpx2.Client) -> str:
        """Return `jwks_uri` from the metadata, which must name the very issuer that was asked (RFC 8414 §3.3)."""
        parts = urlsplit(self._url)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        answer = _get(client, f"{origin}/.well-known/oauth-authorization-server{path}")
        if answer.status != _OK:
            answer = _get(client, f"{origin}{path}/.well-known/openid-configuration")
        if answer.status != _OK:
            raise ValueError("the issuer has no metadata at its well-known addresses")
        metadata = _parse(answer.body)
        if metadata.get("issuer") != self._url:
            raise ValueError(f"the metadata of {self._url} are those of {metadata.get('issuer')!r}")
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise ValueError("the metadata name no jwks_uri")  # noqa: TRY004  # the document's fault, not a caller's
        if check_url(jwks_uri.partition("?")[0]) and not self._loopback:
            raise ValueError("the jwks_uri is on this machine and the issuer is not")
        return jwks_uri

    def _read_keys(self, client: httpx2.Client, uri: str, known: KeySet | None) -> KeySet:
        answer = _get(client, uri, known.etag if known else None)
        fresh_for = freshness(answer.headers)
        if known and (answer.status == _NOT_MODIFIED or answer.body == known.document):
            return replace(known, fresh_for=fresh_for, etag=answer.headers.get("etag", known.etag))
        if answer.status != _OK:
            raise ValueError(f"the jwks_uri answered with status {answer.status}")
        keys = parse_key_set(answer.body, self._algorithms)
        if not keys:  # that is an answer too: then no token is good
            logger.warning("the key set of %s holds no key that can be used here", self._url)
        return KeySet(keys=keys, fresh_for=fresh_for, document=answer.body, etag=answer.headers.get("etag"))


def freshness(headers: httpx2.Headers) -> float:
    """Return for how many seconds an answer may be used unasked (RFC 9111 §4.2), between 5 s and an hour.

    The floor keeps an answer without any freshness from making one request to the issuer out of each to us.
    """
    cache_control = headers.get("cache-control", "")
    max_age = _MAX_AGE.search(cache_control)
    if _NO_CACHE.search(cache_control):
        seconds = 0.0
    elif max_age is None:
        seconds = DEFAULT_FRESHNESS
    else:
        age = headers.get("age", "0")
        seconds = float(max_age[1]) - (float(age) if age.isascii() and age.isdigit() else 0.0)
    return min(max(seconds, MIN_FRESHNESS), MAX_FRESHNESS)


def _parse(document: bytes) -> dict[str, object]:
    try:
        return parse_object(document)
    except TokenRefusedError:
        raise ValueError("the metadata are not a JSON object") from None


def _get(client: httpx2.Client, url: str, etag: str | None = None) -> _Answer:
    """GET a document of at most 64 KiB, whole within two timeouts; redirects are not followed.

    A compressed answer is refused: it could be a bomb. Raises ValueError or an error of httpx2.
    """
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if etag:
        headers["if-none-match"] = etag
    started = time.monotonic()
    body = bytearray()
    with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        if response.status_code not in {_OK, _NOT_MODIFIED, _NOT_FOUND}:
            raise ValueError(f"{url} answered with status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{url} answers compressed, unasked")
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX_DOCUMENT_BYTES or time.monotonic() - started > 2 * TIMEOUT:
                raise ValueError(f"{url} answers too much or too slowly")
        return _Answer(status=response.status_code, headers=response.headers, body=bytes(body))
