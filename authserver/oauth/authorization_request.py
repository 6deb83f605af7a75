"""Reading an authorization request in the order that keeps the redirect honest (RFC 6749 §4.1.1, OIDC Core §3.1.2.1).

First the size, the client and the redirect URI: what is wrong there is an :class:`OAuthError` and becomes a page,
because nobody may be sent to an address that was not checked. From then on there is a :class:`Checked`, and everything
wrong is an :class:`AuthorizationError`, which the client gets to read at its redirect URI.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.oauth import pkce
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable
from authserver.oauth.redirect_uri import find_registered
from authserver.oauth.resource import MAX_RESOURCES, choose_target, parse_resources
from authserver.oauth.response_mode import AuthorizationResponse, build_error, build_success, parse_response_mode
from authserver.oauth.scope import OFFLINE_ACCESS, OPENID, parse_scope
from authserver.oauth.values import AuthorizationRequest, Prompt, ResponseMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from authserver.oauth.params import Params
    from authserver.oauth.values import Client, Resource

MAX_TOTAL: Final = 8 * 1024  # bytes of all names and values
MAX_STATE: Final = 1024  # bytes of state, and of nonce
RESPONSE_TYPE: Final = "code"

# `select_account` is answered by the login page, where another account can be chosen (OIDC Core §3.1.2.1).
_PROMPTS: Final[Mapping[str, Prompt]] = {
    "none": Prompt.NONE,
    "login": Prompt.LOGIN,
    "select_account": Prompt.LOGIN,
    "consent": Prompt.CONSENT,
    "create": Prompt.CREATE,
}
PROMPTS_OFFERED: Final = tuple(_PROMPTS)

_MAX_AGE: Final = re.compile(r"[0-9]{1,9}")

_UNSUPPORTED: Final = (
    ("request", ErrorCode.REQUEST_NOT_SUPPORTED, Refusal.REQUEST_OBJECT_UNSUPPORTED),
    ("request_uri", ErrorCode.REQUEST_URI_NOT_SUPPORTED, Refusal.REQUEST_URI_UNSUPPORTED),
    ("registration", ErrorCode.REGISTRATION_NOT_SUPPORTED, Refusal.REGISTRATION_PARAMETER_UNSUPPORTED),
)


class AuthorizationError(OAuthError):
    """A refusal that the client reads at its redirect URI (RFC 6749 §4.1.2.1)."""

    def __init__(self, error: OAuthError, checked: Checked) -> None:
        """Wrap a refusal with the way back."""
        super().__init__(error.error, error.description, error.refusal, status=error.status, headers=error.headers)
        self.checked = checked

    def response(self, issuer: str) -> AuthorizationResponse:
        """Return what to send to the client."""
        return self.checked.build_error(self, issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A client and a redirect URI that belong together: the way back, for codes and refusals alike."""

    client: Client
    redirect_uri: str
    redirect_uri_given: bool
    response_mode: ResponseMode
    state: str | None

    @classmethod
    def of(cls, request: AuthorizationRequest) -> Checked:
        """Return the way back of a request that was read before."""
        return cls(
            client=request.client,
            redirect_uri=request.redirect_uri,
            redirect_uri_given=request.redirect_uri_given,
            response_mode=request.response_mode,
            state=request.state,
        )

    def redirect(self, error: OAuthError) -> AuthorizationError:
        """Return a refusal as one that may be sent to the client."""
        return AuthorizationError(error, self)

    def build_error(self, error: OAuthError, issuer: str) -> AuthorizationResponse:
        """Return the response that carries a refusal."""
        return build_error(self.redirect_uri, self.response_mode, error=error, state=self.state, issuer=issuer)

    def build_success(self, code: str, issuer: str) -> AuthorizationResponse:
        """Return the response that carries a code."""
        return build_success(self.redirect_uri, self.response_mode, code=code, state=self.state, issuer=issuer)


def parse_authorization_request(
    params: Params, client: Client | None, known: Sequence[Resource]
) -> AuthorizationRequest:
    """Return the request of a client, checked against what it registered and the resources there are.

    ``client`` is who ``client_id`` (:func:`parse_client_id`) names, None where nobody. Raises
    :class:`AuthorizationError` where the client may be told, any other :class:`OAuthError` where only the person in
    front of the browser may be.
    Parameters that mean nothing here are ignored (RFC 6749 §3.1).
    """
    checked = parse_destination(params, client)
    try:
        return _parse_rest(params, checked, known)
    except OAuthError as error:
        raise checked.redirect(error) from error


def parse_client_id(params: Params) -> str:
    """Return ``client_id``; its absence or repetition is for a page, not for a redirect."""
    return params.require("client_id")


def parse_destination(params: Params, client: Client | None) -> Checked:
    """Return the way back to the client, once its limits, its client and its redirect URI are known to be good."""
    check_size(params)
    if client is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "no client has this client_id", Refusal.CLIENT_UNKNOWN)
    if not client.is_active:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "this client is turned off", Refusal.CLIENT_DISABLED)
    given = params.get("redirect_uri")
    return Checked(
        client=client,
        redirect_uri=_get_only_registered(params, client) if given is None else _get_registered(given, client),
        redirect_uri_given=given is not None,
        response_mode=_read_response_mode(params),
        state=_only_value(params, "state"),
    )


def check_size(params: Params) -> None:
    """Refuse a request beyond the limits (SECURITY row 19); a redirect would only carry the burden on."""
    if sum(len(name.encode()) + len(value.encode()) for name, value in params) > MAX_TOTAL:
        raise _too_long("the authorization request", MAX_TOTAL)
    for name in ("state", "nonce"):
        if any(len(value.encode()) > MAX_STATE for value in params.all(name)):
            raise _too_long(name, MAX_STATE)
    if len(params.all("resource")) > MAX_RESOURCES:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, f"more than {MAX_RESOURCES} resource parameters", Refusal.PARAMETERS_TOO_MANY
        )


def _too_long(what: str, limit: int) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, f"{what} is longer than {limit} bytes", Refusal.PARAMETER_TOO_LONG)


def _get_registered(given: str, client: Client) -> str:
    if find_registered(client, given) is None:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST,
            f"redirect_uri {printable(given, 200)} is not registered for this client",
            Refusal.REDIRECT_URI_NOT_REGISTERED,
        )
    return given


def _get_only_registered(params: Params, client: Client) -> str:
    """Return the one that is meant by silence: only where one is registered, and never for OpenID (§3.1.2.1)."""
    is_openid = any(OPENID in value.split(" ") for value in params.all("scope"))
    if is_openid or len(client.redirect_uris) != 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "parameter redirect_uri is missing", Refusal.REDIRECT_URI_MISSING)
    return client.redirect_uris[0]


def _read_response_mode(params: Params) -> ResponseMode:
    """Return the mode that refusals use too; a bad one is refused later, and in the default mode."""
    try:
        return parse_response_mode(_only_value(params, "response_mode"))
    except OAuthError:
        return ResponseMode.QUERY


def _only_value(params: Params, name: str) -> str | None:
    """Return a parameter's value; a repeated one is refused later, and has none until then."""
    values = params.all(name)
    return values[0] if len(values) == 1 else None


def _parse_rest(params: Params, checked: Checked, known: Sequence[Resource]) -> AuthorizationRequest:
    client = checked.client
    params.check_none_repeated()
    for name, error, refusal in _UNSUPPORTED:
        if name in params:
            raise OAuthError(error, f"parameter {name} is not supported", refusal)
    _check_response_type(params.get("response_type"), client)
    parse_response_mode(params.get("response_mode"))
    code_challenge = pkce.parse_challenge(params, client)
    target = choose_target(client, _parse_scope(params, client), parse_resources(params.all("resource")), known)
    return AuthorizationRequest(
        client=client,
        redirect_uri=checked.redirect_uri,
        redirect_uri_given=checked.redirect_uri_given,
        response_mode=checked.response_mode,
        scope=target.scope,
        resources=target.identifiers,
        state=checked.state,
        nonce=params.get("nonce"),
        code_challenge=code_challenge,
        prompt=_parse_prompt(params.get("prompt")),
        max_age=_parse_max_age(params.get("max_age"), client),
        login_hint=params.get("login_hint"),
        id_token_hint=params.get("id_token_hint"),
        acr_values=_words(params, "acr_values"),
        ui_locales=_words(params, "ui_locales"),
        claims=_parse_claims(params.get("claims")),
    )


def _check_response_type(response_type: str | None, client: Client) -> None:
    if response_type is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "parameter response_type is missing", Refusal.RESPONSE_TYPE_MISSING)
    if response_type != RESPONSE_TYPE:
        raise OAuthError(
            ErrorCode.UNSUPPORTED_RESPONSE_TYPE,
            "only response_type code is offered",
            Refusal.RESPONSE_TYPE_UNSUPPORTED,
        )
    if RESPONSE_TYPE not in client.response_types:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT,
            "the client is not registered for response_type code",
            Refusal.RESPONSE_TYPE_NOT_ALLOWED,
        )
    if "authorization_code" not in client.grant_types:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT,
            "the client is not registered for grant_type authorization_code",
            Refusal.GRANT_TYPE_NOT_ALLOWED,
        )


def _parse_scope(params: Params, client: Client) -> frozenset[str] | None:
    """Return the scope asked for, without ``offline_access`` where the client gets no refresh tokens (OIDC §11)."""
    scope = parse_scope(params.get("scope"))
    if scope is None or "refresh_token" in client.grant_types:
        return scope
    return scope - {OFFLINE_ACCESS}


def _parse_prompt(text: str | None) -> frozenset[Prompt]:
    words = () if text is None else tuple(filter(None, text.split(" ")))
    try:
        prompt = frozenset(_PROMPTS[word] for word in words)
    except KeyError as error:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, f"prompt may be {', '.join(PROMPTS_OFFERED)}", Refusal.PROMPT_MALFORMED
        ) from error
    if Prompt.NONE in prompt and len(prompt) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "prompt none excludes every other prompt", Refusal.PROMPT_MALFORMED)
    return prompt


def _parse_max_age(text: str | None, client: Client) -> timedelta | None:
    """Return how old the login may be: the request's word, else the client's ``default_max_age``."""
    if text is None:
        return client.default_max_age
    if not _MAX_AGE.fullmatch(text):
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "max_age must be a whole number of seconds", Refusal.MAX_AGE_MALFORMED
        )
    return timedelta(seconds=int(text))


def _parse_claims(text: str | None) -> Mapping[str, object] | None:
    """Return the ``claims`` parameter (OIDC Core §5.5); of it, only the essential ``acr`` is acted on."""
    if text is None:
        return None
    try:
        claims = json.loads(text)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "claims must be a JSON object", Refusal.PARAMETER_MALFORMED)
    return claims


def _words(params: Params, name: str) -> tuple[str, ...]:
    return tuple(filter(None, (params.get(name) or "").split(" ")))
