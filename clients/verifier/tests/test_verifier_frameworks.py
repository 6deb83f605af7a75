"""The same answers through every framework (RFC 6750 §3)."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar

import django
import httpx2
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.test import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, Form
from flask import Flask, g, jsonify
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from authserver_verifier import AccessToken, Verifier
from authserver_verifier.testing import ProofKey

if not settings.configured:
    settings.configure()  # each test overrides what it needs
    django.setup()

from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response as RestResponse
from rest_framework.views import APIView

from authserver_verifier.django import RequireAccessToken, get_verifier, metadata_urls, protected, public
from authserver_verifier.drf import BearerAuthentication, HasScopes, TokenUser, exception_handler, requires

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


def flask_app(verify):
    app = Flask("notes")

    @app.get("/whoami")
    @verify.flask()
    async def whoami():
        return {"subject": g.access_token.subject}

    @app.get("/notes")
    @verify.flask(READ)
    def notes():
        return jsonify(subject=g.access_token.subject)

    @app.post("/notes")
    @verify.flask(READ, WRITE)
    def add():
        return {"text": flask_request.form["text"]}

    if verify.metadata:
        app.register_blueprint(verify.flask_metadata())
    return app


class Urls:
    """What Django takes for a URL configuration: anything with patterns."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


@protected()
def django_whoami(request):
    return JsonResponse({"subject": request.access_token.subject})


@protected(READ)
async def django_notes(request):
    if request.method == "POST":
        return await django_add(request)
    return JsonResponse({"subject": request.access_token.subject})


@protected(READ, WRITE)
async def django_add(request):
    return JsonResponse({"text": request.POST["text"]})


def django_urls():
    return Urls(path("whoami", django_whoami), path("notes", django_notes))


class RestWhoami(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request):
        return RestResponse({"subject": request.user.pk})


class RestNotes(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (HasScopes,)
    required_scopes: ClassVar = {"GET": [READ], "POST": [READ, WRITE]}

    def get(self, request):
        return RestResponse({"subject": request.user.username})

    def post(self, request):
        return RestResponse({"text": request.data["text"]})


def rest_urls():
    return Urls(path("whoami", RestWhoami.as_view()), path("notes", RestNotes.as_view()))


FRAMEWORKS = {
    "starlette": starlette_app,
    "fastapi": fastapi_app,
    "asgi": asgi_app,
    "flask": flask_app,
    "django-wsgi": django_urls,
    "django-asgi": django_urls,
    "drf-wsgi": rest_urls,
    "drf-asgi": rest_urls,
}


def connect(framework, verify):
    """Return a client of the application, and of the server interface that its framework is written for."""
    if framework.startswith(("django", "drf")):
        application = (get_asgi_application if framework.endswith("asgi") else get_wsgi_application)()
        if framework.endswith("asgi"):
            return TestClient(application)
    else:
        application = FRAMEWORKS[framework](verify)
        if framework != "flask":
            return TestClient(application)
    return httpx2.Client(transport=httpx2.WSGITransport(app=application), base_url="http://testserver")


@pytest.fixture
def django_settings(verify, issuer, clocks):
    """Settings that make Django's verifier the same as `verify`."""
    arguments = {"issuer": issuer.url, "audience": AUDIENCE, "clock": clocks.wall, "monotonic": clocks.monotonic}
    handler = "authserver_verifier.drf.exception_handler"
    rest = {"EXCEPTION_HANDLER": handler, "UNAUTHENTICATED_USER": None, "DEFAULT_RENDERER_CLASSES": RENDERERS}
    with override_settings(AUTHSERVER_VERIFIER=arguments, REST_FRAMEWORK=rest, ALLOWED_HOSTS=["*"]):
        yield arguments


RENDERERS = ("rest_framework.renderers.JSONRenderer",)


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.fixture
def client(framework, verify, django_settings):
    urls = FRAMEWORKS[framework]() if framework.startswith(("django", "drf")) else Urls()
    with override_settings(ROOT_URLCONF=urls):
        client = connect(framework, verify)
        client.follow_redirects = True
        yield client
        client.close()


@pytest.fixture
def bearer(issuer):
    return lambda scope="", **claims: {"authorization": f"Bearer {issuer.token(AUDIENCE, scope=scope, **claims)}"}


def test_a_request_with_the_right_token_is_answered(client, bearer):
    assert client.get("/whoami", headers=bearer()).json() == {"subject": "alice"}
    assert client.get("/notes", headers=bearer(READ)).json() == {"subject": "alice"}


def test_without_a_token_the_answer_is_a_challenge_without_error(client, framework):
    answer = client.get("/whoami")
    assert answer.status_code == 401
    algorithms = "ES256 EdDSA PS256 RS256"
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="{AUDIENCE}", DPoP realm="{AUDIENCE}", algs="{algorithms}"'
    )
    if not framework.startswith("drf"):
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
def test_two_tokens_in_one_request_are_answered_400(where, client, bearer, framework):
    headers = list(bearer(f"{READ} {WRITE}").items())
    query = {"access_token": "a.b.c"} if where == "query" else {}
    form = {"text": "hello", "access_token": "a.b.c"} if where == "form" else {"text": "hello"}
    if where == "header":
        headers = headers * 2 if isinstance(client, TestClient) else [(n, f"{v}, {v}") for n, v in headers]
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


# --- what only some frameworks have -----------------------------------------------------------------------------------


def test_a_bound_token_is_taken_through_every_framework_with_its_proof(client, issuer, clocks):
    key = ProofKey(clock=clocks.wall)
    token = issuer.token(AUDIENCE, cnf={"jkt": key.thumbprint})
    path_asked = client.get("/whoami", headers={"authorization": f"Bearer {token}"}).url.path
    headers = key.headers("GET", f"{AUDIENCE}{path_asked}", token)
    assert client.get(path_asked, headers=headers).json() == {"subject": "alice"}
    assert client.get(path_asked, headers=headers).status_code == 401, "a proof is good once"


@pytest.mark.parametrize("outer", ["asgi", "fastapi", "django-wsgi", "django-asgi", "drf-wsgi", "flask"])
def test_a_guard_around_a_guarded_endpoint_takes_the_proof_once(outer, verify, issuer, clocks, django_settings):
    key = ProofKey(clock=clocks.wall)
    token = issuer.token(AUDIENCE, scope=READ, cnf={"jkt": key.thumbprint})
    middleware = ["authserver_verifier.django.RequireAccessToken"] if outer.startswith(("django", "drf")) else []
    urls = FRAMEWORKS[outer]() if middleware else Urls()
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware):
        if outer == "asgi":
            client = TestClient(verify.asgi(starlette_app(verify)))
        elif outer == "fastapi":
            app = FastAPI(dependencies=[Depends(verify.scope())])
            app.get("/notes")(lambda token=Depends(verify.scope(READ)): {"subject": token.subject})  # noqa: B008
            client = TestClient(app)
        elif outer == "flask":
            app = flask_app(verify)
            app.before_request(verify.flask()(lambda: None))
            client = httpx2.Client(transport=httpx2.WSGITransport(app=app), base_url=AUDIENCE)
        else:
            client = connect(outer, verify)
        headers = key.headers("GET", f"{AUDIENCE}/notes", token)
        assert client.get("/notes", headers=headers).json() == {"subject": "alice"}
        assert client.get("/notes", headers=headers).status_code == 401, "and not in another request"
        narrow = issuer.token(AUDIENCE, cnf={"jkt": key.thumbprint})
        refused = client.get("/notes", headers=key.headers("GET", f"{AUDIENCE}/notes", narrow))
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"].startswith("DPoP ")


class Stepped(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (requires(READ, acr_values=["urn:mfa"], max_age=300),)

    def get(self, request):
        assert isinstance(request.auth, AccessToken)
        return RestResponse({"user": str(request.user), "pk": request.user.pk, "id": request.user.id})


class Open(APIView):
    authentication_classes = (BearerAuthentication,)
    permission_classes = (AllowAny,)

    def get(self, request):
        return RestResponse({"anonymous": not isinstance(request.user, TokenUser)})


def test_a_permission_class_asks_for_a_stronger_sign_in(django_settings, bearer, clocks):
    now = int(clocks.wall())
    with override_settings(ROOT_URLCONF=Urls(path("", Stepped.as_view()))):
        client = connect("drf-wsgi", None)
        assert client.get("/").status_code == 401
        refused = client.get("/", headers=bearer(READ, acr="urn:mfa", auth_time=now - 1000))
        taken = client.get("/", headers=bearer(READ, acr="urn:mfa", auth_time=now))
    assert (refused.status_code, refused.json()["error"]) == (401, "insufficient_user_authentication")
    assert refused.headers["www-authenticate"].endswith('acr_values="urn:mfa", max_age="300"')
    assert refused.headers["cache-control"] == "no-store"
    assert taken.json() == {"user": "alice", "pk": "alice", "id": "alice"}


def test_a_view_for_everybody_still_refuses_a_token_that_is_wrong(django_settings, bearer):
    with override_settings(ROOT_URLCONF=Urls(path("", Open.as_view()))):
        client = connect("drf-wsgi", None)
        answers = [client.get("/", headers=headers) for headers in ({}, bearer(), bearer(aud="other"))]
    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert [answer.json()["anonymous"] for answer in answers[:2]] == [True, False]


def test_the_frameworks_own_exception_handler_sends_the_challenge_too(django_settings, bearer, issuer):
    rest = settings.REST_FRAMEWORK | {"EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
    with override_settings(ROOT_URLCONF=Urls(path("", Stepped.as_view())), REST_FRAMEWORK=rest):
        client = connect("drf-wsgi", None)
        refused = client.get("/", headers=bearer())
        issuer.stop()
        get_verifier.cache_clear()
        unavailable = client.get("/", headers=bearer())
        issuer.start()
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "5")


def test_errors_that_are_not_ours_pass_through_the_exception_handler():
    assert exception_handler(ValueError("a bug"), {}) is None


@pytest.mark.parametrize("interface", ["django-wsgi", "django-asgi"])
def test_djangos_middleware_guards_every_view_that_is_not_public(interface, django_settings, bearer):
    @public
    def about(_):
        return JsonResponse({"about": "notes"})

    def whoami(request):
        return JsonResponse({"subject": request.access_token.subject})

    arguments = django_settings | {"metadata": {"resource_name": "Notes"}}
    middleware = ["authserver_verifier.django.RequireAccessToken"]
    with override_settings(AUTHSERVER_VERIFIER=arguments, MIDDLEWARE=middleware):
        urls = Urls(path("", about), path("whoami", whoami), *metadata_urls())
        with override_settings(ROOT_URLCONF=urls):
            client = connect(interface, None)
            assert client.get("/").json() == {"about": "notes"}
            assert client.get("/whoami").status_code == 401
            assert client.get("/whoami", headers=bearer()).json() == {"subject": "alice"}
            metadata = client.get("/.well-known/oauth-protected-resource")
    assert metadata.json()["resource_name"] == "Notes"
    assert RequireAccessToken.async_capable


def test_django_says_what_is_wrong_with_its_setting():
    for value in (None, {}, {"issuer": "https://a.example"}, {"issuer": "nonsense", "audience": "x"}):
        with override_settings(AUTHSERVER_VERIFIER=value), pytest.raises(ImproperlyConfigured, match="AUTHSERVER"):
            get_verifier()
    with (
        override_settings(AUTHSERVER_VERIFIER={"issuer": "https://a.example", "audience": "x", "spelled": "wrong"}),
        pytest.raises(ImproperlyConfigured, match="spelled"),
    ):
        get_verifier()


def test_a_flask_application_answers_its_metadata(issuer):
    verify = Verifier(issuer.url, AUDIENCE, metadata={})
    with connect("flask", verify) as client:
        answer = client.get("/.well-known/oauth-protected-resource")
    assert answer.json()["authorization_servers"] == [issuer.url]
    assert answer.headers["access-control-allow-origin"] == "*"
