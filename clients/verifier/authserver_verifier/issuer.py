"""Asking the issuer: its metadata (RFC 8414, OpenID Connect Discovery) and its key set (RFC 7517), over HTTP.

Blocking; `key_cache` runs it in a thread of its own. What comes back is checked before anything is trusted.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx2

from authserver_verifier.documents import (
    FAULTS,
    NOT_MODIFIED,
    OK,
    IssuerFaultError,
    check_url,
    default_http,
    freshness,
    get_document,
    loopback_http,
)
from authserver_verifier.jwt import parse_object
from authserver_verifier.keys import KeysByName, parse_key_set
from authserver_verifier.refusals import TokenRefusedError

logger = logging.getLogger("authserver_verifier")

METADATA_LIFETIME = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The issuer's keys as last confirmed, and for how many seconds from then they are fresh."""

    keys: KeysByName
    fresh_for: float
    document: bytes
    etag: str | None


class Issuer:
    """The issuer as a source of keys. One thread at a time asks for keys; it remembers metadata, ETag and parsed keys.

    `url` is the issuer's, `origin` its scheme, host and port; `open` makes the client for one fetch.
    """

    def __init__(self, url: str, algorithms: Collection[str], http: Callable[[], httpx2.Client] | None) -> None:
        self.url = url
        self._algorithms = algorithms
        self._loopback = check_url(url)
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.open = http or (loopback_http if self._loopback else default_http)
        self._jwks_uri: str | None = None
        self._metadata_until = 0.0

    def fetch_keys(self, known: KeySet | None, now: float) -> KeySet:
        """Return the issuer's keys as they are now; `keys` is the known object itself where they have not changed.

        The metadata are read again when they are an hour old and after every fault. `now` is monotonic seconds.
        Raises `IssuerFaultError`.
        """
        try:
            with self.open() as client:
                if self._jwks_uri is None or now >= self._metadata_until:
                    self._jwks_uri = self._discover(client)
                    self._metadata_until = now + METADATA_LIFETIME
                return self._read_keys(client, self._jwks_uri, known)
        except FAULTS as error:
            self._jwks_uri = None
            raise IssuerFaultError(f"{type(error).__name__}: {error}") from error

    def _discover(self, client: httpx2.Client) -> str:
        """Return `jwks_uri` from the metadata, which must name the very issuer that was asked (RFC 8414 §3.3)."""
        path = urlsplit(self.url).path.rstrip("/")
        answer = get_document(client, f"{self.origin}/.well-known/oauth-authorization-server{path}")
        if answer.status != OK:
            answer = get_document(client, f"{self.origin}{path}/.well-known/openid-configuration")
        if answer.status != OK:
            raise ValueError("the issuer has no metadata at its well-known addresses")
        metadata = _parse(answer.body)
        if metadata.get("issuer") != self.url:
            raise ValueError(f"the metadata of {self.url} are those of {metadata.get('issuer')!r}")
        jwks_uri = metadata.get("jwks_uri")
        if not isinstance(jwks_uri, str):
            raise ValueError("the metadata name no jwks_uri")  # noqa: TRY004  # the document's fault, not a caller's
        if check_url(jwks_uri.partition("?")[0]) and not self._loopback:
            raise ValueError("the jwks_uri is on this machine and the issuer is not")
        return jwks_uri

    def _read_keys(self, client: httpx2.Client, uri: str, known: KeySet | None) -> KeySet:
        answer = get_document(client, uri, known.etag if known else None)
        fresh_for = freshness(answer.headers)
        if known and (answer.status == NOT_MODIFIED or answer.body == known.document):
            return replace(known, fresh_for=fresh_for, etag=answer.headers.get("etag", known.etag))
        if answer.status != OK:
            raise ValueError(f"the jwks_uri answered with status {answer.status}")
        keys = parse_key_set(answer.body, self._algorithms)
        if not keys:  # that is an answer too: then no token is good
            logger.warning("the key set of %s holds no key that can be used here", self.url)
        return KeySet(keys=keys, fresh_for=fresh_for, document=answer.body, etag=answer.headers.get("etag"))


def _parse(document: bytes) -> dict[str, object]:
    try:
        return parse_object(document)
    except TokenRefusedError:
        raise ValueError("the metadata are not a JSON object") from None
