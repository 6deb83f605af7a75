"""POST /introspect (RFC 7662 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.introspection import (
    INACTIVE,
    build_access_token_response,
    build_refresh_token_response,
    check_caller,
    may_ask,
)
from authserver.oauth.refresh_rules import PresentedToken, RefreshAllowed, decide_refresh
from authserver.sealing.opaque import hash_secret
from authserver.steps.client_auth import authenticate_client, spend_proof
from authserver.steps.lifetimes import refresh_terms
from authserver.steps.own_tokens import is_token_live, read_access_token
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.sealing.refresh_token import RefreshToken
    from authserver.web.answers import Answer


async def introspect(call: Call, form: Params) -> Answer:
    """Tell a caller about a token that concerns it; of any other it learns ``active: false`` and nothing else (§2.2).

    ``token_type_hint`` is only a hint (§2.1): what a token is shows in its spelling.
    """
    form.check_none_repeated()
    caller = await authenticate_client(call, form, required=True)
    check_caller(caller.client)
    token = form.require("token")
    await spend_proof(call, caller)
    refresh_token = call.services.refresh_tokens.open(token)
    if refresh_token is not None:
        document = await _about_refresh_token(call, caller.client, refresh_token)
    else:
        document = await _about_access_token(call, caller.client, token)
    log = {"client": caller.client.client_id, "active": str(document["active"]).lower()}
    return json_answer(document, log=log)


async def _about_access_token(call: Call, caller: Client, token: str) -> Mapping[str, object]:
    claims = read_access_token(call, token)
    if claims is None or not may_ask(caller, claims):
        return INACTIVE
    live, _ = await is_token_live(call, claims)
    return build_access_token_response(claims) if live else INACTIVE


async def _about_refresh_token(call: Call, caller: Client, token: RefreshToken) -> Mapping[str, object]:
    """Ask the refresh rule what would happen now, and change nothing: asking is no use of the token."""
    found = await call.services.grant_batches.find(token.grant_id)
    if found is None or found.user is None or not found.user.is_active:
        return INACTIVE
    terms = refresh_terms(call.services.settings, caller)
    decision = decide_refresh(
        PresentedToken(secret_hash=hash_secret(token.secret), generation=token.generation, issued_at=token.issued_at),
        found.grant,
        client_id=caller.client_id,
        bound_key=found.grant.bound_key,
        terms=terms,
        now=found.now,
    )
    if not isinstance(decision, RefreshAllowed):
        return INACTIVE
    return build_refresh_token_response(
        found.grant,
        issuer=call.services.settings.issuer,
        issued_at=token.issued_at,
        expires_at=min(found.grant.expires_at, found.grant.rotated_at + terms.idle),
    )
