"""Which tokens have been revoked before their end, for all resource servers (draft-ietf-oauth-status-list-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.status_list.endpoint import aggregation, status_list
from authserver.oauth.status_list import aggregation_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {"status_list_aggregation_endpoint": aggregation_uri(settings.issuer)}


_GET = frozenset({"GET"})
FEATURE = Feature(
    name="status_list",
    endpoints=(
        Endpoint(path="/status", methods=_GET, handler=aggregation, cors="public"),
        Endpoint(path="/status/*", methods=_GET, handler=status_list, cors="public"),
    ),
    metadata=_metadata,
)
