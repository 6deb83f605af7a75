"""The OpenAPI document, the table of paths that the edge knows, and Swagger UI's files."""

import hashlib
import re

import pytest

from authserver.features.api import PATHS
from authserver.features.api.application import ROUTERS
from authserver.features.api.problem_pages import find_meaning
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.web.pages import STATIC
from authserver.web.problems import NAMED

VENDOR = STATIC / "vendor" / "swagger-ui"


@pytest.fixture
async def document(server):
    answer = await server.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_edge_knows_every_route_of_the_application_and_no_other():
    routes = {}
    for route in (route for router in ROUTERS for route in router.routes):
        path = re.sub(r"\{\w+\}", "*", route.path)
        routes[path] = routes.get(path, frozenset()) | route.methods
    assert routes == PATHS


async def test_every_operation_is_described_with_examples_and_its_refusals(document):
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        assert operation["operationId"], path
        assert operation["summary"], path
        assert operation["tags"], path
        assert {"400", "401", "403", "422", "429", "503"} <= operation["responses"].keys(), (path, method)
        for status, response in operation["responses"].items():
            if status[0] != "2":
                assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/ProblemDetails")
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schemas[reference.rpartition("/")[2]]["examples"], path
    identifiers = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(identifiers) == len(set(identifiers))


async def test_every_reference_of_the_document_leads_somewhere(document):
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= document["components"]["schemas"].keys()


async def test_who_has_the_document_already_gets_304(server):
    etag = (await server.get("/openapi.json")).headers["etag"]
    assert (await server.get("/openapi.json", if_none_match=etag)).status_code == 304


def test_every_code_that_a_problem_can_have_has_a_meaning():
    kinds = {
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_CLIENT,
        ErrorCode.INVALID_GRANT,
        ErrorCode.INVALID_TOKEN,
        ErrorCode.SERVER_ERROR,
        ErrorCode.TEMPORARILY_UNAVAILABLE,
    }
    for code in [*kinds, *NAMED]:
        assert find_meaning(code.value), code
    assert find_meaning("no_such_code") is None
    assert find_meaning(Refusal.REFRESH_TOKEN_REUSED.value) is None  # named to nobody, so explained to nobody


@pytest.mark.product("S13")
async def test_the_page_loads_nothing_from_elsewhere_and_no_script_without_its_nonce(server):
    page = await server.get("/docs", accept="text/html")
    assert page.status_code == 200
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
    nonce = re.search(r"'nonce-([^']+)'", page.headers["content-security-policy"])[1]
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert len(scripts) == 2
    assert all(f'nonce="{nonce}"' in script for script in scripts)


def test_the_vendored_files_are_what_the_note_beside_them_says():
    note = (VENDOR / "README.md").read_text()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() in note
