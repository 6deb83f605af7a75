"""What an endpoint answers, and the few shapes answers have on the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.oauth.errors import OAuthError

NO_STORE: Final = (("cache-control", "no-store"), ("pragma", "no-cache"))
_JSON: Final = ("content-type", "application/json")
_NO_SNIFF: Final = ("x-content-type-options", "nosniff")
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode  # json.dumps makes one each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status, headers and body as they will be sent.

    ``log`` holds what the request's one log event says beside the edge's own facts: client, grant, user; never a
    secret. Header names are lower case.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = NO_STORE
    body: bytes = b""
    log: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, *headers: tuple[str, str]) -> Answer:
        """Return the same answer with more headers (cookies, a nonce)."""
        return replace(self, headers=(*self.headers, *headers))

    def with_refusal(self, error: OAuthError) -> Answer:
        """Return the same answer with the refusal's headers, and the rule that fired in the log."""
        cause = {"cause": str(error.__cause__)[:200]} if error.__cause__ is not None else {}
        log = {**self.log, "refusal": error.refusal.value, **cause}
        return replace(self, headers=(*self.headers, *error.headers), log=log)


def has_already(if_none_match: str | None, etag: str) -> bool:
    """Tell whether a reader has the document with this ETag (RFC 9110 §13.1.2); the answer is then a 304.

    >>> [has_already(tags, '"a"') for tags in ('"b", W/"a"', "*", '"b"', None)]
    [True, True, False, False]
    """
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in known or "*" in known


def json_answer(
    document: Mapping[str, object],
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = NO_STORE,
    log: Mapping[str, str] | None = None,
) -> Answer:
    """Return a JSON document that nobody may cache, unless ``headers`` say otherwise."""
    body = _encode(document).encode()
    return Answer(status=status, headers=(_JSON, _NO_SNIFF, *headers), body=body, log=log or {})


def redirect_answer(location: str, *headers: tuple[str, str], log: Mapping[str, str] | None = None) -> Answer:
    """Return a 303, the only redirect that never repeats a POST's body (RFC 9700 §4.12)."""
    return Answer(
        status=303,
        headers=(("location", location), *NO_STORE, ("referrer-policy", "no-referrer"), *headers),
        log=log or {},
    )


def error_answer(error: OAuthError, request_id: str) -> Answer:
    """Return the wire form of a refusal (RFC 6749 §5.2)."""
    document = {"error": error.error.value, "error_description": error.description, "request_id": request_id}
    return json_answer(document, status=error.status, headers=(*NO_STORE, *error.headers))
