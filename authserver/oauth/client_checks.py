"""What a client may be as a whole, whoever made or changed it (RFC 7591 §2, §2.1, §5; RFC 8252; RFC 9700 §2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.client_members import refuse_member
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.redirect_uri import check_registrable
from authserver.oauth.values import AuthMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from authserver.oauth.values import Client

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
CODE: Final = "code"


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPolicy:
    """What may be registered, and by whom.

    ``metadata`` is the discovery document: what it announces can be registered, and nothing else. ``scope`` is every
    scope there is. ``allow_http`` tells which addresses outbound requests may reach without TLS.
    """

    metadata: Mapping[str, object]
    scope: frozenset[str]
    operator: bool = False
    allow_http: Callable[[str], bool] = _never


def check_client(client: Client, policy: RegistrationPolicy) -> None:
    """Refuse a client whose members contradict one another, or that is more than its kind may be.

    Raises ``invalid_redirect_uri`` or ``invalid_client_metadata``. It looks at the result only: what the client was
    before an update, and by which request it got here, makes no difference.
    """
    _check_addresses(client)
    _check_grant_types(client)
    _check_keys(client, policy)
    _check_logout_address(client, policy)
    _check_operator_settings(client)


def _check_addresses(client: Client) -> None:
    if AUTHORIZATION_CODE in client.grant_types and not client.redirect_uris:
        raise OAuthError(
            ErrorCode.INVALID_REDIRECT_URI,
            "redirect_uris is needed for the authorization_code grant type",
            Refusal.METADATA_REDIRECT_URI,
        )
    for uri in (*client.redirect_uris, *client.post_logout_redirect_uris):
        check_registrable(uri, application_type=client.application_type, self_registered=client.self_registered)


def _check_grant_types(client: Client) -> None:
    """Keep grant types and response types in step (RFC 7591 §2.1), and clients without users vouched for."""
    if not client.grant_types and not client.introspects:
        refuse_member("grant_types", "must name one; only a resource server that introspects needs none")
    if (AUTHORIZATION_CODE in client.grant_types) is not (CODE in client.response_types):
        refuse_member("response_types", "must hold code if, and only if, grant_types holds authorization_code")
    if CLIENT_CREDENTIALS in client.grant_types and client.is_public:
        refuse_member("grant_types", "cannot hold client_credentials: the client has nothing to authenticate with")
    if CLIENT_CREDENTIALS in client.grant_types and client.self_registered:
        # No user is asked there, so anybody could give themselves access to every API (RFC 7591 §5).
        refuse_member("grant_types", "cannot hold client_credentials: it needs an initial access token")


def _check_keys(client: Client, policy: RegistrationPolicy) -> None:
    """Ask for public keys from one place, where the client signs, and over TLS (RFC 7591 §2, RFC 7523 §3)."""
    if client.jwks is not None and client.jwks_uri is not None:
        refuse_member("jwks", "and jwks_uri cannot both be sent")
    if client.token_endpoint_auth_method is AuthMethod.PRIVATE_KEY_JWT and client.jwks is None and not client.jwks_uri:
        refuse_member("jwks_uri", "or jwks is needed for private_key_jwt")
    if client.jwks_uri and not client.jwks_uri.startswith("https://") and not policy.allow_http(client.jwks_uri):
        refuse_member("jwks_uri", "must be an https address")


def _check_logout_address(client: Client, policy: RegistrationPolicy) -> None:
    """Ask for TLS; without it only a confidential client, where this server may go there (Back-Channel Logout §2.2)."""
    uri = client.backchannel_logout_uri
    if uri is None or uri.startswith("https://"):
        return
    if client.is_public or not policy.allow_http(uri):
        refuse_member("backchannel_logout_uri", "must be an https address")


def _check_operator_settings(client: Client) -> None:
    if client.is_public and not client.require_pkce:
        refuse_member("require_pkce", "must be true for a client without a secret")
    if client.is_public and client.introspects:
        refuse_member("introspects", "is for clients that authenticate")
    if client.api_register and not client.first_party:
        refuse_member("api_register", "is for first-party clients")
