"""POST /token: every grant type proves, one issuer issues (RFC 6749 §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.token.authorization_code import AuthorizationCodeGrant
from authserver.features.token.client_credentials import ClientCredentialsGrant
from authserver.features.token.endpoint import token
from authserver.features.token.refresh_token import RefreshTokenGrant
from authserver.oauth.claims import ID_TOKEN_CLAIMS
from authserver.oauth.client_auth import METHODS_OFFERED, SIGNING_ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {
        "token_endpoint": f"{settings.issuer}/token",
        "token_endpoint_auth_methods_supported": list(METHODS_OFFERED),
        "token_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "claims_supported": list(ID_TOKEN_CLAIMS),
    }


FEATURE = Feature(
    name="token",
    endpoints=(Endpoint(path="/token", methods=frozenset({"POST"}), handler=token, cors="clients"),),
    grant_types=(AuthorizationCodeGrant(), RefreshTokenGrant(), ClientCredentialsGrant()),
    metadata=_metadata,
)
