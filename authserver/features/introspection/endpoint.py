"""POST /introspect (RFC 7662 §2, RFC 9701 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.jose.jwt import ACCESS_TOKEN_ALG, sign
from authserver.oauth.introspection import (
    DEFAULT_SIGNED_RESPONSE_ALG,
    INACTIVE,
    build_access_token_response,
    build_refresh_token_response,
    build_signed_claims,
    check_caller,
    may_ask,
    narrow,
)
from authserver.oauth.refresh_rules import PresentedToken, RefreshAllowed, decide_refresh
from authserver.sealing.opaque import hash_secret
from authserver.steps.client_auth import authenticate_client, spend_proof
from authserver.steps.lifetimes import refresh_terms
from authserver.steps.own_tokens import is_token_live, read_access_token
from authserver.web.accept import liking
from authserver.web.answers import NO_STORE, Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.sealing.refresh_token import RefreshToken

SIGNED_TYPE: Final = "token-introspection+jwt"
MEDIA_TYPE: Final = f"application/{SIGNED_TYPE}"


async def introspect(call: Call, form: Params) -> Answer:
    """Tell a caller about a token that concerns it; of any other it learns ``active: false`` and nothing else (§2.2).

    ``token_type_hint`` is only a hint (§2.1): what a token is shows in its spelling. Whoever asks for
    ``application/token-introspection+jwt`` gets the same in a JWT signed for it (RFC 9701 §5).
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
    if not _wants_jwt(call):
        return json_answer(document, log=log)
    headers = (("content-type", MEDIA_TYPE), ("x-content-type-options", "nosniff"), *NO_STORE)
    return Answer(headers=headers, body=_sign(call, caller.client, document), log=log)


def _wants_jwt(call: Call) -> bool:
    """Tell whether the signed response was asked for by name, and JSON not rather than it (RFC 9701 §4)."""
    accept = call.facts.header(b"accept")
    if accept is None or SIGNED_TYPE not in accept.lower():  # what nearly everybody sends
        return False
    signed = liking(accept, MEDIA_TYPE)
    return signed.by_name and signed.weight > 0 and signed.weight >= liking(accept, "application/json").weight


def _sign(call: Call, caller: Client, document: Mapping[str, object]) -> bytes:
    keyring = call.services.live.keyring
    claims = build_signed_claims(
        document, issuer=call.services.settings.issuer, audience=caller.client_id, now=call.now
    )
    alg = caller.introspection_signed_response_alg or DEFAULT_SIGNED_RESPONSE_ALG
    if alg not in keyring.algorithms:  # an installation without RSA keys, or one whose ring was given up
        alg = ACCESS_TOKEN_ALG
    return sign(keyring, claims, alg=alg, typ=SIGNED_TYPE, now=call.now).encode("ascii")


async def _about_access_token(call: Call, caller: Client, token: str) -> Mapping[str, object]:
    claims = read_access_token(call, token)
    if claims is None or not may_ask(caller, claims):
        return INACTIVE
    live, _ = await is_token_live(call, claims)
    if not live:
        return INACTIVE
    return build_access_token_response(narrow(claims, caller, call.services.directory.resources))


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
