"""What a provider may be registered as; and the ones that everybody knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import OAuthError
from authserver.oauth.scope import OPENID, parse_scope
from authserver.oauth.upstream import ProviderKind
from authserver.oauth.upstream_rules import MAX_ADDRESS, is_endpoint
from authserver.oauth.values import AuthMethod
from authserver.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from authserver.oauth.upstream import Provider

MAX_LABEL: Final = 40  # a button at 360 px
MAX_POSITION: Final = 1000
MAX_CREDENTIAL: Final = 2000
AUTH_METHODS: Final = (AuthMethod.BASIC, AuthMethod.POST, AuthMethod.NONE)
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FIELD: Final = re.compile(r"[A-Za-z0-9_]{1,50}")
_CREDENTIAL: Final = re.compile(r"[\x21-\x7e]{1,2000}")
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is the same for everybody who registers at a provider; what is None here is for the operator to say."""

    kind: ProviderKind
    label: str
    scope: tuple[str, ...]
    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    emails_endpoint: str | None = None
    subject_field: str = "sub"


PRESETS: Final[Mapping[str, Preset]] = {
    "github": Preset(
        kind=ProviderKind.OAUTH,
        label="GitHub",
        scope=("read:user", "user:email"),
        authorization_endpoint="https://github.com/login/oauth/authorize",
        token_endpoint="https://github.com/login/oauth/access_token",  # noqa: S106 - an address
        userinfo_endpoint="https://api.github.com/user",
        emails_endpoint="https://api.github.com/user/emails",
        subject_field="id",
    ),
    "google": Preset(
        kind=ProviderKind.OIDC,
        label="Google",
        scope=("openid", "email", "profile"),
        issuer="https://accounts.google.com",
    ),
    "gitlab": Preset(
        kind=ProviderKind.OIDC,
        label="GitLab",
        scope=("openid", "email", "profile"),
        issuer="https://gitlab.com",
    ),
}


def check_provider(provider: Provider, may_use_http: Callable[[str], bool]) -> None:
    """Refuse a provider that could not work, or whose answers could be another one's."""
    if not _SLUG.fullmatch(provider.slug):
        raise OperationError(
            "A slug has up to 40 small letters, digits and hyphens; it is part of the callback address.", field="slug"
        )
    if not 1 <= len(provider.label) <= MAX_LABEL or not provider.label.isprintable() or not provider.label.strip():
        raise OperationError(f"A label has 1 to {MAX_LABEL} printable characters.", field="label")
    if not 0 <= provider.position <= MAX_POSITION:
        raise OperationError(f"A position is a number from 0 to {MAX_POSITION}.", field="position")
    if not _CREDENTIAL.fullmatch(provider.client_id):
        raise OperationError("A client_id is visible ASCII without blanks.", field="client_id")
    if not _FIELD.fullmatch(provider.subject_field):
        raise OperationError("A field's name has up to 50 letters, digits and underscores.", field="subject_field")
    if (provider.auth_method is AuthMethod.NONE) != (provider.sealed_secret is None):
        raise OperationError("A client secret and --auth-method none exclude one another.", field="auth_method")
    _check_kind(provider)
    for name in ("issuer", *_ENDPOINTS, "emails_endpoint"):
        address = getattr(provider, name)
        if address is not None and not is_endpoint(address, may_use_http):
            raise OperationError(
                f"This is an https address of at most {MAX_ADDRESS} characters, without fragment or credentials.",
                field=name,
                fix="Name a private host in AUTHSERVER_OUTBOUND_ALLOW to use it by plain http.",
            )


def check_secret(secret: str) -> None:
    """Refuse what cannot be a client secret (RFC 6749 appendix A.2), before it is sealed."""
    if not _CREDENTIAL.fullmatch(secret):
        raise OperationError(
            f"A client secret has 1 to {MAX_CREDENTIAL} visible ASCII characters.", field="client_secret"
        )


def parse_provider_scope(text: str) -> tuple[str, ...]:
    """Return the words of a scope in their order, each once."""
    try:
        parse_scope(text)
    except OAuthError as error:
        raise OperationError(f"The {error.description}.", field="scope") from error
    return tuple(dict.fromkeys(text.split()))


def parse_auth_method(text: str) -> AuthMethod:
    """Return how this server authenticates at a provider's token endpoint."""
    found = next((method for method in AUTH_METHODS if method.value == text), None)
    if found is None:
        raise OperationError(f"The method is one of {', '.join(AUTH_METHODS)}.", field="auth_method")
    return found


def _check_kind(provider: Provider) -> None:
    if provider.kind is ProviderKind.OIDC:
        if provider.issuer is None:
            raise OperationError("An OpenID Connect provider is named by its issuer.", field="issuer")
        if "?" in provider.issuer:
            raise OperationError("An issuer has no query (OpenID Connect Core §2).", field="issuer")
        if OPENID not in provider.scope:
            raise OperationError("The scope of an OpenID Connect provider has openid.", field="scope")
        _refuse_all(provider, (*_ENDPOINTS, "emails_endpoint"), "Discovery at the issuer tells the endpoints.")
        if provider.subject_field != "sub":
            raise OperationError("The subject of an OpenID Connect provider is sub.", field="subject_field")
        return
    _refuse_all(provider, ("issuer",), "A provider with an issuer is one of OpenID Connect: leave the endpoints out.")
    for name in _ENDPOINTS:
        if getattr(provider, name) is None:
            raise OperationError("A provider without an issuer needs all three endpoints.", field=name)


def _refuse_all(provider: Provider, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(provider, name) is not None:
            raise OperationError(why, field=name)
