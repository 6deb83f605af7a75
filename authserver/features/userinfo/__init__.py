"""/userinfo: what the user's scopes let an app know of them (OIDC Core §5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.userinfo.endpoint import userinfo
from authserver.oauth.scope import SCOPE_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    claims = dict.fromkeys(claim for names in SCOPE_CLAIMS.values() for claim in names)
    return {"userinfo_endpoint": f"{settings.issuer}/userinfo", "claims_supported": list(claims)}


FEATURE = Feature(
    name="userinfo",
    endpoints=(Endpoint(path="/userinfo", methods=frozenset({"GET", "POST"}), handler=userinfo, cors="clients"),),
    metadata=_metadata,
)
