"""How the authorization response travels to the client: query or form_post, always with ``iss`` (RFC 9207 §2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.values import ResponseMode

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the browser carries to the client: the address, and the parameters in their order.

    ``parameters`` may hold a code: they stay out of ``repr`` and of every log. In mode ``query`` the answer is a
    redirect to ``location``; in ``form_post`` a page whose form posts ``parameters`` to ``redirect_uri``.
    """

    redirect_uri: str
    response_mode: ResponseMode
    parameters: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def location(self) -> str:
        """The redirect URI with the parameters in its query; what was registered stays as it is (RFC 6749 §3.1.2)."""
        return add_to_query(self.redirect_uri, self.parameters)


def parse_response_mode(text: str | None) -> ResponseMode:
    """Return the mode asked for, ``query`` by default, which is the code flow's (Multiple Response Types §2.1).

    Raises ``invalid_request`` for unknown ones, and for ``fragment``, where script on the page could read the code.
    """
    if text is None:
        return ResponseMode.QUERY
    try:
        return ResponseMode(text)
    except ValueError as error:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "response_mode must be query or form_post", Refusal.RESPONSE_MODE_UNSUPPORTED
        ) from error


def build_success(
    redirect_uri: str, response_mode: ResponseMode, *, code: str, state: str | None, issuer: str
) -> AuthorizationResponse:
    """Return the response that carries a code (RFC 6749 §4.1.2)."""
    return AuthorizationResponse(
        redirect_uri=redirect_uri,
        response_mode=response_mode,
        parameters=(("code", code), *_state(state), ("iss", issuer)),
    )


def build_error(
    redirect_uri: str, response_mode: ResponseMode, *, error: OAuthError, state: str | None, issuer: str
) -> AuthorizationResponse:
    """Return the response that carries a refusal (RFC 6749 §4.1.2.1). The redirect URI must have been checked."""
    return AuthorizationResponse(
        redirect_uri=redirect_uri,
        response_mode=response_mode,
        parameters=(
            ("error", error.error.value),
            ("error_description", error.description),
            *_state(state),
            ("iss", issuer),
        ),
    )


def add_to_query(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return a URI without fragment with more parameters in its query, form-encoded (RFC 6749 appendix B)."""
    encoded = urlencode(tuple(parameters))
    if not encoded:
        return uri
    if uri.endswith(("?", "&")):
        return uri + encoded
    return f"{uri}{'&' if '?' in uri else '?'}{encoded}"


def _state(state: str | None) -> tuple[tuple[str, str], ...]:
    return () if state is None else (("state", state),)
