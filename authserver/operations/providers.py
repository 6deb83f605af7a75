"""Other providers that people may sign in through: register, change, remove, and try one out.

What says whose subjects are meant (the kind, the issuer, the address that names the subject and its field) never
changes: another one under the same slug would sign its people in to the accounts of others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from authserver.jose.compact import read_document
from authserver.jose.remote_keys import read_remote_jwks
from authserver.oauth.upstream import Endpoints, Provider, ProviderKind
from authserver.oauth.upstream_rules import discovery_address, read_endpoints
from authserver.oauth.values import AuthMethod
from authserver.operations.errors import OperationError, Problem
from authserver.operations.provider_rules import PRESETS, check_provider, check_secret
from authserver.outbound import Outbound
from authserver.sealing.upstream import seal_client_secret
from authserver.store import audit, state, upstream_identities, upstream_providers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx

_OF_PRESETS: Final = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "emails_endpoint",
    "subject_field",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProvider:
    """What an operator says of a provider; None takes the preset's value, or the default."""

    slug: str
    client_id: str
    client_secret: str | None  # None: a public client
    preset: str | None = None
    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    emails_endpoint: str | None = None
    subject_field: str | None = None
    label: str | None = None
    scope: tuple[str, ...] | None = None
    auth_method: AuthMethod | None = None
    position: int = 0
    allow_sign_up: bool = False
    trust_email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChanges:
    """New values of a provider; None leaves a value as it is."""

    label: str | None = None
    position: int | None = None
    client_id: str | None = None
    client_secret: str | None = None
    auth_method: AuthMethod | None = None
    scope: tuple[str, ...] | None = None
    allow_sign_up: bool | None = None
    trust_email: bool | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What went together with a provider: links, and users who have no other way in that is theirs to choose."""

    provider: Provider
    linked: int
    left_without: int


async def add(operator: Operator, new: NewProvider) -> Provider:
    """Register a provider; its client secret is sealed."""
    outbound = Outbound.from_settings(operator.settings)
    if new.client_secret is not None:
        check_secret(new.client_secret)
    async with operator.begin() as tx:
        await state.bump(tx)
        provider = _build(new, await tx.now())
        if new.client_secret is not None:
            subkeys = await operator.open_subkeys(tx)
            sealed = seal_client_secret(subkeys, new.client_secret, new.slug)
            provider = replace(provider, sealed_secret=sealed)
        check_provider(provider, outbound.may_use_http)
        if await upstream_providers.get(tx, provider.slug) is not None:
            raise OperationError(
                f"There is a provider {provider.slug} already.",
                problem=Problem.CONFLICT,
                field="slug",
                fix=f"See: authserver providers show {provider.slug}",
            )
        await upstream_providers.add(tx, provider)
        await _record(tx, operator, "provider_added", provider)
    return provider


async def find_all(operator: Operator) -> Sequence[Provider]:
    """Return every provider in the order of the buttons."""
    async with operator.engine.read() as tx:
        return await upstream_providers.list_all(tx)


async def get(operator: Operator, slug: str) -> Provider:
    """Return the provider with this slug."""
    async with operator.engine.read() as tx:
        return await _get(tx, slug)


async def count_linked(operator: Operator, slug: str) -> int:
    """Return how many accounts are linked through a provider."""
    async with operator.engine.read() as tx:
        return (await upstream_identities.count_of_provider(tx, slug))[0]


async def update(operator: Operator, slug: str, changes: ProviderChanges) -> Provider:
    """Change a provider; the rules are asked of the result."""
    if changes.client_secret is not None:
        check_secret(changes.client_secret)
    async with operator.begin() as tx:
        await state.bump(tx)
        provider = _apply(await _get(tx, slug), changes, await tx.now())
        if changes.client_secret is not None:
            subkeys = await operator.open_subkeys(tx)
            provider = replace(provider, sealed_secret=seal_client_secret(subkeys, changes.client_secret, slug))
        elif provider.auth_method is AuthMethod.NONE:
            provider = replace(provider, sealed_secret=None)
        check_provider(provider, Outbound.from_settings(operator.settings).may_use_http)
        await upstream_providers.update(tx, provider)
        await _record(tx, operator, "provider_updated", provider)
    return provider


async def remove(operator: Operator, slug: str) -> Removal:
    """Forget a provider and every link through it; whoever has no other way in needs the mail, or an operator."""
    async with operator.begin() as tx:
        await state.bump(tx)
        provider = await _get(tx, slug)
        linked, left_without = await upstream_identities.count_of_provider(tx, slug)
        await upstream_providers.delete(tx, slug)
        await _record(tx, operator, "provider_removed", provider)
    return Removal(provider=provider, linked=linked, left_without=left_without)


async def check(operator: Operator, slug: str) -> Endpoints:
    """Ask a provider for its discovery document and its keys, as a sign-in would; say what is wrong with them.

    One without an issuer has nothing that could be asked without a person.
    """
    provider = await get(operator, slug)
    if provider.kind is ProviderKind.OAUTH:
        return Endpoints(
            authorization=provider.authorization_endpoint or "",
            token=provider.token_endpoint or "",
            userinfo=provider.userinfo_endpoint,
        )
    outbound = Outbound.from_settings(operator.settings)
    address = discovery_address(provider.issuer or "")
    try:
        body = await outbound.fetch_json(address)
        endpoints = read_endpoints(read_document(body), provider.issuer or "", outbound.may_use_http)
        address = endpoints.jwks or ""
        read_remote_jwks(await outbound.fetch_json(address))
    except OSError as error:
        fix = "Is it https with a known certificate, and public or named in AUTHSERVER_OUTBOUND_ALLOW?"
        raise OperationError(f"{address} gave no usable answer.", field="issuer", fix=fix) from error
    except ValueError as error:
        raise OperationError(f"{address}: {error}.", field="issuer") from error
    finally:
        await outbound.close()
    return endpoints


def _build(new: NewProvider, now: datetime) -> Provider:
    if new.preset is not None and new.preset not in PRESETS:
        raise OperationError(f"There is no preset {new.preset}; there are {', '.join(PRESETS)}.", field="preset")
    preset = PRESETS[new.preset] if new.preset is not None else None
    if preset is not None:
        given = [name for name in _OF_PRESETS if getattr(new, name) is not None]
        if given:
            raise OperationError(f"The preset {new.preset} says that itself.", field=given[0])
    source = preset if preset is not None else new
    is_oidc = source.issuer is not None
    has_secret = new.client_secret is not None
    return Provider(
        slug=new.slug,
        kind=ProviderKind.OIDC if is_oidc else ProviderKind.OAUTH,
        label=new.label or (preset.label if preset is not None else new.slug),
        position=new.position,
        client_id=new.client_id,
        sealed_secret=None,
        auth_method=new.auth_method or (AuthMethod.BASIC if has_secret else AuthMethod.NONE),
        scope=new.scope or (preset.scope if preset is not None else ("openid", "email", "profile") if is_oidc else ()),
        issuer=source.issuer,
        authorization_endpoint=source.authorization_endpoint,
        token_endpoint=source.token_endpoint,
        userinfo_endpoint=source.userinfo_endpoint,
        emails_endpoint=source.emails_endpoint,
        subject_field=source.subject_field or ("sub" if is_oidc else "id"),
        allow_sign_up=new.allow_sign_up,
        trust_email=new.trust_email,
        created_at=now,
        updated_at=now,
    )


def _apply(provider: Provider, changes: ProviderChanges, now: datetime) -> Provider:
    disabled_at = provider.disabled_at
    if changes.enabled is not None:
        disabled_at = None if changes.enabled else disabled_at or now
    given = {
        name: value
        for name in ("label", "position", "client_id", "auth_method", "scope", "allow_sign_up", "trust_email")
        if (value := getattr(changes, name)) is not None
    }
    return replace(provider, **given, disabled_at=disabled_at, updated_at=now)


async def _get(tx: Tx, slug: str) -> Provider:
    provider = await upstream_providers.get(tx, slug)
    if provider is None:
        raise OperationError(
            f"There is no provider {slug}.", problem=Problem.NOT_FOUND, fix="See: authserver providers list"
        )
    return provider


async def _record(tx: Tx, operator: Operator, event: str, provider: Provider) -> None:
    detail = {
        "provider": provider.slug,
        "allow_sign_up": provider.allow_sign_up,
        "trust_email": provider.trust_email,
        "enabled": provider.is_active,
    }
    await audit.add(tx, event, actor=operator.actor, detail=detail)
