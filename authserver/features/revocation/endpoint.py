"""POST /revoke (RFC 7009 §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.steps.client_auth import authenticate_client
from authserver.steps.revoke_token import revoke_token
from authserver.web.answers import NO_STORE, Answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params


async def revoke(call: Call, form: Params) -> Answer:
    """Revoke the grant behind a token of this client. A token that is not its own, or no token at all, is 200 (§2.2).

    The grant falls whole, as §2.1 allows: an access token's too. Raise ``unsupported_token_type`` for an access token
    of client_credentials, which no grant stands behind.
    """
    form.check_none_repeated()
    caller = await authenticate_client(call, form)
    grant_id = await revoke_token(call, caller, form.require("token"))
    log = {"client": caller.client.client_id}
    if grant_id is not None:
        log["grant"] = str(grant_id)
    return Answer(headers=NO_STORE, log=log)
