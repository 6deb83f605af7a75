"""GET and POST /userinfo (OIDC Core §5.3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth import bearer
from authserver.oauth.claims import build_userinfo_claims
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.scope import OPENID
from authserver.steps.own_tokens import authenticate_bearer, find_user_of
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer


async def userinfo(call: Call, form: Params) -> Answer:
    """Return the claims that the token's scopes stand for, of a user and a grant that still stand.

    Any access token with ``openid`` serves, whatever its audience: userinfo is the resource that scope is for.
    """
    claims = authenticate_bearer(call, form if call.facts.method == "POST" else None)
    scope = frozenset(str(claims.get("scope", "")).split())
    if OPENID not in scope:
        raise bearer.refuse(
            ErrorCode.INSUFFICIENT_SCOPE, "userinfo needs the scope openid", Refusal.TOKEN_SCOPE, scope=(OPENID,)
        )
    user = await find_user_of(call, claims)
    if user is None:
        raise bearer.refuse(ErrorCode.INVALID_TOKEN, "the access token was revoked", Refusal.TOKEN_REVOKED)
    return json_answer(build_userinfo_claims(user, scope), log={"client": str(claims.get("client_id"))})
