"""What a grant comes to for the client that holds it: the same for its code and for each refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.scope import effective_scope
from authserver.oauth.values import Authorization
from authserver.steps.lifetimes import access_token_lifetime

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.resource import Target
    from authserver.oauth.values import Client, Grant, User


def build_authorization(
    call: Call,
    client: Client,
    user: User,
    grant: Grant,
    target: Target,
    *,
    refresh_token: str | None,
    nonce: str | None = None,
) -> Authorization:
    """Return what the issuer signs for a user's grant; ``nonce`` is the authorization request's (OIDC Core §2)."""
    settings = call.services.settings
    return Authorization(
        subject=user.sub,
        scope=effective_scope(target.scope, user, target.resources),
        audience=target.audience(settings.issuer),
        access_token_lifetime=access_token_lifetime(settings, client, target.resources),
        grant_id=grant.id,
        session_id=grant.session_id,
        refresh_token=refresh_token,
        user=user,
        nonce=nonce,
        auth_time=grant.auth_time,
        acr=grant.acr,
        amr=grant.amr,
    )
