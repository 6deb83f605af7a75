"""Metadata documents the server writes: what a client has registered, and what each kind of client starts from."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from authserver.oauth.client_checks import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, CODE
from authserver.oauth.client_metadata import DEVICE_CODE
from authserver.oauth.scope import join_scope
from authserver.oauth.values import AuthMethod, ClientType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from authserver.oauth.values import Client

REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a grant type's name
_ALG: Final = "ES256"  # short and quick; at /register the default is RS256, as OIDC wants
_REDIRECTED: Final[Mapping[str, object]] = {
    "grant_types": [AUTHORIZATION_CODE, REFRESH_TOKEN],
    "response_types": [CODE],
    "id_token_signed_response_alg": _ALG,
}

# What `clients create --type` registers before the operator's own options and --metadata are laid over it.
TYPE_DEFAULTS: Final[Mapping[ClientType, Mapping[str, object]]] = {
    ClientType.WEB: {
        **_REDIRECTED,
        "application_type": "web",
        "token_endpoint_auth_method": AuthMethod.BASIC.value,
    },
    ClientType.SPA: {
        **_REDIRECTED,
        "application_type": "web",
        "token_endpoint_auth_method": AuthMethod.NONE.value,
    },
    ClientType.NATIVE: {
        **_REDIRECTED,
        "application_type": "native",
        "token_endpoint_auth_method": AuthMethod.NONE.value,
    },
    ClientType.SERVICE: {
        "application_type": "web",
        "token_endpoint_auth_method": AuthMethod.BASIC.value,
        "grant_types": [CLIENT_CREDENTIALS],
        "response_types": [],
        "id_token_signed_response_alg": _ALG,
    },
    ClientType.DEVICE: {
        "application_type": "native",
        "token_endpoint_auth_method": AuthMethod.NONE.value,
        "grant_types": [DEVICE_CODE, REFRESH_TOKEN],
        "response_types": [],
        "id_token_signed_response_alg": _ALG,
    },
}


def build_registration_response(
    client: Client,
    *,
    registration_client_uri: str,
    registration_access_token: str | None = None,
    client_secret: str | None = None,
    client_secret_expires_at: datetime | None = None,
) -> dict[str, object]:
    """Return the client information response (RFC 7591 §3.2.1, RFC 7592 §3).

    Secrets and tokens are there only in the answer to the request that made them: the server keeps their hashes. A
    secret comes with its end, 0 where it has none.
    """
    document: dict[str, object] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "registration_client_uri": registration_client_uri,
    }
    if registration_access_token is not None:
        document["registration_access_token"] = registration_access_token
    if client_secret is not None:
        document["client_secret"] = client_secret
        document["client_secret_expires_at"] = _end_of(client_secret_expires_at)
    return document | build_metadata_document(client)


def build_metadata_document(client: Client, *, operator: bool = False) -> dict[str, object]:
    """Return all registered metadata (RFC 7591 §2); for operators with their own members, ready to be sent again."""
    document = {
        "client_name": client.client_name,
        "application_type": client.application_type,
        "redirect_uris": list(client.redirect_uris) or None,
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris) or None,
        "token_endpoint_auth_method": client.token_endpoint_auth_method.value,
        "token_endpoint_auth_signing_alg": client.token_endpoint_auth_signing_alg,
        "grant_types": sorted(client.grant_types),
        "response_types": sorted(client.response_types),
        "scope": join_scope(client.scope) or None,
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "id_token_signed_response_alg": client.id_token_signed_response_alg,
        "introspection_signed_response_alg": client.introspection_signed_response_alg,
        "subject_type": client.subject_type,
        "default_max_age": None if client.default_max_age is None else int(client.default_max_age.total_seconds()),
        "require_auth_time": client.require_auth_time,
        "backchannel_logout_uri": client.backchannel_logout_uri,
        "backchannel_logout_session_required": client.backchannel_logout_session_required,
        "client_uri": client.client_uri,
        "logo_uri": client.logo_uri,
        "tos_uri": client.tos_uri,
        "policy_uri": client.policy_uri,
        "contacts": list(client.contacts) or None,
        "software_id": client.software_id,
        "software_version": client.software_version,
        **(_operator_members(client) if operator else {}),
    }
    return {name: value for name, value in document.items() if value is not None}


def _operator_members(client: Client) -> dict[str, object]:
    lifetimes = {field.name: getattr(client.lifetimes, field.name) for field in fields(client.lifetimes)}
    return {
        "profile": client.profile,
        "refresh_token_mode": client.refresh_token_mode.value,
        "refresh_token_policy": client.refresh_token_policy.value,
        "logout_scope": client.logout_scope.value,
        **{f"{name}_lifetime": None if v is None else int(v.total_seconds()) for name, v in lifetimes.items()},
        "first_party": client.first_party,
        "api_register": client.api_register,
        "require_pkce": client.require_pkce,
        "introspects": list(client.introspects) or None,
    }


def _end_of(secret_expires_at: datetime | None) -> int:
    return 0 if secret_expires_at is None else int(secret_expires_at.timestamp())
