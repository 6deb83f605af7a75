"""/end_session: an app asks that its user be signed out (OpenID Connect RP-Initiated Logout)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.end_session.page import end_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {
        "end_session_endpoint": f"{settings.issuer}/end_session",
        "backchannel_logout_supported": True,  # OpenID Connect Back-Channel Logout §2.1
        "backchannel_logout_session_supported": True,
    }


FEATURE = Feature(
    name="end_session",
    endpoints=(Endpoint(path="/end_session", methods=frozenset({"GET", "POST"}), handler=end_session, errors="page"),),
    metadata=_metadata,
)
