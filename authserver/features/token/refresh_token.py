"""A refresh token becomes new tokens of the same grant (RFC 6749 §6). The rule itself is ``oauth.refresh_rules``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from authserver.feature import PreparedOnGrant
from authserver.oauth.errors import OAuthError
from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.refresh_rules import NOT_OURS, PresentedToken, RefreshRefused, decide_refresh
from authserver.oauth.resource import choose_within_grant, parse_resources
from authserver.oauth.scope import parse_scope
from authserver.sealing.opaque import hash_secret
from authserver.steps.audit_trail import entry_of_grant
from authserver.steps.granting import build_authorization
from authserver.steps.lifetimes import refresh_terms
from authserver.store.grant_batches import Verdict
from authserver.store.outbox import Mail

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.refresh_rules import RefreshAllowed
    from authserver.oauth.values import Authorization, Client, Grant, User
    from authserver.sealing.refresh_token import RefreshToken
    from authserver.store.audit import AuditEntry
    from authserver.store.grants import GrantAndUser


class RefreshTokenGrant:
    """``grant_type=refresh_token``."""

    name: Final = "refresh_token"

    async def prepare(self, call: Call, client: Client, form: Params) -> PreparedOnGrant:
        """Open the token: what is not ours is refused without a database (row 0)."""
        text = form.require("refresh_token")
        token = call.services.refresh_tokens.open(text)
        if token is None:
            raise NOT_OURS.to_error()
        request = RefreshRequest(
            text=text,
            token=token,
            scope=parse_scope(form.get("scope")),
            resources=parse_resources(form.all("resource")),
        )
        return PreparedOnGrant(grant_id=token.grant_id, decide=partial(decide, call, client, request))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """A token whose MAC is right, as presented and as read; and what is asked of its grant."""

    text: str
    token: RefreshToken
    scope: frozenset[str] | None
    resources: tuple[str, ...]


def decide(call: Call, client: Client, request: RefreshRequest, found: GrantAndUser | None) -> Verdict[Authorization]:
    """Apply the rule, then check what is asked, and say what becomes of the grant (RFC 6749 §6)."""
    token = request.token
    grant = found.grant if found is not None else None
    decision = decide_refresh(
        PresentedToken(secret_hash=hash_secret(token.secret), generation=token.generation, issued_at=token.issued_at),
        grant,
        client_id=client.client_id,
        bound_key=None,
        terms=refresh_terms(call.services.settings, client),
        now=found.now if found is not None else call.now,
    )
    if isinstance(decision, RefreshRefused):
        return _refuse(call, client, found, decision)
    heard = () if decision.alarm is None else (_entry(call, decision.alarm, client, grant, decision.rule),)
    try:
        authorization = _authorize(call, client, found.user if found is not None else None, request, decision)
    except OAuthError as error:  # the row stays as it is, and the alarm is heard all the same
        return Verdict(answer=error, audit=heard)
    return Verdict(answer=authorization, change=decision.settle(authorization), audit=heard)


def _authorize(
    call: Call, client: Client, user: User | None, request: RefreshRequest, decision: RefreshAllowed
) -> Authorization:
    """Check the gate, scope and resources, and build the answer's content; the row is still untouched."""
    grant = decision.grant
    user = get_user(user)
    may_issue(client, user, None)
    target = choose_within_grant(
        granted_scope=grant.scope & client.scope,  # what the client may no longer ask for, it no longer gets
        granted_resources=grant.resources,
        scope=request.scope,
        asked=request.resources,
        known=call.services.directory.resources,
    )
    token = _successor(call, request, decision)
    return build_authorization(call, client, user, grant, target, refresh_token=token)


def _successor(call: Call, request: RefreshRequest, decision: RefreshAllowed) -> str:
    """Return the token to answer with: the presented one again, or the successor, computed and never stored."""
    successor, token = decision.successor, request.token
    if (successor.generation, successor.issued_at) == (token.generation, token.issued_at):
        return request.text
    return call.services.refresh_tokens.seal(
        grant_id=token.grant_id,
        secret=token.secret,
        generation=successor.generation,
        issued_at=successor.issued_at,
    )


def _refuse(call: Call, client: Client, found: GrantAndUser | None, refused: RefreshRefused) -> Verdict[Authorization]:
    """Return the refusal with what the rule says: the audit row, the end of a grant whose old token came again."""
    event = "grant_revoked" if refused.revoke_reason else "refresh_token_refused"
    grant = found.grant if found is not None else None
    return Verdict(
        answer=refused.to_error(),
        revoke_reason=refused.revoke_reason,
        audit=(_entry(call, event, client, grant, refused.refusal),) if refused.audited else (),
        mail=_notice(client, found) if refused.revoke_reason else (),
    )


def _notice(client: Client, found: GrantAndUser | None) -> tuple[Mail, ...]:
    """Return what the user is told of a token that came twice (DESIGN §5 row 7), where there is a proven address.

    Not from where: the one who presented it may be the app itself, and the reader could not tell.
    """
    user = found.user if found is not None else None
    if user is None or user.email is None or not user.email_verified:
        return ()
    parameters = {"app": client.client_name}
    notice = Mail(kind="refresh_token_reuse", to=user.email, locale=user.locale, parameters=parameters, user_id=user.id)
    return (notice,)


def _entry(call: Call, event: str, client: Client, grant: Grant | None, reason: str) -> AuditEntry:
    return entry_of_grant(call, event, client.client_id, grant, reason)
