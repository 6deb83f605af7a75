"""The same answers through Starlette, FastAPI and plain ASGI (RFC 6750 §3)."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Form
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from authserver_verifier import AccessToken

AUDIENCE = "https://notes.example.com"
READ, WRITE = "notes.read", "notes.write"


def starlette_app(verify):
    @verify.starlette()
    async def whoami(_: Request, token: AccessToken):
        return JSONResponse({"subject": token.subject})

    @verify.starlette(READ)
    def notes(_: Request, token: AccessToken):
        return JSONResponse({"subject": token.subject})

    @verify.starlette(READ, WRITE)
    async def add(request: Request, _: AccessToken):
        return JSONResponse({"text": (await request.form())["text"]})

    routes = [Route("/whoami", whoami), Route("/notes", notes), Route("/notes", add, methods=["POST"])]
    return Starlette(routes=routes)


def fastapi_app(verify):
    app = FastAPI()

    @app.get("/whoami")
    async def whoami(token: Annotated[AccessToken, Depends(verify.scope())]):
        return {"subject": token.subject}

    @app.get("/notes")
    def notes(token=Depends(verify.scope(READ))):  # noqa: B008  # the manual's one line
        return {"subject": token.subject}

    @app.post("/notes", dependencies=[Depends(verify.scope(READ, WRITE))])
    async def add(text: Annotated[str, Form()]):
        return {"text": text}

    return app


def asgi_app(verify):
    async def whoami(request):
        return JSONResponse({"subject": request.state.access_token.subject})

    async def notes(request):
        if request.method == "POST":
            return JSONResponse({"text": (await request.form())["text"]})
        return await whoami(request)

    async def socket(websocket):
        await websocket.accept()
        await websocket.send_text(websocket.state.access_token.subject)
        await websocket.close()

    inner = [Route("/", notes, methods=["GET"]), WebSocketRoute("/socket", socket)]
    return Starlette(
        routes=[
            Mount("/whoami", verify.asgi(Starlette(routes=[Route("/", whoami)]))),
            Mount(
                "/notes",
                MethodSplit(
                    get=verify.asgi(Starlette(routes=inner), READ),
                    post=verify.asgi(Starlette(routes=[Route("/", notes, methods=["POST"])]), READ, WRITE),
                ),
            ),
        ]
    )


@dataclass
class MethodSplit:
    """Two guards at one path, as a user would put them into two applications."""

    get: Callable
    post: Callable

    async def __call__(self, scope, receive, send):
        await (self.post if scope.get("method") == "POST" else self.get)(scope, receive, send)


@pytest.fixture(params=[starlette_app, fastapi_app, asgi_app])
def client(request, verify):
    with TestClient(request.param(verify), follow_redirects=True) as client:
        yield client


@pytest.fixture
def bearer(issuer):
    return lambda scope="", **claims: {"authorization": f"Bearer {issuer.token(AUDIENCE, scope=scope, **claims)}"}


def test_a_request_with_the_right_token_is_answered(client, bearer):
    assert client.get("/whoami", headers=bearer()).json() == {"subject": "alice"}
    assert client.get("/notes", headers=bearer(READ)).json() == {"subject": "alice"}


def test_without_a_token_the_answer_is_a_challenge_without_error(client):
    answer = client.get("/whoami")
    assert answer.status_code == 401
    algorithms = "ES256 EdDSA PS256 RS256"
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="{AUDIENCE}", DPoP realm="{AUDIENCE}", algs="{algorithms}"'
    )
    assert answer.headers["cache-control"] == "no-store"


def test_a_token_that_is_over_is_answered_401_invalid_token(client, bearer):
    answer = client.get("/whoami", headers=bearer(exp=1_700_000_000))
    assert answer.status_code == 401
    assert (
        'error="invalid_token", error_description="the access token has expired"' in answer.headers["www-authenticate"]
    )
    assert "expired" in answer.text


def test_too_little_scope_is_answered_403_with_the_scope_needed(client, bearer):
    answer = client.post("/notes", data={"text": "hello"}, headers=bearer(READ))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="notes.read notes.write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("where", ["query", "form", "header"])
def test_two_tokens_in_one_request_are_answered_400(where, client, bearer):
    headers = list(bearer(f"{READ} {WRITE}").items())
    query = {"access_token": "a.b.c"} if where == "query" else {}
    form = {"text": "hello", "access_token": "a.b.c"} if where == "form" else {"text": "hello"}
    if where == "header":
        headers *= 2
    answer = client.post("/notes", params=query, data=form, headers=headers)
    assert answer.status_code == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


def test_a_form_reaches_the_endpoint_after_it_was_looked_through(client, bearer):
    answer = client.post("/notes", data={"text": "hello"}, headers=bearer(f"{READ} {WRITE}"))
    assert answer.json() == {"text": "hello"}


def test_an_issuer_that_is_down_is_answered_503_and_not_401(client, issuer, bearer):
    issuer.stop()
    answer = client.get("/whoami", headers=bearer())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "www-authenticate" not in answer.headers
    issuer.start()


def test_each_refusal_is_logged_by_its_rule(client, bearer, caplog):
    caplog.set_level("INFO", "authserver_verifier")
    client.get("/whoami", headers=bearer(aud="https://other.example"))
    assert "audience_wrong" in caplog.text


def test_a_websocket_is_opened_with_a_token_only(verify, bearer):
    with TestClient(asgi_app(verify)) as client:
        with client.websocket_connect("/notes/socket", headers=bearer(READ)) as socket:
            assert socket.receive_text() == "alice"
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/notes/socket", headers=bearer()):
            pass


def test_a_guarded_application_still_starts_and_stops(verify):
    seen = []

    @asynccontextmanager
    async def lifespan(_):
        seen.append("started")
        yield
        seen.append("stopped")

    with TestClient(verify.asgi(Starlette(lifespan=lifespan))) as client:
        assert client.get("/").status_code == 401
    assert seen == ["started", "stopped"]


def test_a_form_in_many_pieces_reaches_a_guarded_application_whole(verify, bearer):
    async def echo(request):
        return JSONResponse({"length": len(await request.body())})

    client = TestClient(verify.asgi(Starlette(routes=[Route("/", echo, methods=["POST"])])))
    headers = bearer() | {"content-type": "application/x-www-form-urlencoded"}
    pieces = (b"a=" + b"x" * 30_000 for _ in range(5))
    assert client.post("/", content=pieces, headers=headers).json() == {"length": 5 * 30_002}


def test_a_form_without_a_form_endpoint_is_looked_through_in_fastapi_too(verify, bearer):
    app = FastAPI()

    @app.post("/raw", dependencies=[Depends(verify.scope())])
    async def raw(request: Request):
        return {"body": (await request.body()).decode()}

    with TestClient(app) as client:
        assert client.post("/raw", data={"a": "1"}, headers=bearer()).json() == {"body": "a=1"}
        assert client.post("/raw", data={"access_token": "x"}, headers=bearer()).status_code == 400


def test_the_openapi_document_of_a_fastapi_app_says_that_a_token_is_needed(verify):
    operation = fastapi_app(verify).openapi()["paths"]["/notes"]["get"]
    assert operation["security"] == [{"accessToken": []}]
    assert "parameters" not in operation
