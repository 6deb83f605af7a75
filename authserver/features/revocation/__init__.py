"""/revoke: a client gives a token back, and with it all that its grant gave (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.revocation.endpoint import revoke
from authserver.oauth.client_auth import METHODS_OFFERED, SIGNING_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {
        "revocation_endpoint": f"{settings.issuer}/revoke",
        "revocation_endpoint_auth_methods_supported": list(METHODS_OFFERED),
        "revocation_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
    }


FEATURE = Feature(
    name="revocation",
    endpoints=(Endpoint(path="/revoke", methods=frozenset({"POST"}), handler=revoke, cors="clients"),),
    metadata=_metadata,
)
