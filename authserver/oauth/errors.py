"""What the protocol says no with: the code a client reads, the words for its developer, and the rule that fired."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from authlib.oauth2.base import invalid_error_characters

from authserver.oauth.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ErrorCode", "OAuthError", "Refusal"]


class ErrorCode(StrEnum):
    """The values of ``error`` on the wire."""

    INVALID_REQUEST = "invalid_request"  # RFC 6749 §4.1.2.1, §5.2
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    ACCESS_DENIED = "access_denied"
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    INVALID_TOKEN = "invalid_token"  # RFC 6750 §3.1
    INSUFFICIENT_SCOPE = "insufficient_scope"
    UNSUPPORTED_TOKEN_TYPE = "unsupported_token_type"  # RFC 7009 §2.2.1
    INVALID_TARGET = "invalid_target"  # RFC 8707 §2
    LOGIN_REQUIRED = "login_required"  # OIDC Core §3.1.2.6
    CONSENT_REQUIRED = "consent_required"
    REQUEST_NOT_SUPPORTED = "request_not_supported"
    REQUEST_URI_NOT_SUPPORTED = "request_uri_not_supported"
    REGISTRATION_NOT_SUPPORTED = "registration_not_supported"
    UNMET_AUTHENTICATION_REQUIREMENTS = "unmet_authentication_requirements"
    INVALID_REDIRECT_URI = "invalid_redirect_uri"  # RFC 7591 §3.2.2
    INVALID_CLIENT_METADATA = "invalid_client_metadata"
    INVALID_DPOP_PROOF = "invalid_dpop_proof"  # RFC 9449 §5
    SLOW_DOWN = "slow_down"  # RFC 8628 §3.5; our word for 429 elsewhere


_STATUS: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.INVALID_CLIENT: 401,
    ErrorCode.INVALID_TOKEN: 401,
    ErrorCode.INSUFFICIENT_SCOPE: 403,
    ErrorCode.SERVER_ERROR: 500,
    ErrorCode.TEMPORARILY_UNAVAILABLE: 503,
    ErrorCode.SLOW_DOWN: 429,
}


class OAuthError(Exception):
    """A no that is an answer: the wire form of RFC 6749 §5.2, and the rule behind it for the operator.

    ``description`` is for the client's developer: ASCII of RFC 6749 §5.2, no secret and nothing about other clients.
    ``headers`` are added to the answer (``WWW-Authenticate``, ``Retry-After``). ``start_again`` is our own address at
    which a person can begin what this ended anew; only their page has it.
    """

    def __init__(
        self,
        error: ErrorCode,
        description: str,
        refusal: Refusal,
        *,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        start_again: str | None = None,
    ) -> None:
        """Check that the description can be sent."""
        if invalid_error_characters(description):
            message = f"error_description has characters RFC 6749 §5.2 does not allow: {description!r}"
            raise ValueError(message)
        super().__init__(error, description, refusal)
        self.error = error
        self.description = description
        self.refusal = refusal
        self.status = status if status is not None else _STATUS.get(error, 400)
        self.headers = headers
        self.start_again = start_again

    @property
    def retry_after(self) -> int:
        """The seconds to wait before the next try (RFC 9110 §10.2.3); 0 where waiting does not help."""
        return next((int(value) for name, value in self.headers if name == "retry-after"), 0)
