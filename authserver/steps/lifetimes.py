"""How long what is issued lives: the resource's word, else the client's, else the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.refresh_rules import RefreshTerms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from authserver.oauth.values import Client, Resource
    from authserver.settings import Settings


def access_token_lifetime(settings: Settings, client: Client, resources: Iterable[Resource]) -> timedelta:
    """Return the shortest lifetime that any resource of the token asks for, else the client's or the server's."""
    asked = [resource.access_token_lifetime for resource in resources if resource.access_token_lifetime is not None]
    return min(asked, default=client.lifetimes.access_token or settings.access_token_lifetime)


def longest_access_token_lifetime(
    settings: Settings, clients: Iterable[Client], resources: Iterable[Resource]
) -> timedelta:
    """Return the longest that any access token issued now can live."""
    asked = {client.lifetimes.access_token for client in clients}
    asked |= {resource.access_token_lifetime for resource in resources}
    return max([settings.access_token_lifetime, *(lifetime for lifetime in asked if lifetime is not None)])


def id_token_lifetime(settings: Settings, client: Client) -> timedelta:
    """Return how long an ID token for this client may be believed."""
    return client.lifetimes.id_token or settings.id_token_lifetime


def authorization_code_lifetime(settings: Settings, client: Client) -> timedelta:
    """Return how long a code for this client can be redeemed."""
    return client.lifetimes.authorization_code or settings.authorization_code_lifetime


def refresh_token_absolute_lifetime(settings: Settings, client: Client) -> timedelta:
    """Return how long after its beginning a grant ends, however busy it is."""
    return client.lifetimes.refresh_token_absolute or settings.refresh_token_absolute_lifetime


def refresh_terms(settings: Settings, client: Client) -> RefreshTerms:
    """Return what holds when a refresh token of this client comes back (DESIGN §5)."""
    return RefreshTerms(
        mode=client.refresh_token_mode,
        policy=client.refresh_token_policy,
        idle=client.lifetimes.refresh_token_idle or settings.refresh_token_idle_lifetime,
        grace=settings.refresh_token_grace,
    )
