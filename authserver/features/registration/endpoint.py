"""POST /register: a client describes itself and becomes one of ours (RFC 7591 §3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from authserver.features.registration.document import (
    make_known,
    read_bearer,
    read_metadata,
    record,
    refuse_token,
    respond,
    strangers_policy,
)
from authserver.oauth.client_metadata import build_client
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.operations.client_credentials import fit_secrets, make_client_id
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.settings import ClientRegistration, SignUp
from authserver.steps import limiter
from authserver.store import clients, registration_tokens
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer


async def register(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer POST /register. Whatever is refused is refused before anything is written, a token's use included.

    A person who looks for a form here is sent to the one that makes an account.
    """
    if call.facts.method != "POST":
        return _send_people_on(call)
    initial_token = _read_initial_access_token(call)
    registration_token = new_secret(Prefix.REGISTRATION_ACCESS_TOKEN)
    policy = strangers_policy(call.services)
    client = build_client(
        read_metadata(call.facts.body, policy),
        policy,
        client_id=make_client_id(),
        now=call.now,
        self_registered=initial_token is None,
        registration_token_hash=hash_secret(registration_token),
    )
    async with call.services.engine.begin() as tx:
        await _admit(call, tx, initial_token)
        now = await tx.now()
        client, client_secret = fit_secrets(replace(client, created_at=now, updated_at=now), now)
        await clients.add(tx, client)
        vouched_for = "nobody" if initial_token is None else "initial access token"
        await record(call, tx, "client_registered", client, vouched_for=vouched_for)
    await make_known(call)
    return respond(call, client, registration_access_token=registration_token, client_secret=client_secret, status=201)


def _send_people_on(call: Call) -> Answer:
    if call.services.settings.sign_up is not SignUp.OFF:
        return redirect_answer("/signup")
    raise OAuthError(
        ErrorCode.INVALID_REQUEST,
        "this endpoint answers POST",
        Refusal.METHOD_NOT_ALLOWED,
        status=405,
        headers=(("allow", "POST"),),
    )


def _read_initial_access_token(call: Call) -> str | None:
    """Return the token that vouches for the client; None where anybody may come and this one came without."""
    anybody_may = call.services.settings.client_registration is ClientRegistration.OPEN
    if anybody_may and call.facts.header(b"authorization") is None:
        return None
    return read_bearer(call)


async def _admit(call: Call, tx: Tx, initial_token: str | None) -> None:
    """Spend one use of the token, or one of the address's hourly registrations (RFC 7591 §5)."""
    if initial_token is None:
        scale = call.services.settings.address_limit_scale
        await limiter.reserve_registration(tx, call.facts.address, scale)
    elif not await registration_tokens.spend(tx, hash_secret(initial_token)):
        raise refuse_token("the initial access token is unknown, used up or expired")
