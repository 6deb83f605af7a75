"""What the codes of problems mean: the pages that a problem's ``type`` leads to (RFC 9457 §3.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.web.problems import NAMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer

# The protocol's words for refusals whose rule is told to nobody.
_KINDS: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.INVALID_REQUEST: "The request cannot be read, or lacks something. The detail says what.",
    ErrorCode.INVALID_CLIENT: "The app is not known here, is turned off, or its secret is not right.",
    ErrorCode.INVALID_GRANT: "The refresh token is not valid any more. The person has to sign in again.",
    ErrorCode.INVALID_SCOPE: "A scope was asked for that does not exist, or that the app may not have.",
    ErrorCode.INVALID_TARGET: "A resource was named that is not registered here.",
    ErrorCode.UNAUTHORIZED_CLIENT: "The app is not registered for this.",
    ErrorCode.INVALID_TOKEN: "The access token is missing, has expired or was revoked. Refresh it, or sign in again.",
    ErrorCode.UNSUPPORTED_TOKEN_TYPE: "This kind of token cannot be ended; it expires by itself.",
    ErrorCode.ACCESS_DENIED: "This is not for this account.",
    ErrorCode.TEMPORARILY_UNAVAILABLE: "The server cannot decide this right now. Try again after Retry-After seconds.",
    ErrorCode.SERVER_ERROR: "Something went wrong on the server's side; it has been logged under the request id.",
}


async def problem(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /docs/problems/{code}."""
    meaning = find_meaning(call.facts.path_parameter)
    if meaning is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "there is no such problem", Refusal.PATH_UNKNOWN, status=404)
    return call.services.pages.render(
        "api/problem.html", title=call.facts.path_parameter, meaning=meaning, documentation="/docs"
    )


def find_meaning(code: str) -> str | None:
    """Return what a problem's code means, None where no problem has it."""
    rules = {refusal.value: refusal.meaning for refusal in NAMED}
    kinds = {kind.value: meaning for kind, meaning in _KINDS.items()}
    return rules.get(code) or kinds.get(code)


async def documentation(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /docs: Swagger UI on our own OpenAPI document, with nothing from elsewhere."""
    return call.services.pages.render(
        "api/documentation.html", title="JSON API", connects=True, document="/openapi.json"
    )
