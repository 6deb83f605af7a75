"""Getting a document of the issuer over HTTP: bounded in size and time, never redirected."""

import ipaddress
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

TIMEOUT = 3.0
DEFAULT_FRESHNESS = 300.0
MIN_FRESHNESS = 5.0
MAX_FRESHNESS = 3600.0
MAX_DOCUMENT_BYTES = 65536
OK, NOT_MODIFIED, NOT_FOUND = 200, 304, 404
FAULTS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError)
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_NO_CACHE = re.compile(r"(?:^|[\s,])no-(?:cache|store)(?:$|[\s,=])", re.IGNORECASE)


class IssuerFaultError(Exception):
    """The issuer could not be reached, or what it answered cannot be trusted. The text is for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
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


def get_document(
    client: httpx2.Client,
    url: str,
    etag: str | None = None,
    *,
    accept: str = "application/json",
    limit: int = MAX_DOCUMENT_BYTES,
) -> Document:
    """GET a document of at most `limit` bytes, whole within two timeouts; redirects are not followed.

    A compressed answer is refused: it could be a bomb. Raises ValueError or another of `FAULTS`.
    """
    headers = {"accept": accept, "accept-encoding": "identity"}
    if etag:
        headers["if-none-match"] = etag
    started = time.monotonic()
    body = bytearray()
    with client.stream("GET", url, headers=headers, follow_redirects=False) as response:
        if response.status_code not in {OK, NOT_MODIFIED, NOT_FOUND}:
            raise ValueError(f"{url} answered with status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{url} answers compressed, unasked")
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit or time.monotonic() - started > 2 * TIMEOUT:
                raise ValueError(f"{url} answers too much or too slowly")
        return Document(status=response.status_code, headers=response.headers, body=bytes(body))


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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
