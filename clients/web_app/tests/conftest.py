"""The sample app in this process, before an issuer and an API that misbehave on request; both over real HTTP."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx2
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parent.parent))

from issuer import Registration

# Another sample has an app.py too, and both are tested in one process: this one is known as web_app here.
SPEC = importlib.util.spec_from_file_location("web_app", Path(__file__).parent.parent / "app.py")
web_app = importlib.util.module_from_spec(SPEC)
sys.modules["web_app"] = web_app
SPEC.loader.exec_module(web_app)

BASE = "http://localhost:9002"


class FakeIssuer:
    """An issuer with strict rotation: a refresh token that comes twice ends everything.

    ``claims`` are put into every ID token, ``key`` signs them, ``about`` is what UserInfo says (empty: an error),
    ``lifetime`` is that of access tokens;
    ``refuse_refresh`` is the error of the next refreshes, ``silent`` makes every endpoint answer 503.
    """

    def __init__(self) -> None:
        self.key = self.published_key = ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256", "use": "sig"})
        self.url = ""
        self.claims: dict[str, object] = {}
        self.sent_nonce: dict[str, str] = {}
        self.about: dict[str, object] = {"sub": "ann", "name": "Ann <Example>"}
        self.lifetime = 300
        self.refuse_refresh: str | None = None
        self.silent = False
        self.presented: list[str] = []
        self.redeemed: list[dict[str, str]] = []
        self.revoked: list[str] = []
        self.api_tokens: list[str] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.jwks),
                Route("/token", self.token, methods=["POST"]),
                Route("/revoke", self.revoke, methods=["POST"]),
                Route("/userinfo", self.userinfo),
                Route("/experiment", self.api),
            ]
        )

    async def discovery(self, _):
        if self.silent:
            return Response(status_code=503)
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "revocation_endpoint": f"{self.url}/revoke",
                "end_session_endpoint": f"{self.url}/end_session",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["ES256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, _):
        return JSONResponse({"keys": [self.published_key.as_dict(private=False)]})

    async def token(self, request):
        if self.silent:
            return Response(status_code=503)
        form = dict(parse_qsl((await request.body()).decode()))
        if form["grant_type"] == "refresh_token":
            presented = form["refresh_token"]
            if self.refuse_refresh or presented in self.presented:
                return JSONResponse({"error": self.refuse_refresh or "invalid_grant"}, status_code=400)
            self.presented.append(presented)
        else:
            self.redeemed.append(form)
        count = len(self.presented)
        return JSONResponse(
            {
                "access_token": self.sign({"jti": f"access-{count}"}, typ="at+jwt"),
                "refresh_token": f"refresh-{count + 1}",
                "id_token": self.sign({"aud": "demo-web", **self.sent_nonce, **self.claims}, typ="JWT"),
                "token_type": "Bearer",
                "expires_in": self.lifetime,
            }
        )

    async def revoke(self, request):
        self.revoked.append(dict(parse_qsl((await request.body()).decode()))["token"])
        return Response()

    async def userinfo(self, _):
        return JSONResponse(self.about) if self.about else Response(status_code=401)

    async def api(self, request):
        self.api_tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        return JSONResponse({"measured": 42})

    def sign(self, claims, *, typ):
        now = int(time.time())
        header = {"alg": "ES256", "kid": self.key.kid, "typ": typ}
        return jwt.encode(header, {"iss": self.url, "sub": "ann", "iat": now, "exp": now + 300, **claims}, self.key)

    def answer(self, location, **changed):
        """Return the callback's address with which this issuer answers the authorization request at ``location``."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        self.sent_nonce = {"nonce": query["nonce"]}
        answer = {"code": "c0de", "state": query["state"], "iss": self.url} | changed
        return f"{query['redirect_uri']}?" + urlencode({name: value for name, value in answer.items() if value})


@pytest.fixture
def issuer():
    fake = FakeIssuer()
    server = uvicorn.Server(uvicorn.Config(fake.app(), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield fake
    server.should_exit = True
    thread.join()


@pytest.fixture
def registration(issuer):
    return Registration(
        issuer=issuer.url,
        client_id="demo-web",
        client_secret="a secret with spaces & signs",
        scope="openid profile api:read",
        resource="http://localhost:9001",
        base_url=BASE,
    )


@pytest.fixture
async def browser(issuer, registration):
    transport = httpx2.ASGITransport(app=web_app.create_app(registration, api=issuer.url))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def signed_in(browser, issuer):
    sent = await browser.get("/")
    await browser.get(issuer.answer(sent.headers["location"]))
    return browser
