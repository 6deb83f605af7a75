"""An authorization code becomes a grant (RFC 6749 §4.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.code_rules import check_redemption, get_code
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.refresh_rules import whole_seconds
from authserver.oauth.resource import Target, choose_within_grant, parse_resources
from authserver.oauth.scope import effective_scope
from authserver.oauth.values import Authorization, Grant
from authserver.sealing.opaque import hash_secret, new_grant_secret
from authserver.steps.audit_trail import record_of_grant
from authserver.steps.lifetimes import access_token_lifetime, refresh_token_absolute_lifetime
from authserver.store import clients, codes, consents, grants, sessions, users

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import AuthorizationCode, Client, User
    from authserver.store.engine import Tx


class AuthorizationCodeGrant:
    """``grant_type=authorization_code``."""

    name: Final = "authorization_code"

    async def prepare(self, call: Call, client: Client, form: Params) -> PreparedCode:  # noqa: ARG002 - the contract
        """Read the parameters; the code itself is judged under its row's lock."""
        return PreparedCode(
            code_hash=hash_secret(form.require("code")), params=form, resources=parse_resources(form.all("resource"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCode:
    """The code's hash, and the parameters it will be held against."""

    code_hash: bytes
    params: Params
    resources: tuple[str, ...]

    async def decide(self, call: Call, tx: Tx, client: Client) -> Authorization:
        """Claim the code, check it, lock what the grant rests on, and make the grant.

        The claim counts this use whatever comes after, so a wrong verifier spends the code; another client's request
        leaves it untouched (§4.1.3, CVE-2026-28513).
        """
        code = await self._claim(call, tx, client)
        user = await _lock_what_it_rests_on(tx, client, code)
        target = choose_within_grant(
            granted_scope=code.scope & client.scope,
            granted_resources=code.resources,
            scope=None,
            asked=self.resources,
            known=call.services.directory.resources,
        )
        secret = new_grant_secret()
        grant = _build_grant(call, client, code, hash_secret(secret), await tx.now())
        await grants.add(tx, grant)
        return _authorize(call, client, user, code, target, grant, secret)

    async def _claim(self, call: Call, tx: Tx, client: Client) -> AuthorizationCode:
        code = await codes.claim(tx, self.code_hash, client.client_id)
        try:
            known = get_code(code)
            check_redemption(known, client, self.params, await tx.now())
        except OAuthError as error:
            if error.refusal is Refusal.CODE_REPLAYED and code is not None:
                # RFC 6749 §4.1.2: deny, and revoke all tokens issued from this code.
                await grants.revoke(tx, code.grant_id, "code_replayed")
                await record_of_grant(call, tx, "grant_revoked", client.client_id, code, "code_replayed")
            elif code is None and await codes.is_of_another_client(tx, self.code_hash, client.client_id):
                refusal = Refusal.CODE_OF_ANOTHER_CLIENT  # the answer is the same, so that nobody learns it exists
                await record_of_grant(call, tx, "code_refused", client.client_id, None, refusal)
                raise OAuthError(error.error, error.description, refusal) from None
            raise
        return known


async def _lock_what_it_rests_on(tx: Tx, client: Client, code: AuthorizationCode) -> User:
    """Lock user, session, consent and client rows before the grant goes in, and pass the gate.

    Whoever cuts one of them updates it first and revokes second, so either we see the cut or the cut sees our grant
    (SECURITY fault B29).
    """
    user = get_user(await users.lock_for_share(tx, code.user_id))
    session = await sessions.lock_for_share(tx, code.session_id)
    if session is None:
        raise OAuthError(ErrorCode.INVALID_GRANT, "the user has logged out", Refusal.SESSION_ENDED)
    consent = await consents.lock_for_share(tx, code.user_id, code.client_id)
    if consent is not None and consent.withdrawn_at is not None and consent.withdrawn_at >= code.created_at:
        raise OAuthError(ErrorCode.INVALID_GRANT, "the user took the consent back", Refusal.CONSENT_WITHDRAWN)
    current = await clients.lock_for_share(tx, client.client_id)
    if current is None:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "client authentication failed", Refusal.CLIENT_UNKNOWN)
    may_issue(current, user, session)
    return user


def _build_grant(call: Call, client: Client, code: AuthorizationCode, secret_hash: bytes, now: datetime) -> Grant:
    return Grant(
        id=code.grant_id,
        client_id=client.client_id,
        user_id=code.user_id,
        session_id=code.session_id,
        scope=code.scope,
        resources=code.resources,
        acr=code.acr,
        amr=code.amr,
        auth_time=code.auth_time,
        secret_hash=secret_hash,
        generation=0,
        rotated_at=now,
        expires_at=now + refresh_token_absolute_lifetime(call.services.settings, client),
        created_at=now,
    )


def _authorize(
    call: Call,
    client: Client,
    user: User,
    code: AuthorizationCode,
    target: Target,
    grant: Grant,
    secret: bytes,
) -> Authorization:
    services = call.services
    refresh_token = None
    if "refresh_token" in client.grant_types:
        refresh_token = services.refresh_tokens.seal(
            grant_id=grant.id, secret=secret, generation=0, issued_at=whole_seconds(grant.rotated_at)
        )
    return Authorization(
        subject=user.sub,
        scope=effective_scope(target.scope, user, target.resources),
        audience=target.audience(services.settings.issuer),
        access_token_lifetime=access_token_lifetime(services.settings, client, target.resources),
        grant_id=grant.id,
        session_id=grant.session_id,
        refresh_token=refresh_token,
        user=user,
        nonce=code.nonce,
        auth_time=code.auth_time,
        acr=code.acr,
        amr=code.amr,
    )
