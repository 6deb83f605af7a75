"""The FastAPI application behind ``/api``: it reads bodies by their models and writes the OpenAPI document.

It has no state and knows no settings: the edge hands each request to it together with its ``Call``, and takes the
answer or the refusal back. Imported with the first request, as FastAPI takes a third of a second and 20 MB.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from authserver.features.api import accounts, people, tokens
from authserver.features.api.models import ProblemDetails
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.phases import UnavailableError
from authserver.web.problems import Fault, InvalidFieldsError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUTERS: Final = (tokens.router, accounts.router, people.router)
_CODES: Final = {"missing": "missing", "extra_forbidden": "unknown", "string_too_long": "too_long"}
_MOST_FAULTS: Final = 20


@cache
def build_application() -> FastAPI:
    """Return the application; it serves nothing by itself, its documents neither."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for router in ROUTERS:
        application.include_router(router)
    application.add_exception_handler(RequestValidationError, _keep_faults)
    application.add_exception_handler(HTTPException, _keep_unreadable)
    for kind in (OAuthError, UnavailableError):
        application.add_exception_handler(kind, _keep)
    return application


@cache
def build_document(issuer: str) -> bytes:
    """Return the OpenAPI 3.1 document of ``/api`` as JSON."""
    application = build_application()
    document = get_openapi(
        title="Accounts and tokens for an organisation's own apps",
        version="1",
        summary="Sign in, refresh, sign up, verify, reset: by JSON.",
        description="For clients that are marked first-party; all others use the authorization code flow.",
        servers=[{"url": issuer}],
        routes=application.routes,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas[ProblemDetails.__name__] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


async def _keep(request: Request, error: Exception) -> Response:
    """Leave a refusal to the edge, which answers and logs it as every other."""
    request.scope["state"]["refusal"] = error
    return Response(status_code=500)


async def _keep_unreadable(request: Request, error: Exception) -> Response:  # noqa: ARG001 - FastAPI's signature
    """Name a body that could not even be parsed; nothing else here raises FastAPI's own exception."""
    refusal = OAuthError(ErrorCode.INVALID_REQUEST, "the body is no JSON", Refusal.BODY_MALFORMED)
    return await _keep(request, refusal)


async def _keep_faults(request: Request, error: Exception) -> Response:
    """Turn what the models refused into one refusal that names every member."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults: Sequence[Any] = error.errors()
    if any(fault["type"] == "json_invalid" or fault["loc"] == ("body",) for fault in faults):
        refusal = OAuthError(ErrorCode.INVALID_REQUEST, "the body is no JSON object", Refusal.BODY_MALFORMED)
        return await _keep(request, refusal)
    known = _members(request)
    return await _keep(request, InvalidFieldsError([_fault(fault, known) for fault in faults[:_MOST_FAULTS]]))


def _fault(fault: Any, known: Sequence[str]) -> Fault:  # noqa: ANN401 - as pydantic gives it
    path = [str(part) for part in fault["loc"][1:]]
    detail = str(fault["msg"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], known, n=1)
        detail = "there is no such member" + (f"; did you mean {near[0]}?" if near else "")
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return Fault(pointer=pointer, code=_CODES.get(fault["type"], "malformed"), detail=detail)


def _members(request: Request) -> Sequence[str]:
    """Return the members that the body of this operation may have."""
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(field, "field_info", None), "annotation", None)
    return tuple(getattr(annotation, "model_fields", ()))
