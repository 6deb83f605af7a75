"""Other providers for tests, on real HTTP: one without discovery and ID token, and one of OpenID Connect that can lie.

async with FakeProvider() as fake:
    fake.person = {"id": 583231, "login": "octocat"}
    fake.id_token = {"nonce": "another"}   # what its ID token says instead
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authserver.oauth.upstream import Identity, Provider, ProviderKind
from authserver.oauth.values import AuthMethod
from authserver.sealing.upstream import seal_client_secret
from authserver.store import upstream_identities, upstream_providers
from tests.features.account_pages import hidden
from tests.jose.keys import client_key, public
from tests.oauth.examples import USER
from tests.server import is_signed_in

if TYPE_CHECKING:
    import httpx2
    from starlette.requests import Request

    from authserver.oauth.values import User
    from tests.browser_client import Browser
    from tests.server import Server

SECRET = "what the provider gave us"
CLIENT_ID = "we at the provider"
SUBJECT = "a-subject-there"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LOOPBACK = ("127.0.0.0/8", "::1/128")


class FakeProvider:
    """A provider on a free port of loopback. Change its members to have it answer otherwise."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {"sub": SUBJECT, "id": 583231, "login": "octocat", "name": "Mona"}
        self.emails: Any = []
        self.id_token: dict[str, Any] = {}  # other claims of its ID token; None leaves one out
        self.alg = "ES256"
        self.signed = True  # False: an unsigned one
        self.metadata: dict[str, Any] = {}
        self.token: dict[str, Any] = {}  # other members of its token response
        self.status = 200
        self.pause = 0.0
        self.raw: bytes | None = None  # what the token endpoint answers in place of JSON
        self.keys = [public(client_key("ES256"))]
        self.asked: list[str] = []
        self.requests: dict[str, dict[str, str]] = {}  # the authorization request of each code
        self.token_request: dict[str, str] = {}
        self.authorization = ""

    async def __aenter__(self) -> Self:
        routes = [
            Route("/.well-known/openid-configuration", self._discovery),
            Route("/jwks", self._jwks),
            Route("/token", self._token, methods=["POST"]),
            Route("/user", self._user),
            Route("/emails", self._emails),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.issuer = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task

    def answer(self, location: str, **changes: str) -> dict[str, str]:
        """What somebody who agrees at the provider comes back with, to the request that a redirect leads to."""
        request = query_of(location)
        code = f"code-{len(self.requests)}"
        self.requests[code] = request
        return {"code": code, "state": request["state"]} | changes

    async def _discovery(self, _: Request) -> Response:
        self.asked.append("discovery")
        await asyncio.sleep(self.pause)
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/user",
            "jwks_uri": f"{self.issuer}/jwks",
        } | self.metadata
        return JSONResponse({name: value for name, value in document.items() if value is not None})

    async def _jwks(self, _: Request) -> Response:
        self.asked.append("jwks")
        return JSONResponse({"keys": self.keys})

    async def _token(self, request: Request) -> Response:
        self.asked.append("token")
        self.token_request = dict(parse_qsl((await request.body()).decode()))
        self.authorization = request.headers.get("authorization", "")
        await asyncio.sleep(self.pause)
        if self.raw is not None:
            return Response(self.raw, media_type="application/json")
        asked = self.requests[self.token_request["code"]]
        document = {"access_token": "an-access-token", "token_type": "Bearer"}
        if "openid" in asked["scope"].split():
            document["id_token"] = self._sign(asked)
        return JSONResponse(document | self.token, status_code=self.status)

    async def _user(self, request: Request) -> Response:
        self.asked.append("user")
        assert request.headers["authorization"] == "Bearer an-access-token"
        return JSONResponse(self.person)

    async def _emails(self, _: Request) -> Response:
        self.asked.append("emails")
        return JSONResponse(self.emails)

    def _sign(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
        } | self.id_token
        claims = {name: value for name, value in claims.items() if value is not None}
        if not self.signed:
            return unsigned({"alg": self.alg}, claims)
        registry = JWSRegistry(algorithms=[self.alg], strict_check_header=False)
        return jwt.encode({"alg": self.alg, "kid": f"k-{self.alg}"}, claims, client_key(self.alg), registry=registry)


def unsigned(header: dict[str, str], claims: dict[str, Any]) -> str:
    """A JWT with an empty signature."""
    from authserver.jose.compact import encode_base64url  # noqa: PLC0415 - one use

    return ".".join([*(encode_base64url(json.dumps(part).encode()) for part in (header, claims)), "AA"])


def oidc(fake: FakeProvider, **changes: Any) -> Provider:
    """The provider as an operator registers it."""
    values = {
        "slug": "partner",
        "kind": ProviderKind.OIDC,
        "label": "Partner",
        "position": 0,
        "client_id": CLIENT_ID,
        "sealed_secret": b"",
        "auth_method": AuthMethod.BASIC,
        "scope": ("openid", "email", "profile"),
        "issuer": fake.issuer,
        "authorization_endpoint": None,
        "token_endpoint": None,
        "userinfo_endpoint": None,
        "emails_endpoint": None,
        "subject_field": "sub",
        "allow_sign_up": True,
        "trust_email": False,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Provider(**(values | changes))


def like_github(fake: FakeProvider, **changes: Any) -> Provider:
    """The same without discovery and ID token."""
    values = {
        "slug": "hub",
        "kind": ProviderKind.OAUTH,
        "label": "Hub",
        "issuer": None,
        "scope": ("read:user",),
        "authorization_endpoint": f"{fake.issuer}/authorize",
        "token_endpoint": f"{fake.issuer}/token",
        "userinfo_endpoint": f"{fake.issuer}/user",
        "subject_field": "id",
    }
    return oidc(fake, **(values | changes))


async def register(server: Server, *providers: Provider) -> None:
    """Store providers, each with SECRET sealed, and have the server know them."""
    async with server.services.engine.begin() as tx:
        for provider in providers:
            sealed = seal_client_secret(server.services.subkeys, SECRET, provider.slug)
            await upstream_providers.add(tx, replace(provider, sealed_secret=sealed))
    await server.services.directory.refresh()


async def change(server: Server, slug: str = "partner", **changes: Any) -> None:
    """Change a provider as an operator does."""
    async with server.services.engine.begin() as tx:
        provider = await upstream_providers.get(tx, slug)
        await upstream_providers.update(tx, replace(provider, **changes))
    await server.services.directory.refresh()


async def link(server: Server, user: User = USER, provider: str = "partner", subject: str = SUBJECT) -> None:
    """Link a user's account to one at a provider, as if that had been done long ago."""
    async with server.services.engine.begin() as tx:
        identity = Identity(
            provider=provider,
            subject=subject,
            user_id=user.id,
            account_name="octocat",
            created_at=await tx.now(),
            last_used_at=None,
        )
        await upstream_identities.add(tx, identity)


async def go(browser: Browser, page: httpx2.Response, slug: str = "partner") -> str:
    """Press a provider's button on a login or sign-up page, the second form of it; return where the browser is sent."""
    action = page.text.split('class="providers"')[0].rpartition('action="')[2].partition('"')[0]
    answer = await browser.post(
        f"{page.url.scheme}://{page.url.netloc.decode()}{action}", hidden(page, 1) | {"provider": slug}
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def come_back(server: Server, browser: Browser, answer: dict[str, str], slug: str = "partner") -> httpx2.Response:
    """Be sent back by the provider, from another site."""
    address = f"{server.issuer}/upstream/{slug}/callback?{urlencode(answer)}"
    return await browser.get(address, {"sec-fetch-site": "cross-site"})


async def sign_in_there(
    server: Server, browser: Browser, fake: FakeProvider, slug: str = "partner", **changes: str
) -> httpx2.Response:
    """Walk from the login page to the provider and back; return the answer to the callback."""
    location = await begin(server, browser, slug)
    return await come_back(server, browser, fake.answer(location, **changes), slug)


async def refused(server, browser, answer, refusal):
    """The page says so, nobody is signed in, and the way back to the sign-in is there."""
    assert answer.status_code in {400, 403, 502}, answer.text
    assert server.refusal == refusal, (server.refusal, answer.text)
    assert 'role="alert"' in answer.text
    assert not await is_signed_in(server, browser)
    return answer


async def begin(server: Server, browser: Browser, slug: str = "partner") -> str:
    """Press a provider's button on the login page; return where the browser is sent."""
    return await go(browser, await browser.get(f"{server.issuer}/login"), slug)


def query_of(location: str) -> dict[str, str]:
    """The parameters of the authorization request that a browser is sent to a provider with."""
    return dict(parse_qsl(urlsplit(location).query))
