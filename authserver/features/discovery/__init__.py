"""What anybody may know of this issuer: its metadata and its public keys (OIDC Discovery §4, RFC 8414 §3, RFC 7517)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature, Link
from authserver.language import N_
from authserver.web.answers import Answer, has_already

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.settings import Settings


async def metadata(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer both well-known addresses with the one document (OIDC Discovery §4.2, RFC 8414 §3.2)."""
    body = json.dumps(call.services.metadata, indent=1).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _cacheable(call, body, "application/json", etag, max_age=300)


async def jwks(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer with every key a token may be signed with now or soon, from memory (DESIGN §7)."""
    published = call.services.live.keyring.jwks(call.now, age=call.services.directory.age)
    return _cacheable(call, published.body, "application/jwk-set+json", published.etag, int(published.max_age))


def _cacheable(call: Call, body: bytes, media_type: str, etag: str, max_age: int) -> Answer:
    """Return a public document, or 304 where the reader has it already (RFC 9110 §13.1.2)."""
    headers = (("etag", etag), ("cache-control", f"public, max-age={max_age}"))
    if has_already(call.facts.header(b"if-none-match"), etag):
        return Answer(status=304, headers=headers)
    return Answer(headers=(("content-type", media_type), ("x-content-type-options", "nosniff"), *headers), body=body)


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {"jwks_uri": f"{settings.issuer}/jwks"}


_GET = frozenset({"GET"})
FEATURE = Feature(
    name="discovery",
    endpoints=(
        Endpoint(path="/.well-known/openid-configuration", methods=_GET, handler=metadata, cors="public"),
        Endpoint(path="/.well-known/oauth-authorization-server", methods=_GET, handler=metadata, cors="public"),
        Endpoint(path="/jwks", methods=_GET, handler=jwks, cors="public"),
        Endpoint(path="/.well-known/jwks.json", methods=_GET, handler=jwks, cors="public"),
    ),
    metadata=_metadata,
    developer_links=(
        Link(label=N_("Discovery"), path="/.well-known/openid-configuration"),
        Link(label=N_("Keys (JWKS)"), path="/jwks"),
    ),
)
