"""Which client is calling, proven: the I/O around ``oauth.client_auth`` (RFC 6749 §2.3, RFC 7523)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from authserver.feature import Caller
from authserver.jose.client_keys import read_subject
from authserver.jose.compact import Fault, TokenError
from authserver.oauth.client_assertion import parse_assertion_claims
from authserver.oauth.client_auth import choose_credentials, get_authenticated, refuse
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.store import replays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.client_auth import Credentials
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx

_FAULTS: Final[Mapping[Fault, Refusal]] = {
    Fault.ALGORITHM: Refusal.ASSERTION_ALGORITHM,
    Fault.KEY_UNKNOWN: Refusal.ASSERTION_KEY_UNKNOWN,
    Fault.KEYS_UNAVAILABLE: Refusal.CLIENT_KEYS_UNAVAILABLE,
    Fault.SIGNATURE: Refusal.ASSERTION_SIGNATURE,
}


async def authenticate_client(call: Call, form: Params, *, required: bool = False) -> Caller:
    """Return the client that proves itself in this request; ``required`` makes naming nobody a 401 (RFC 7662 §2.1).

    No transaction is open: an assertion's keys may have to be fetched. Raise ``invalid_client`` or, for a request that
    mixes methods, ``invalid_request``; 429 where one address has failed too often for this client.
    """
    credentials = choose_credentials(call.facts.header(b"authorization"), form, authentication_required=required)
    client_id = credentials.client_id or read_subject(credentials.assertion or "") or ""
    client = await call.services.directory.find_client_fresh(client_id)
    try:
        return await _prove_now_or_later(call, client, credentials)
    except OAuthError as error:
        if error.error is ErrorCode.INVALID_CLIENT:
            call.services.client_failures.count(client_id, call.facts.address, error)
        raise


async def claim_proof(tx: Tx, caller: Caller) -> None:
    """Spend the single use of a client assertion, first thing in the deciding transaction (RFC 7523 §3 rule 7)."""
    if caller.replay_key is None or caller.replay_until is None:
        return
    if not await replays.claim(tx, caller.replay_key, caller.replay_until):
        raise refuse(Refusal.ASSERTION_REPLAYED, "the client assertion is refused: its jti was used before")


async def _prove_now_or_later(call: Call, client: Client | None, credentials: Credentials) -> Caller:
    """Try once more with what the database knows by now: a secret may have been changed on another node.

    A wrong secret thus takes as long as an unknown client, which had to be looked for (SECURITY row 37).
    """
    try:
        return await _prove(call, client, credentials)
    except OAuthError as error:
        if client is None or error.error is not ErrorCode.INVALID_CLIENT:
            raise
        await call.services.directory.catch_up()
        current = call.services.directory.find_client(client.client_id)
        if current is client:
            raise
    return await _prove(call, current, credentials)


async def spend_proof(call: Call, caller: Caller) -> None:
    """Spend it in a transaction of its own, for a request that decides nothing; without a proof there is none."""
    if caller.replay_key is None:
        return
    await call.services.engine.retrying(lambda tx: claim_proof(tx, caller))


async def _prove(call: Call, client: Client | None, credentials: Credentials) -> Caller:
    client = get_authenticated(client, credentials, call.now)
    if credentials.assertion is None:
        return Caller(client=client)
    try:
        claims = await call.services.client_keys.verify_assertion(client, credentials.assertion)
    except TokenError as error:
        refusal = _FAULTS.get(error.fault, Refusal.ASSERTION_MALFORMED)
        raise refuse(refusal, f"the client assertion is refused: {error}") from error
    issuer = call.services.settings.issuer
    use = parse_assertion_claims(
        claims,
        client,
        endpoint_urls=(f"{issuer}/token", f"{issuer}{call.facts.path}"),
        issuer=issuer,
        now=call.now,
    )
    key = hashlib.sha256(f"assertion\x00{client.client_id}\x00{use.jti}".encode()).digest()
    return Caller(client=client, replay_key=key, replay_until=use.forget_at)
