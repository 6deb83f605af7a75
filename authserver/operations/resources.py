"""The APIs that tokens are for: register, change, delete.

A scope word belongs to one resource only, so that a request which names scopes and no resource says which API it means
(DESIGN §7). Every change begins with the version row: it is locked until the commit, so two operators cannot give the
same word to two resources at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import OAuthError
from authserver.oauth.resource import is_resource_identifier
from authserver.oauth.scope import OIDC_SCOPES, join_scope, parse_scope
from authserver.operations.errors import OperationError, Problem
from authserver.store import audit, resources, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.oauth.values import Resource
    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx

MAX_IDENTIFIER: Final = 500
MAX_NAME: Final = 200
MIN_ACCESS_TOKEN_LIFETIME: Final = timedelta(seconds=10)
MAX_ACCESS_TOKEN_LIFETIME: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChanges:
    """New values of a resource; None leaves a value as it is. ``reset_lifetime`` returns to the server's setting."""

    name: str | None = None
    scope: frozenset[str] | None = None
    add_scope: frozenset[str] = frozenset()
    remove_scope: frozenset[str] = frozenset()
    verified_scope: frozenset[str] | None = None
    access_token_lifetime: timedelta | None = None
    reset_lifetime: bool = False


async def create(operator: Operator, resource: Resource) -> Resource:
    """Register an API under its identifier, the ``aud`` of its tokens."""
    _check(resource)
    async with operator.begin() as tx:
        await state.bump(tx)
        known = await resources.list_all(tx)
        if any(other.identifier == resource.identifier for other in known):
            raise OperationError(
                f"There is a resource {resource.identifier} already.",
                problem=Problem.CONFLICT,
                field="identifier",
                fix=f"See: authserver resources show {resource.identifier}",
            )
        _check_scope_is_free(resource, known)
        await resources.add(tx, resource)
        await _record(tx, operator, "resource_created", resource)
    return resource


async def get(operator: Operator, identifier: str) -> Resource:
    """Return the resource with this identifier."""
    async with operator.engine.read() as tx:
        return await _get(tx, identifier)


async def find_all(operator: Operator) -> Sequence[Resource]:
    """Return every resource."""
    async with operator.engine.read() as tx:
        return await resources.list_all(tx)


async def update(operator: Operator, identifier: str, changes: ResourceChanges) -> Resource:
    """Change a resource; the rules are asked of the result. Tokens issued before keep what they say."""
    async with operator.begin() as tx:
        await state.bump(tx)
        resource = _apply(await _get(tx, identifier), changes)
        _check(resource)
        _check_scope_is_free(resource, await resources.list_all(tx))
        await resources.update(tx, resource)
        await _record(tx, operator, "resource_updated", resource)
    return resource


async def delete(operator: Operator, identifier: str) -> Resource:
    """Forget a resource: no token is issued for it any more; grants that name it keep their other resources."""
    async with operator.begin() as tx:
        await state.bump(tx)
        resource = await _get(tx, identifier)
        await resources.delete(tx, identifier)
        await _record(tx, operator, "resource_deleted", resource)
    return resource


def parse_words(texts: Sequence[str]) -> frozenset[str]:
    """Return the scope words of repeated options, each with one word or several separated by blanks."""
    try:
        return frozenset().union(*(parse_scope(text) or () for text in texts))
    except OAuthError as error:
        raise OperationError(f"The {error.description}.", field="scope") from error


async def _get(tx: Tx, identifier: str) -> Resource:
    resource = await resources.get(tx, identifier)
    if resource is None:
        raise OperationError(
            f"There is no resource {identifier}.", problem=Problem.NOT_FOUND, fix="See: authserver resources list"
        )
    return resource


def _apply(resource: Resource, changes: ResourceChanges) -> Resource:
    scope = resource.scope if changes.scope is None else changes.scope
    scope = (scope | changes.add_scope) - changes.remove_scope
    # a word that goes leaves the verified ones too, unless these are named anew
    verified = resource.verified_scope & scope if changes.verified_scope is None else changes.verified_scope
    lifetime = (
        resource.access_token_lifetime if changes.access_token_lifetime is None else changes.access_token_lifetime
    )
    return replace(
        resource,
        name=resource.name if changes.name is None else changes.name,
        scope=scope,
        verified_scope=verified,
        access_token_lifetime=None if changes.reset_lifetime else lifetime,
    )


def _check(resource: Resource) -> None:
    if not is_resource_identifier(resource.identifier) or len(resource.identifier) > MAX_IDENTIFIER:
        raise OperationError(
            f"A resource is named by an absolute URI without fragment, of at most {MAX_IDENTIFIER} characters.",
            field="identifier",
            fix="For example: https://api.example.org",
        )
    if not 1 <= len(resource.name) <= MAX_NAME or not resource.name.isprintable():
        raise OperationError(f"A name has 1 to {MAX_NAME} printable characters.", field="name")
    if resource.scope & OIDC_SCOPES:
        raise OperationError(
            f"These scopes are OpenID Connect's own: {join_scope(resource.scope & OIDC_SCOPES)}.", field="scope"
        )
    if not resource.verified_scope <= resource.scope:
        raise OperationError(
            f"These are not scopes of the resource: {join_scope(resource.verified_scope - resource.scope)}.",
            field="verified_scope",
        )
    lifetime = resource.access_token_lifetime
    if lifetime is not None and not MIN_ACCESS_TOKEN_LIFETIME <= lifetime <= MAX_ACCESS_TOKEN_LIFETIME:
        raise OperationError(
            f"Access tokens live between {MIN_ACCESS_TOKEN_LIFETIME.seconds} and "
            f"{int(MAX_ACCESS_TOKEN_LIFETIME.total_seconds())} seconds.",
            field="access_token_lifetime",
        )


def _check_scope_is_free(resource: Resource, known: Sequence[Resource]) -> None:
    for other in known:
        taken = resource.scope & other.scope
        if taken and other.identifier != resource.identifier:
            raise OperationError(
                f"The scope {min(taken)} belongs to {other.identifier} already.",
                problem=Problem.CONFLICT,
                field="scope",
                fix="Give each API its own words, such as notes:read and mail:read.",
            )


async def _record(tx: Tx, operator: Operator, event: str, resource: Resource) -> None:
    detail = {"resource": resource.identifier, "scope": join_scope(resource.scope)}
    await audit.add(tx, event, actor=operator.actor, detail=detail)
