"""Which APIs a token is for: resource indicators, and what stands in for them where none are sent (RFC 8707).

A request may name resources, scopes, both or neither. The rules, once for every grant type:

* With resources: each must be known here, and each scope must be one of theirs or one of OpenID Connect's.
* Without: the one resource that has all scopes asked for. More than one fits, or none has all: the client must say.
* Only scopes of OpenID Connect: the token is for the issuer itself (userinfo).
* Without scope: what the client registered, of the resources named; without those, all it registered for APIs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable
from authserver.oauth.scope import OIDC_SCOPES, check_registered, narrow_scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from authserver.oauth.values import Client, Resource

MAX_RESOURCES: Final = 20

# RFC 3986 §4.3, absolute-URI: a scheme, then its characters; a fragment is not part of it. No userinfo is looked for:
# the value is compared with registered identifiers and never dereferenced.
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a token may do and where: a scope, and the resources it is for; none means the issuer itself."""

    scope: frozenset[str]
    resources: tuple[Resource, ...]

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The resources' identifiers, as a grant keeps them."""
        return tuple(resource.identifier for resource in self.resources)

    def audience(self, issuer: str) -> tuple[str, ...]:
        """Return the ``aud`` of the access token (RFC 9068 §2.2)."""
        return self.identifiers or (issuer,)


def parse_resources(values: Sequence[str]) -> tuple[str, ...]:
    """Return the ``resource`` parameters in their order, each once.

    Raises ``invalid_target`` for one that is no absolute URI or has a fragment (RFC 8707 §2), and ``invalid_request``
    for more than ``MAX_RESOURCES``.
    """
    if len(values) > MAX_RESOURCES:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, f"more than {MAX_RESOURCES} resource parameters", Refusal.PARAMETERS_TOO_MANY
        )
    for value in values:
        if not is_resource_identifier(value):
            raise OAuthError(
                ErrorCode.INVALID_TARGET,
                f"resource {printable(value)} is not an absolute URI without fragment",
                Refusal.RESOURCE_MALFORMED,
            )
    return tuple(dict.fromkeys(values))


def is_resource_identifier(value: str) -> bool:
    """Tell whether a text can name a resource: an absolute URI without fragment (RFC 8707 §2)."""
    return _ABSOLUTE_URI.fullmatch(value) is not None


def choose_target(
    client: Client, scope: frozenset[str] | None, asked: Sequence[str], known: Sequence[Resource]
) -> Target:
    """Decide what a user may be asked to grant: an authorization request (RFC 6749 §3.3, RFC 8707 §2.1).

    ``asked`` comes from :func:`parse_resources`, ``known`` is every resource registered here. Raises
    ``invalid_target`` or ``invalid_scope``; the scope returned is never empty.
    """
    named = _get_all(asked, known)
    if scope is None:
        scope = _default_scope(client, named)
    _check_known(_not_empty(scope), known)
    check_registered(client, scope)
    if named:
        _check_within(scope, named)
        return Target(scope=scope, resources=named)
    return Target(scope=scope, resources=_find_owner(scope - OIDC_SCOPES, known))


def choose_for_client_credentials(
    client: Client, scope: frozenset[str] | None, asked: Sequence[str], known: Sequence[Resource]
) -> Target:
    """Decide what a client gets for itself (RFC 6749 §4.4.2): as :func:`choose_target`, but nothing about a user.

    A client that cannot authenticate gets nothing: anybody could ask in its name (RFC 6749 §4.4).
    """
    if client.is_public:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT,
            "client_credentials is for clients that authenticate",
            Refusal.GRANT_TYPE_NOT_ALLOWED,
        )
    if scope is not None and scope & OIDC_SCOPES:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE,
            f"scope {min(scope & OIDC_SCOPES)} is about a user, and client_credentials has none",
            Refusal.SCOPE_NOT_ALLOWED,
        )
    return choose_target(client, scope, asked, known)


def choose_within_grant(
    *,
    granted_scope: frozenset[str],
    granted_resources: Sequence[str],
    scope: frozenset[str] | None,
    asked: Sequence[str],
    known: Sequence[Resource],
) -> Target:
    """Decide what one access token of a grant is for (RFC 8707 §2.2, RFC 6749 §6).

    ``asked`` must be among the grant's resources, ``scope`` within its scope. The token's scope is cut to its
    resources, so that one API cannot use it at another. Resources deleted since the grant are passed over.
    """
    for identifier in asked:
        if identifier not in granted_resources:
            raise OAuthError(
                ErrorCode.INVALID_TARGET,
                f"resource {printable(identifier)} is not part of the grant",
                Refusal.RESOURCE_NOT_GRANTED,
            )
    wanted = narrow_scope(granted_scope, scope)
    if not granted_resources:
        return Target(scope=_not_empty(wanted), resources=())
    chosen = frozenset(asked or granted_resources)
    resources = tuple(resource for resource in known if resource.identifier in chosen)
    if not resources:
        raise OAuthError(ErrorCode.INVALID_TARGET, "the resource no longer exists", Refusal.RESOURCE_UNKNOWN)
    return Target(scope=_not_empty(wanted & (OIDC_SCOPES | _union(resources))), resources=resources)


def _get_all(asked: Sequence[str], known: Sequence[Resource]) -> tuple[Resource, ...]:
    by_identifier = {resource.identifier: resource for resource in known}
    for identifier in asked:
        if identifier not in by_identifier:
            raise OAuthError(
                ErrorCode.INVALID_TARGET,
                f"resource {printable(identifier, 120)} is not registered here",
                Refusal.RESOURCE_UNKNOWN,
            )
    return tuple(by_identifier[identifier] for identifier in asked)


def _default_scope(client: Client, named: tuple[Resource, ...]) -> frozenset[str]:
    """Return what a request without scope means; OpenID Connect's scopes must always be asked for by name."""
    registered = client.scope - OIDC_SCOPES
    return registered & _union(named) if named else registered


def _check_known(scope: frozenset[str], known: Sequence[Resource]) -> None:
    unknown = scope - OIDC_SCOPES - _union(known)
    if unknown:
        raise OAuthError(ErrorCode.INVALID_SCOPE, f"there is no scope {printable(min(unknown))}", Refusal.SCOPE_UNKNOWN)


def _check_within(scope: frozenset[str], named: tuple[Resource, ...]) -> None:
    foreign = scope - OIDC_SCOPES - _union(named)
    if foreign:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE,
            f"scope {printable(min(foreign))} belongs to none of the resources named",
            Refusal.SCOPE_NOT_ALLOWED,
        )


def _find_owner(scope: frozenset[str], known: Sequence[Resource]) -> tuple[Resource, ...]:
    """Return the one resource that has the whole of ``scope``; nothing where nothing of an API is asked."""
    if not scope:
        return ()
    owners = tuple(resource for resource in known if scope <= resource.scope)
    if len(owners) != 1:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE,
            "the scopes belong to several resources: say which with the resource parameter",
            Refusal.SCOPE_AMBIGUOUS,
        )
    return owners


def _not_empty(scope: frozenset[str]) -> frozenset[str]:
    if not scope:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE, "no scope was asked for, and none follows from the request", Refusal.SCOPE_EMPTY
        )
    return scope


def _union(resources: Iterable[Resource]) -> frozenset[str]:
    return frozenset[str]().union(*(resource.scope for resource in resources))
