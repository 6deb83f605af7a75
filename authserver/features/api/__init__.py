"""/api: the JSON API for an organisation's own apps, its OpenAPI document and its page (DESIGN §2)."""

from typing import Final

from authserver.feature import Endpoint, Feature, Link
from authserver.features.api.endpoint import api, document
from authserver.features.api.problem_pages import documentation, problem
from authserver.features.api.related_origins import related_origins
from authserver.language import N_

_GET = frozenset({"GET"})
_POST = frozenset({"POST"})

# A test holds this table against the application's routes; here it costs no import of FastAPI.
PATHS: Final = {
    "/api/login": _POST,
    "/api/login/passkey": _POST,
    "/api/refresh": _POST,
    "/api/logout": _POST,
    "/api/register": _POST,
    "/api/verify": _POST,
    "/api/verify/resend": _POST,
    "/api/password/forgot": _POST,
    "/api/password/reset": _POST,
    "/api/password/change": _POST,
    "/api/profile": frozenset({"GET", "PATCH"}),
    "/api/sessions": _GET,
    "/api/sessions/*": frozenset({"DELETE"}),
}
FEATURE = Feature(
    name="api",
    endpoints=(
        *(
            Endpoint(path=path, methods=methods, handler=api, body="json", errors="problem", cors="first_party")
            for path, methods in PATHS.items()
        ),
        Endpoint(path="/openapi.json", methods=_GET, handler=document, cors="public"),
        Endpoint(path="/.well-known/webauthn", methods=_GET, handler=related_origins),
        Endpoint(path="/docs", methods=_GET, handler=documentation, errors="page"),
        Endpoint(path="/docs/problems/*", methods=_GET, handler=problem, errors="page"),
    ),
    developer_links=(Link(label=N_("JSON API"), path="/docs"),),
)
