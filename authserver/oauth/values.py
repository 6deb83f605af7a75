"""The nouns of the protocol as frozen values. Rows become these before they leave ``store``.

Scopes are sets of words. Times are aware UTC datetimes, lifetimes timedeltas; whole seconds appear on the wire only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime, timedelta
    from uuid import UUID


class ClientType(StrEnum):
    """What an operator says a client is; it decides the defaults and how redirect URIs compare."""

    WEB = "web"
    SPA = "spa"
    NATIVE = "native"
    SERVICE = "service"
    DEVICE = "device"


class AuthMethod(StrEnum):
    """How a client authenticates at the token endpoint (RFC 7591 §2, OIDC Core §9)."""

    NONE = "none"
    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"


class RefreshMode(StrEnum):
    """What a refresh does to the token presented (DESIGN §5)."""

    ROTATE = "rotate"
    KEEP = "keep"
    REUSE = "reuse"


class RefreshPolicy(StrEnum):
    """How forgiving rotation is when a token comes twice (DESIGN §5)."""

    STRICT = "strict"
    GRACE = "grace"
    LOST_RESPONSE = "lost-response"


class LogoutScope(StrEnum):
    """Whether the end of a session ends the client's grants. Those with ``offline_access`` outlive it either way."""

    SESSION = "session"
    STANDALONE = "standalone"


class Prompt(StrEnum):
    """Values of ``prompt`` that are honoured (OIDC Core §3.1.2.1)."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    CREATE = "create"  # Initiating User Registration via OpenID Connect 1.0 §4


class ResponseMode(StrEnum):
    """How the authorization response travels (OAuth Multiple Response Types §2.1, Form Post Response Mode)."""

    QUERY = "query"
    FORM_POST = "form_post"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    """One of at most two live secrets of a client; 256 random bits, kept as SHA-256."""

    secret_hash: bytes
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long what is issued lives; a client's None means the server's setting."""

    access_token: timedelta | None = None
    id_token: timedelta | None = None
    authorization_code: timedelta | None = None
    refresh_token_idle: timedelta | None = None
    refresh_token_absolute: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An app that asks for tokens (RFC 7591 §2 metadata beside the operator's settings)."""

    client_id: str
    client_name: str
    type: ClientType = ClientType.WEB
    application_type: str = "web"  # web | native (OIDC Registration §2)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    token_endpoint_auth_method: AuthMethod = AuthMethod.BASIC
    token_endpoint_auth_signing_alg: str | None = None
    grant_types: frozenset[str] = frozenset({"authorization_code"})
    response_types: frozenset[str] = frozenset({"code"})
    scope: frozenset[str] = frozenset()
    secrets: tuple[ClientSecret, ...] = ()
    jwks: Mapping[str, object] | None = None
    jwks_uri: str | None = None
    id_token_signed_response_alg: str = "ES256"  # noqa: S105 - an algorithm
    default_max_age: timedelta | None = None
    require_auth_time: bool = False
    backchannel_logout_uri: str | None = None  # where it hears that a session is over (Back-Channel Logout §2.2)
    backchannel_logout_session_required: bool = False  # a wish that is always met: every logout token says `sid`
    subject_type: str = "public"
    client_uri: str | None = None
    logo_uri: str | None = None
    tos_uri: str | None = None
    policy_uri: str | None = None
    contacts: tuple[str, ...] = ()
    software_id: str | None = None
    software_version: str | None = None
    profile: str | None = None
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    refresh_token_mode: RefreshMode = RefreshMode.ROTATE
    refresh_token_policy: RefreshPolicy = RefreshPolicy.LOST_RESPONSE
    logout_scope: LogoutScope = LogoutScope.SESSION
    first_party: bool = False
    api_register: bool = False
    require_pkce: bool = True
    introspects: tuple[str, ...] = ()  # the resources it serves: it may ask about their tokens (RFC 7662)
    introspection_signed_response_alg: str | None = None  # None: the default of RFC 9701 §6
    # Where its own tokens stand in the status lists: given when it is stored, and nothing that it is.
    status_index: int | None = field(default=None, compare=False)
    self_registered: bool = False  # through /register, without an operator's word for it
    registration_token_hash: bytes | None = None
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def is_public(self) -> bool:
        """Tell whether the client has nothing to authenticate with (RFC 6749 §2.1)."""
        return self.token_endpoint_auth_method is AuthMethod.NONE

    @property
    def is_active(self) -> bool:
        """Tell whether the client may be served at all."""
        return self.disabled_at is None and self.deleted_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An API that tokens are for: its identifier is the audience (RFC 8707 §2)."""

    identifier: str
    name: str
    scope: frozenset[str]
    verified_scope: frozenset[str] = frozenset()  # the part of scope that needs a verified e-mail address
    access_token_lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. ``sub`` on the wire is ``str(id)``: random, never reused, and no client_id may look like it."""

    id: UUID
    username: str
    email: str | None
    email_verified: bool
    password_hash: str | None = None
    is_admin: bool = False
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    middle_name: str | None = None
    nickname: str | None = None
    profile: str | None = None
    picture: str | None = None
    website: str | None = None
    gender: str | None = None
    birthdate: date | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    phone_number: str | None = None
    phone_number_verified: bool = False
    address: str | None = None  # the formatted address (OIDC Core §5.1.1)
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None = None
    deleted_at: datetime | None = None
    delete_at: datetime | None = None  # the person asked to be deleted then, and can take it back until then

    @property
    def sub(self) -> str:
        """The subject identifier (OIDC Core §2)."""
        return str(self.id)

    @property
    def is_active(self) -> bool:
        """Tell whether the user may get anything."""
        return self.may_sign_in and self.delete_at is None

    @property
    def may_sign_in(self) -> bool:
        """Tell whether the user may prove who they are; who is leaving may, to stay after all, and gets no tokens."""
        return self.disabled_at is None and self.deleted_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser in which a user is signed in."""

    id: UUID
    user_id: UUID
    auth_time: datetime
    acr: str
    amr: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime  # absolute; the idle lifetime counts from last_seen_at
    shared_computer: bool = False
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user agreed that a client may have, for later requests (RFC 6749 §4.1.1 step B)."""

    user_id: UUID
    client_id: str
    scope: frozenset[str]
    resources: frozenset[str]
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A checked authorization request: client and redirect URI are known good, so errors may be sent there."""

    client: Client
    redirect_uri: str
    redirect_uri_given: bool
    response_mode: ResponseMode
    scope: frozenset[str]
    resources: tuple[str, ...]  # resolved: what the access token's aud will be; empty means the issuer itself
    state: str | None
    nonce: str | None
    code_challenge: str | None  # always S256
    prompt: frozenset[Prompt]
    max_age: timedelta | None
    login_hint: str | None
    id_token_hint: str | None
    acr_values: tuple[str, ...]
    ui_locales: tuple[str, ...] = ()
    claims: Mapping[str, object] | None = None

    @property
    def is_openid(self) -> bool:
        """Tell whether an ID token is asked for (OIDC Core §3.1.2.1)."""
        return "openid" in self.scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A sign-in under way in one browser: the request as it came, and what the steps have stored so far."""

    id: UUID
    browser_hash: bytes
    client_id: str
    parameters: str  # the authorization request, form-encoded, checked anew at each step
    created_at: datetime
    expires_at: datetime
    consented_by: UUID | None = None  # the user who allowed it
    consented_scope: frozenset[str] = frozenset()
    consented_resources: frozenset[str] = frozenset()
    denied_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode:
    """An authorization code as stored: everything its redemption needs (RFC 6749 §4.1.2)."""

    code_hash: bytes
    client_id: str
    grant_id: UUID  # made with the code, inserted at redemption, so that a replay finds what to revoke
    user_id: UUID
    session_id: UUID
    redirect_uri: str
    redirect_uri_given: bool
    scope: frozenset[str]
    resources: tuple[str, ...]
    code_challenge: str | None
    nonce: str | None
    auth_time: datetime
    acr: str
    amr: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    uses: int = 0  # counted by the claim: 1 is the first use


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a user gave one client on one device: the family of tokens that falls together (DESIGN §5)."""

    id: UUID
    client_id: str
    user_id: UUID
    session_id: UUID | None
    scope: frozenset[str]
    resources: tuple[str, ...]
    acr: str
    amr: tuple[str, ...]
    auth_time: datetime
    secret_hash: bytes
    generation: int
    rotated_at: datetime
    expires_at: datetime
    created_at: datetime
    late: int = -2
    bound_key: str | None = None  # "jkt:" and a JWK thumbprint, or "x5t#S256:" and a certificate digest (RFC 7800 cnf)
    status_index: int | None = None
    revoked_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a grant type proved and decided: all the issuer needs to sign an answer, after the commit."""

    subject: str
    scope: frozenset[str]
    audience: tuple[str, ...]
    access_token_lifetime: timedelta
    grant_id: UUID | None = None  # None: client_credentials
    status_index: int | None = None  # of the grant, else of the client; None: its tokens stand in no status list
    session_id: UUID | None = None
    refresh_token: str | None = None
    user: User | None = None
    nonce: str | None = None
    auth_time: datetime | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()
