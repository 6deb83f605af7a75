"""A refresh token becomes new tokens of the same grant (RFC 6749 §6). The rule itself is ``oauth.refresh_rules``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.refresh_rules import NOT_OURS, PresentedToken, RefreshRefused, decide_refresh
from authserver.oauth.resource import choose_within_grant, parse_resources
from authserver.oauth.scope import effective_scope, parse_scope
from authserver.oauth.values import Authorization
from authserver.sealing.opaque import hash_secret
from authserver.steps.audit_trail import record_of_grant
from authserver.steps.lifetimes import access_token_lifetime, refresh_terms
from authserver.store import grants

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.refresh_rules import RefreshAllowed
    from authserver.oauth.values import Client, Grant, User
    from authserver.sealing.refresh_token import RefreshToken
    from authserver.store.engine import Tx


class RefreshTokenGrant:
    """``grant_type=refresh_token``."""

    name: Final = "refresh_token"

    async def prepare(self, call: Call, client: Client, form: Params) -> PreparedRefresh:  # noqa: ARG002 - the contract
        """Open the token: what is not ours is refused without a database (row 0)."""
        text = form.require("refresh_token")
        token = call.services.refresh_tokens.open(text)
        if token is None:
            raise NOT_OURS.to_error()
        return PreparedRefresh(
            text=text,
            token=token,
            scope=parse_scope(form.get("scope")),
            resources=parse_resources(form.all("resource")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRefresh:
    """A token whose MAC is right, as presented and as read; and what is asked of its grant."""

    text: str
    token: RefreshToken
    scope: frozenset[str] | None
    resources: tuple[str, ...]

    async def decide(self, call: Call, tx: Tx, client: Client) -> Authorization:
        """Lock the grant, apply the rule, check what is asked, store. A refusal that revokes still commits."""
        loaded = await grants.lock(tx, self.token.grant_id)
        grant = loaded.grant if loaded is not None else None
        decision = decide_refresh(
            PresentedToken(
                secret_hash=hash_secret(self.token.secret),
                generation=self.token.generation,
                issued_at=self.token.issued_at,
            ),
            grant,
            client_id=client.client_id,
            bound_key=None,
            terms=refresh_terms(call.services.settings, client),
            now=loaded.now if loaded is not None else call.now,
        )
        if isinstance(decision, RefreshRefused):
            await _store_refusal(call, tx, client, self.token.grant_id, grant, decision)
            raise decision.to_error()
        if decision.alarm is not None:
            await record_of_grant(call, tx, decision.alarm, client.client_id, decision.grant, decision.rule)
        authorization = _authorize(call, client, loaded.user if loaded is not None else None, self, decision)
        change = decision.settle(authorization)
        if change is not None:
            await grants.store_rotation(
                tx, decision.grant.id, generation=change.generation, rotated_at=change.rotated_at, late=change.late
            )
        return authorization


def _authorize(
    call: Call, client: Client, user: User | None, prepared: PreparedRefresh, decision: RefreshAllowed
) -> Authorization:
    """Check the gate, scope and resources, and build the answer's content; the row is still untouched."""
    services = call.services
    grant = decision.grant
    user = get_user(user)
    may_issue(client, user, None)
    target = choose_within_grant(
        granted_scope=grant.scope & client.scope,  # what the client may no longer ask for, it no longer gets
        granted_resources=grant.resources,
        scope=prepared.scope,
        asked=prepared.resources,
        known=services.directory.resources,
    )
    return Authorization(
        subject=user.sub,
        scope=effective_scope(target.scope, user, target.resources),
        audience=target.audience(services.settings.issuer),
        access_token_lifetime=access_token_lifetime(services.settings, client, target.resources),
        grant_id=grant.id,
        session_id=grant.session_id,
        refresh_token=_successor(call, prepared, decision),
        user=user,
        auth_time=grant.auth_time,
        acr=grant.acr,
        amr=grant.amr,
    )


def _successor(call: Call, prepared: PreparedRefresh, decision: RefreshAllowed) -> str:
    """Return the token to answer with: the presented one again, or the successor, computed and never stored."""
    successor, token = decision.successor, prepared.token
    if (successor.generation, successor.issued_at) == (token.generation, token.issued_at):
        return prepared.text
    return call.services.refresh_tokens.seal(
        grant_id=token.grant_id,
        secret=token.secret,
        generation=successor.generation,
        issued_at=successor.issued_at,
    )


async def _store_refusal(
    call: Call, tx: Tx, client: Client, grant_id: UUID, grant: Grant | None, refused: RefreshRefused
) -> None:
    """Write what the rule says: the audit row, and the end of a grant whose old token came again."""
    if refused.revoke_reason is not None:
        await grants.revoke(tx, grant_id, refused.revoke_reason)
    if refused.audited:
        event = "grant_revoked" if refused.revoke_reason else "refresh_token_refused"
        await record_of_grant(call, tx, event, client.client_id, grant, refused.refusal)
