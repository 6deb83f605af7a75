"""The one place where tokens are signed and the token response is built. Stores nothing: it runs after the commit."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from authserver.jose.jwt import ID_TOKEN_TYPE, sign, sign_access_token
from authserver.oauth.claims import JTI_ENTROPY_BYTES, build_access_token_claims, build_id_token_claims
from authserver.oauth.scope import OPENID, join_scope
from authserver.steps.lifetimes import id_token_lifetime
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.values import Authorization, Client
    from authserver.web.answers import Answer


def issue(call: Call, client: Client, authorization: Authorization, grant_type: str) -> Answer:
    """Return the token response (RFC 6749 §5.1, OIDC Core §3.1.3.3); ``expires_in`` counts from ``call.now``."""
    return json_answer(sign_tokens(call, client, authorization), log=log_of(client, authorization, grant_type))


def sign_tokens(call: Call, client: Client, authorization: Authorization) -> dict[str, object]:
    """Return the members of a token response."""
    access_token = sign_access_token(
        call.services.live.keyring,
        build_access_token_claims(
            authorization,
            issuer=call.services.settings.issuer,
            client_id=client.client_id,
            now=call.now,
            entropy=secrets.token_bytes(JTI_ENTROPY_BYTES),
        ),
        now=call.now,
    )
    document: dict[str, object] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(authorization.access_token_lifetime.total_seconds()),
        "scope": join_scope(authorization.scope),
    }
    if authorization.refresh_token is not None:
        document["refresh_token"] = authorization.refresh_token
    if OPENID in authorization.scope and authorization.user is not None:
        document["id_token"] = _id_token(call, client, authorization, access_token)
    return document


def log_of(client: Client, authorization: Authorization, grant_type: str) -> dict[str, str]:
    """Return what the request's log event says of tokens that were issued."""
    log = {"client": client.client_id, "grant_type": grant_type}
    if authorization.grant_id is not None:
        log["grant"] = str(authorization.grant_id)
    return log


def _id_token(call: Call, client: Client, authorization: Authorization, access_token: str) -> str:
    alg = client.id_token_signed_response_alg
    claims = build_id_token_claims(
        authorization,
        issuer=call.services.settings.issuer,
        client_id=client.client_id,
        lifetime=id_token_lifetime(call.services.settings, client),
        now=call.now,
        access_token=access_token,
        alg=alg,
    )
    return sign(call.services.live.keyring, claims, alg=alg, typ=ID_TOKEN_TYPE, now=call.now)
