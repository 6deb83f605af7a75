"""GET, PUT and DELETE /register/{client_id}: a client looks after its own registration (RFC 7592 §2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from authserver.features.registration.document import (
    make_known,
    read_bearer,
    read_metadata,
    record,
    refuse_token,
    respond,
    strangers_policy,
)
from authserver.oauth.client_members import parse_document, refuse_member
from authserver.oauth.client_metadata import update_client
from authserver.operations.client_credentials import fit_secrets, is_live
from authserver.sealing.opaque import Prefix, hash_secret, is_secret, new_secret
from authserver.store import clients, grants, state
from authserver.web.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx

REASON: Final = "client_deleted"

# What the server alone says of a client (RFC 7592 §2.2).
_SERVERS_OWN: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


async def manage(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer whoever holds the registration access token of the client that the path names; 401 for anybody else."""
    token = read_bearer(call)
    async with call.services.engine.read() as tx:  # unlocked: a stranger with a wrong token holds nobody up
        client = await _load(tx, call.facts.path_parameter, token)
    if call.facts.method == "PUT":
        return await _replace(call, client.client_id, token)
    if call.facts.method == "DELETE":
        return await _delete(call, client.client_id, token)
    return respond(call, client, registration_access_token=token)  # the hash is all we keep; the sender has it anyway


async def _replace(call: Call, client_id: str, token: str) -> Answer:
    """Replace all metadata, and the token that it was done with (RFC 7592 §2.2)."""
    document = parse_document(call.facts.body)
    policy = strangers_policy(call.services)
    metadata = read_metadata(document, policy)
    new_token = new_secret(Prefix.REGISTRATION_ACCESS_TOKEN)
    async with call.services.engine.begin() as tx:
        client = await _lock(tx, client_id, token)
        now = await tx.now()
        _check_own_members(document, client, now)
        updated = replace(
            update_client(client, metadata, policy, now=now), registration_token_hash=hash_secret(new_token)
        )
        updated, client_secret = fit_secrets(updated, now)
        await clients.update(tx, updated)
        await record(call, tx, "client_updated", updated)
    await make_known(call)
    return respond(call, updated, registration_access_token=new_token, client_secret=client_secret)


async def _delete(call: Call, client_id: str, token: str) -> Answer:
    """End the client, its secrets and what its users gave it (§2.3). The row first, then the grants (DESIGN §3)."""
    async with call.services.engine.begin() as tx:
        client = await _lock(tx, client_id, token)
        await clients.mark_deleted(tx, client_id, await tx.now())
        revoked = await grants.revoke_of_client(tx, client_id, REASON)
        await record(call, tx, "client_deleted", client, grants_revoked=revoked)
    await make_known(call)
    return Answer(status=204, log={"client": client_id})


async def _lock(tx: Tx, client_id: str, token: str) -> Client:
    """Return the client while nobody else can change it: of two requests with one token, the second finds it changed.

    Every change of a client moves the version row, so holding that row holds them all.
    """
    await state.bump(tx)
    return await _load(tx, client_id, token)


async def _load(tx: Tx, client_id: str, token: str) -> Client:
    """Return the client that this token is for. An unknown and a deleted client answer alike (§2.1)."""
    client = await clients.get(tx, client_id)
    if client is None or not client.is_active or client.registration_token_hash is None:
        raise refuse_token("the registration access token is not this client's")
    if not is_secret(token, client.registration_token_hash):
        raise refuse_token("the registration access token is not this client's")
    return client


def _check_own_members(document: Mapping[str, object], client: Client, now: datetime) -> None:
    """Hold what the client says of itself against what it is (§2.2)."""
    if document.get("client_id") != client.client_id:
        refuse_member("client_id", "must be sent, and be this client's")
    for name in _SERVERS_OWN:
        if name in document:
            refuse_member(name, "is the server's to say; leave it out")
    sent = document.get("client_secret")
    if sent is None:
        return
    living = [secret.secret_hash for secret in client.secrets if is_live(secret, now)]
    if not isinstance(sent, str) or not any(is_secret(sent, secret_hash) for secret_hash in living):
        refuse_member("client_secret", "is not the client's; the server chooses it")
