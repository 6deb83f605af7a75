"""What a client registers: from a metadata document to a ``Client`` (RFC 7591, RFC 7592, OIDC Dynamic Registration).

One way for strangers at /register and for operators: parse the document, build or update the client, and check the
*result*. What a client ends up as is judged whichever request brought it there, so no update can reach what a
registration could not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc7591.claims import ClientMetadataClaims as OAuthMembers
from authlib.oauth2.rfc7591.claims import InvalidClaimError
from authlib.oidc.registration.claims import ClientMetadataClaims as OpenIdMembers

from authserver.oauth.client_checks import AUTHORIZATION_CODE, CODE, RegistrationPolicy, check_client
from authserver.oauth.client_members import parse_document, read_members, refuse_member
from authserver.oauth.params import printable
from authserver.oauth.redirect_uri import infer_application_type
from authserver.oauth.scope import OIDC_SCOPES
from authserver.oauth.values import AuthMethod, Client, ClientType, Lifetimes, LogoutScope, RefreshMode, RefreshPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"

# The lists of the discovery document that say which values a client may register.
_ANNOUNCED: Final = (
    "grant_types_supported",
    "response_types_supported",
    "subject_types_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "id_token_signing_alg_values_supported",
)
# Authlib's own checks of these two are not used: it refuses redirect URIs without a host (RFC 8252 §7.1 has them), and
# keys are checked in jose/, where weak ones are refused too.
_OWN_CHECKS: Final = frozenset({"redirect_uris", "jwks"})
_ID_TOKEN_ALG: Final = "id_token_signed_response_alg"  # noqa: S105 - a member's name
_INTROSPECTION_ALG: Final = "introspection_signed_response_alg"
_LIFETIMES: Final = tuple(field.name for field in fields(Lifetimes))  # each with `_lifetime` is a member's name


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """The members of a document that only operators may set (DESIGN §2, ``--metadata``)."""

    profile: str | None
    refresh_token_mode: RefreshMode
    refresh_token_policy: RefreshPolicy
    logout_scope: LogoutScope
    lifetimes: Lifetimes
    first_party: bool
    api_register: bool
    require_pkce: bool
    introspects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """A document whose members were read and each checked for itself, defaults filled in (RFC 7591 §2).

    ``operator`` is None for strangers: what operators set stays as it is then.
    """

    client_name: str | None
    application_type: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    token_endpoint_auth_method: AuthMethod
    token_endpoint_auth_signing_alg: str | None
    grant_types: frozenset[str]
    response_types: frozenset[str]
    scope: frozenset[str]
    jwks: Mapping[str, object] | None
    jwks_uri: str | None
    id_token_signed_response_alg: str
    introspection_signed_response_alg: str | None
    default_max_age: timedelta | None
    require_auth_time: bool
    backchannel_logout_uri: str | None
    backchannel_logout_session_required: bool
    client_uri: str | None
    logo_uri: str | None
    tos_uri: str | None
    policy_uri: str | None
    contacts: tuple[str, ...]
    software_id: str | None
    software_version: str | None
    operator: OperatorSettings | None


def parse_client_metadata(document: bytes | Mapping[str, object], policy: RegistrationPolicy) -> ClientMetadata:
    """Read a registration document (RFC 7591 §2, §3.1; OIDC Registration §2).

    Members that are unknown, or only for operators, are ignored; known ones with a value the server does not offer are
    refused with ``invalid_client_metadata``. Only a stranger's ``scope`` is replaced, by the part of it that exists.
    """
    value = parse_document(document) if isinstance(document, bytes) else document
    members = read_members(value, operator=policy.operator)
    redirect_uris = members.get("redirect_uris", ())
    members["application_type"] = infer_application_type(members.get("application_type"), redirect_uris)
    members.update(_check_offered(members, policy))
    _check_introspection_alg(members, policy)
    grant_types = members.get("grant_types", frozenset({AUTHORIZATION_CODE}))
    default_response_types = {CODE} if AUTHORIZATION_CODE in grant_types else ()
    max_age = members.get("default_max_age")
    return ClientMetadata(
        client_name=members.get("client_name") or None,
        application_type=members["application_type"],
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=members.get("post_logout_redirect_uris", ()),
        token_endpoint_auth_method=AuthMethod(members["token_endpoint_auth_method"]),
        token_endpoint_auth_signing_alg=members.get("token_endpoint_auth_signing_alg"),
        grant_types=grant_types,
        response_types=frozenset(members.get("response_types", default_response_types)),
        scope=_choose_scope(members.get("scope"), grant_types, policy),
        jwks=members.get("jwks"),
        jwks_uri=members.get("jwks_uri"),
        id_token_signed_response_alg=members["id_token_signed_response_alg"],
        introspection_signed_response_alg=members.get(_INTROSPECTION_ALG),
        default_max_age=None if max_age is None else timedelta(seconds=max_age),
        require_auth_time=members["require_auth_time"],
        backchannel_logout_uri=members.get("backchannel_logout_uri"),
        backchannel_logout_session_required=members.get("backchannel_logout_session_required", False),
        client_uri=members.get("client_uri"),
        logo_uri=members.get("logo_uri"),
        tos_uri=members.get("tos_uri"),
        policy_uri=members.get("policy_uri"),
        contacts=members.get("contacts", ()),
        software_id=members.get("software_id"),
        software_version=members.get("software_version"),
        operator=_operator_settings(members) if policy.operator else None,
    )


def build_client(
    metadata: ClientMetadata,
    policy: RegistrationPolicy,
    *,
    client_id: str,
    now: datetime,
    type: ClientType | None = None,  # noqa: A002 - the option's name, `clients create --type`
    self_registered: bool = False,
    registration_token_hash: bytes | None = None,
) -> Client:
    """Return a new client, checked; secrets are the caller's to add. Without a name it is called by its ``client_id``.

    ``self_registered`` is for those nobody vouched for: no initial access token, no operator (RFC 7591 §3).
    """
    blank = Client(
        client_id=client_id,
        client_name=client_id,
        require_pkce=False,
        self_registered=self_registered,
        registration_token_hash=registration_token_hash,
        created_at=now,
        updated_at=now,
    )
    client = replace(_apply(metadata, blank, now), type=type or infer_type(metadata))
    check_client(client, policy)
    return client


def update_client(client: Client, metadata: ClientMetadata, policy: RegistrationPolicy, *, now: datetime) -> Client:
    """Return the client with all its metadata replaced, checked as a new one is (RFC 7592 §2.2).

    What operators set stays where a stranger's document cannot say it; members left out go back to their defaults.
    """
    updated = _apply(metadata, client, now)
    if metadata.operator is None:
        updated = replace(updated, type=infer_type(metadata))
    check_client(updated, policy)
    return updated


def infer_type(metadata: ClientMetadata) -> ClientType:
    """Return what an operator would have called a client that registered itself."""
    if DEVICE_CODE in metadata.grant_types:
        return ClientType.DEVICE
    if AUTHORIZATION_CODE not in metadata.grant_types:
        return ClientType.SERVICE
    if metadata.application_type == "native":
        return ClientType.NATIVE
    return ClientType.SPA if metadata.token_endpoint_auth_method is AuthMethod.NONE else ClientType.WEB


def _apply(metadata: ClientMetadata, client: Client, now: datetime) -> Client:
    """Lay a document over a client: its fields, and those of the operator's part, are named as the client's are."""
    values: dict[str, Any] = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    operator = values.pop("operator")
    values["client_name"] = metadata.client_name or client.client_id
    public = metadata.token_endpoint_auth_method is AuthMethod.NONE
    values["require_pkce"] = client.require_pkce or public  # deployed confidential OIDC clients send no challenge
    if operator is not None:
        values.update({field.name: getattr(operator, field.name) for field in fields(operator)})
    return replace(client, updated_at=now, **values)


def _check_offered(members: Mapping[str, Any], policy: RegistrationPolicy) -> dict[str, Any]:
    """Let Authlib refuse what discovery does not announce, and fill in the defaults it knows (RFC 7591 §2).

    Types were checked before: Authlib raises other exceptions than its own for odd ones. Returns what it filled in.
    """
    sent = {name: list(v) if isinstance(v, frozenset | tuple) else v for name, v in members.items()}
    sent = {name: v for name, v in sent.items() if name not in _OWN_CHECKS}
    announced: dict[str, Any] = {name: policy.metadata[name] for name in _ANNOUNCED}
    filled: dict[str, Any] = {}
    for kind in (OAuthMembers, OpenIdMembers):
        claims = kind(sent, {}, kind.get_claims_options(announced))
        try:
            claims.validate()
        except InvalidClaimError as error:
            refuse_member(error.claim, "has a value that is not offered here")
        filled.update({name: v for name, v in claims.items() if name not in sent})
    alg = filled.get(_ID_TOKEN_ALG)
    if alg is not None and alg not in announced["id_token_signing_alg_values_supported"]:
        refuse_member(_ID_TOKEN_ALG, f"must be sent: its default, {alg}, is not offered here")
    return filled


def _check_introspection_alg(members: Mapping[str, Any], policy: RegistrationPolicy) -> None:
    """Refuse an algorithm that introspection responses are not signed with (RFC 9701 §6); Authlib does not know it."""
    alg = members.get(_INTROSPECTION_ALG)
    announced: Any = policy.metadata["introspection_signing_alg_values_supported"]
    if alg is not None and alg not in announced:
        refuse_member(_INTROSPECTION_ALG, "has a value that is not offered here")


def _choose_scope(
    asked: frozenset[str] | None, grant_types: frozenset[str], policy: RegistrationPolicy
) -> frozenset[str]:
    """Return what may be asked for later (RFC 7591 §2): a stranger who names nothing may ask for everything.

    A user decides then what it gets. An operator names the scopes of APIs; those of OpenID Connect come with a login.
    """
    if asked is None and policy.operator:
        return OIDC_SCOPES if AUTHORIZATION_CODE in grant_types else frozenset()
    if asked is None:
        return policy.scope
    known = asked & policy.scope
    unknown = asked - policy.scope
    if unknown and (policy.operator or not known):
        refuse_member("scope", f"has {printable(min(unknown))}, which is no scope of any resource here")
    return known


def _operator_settings(members: Mapping[str, Any]) -> OperatorSettings:
    lifetimes = {name: members.get(f"{name}_lifetime") for name in _LIFETIMES}
    return OperatorSettings(
        profile=members.get("profile"),
        refresh_token_mode=RefreshMode(members.get("refresh_token_mode", RefreshMode.ROTATE)),
        refresh_token_policy=RefreshPolicy(members.get("refresh_token_policy", RefreshPolicy.LOST_RESPONSE)),
        logout_scope=LogoutScope(members.get("logout_scope", LogoutScope.SESSION)),
        lifetimes=Lifetimes(**{k: None if v is None else timedelta(seconds=v) for k, v in lifetimes.items()}),
        first_party=members.get("first_party", False),
        api_register=members.get("api_register", False),
        require_pkce=members.get("require_pkce", True),
        introspects=members.get("introspects", ()),
    )
