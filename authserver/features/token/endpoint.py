"""The phases every token request goes through; the grant types cannot forget one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import PreparedOnCode, PreparedOnGrant
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable
from authserver.oauth.values import Authorization
from authserver.steps.client_auth import authenticate_client, claim_proof, spend_proof
from authserver.steps.code_decisions import decide_on_code
from authserver.steps.decided import decide_for_good
from authserver.steps.grant_decisions import decide_on_grant
from authserver.steps.issue import issue

if TYPE_CHECKING:
    from authserver.feature import Call, Caller, GrantType, Prepared
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer


async def token(call: Call, form: Params) -> Answer:
    """Answer POST /token (RFC 6749 §3.2)."""
    services = call.services
    services.directory.check_fresh(services.settings.max_stale)
    form.check_none_repeated()
    caller = await authenticate_client(call, form)  # prepare: may fetch keys; no transaction is open
    grant_type = choose_grant_type(call, caller.client, form)
    prepared = await grant_type.prepare(call, caller.client, form)
    authorization = await decide(call, caller, prepared)
    return issue(call, caller.client, authorization, grant_type.name)  # finish: sign and answer, after the commit


def choose_grant_type(call: Call, client: Client, form: Params) -> GrantType:
    """Return the grant type asked for; refuse what the server lacks or the client did not register (RFC 6749 §5.2)."""
    name = form.require("grant_type")
    grant_type = call.services.grant_types.get(name)
    if grant_type is None:
        raise OAuthError(
            ErrorCode.UNSUPPORTED_GRANT_TYPE,
            f"grant_type {printable(name)} is not offered here",
            Refusal.GRANT_TYPE_UNSUPPORTED,
        )
    if name not in client.grant_types:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT,
            f"the client is not registered for grant_type {name}",
            Refusal.GRANT_TYPE_NOT_ALLOWED,
        )
    return grant_type


async def decide(
    call: Call, caller: Caller, prepared: Authorization | Prepared | PreparedOnGrant | PreparedOnCode
) -> Authorization:
    """Run the grant's decision in one short transaction; what a refusal wrote (a revoked family) stays."""
    if isinstance(prepared, Authorization):
        await spend_proof(call, caller)
        return prepared
    if isinstance(prepared, PreparedOnGrant):
        return await decide_on_grant(call, caller, prepared.grant_id, prepared.decide)
    if isinstance(prepared, PreparedOnCode):
        return await decide_on_code(call, caller, prepared.code_hash, prepared.decide)

    async def claim_and_decide(tx: Tx) -> Authorization:
        await claim_proof(tx, caller)
        return await prepared.decide(call, tx, caller.client)

    return await decide_for_good(call.services.engine, claim_and_decide)  # leases nothing until a statement runs
