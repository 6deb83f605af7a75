"""/authorize: an authorization request becomes a code, by way of whatever steps the user owes (RFC 6749 §4.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.authorize.endpoint import authorize, resume
from authserver.oauth.authorization_request import PROMPTS_OFFERED
from authserver.oauth.scope import OIDC_SCOPES
from authserver.oauth.second_factor_rules import OFFERED_ACRS
from authserver.oauth.values import Prompt, ResponseMode
from authserver.settings import SignUp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {
        "authorization_endpoint": f"{settings.issuer}/authorize",
        "response_types_supported": ["code"],
        "response_modes_supported": [mode.value for mode in ResponseMode],
        "prompt_values_supported": [
            word for word in PROMPTS_OFFERED if word != Prompt.CREATE or settings.sign_up is not SignUp.OFF
        ],
        "scopes_supported": sorted(OIDC_SCOPES),
        "acr_values_supported": list(OFFERED_ACRS),
        "grant_types_supported": ["authorization_code"],
    }


FEATURE = Feature(
    name="authorize",
    endpoints=(
        Endpoint(path="/authorize", methods=frozenset({"GET", "POST"}), handler=authorize, errors="page"),
        Endpoint(path="/authorize/*", methods=frozenset({"GET"}), handler=resume, errors="page"),
    ),
    metadata=_metadata,
)
