"""/introspect: whether a token is good at this moment, for those it concerns (RFC 7662)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.introspection.endpoint import introspect
from authserver.oauth.client_auth import METHODS_OFFERED, SIGNING_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {
        "introspection_endpoint": f"{settings.issuer}/introspect",
        "introspection_endpoint_auth_methods_supported": [method for method in METHODS_OFFERED if method != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
    }


FEATURE = Feature(
    name="introspection",
    endpoints=(Endpoint(path="/introspect", methods=frozenset({"POST"}), handler=introspect),),
    metadata=_metadata,
)
