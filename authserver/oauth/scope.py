"""Scopes: reading and writing them, who may ask for which, and what is left at the moment of issue (RFC 6749 §3.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from authserver.oauth.values import Client, Resource, User

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"

# What each scope of OIDC Core §5.4 lets userinfo and the ID token say; openid itself stands for `sub`, which every
# answer has, and offline_access (§11) says nothing about the user.
SCOPE_CLAIMS: Final[Mapping[str, tuple[str, ...]]] = {
    OPENID: ("sub",),
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
    OFFLINE_ACCESS: (),
}
OIDC_SCOPES: Final = frozenset(SCOPE_CLAIMS)

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def parse_scope(text: str | None) -> frozenset[str] | None:
    """Return the words of a ``scope`` parameter, or None where it was not sent.

    Order and repetition mean nothing (RFC 6749 §3.3), and neither do blanks too many, which deployed clients send.
    Raises ``invalid_scope`` for any other character the grammar lacks, and for a value of blanks only.
    """
    if text is None:
        return None
    words = frozenset(filter(None, text.split(" ")))
    if not words or not all(_SCOPE_TOKEN.fullmatch(word) for word in words):
        raise OAuthError(
            ErrorCode.INVALID_SCOPE,
            "scope must be words of printable ASCII without quotes and backslashes, separated by spaces",
            Refusal.SCOPE_MALFORMED,
        )
    return words


def join_scope(scope: Iterable[str]) -> str:
    """Return the wire form, sorted, so that equal scopes are equal strings."""
    return " ".join(sorted(scope))


def check_registered(client: Client, scope: frozenset[str]) -> None:
    """Refuse what the client did not register (RFC 7591 §2, ``scope``); raises ``invalid_scope``."""
    excess = scope - client.scope
    if excess:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE,
            f"the client is not registered for scope {_first(excess)}",
            Refusal.SCOPE_NOT_ALLOWED,
        )


def narrow_scope(granted: frozenset[str], asked: frozenset[str] | None) -> frozenset[str]:
    """Return what a later request of the same grant asks for, all of it where it names nothing (RFC 6749 §6).

    Raises ``invalid_scope`` where it asks for more than was granted.
    """
    if asked is None:
        return granted
    excess = asked - granted
    if excess:
        raise OAuthError(
            ErrorCode.INVALID_SCOPE, f"scope {_first(excess)} is not part of the grant", Refusal.SCOPE_NOT_GRANTED
        )
    return asked


def effective_scope(granted: frozenset[str], user: User, resources: Iterable[Resource]) -> frozenset[str]:
    """Return what of a grant its user may have at this moment; computed anew at every issue.

    ``resources`` are those the token is for. A scope in a resource's ``verified_scope`` needs a verified e-mail
    address. The answer may be empty.
    """
    if user.email_verified:
        return granted
    needs_verification = frozenset[str]().union(*(resource.verified_scope for resource in resources))
    return granted - needs_verification


def _first(scope: frozenset[str]) -> str:
    return printable(min(scope))
