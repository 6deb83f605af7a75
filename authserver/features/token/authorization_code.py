"""An authorization code becomes a grant (RFC 6749 §4.1.3). When it may is for ``oauth.code_rules`` to say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from authserver.feature import PreparedOnCode
from authserver.oauth.code_rules import check_redemption, get_code
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.resource import choose_within_grant, parse_resources
from authserver.sealing.opaque import hash_secret
from authserver.steps.audit_trail import entry_of_grant
from authserver.steps.granting import Basis, begin_grant, build_authorization
from authserver.store.code_batches import Redeemed

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Authorization, AuthorizationCode, Client, User
    from authserver.store.code_rows import Foundation, Presented


class AuthorizationCodeGrant:
    """``grant_type=authorization_code``."""

    name: Final = "authorization_code"

    async def prepare(self, call: Call, client: Client, form: Params) -> PreparedOnCode:
        """Read the parameters; the code itself is judged under its row's lock."""
        code_hash = hash_secret(form.require("code"))
        await call.services.status_indexes.stock()
        request = CodeRequest(params=form, resources=parse_resources(form.all("resource")))
        return PreparedOnCode(code_hash=code_hash, decide=partial(decide, call, client, request))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """The parameters that the code will be held against."""

    params: Params
    resources: tuple[str, ...]


def decide(call: Call, client: Client, request: CodeRequest, presented: Presented) -> Redeemed[Authorization]:
    """Check the code and what it rests on, and make the grant.

    The use has been counted whatever comes of it, so a wrong verifier spends the code; another client's request leaves
    it untouched (§4.1.3, CVE-2026-28513).
    """
    try:
        code = get_code(presented.code)
        check_redemption(code, client, request.params, presented.on.now)
    except OAuthError as error:
        return _refuse(call, client, presented, error)
    try:
        user = _check_foundation(presented.on, code)
        target = choose_within_grant(
            granted_scope=code.scope & client.scope,
            granted_resources=code.resources,
            scope=None,
            asked=request.resources,
            known=call.services.directory.resources,
        )
    except OAuthError as error:
        return Redeemed(answer=error)
    new = begin_grant(call, client, _basis(code), presented.on.now)
    authorization = build_authorization(
        call, client, user, new.grant, target, refresh_token=new.refresh_token, nonce=code.nonce
    )
    return Redeemed(answer=authorization, grant=new.grant)


def _refuse(call: Call, client: Client, presented: Presented, error: OAuthError) -> Redeemed[Authorization]:
    """Return the refusal with what else is stored: the end of what a replayed code became, an audit row."""
    code = presented.code
    if error.refusal is Refusal.CODE_REPLAYED:
        # RFC 6749 §4.1.2: deny, and revoke all tokens issued from this code.
        entry = entry_of_grant(call, "grant_revoked", client.client_id, code, "code_replayed")
        return Redeemed(answer=error, revoke_reason="code_replayed", audit=(entry,))
    if presented.is_of_another_client:
        refusal = Refusal.CODE_OF_ANOTHER_CLIENT  # the answer is the same, so that nobody learns it exists
        entry = entry_of_grant(call, "code_refused", client.client_id, None, refusal)
        return Redeemed(answer=OAuthError(error.error, error.description, refusal), audit=(entry,))
    return Redeemed(answer=error)


def _check_foundation(on: Foundation, code: AuthorizationCode) -> User:
    """Refuse where user, session, consent or client have been cut since the code was made; return the user."""
    user = get_user(on.user)
    if on.session is None:
        raise OAuthError(ErrorCode.INVALID_GRANT, "the user has logged out", Refusal.SESSION_ENDED)
    withdrawn_at = on.consent.withdrawn_at if on.consent is not None else None
    if withdrawn_at is not None and withdrawn_at >= code.created_at:
        raise OAuthError(ErrorCode.INVALID_GRANT, "the user took the consent back", Refusal.CONSENT_WITHDRAWN)
    if on.client is None:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "client authentication failed", Refusal.CLIENT_UNKNOWN)
    may_issue(on.client, user, on.session)
    return user


def _basis(code: AuthorizationCode) -> Basis:
    return Basis(
        grant_id=code.grant_id,
        user_id=code.user_id,
        session_id=code.session_id,
        scope=code.scope,
        resources=code.resources,
        acr=code.acr,
        amr=code.amr,
        auth_time=code.auth_time,
    )
