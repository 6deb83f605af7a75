"""Sign-in through another provider, as values: who they are, a sign-in under way there, and whose account is whose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.oauth.values import AuthMethod

AMR_UPSTREAM: Final = ("upstream",)  # RFC 8176 has no word for it; what the provider says of factors is not passed on
AWAY_LIFETIME: Final = timedelta(minutes=10)  # to come back from the provider
FINISH_LIFETIME: Final = timedelta(hours=1)  # to prove an address, once somebody without an account has come back


class ProviderKind(StrEnum):
    """What a provider speaks."""

    OIDC = "oidc"  # OpenID Connect: an issuer with discovery and ID tokens
    OAUTH = "oauth"  # OAuth 2.0 with an address that says who it was, as at GitHub


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One that people may sign in through, as the operator registered it.

    ``kind``, ``issuer``, ``userinfo_endpoint`` and ``subject_field`` say whose subjects are meant: they never change.
    The endpoints are None where discovery tells them. ``sealed_secret`` is None for a public client.
    """

    slug: str
    kind: ProviderKind
    label: str
    position: int
    client_id: str
    sealed_secret: bytes | None
    auth_method: AuthMethod
    scope: tuple[str, ...]
    issuer: str | None
    authorization_endpoint: str | None
    token_endpoint: str | None
    userinfo_endpoint: str | None
    emails_endpoint: str | None
    subject_field: str
    allow_sign_up: bool
    trust_email: bool
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether anybody can sign in through it at present."""
        return self.disabled_at is None

    @property
    def callback_path(self) -> str:
        """Where it sends people back to: an address of its own, so that no other answers for it (RFC 9700 §4.4.2)."""
        return f"/upstream/{self.slug}/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where a provider is asked what. ``names_itself``: each of its answers carries ``iss`` (RFC 9207 §3)."""

    authorization: str
    token: str
    userinfo: str | None = None
    jwks: str | None = None
    names_itself: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a provider says of a person; nothing of it is proven to us but the subject."""

    subject: str
    account_name: str | None = None  # by which the person knows the account there
    name: str | None = None
    email: str | None = None
    email_verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSignIn:
    """A way to a provider and back, begun in one browser.

    ``session_id`` is the session whose account is to be linked; None where somebody signs in. ``used_at`` is when the
    browser came back. The profile is there once somebody who has no account yet did; an address is to be proven then.
    """

    id: UUID
    state_hash: bytes
    provider: str
    browser_hash: bytes
    session_id: UUID | None
    transaction_id: UUID | None
    asked_anew: bool  # the provider was asked for a fresh proof
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    subject: str | None = None
    account_name: str | None = None
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An account at a provider, linked to an account here."""

    provider: str
    subject: str
    user_id: UUID
    account_name: str | None
    created_at: datetime
    last_used_at: datetime | None
