"""A user's grant to a client: how it begins, and what it comes to for the client that holds it.

The same whether an authorization code is redeemed, a refresh token comes back, or an organisation's own app signs in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from authserver.oauth.refresh_rules import whole_seconds
from authserver.oauth.scope import effective_scope
from authserver.oauth.values import Authorization, Grant
from authserver.sealing.opaque import hash_secret, new_grant_secret
from authserver.steps.lifetimes import access_token_lifetime, refresh_token_absolute_lifetime
from authserver.store.engine import ConflictError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.resource import Target
    from authserver.oauth.values import Client, User

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a grant rests on: who gave what, and how they proved themselves."""

    grant_id: UUID
    user_id: UUID
    session_id: UUID | None
    scope: frozenset[str]
    resources: tuple[str, ...]
    acr: str
    amr: Sequence[str]
    auth_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """A grant that is to be stored, and its first refresh token: None for a client that may not refresh."""

    grant: Grant
    refresh_token: str | None


async def with_places(call: Call, begin: Callable[[], Awaitable[T]]) -> T:
    """Return what ``begin`` returns, which opens a transaction and begins a grant in it; no transaction is open.

    Where a failover forgot which places in status lists are ours, and gave them to another process, it runs once more.
    A ConflictError of that second time is about something else.
    """
    await call.services.status_indexes.stock()
    try:
        return await begin()
    except ConflictError:
        call.services.status_indexes.give_up()
        await call.services.status_indexes.stock()
    return await begin()


def begin_grant(call: Call, client: Client, basis: Basis, now: datetime) -> NewGrant:
    """Return a new grant as of ``now``, the database's clock; its secret is in the token only.

    Whoever stores it does so within :func:`with_places`, or has stocked ``status_indexes`` before.
    """
    secret = new_grant_secret()
    grant = Grant(
        id=basis.grant_id,
        client_id=client.client_id,
        user_id=basis.user_id,
        session_id=basis.session_id,
        scope=basis.scope,
        resources=basis.resources,
        acr=basis.acr,
        amr=tuple(basis.amr),
        auth_time=basis.auth_time,
        secret_hash=hash_secret(secret),
        status_index=call.services.status_indexes.take(),
        generation=0,
        rotated_at=now,
        expires_at=now + refresh_token_absolute_lifetime(call.services.settings, client),
        created_at=now,
    )
    if "refresh_token" not in client.grant_types:
        return NewGrant(grant=grant, refresh_token=None)
    token = call.services.refresh_tokens.seal(
        grant_id=grant.id, secret=secret, generation=0, issued_at=whole_seconds(grant.rotated_at)
    )
    return NewGrant(grant=grant, refresh_token=token)


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
        status_index=grant.status_index,
        session_id=grant.session_id,
        refresh_token=refresh_token,
        user=user,
        nonce=nonce,
        auth_time=grant.auth_time,
        acr=grant.acr,
        amr=grant.amr,
    )
