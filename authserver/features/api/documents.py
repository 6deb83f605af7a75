"""What the OpenAPI document says of every operation's refusals."""

from __future__ import annotations

from typing import Any, Final

from authserver.features.api.models import ProblemDetails
from authserver.web.problems import MEDIA_TYPE

_SCHEMA: Final = {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}
_MEANINGS: Final = {
    400: "The request cannot be read, or a token or code in it is not valid.",
    401: "The access token is missing, has expired or was revoked; at `/api/login` the second factor is missing.",
    403: "The password, the code, the passkey or the app's secret is wrong, or this is not for this app or account.",
    415: "The body is not JSON.",
    422: "Members of the body cannot be taken; `errors` names them all.",
    429: "Too many tries; `Retry-After` says for how many seconds to wait.",
    503: "Not now; `Retry-After` says when to try again.",
}
REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": meaning, "content": {MEDIA_TYPE: _SCHEMA}} for status, meaning in _MEANINGS.items()
}
