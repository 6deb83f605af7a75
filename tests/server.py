"""The whole server for a test, in this process on a fresh database, with clients, resources and a user in it.

    async def test_a_code_becomes_tokens(server):
        tokens = await server.code_flow()
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200

`server.log` holds the log's events, `server.refusal` the rule that the last refusal fired. Fixtures: `server`, and
`start_server(**settings)` for other settings or, on PostgreSQL, a second node of the same database.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from uuid import UUID

import httpx2
from sqlalchemy import update
from structlog.testing import capture_logs

from authserver.app import Clock, create_app, utc_now
from authserver.hasher import Hasher
from authserver.oauth.values import AuthMethod, Client, ClientType
from authserver.operations.keys import create_first
from authserver.operations.operator import Operator
from authserver.sealing.keyring_file import load_box
from authserver.settings import Settings
from authserver.store import clients, resources, signing_keys, users
from authserver.store.engine import Engine
from authserver.store.tables import Attempts
from tests import databases
from tests.browser_client import FORM, Browser
from tests.oauth.examples import CHALLENGE, ISSUER, MAIL, NATIVE, NOTES, SECRET, USER, VERIFIER, WEB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sqlmodel import SQLModel

    from authserver.app import Application
    from authserver.oauth.values import User

    StartServer: TypeAlias = Callable[..., Awaitable["Server"]]

PASSWORD = "correct horse battery staple"
ADDRESS = "203.0.113.7"

SPA = replace(
    WEB,
    client_id="spa-client",
    client_name="Notes in one page",
    type=ClientType.SPA,
    redirect_uris=("https://spa.example/callback",),
    post_logout_redirect_uris=(),
    token_endpoint_auth_method=AuthMethod.NONE,
    secrets=(),
)
SERVICE = replace(
    WEB,
    client_id="service-client",
    client_name="Nightly export",
    type=ClientType.SERVICE,
    redirect_uris=(),
    post_logout_redirect_uris=(),
    grant_types=frozenset({"client_credentials"}),
    response_types=frozenset(),
    scope=frozenset({"notes:read", "notes:write"}),
)
NOTES_API = replace(SERVICE, client_id="notes-api", client_name="Notes API", introspects=(NOTES.identifier,))
CLIENTS = (WEB, SPA, NATIVE, SERVICE, NOTES_API)
OTHER_USER = replace(USER, id=UUID("01890000-0000-7000-8000-00000000000b"), username="bob", email="bob@example.com")

_FILLED: dict[tuple[str, type], Any] = {}  # by issuer and kind of database: two RSA keys alone cost a second


class Server:
    """A running application and what a test asks of it."""

    def __init__(self, settings: Settings, log: list[Any]) -> None:
        self.settings = settings
        self.issuer = settings.issuer
        self.log = log
        self.ahead = timedelta()  # of the process's clock; the database keeps its own
        self.app = create_app(settings, clock=Clock(now=lambda: utc_now() + self.ahead))
        self.http = _connect(self.app, settings.issuer, ADDRESS)

    @property
    def services(self):
        assert self.app.services is not None
        return self.app.services

    @property
    def operator(self) -> Operator:
        return Operator(actor="test", engine=self.services.engine, settings=self.settings, hasher=self.services.hasher)

    @property
    def refusal(self) -> str | None:
        """The rule that the last refusal fired, whether it was answered as an error or as a redirect."""
        return next((event["refusal"] for event in reversed(self.log) if "refusal" in event), None)

    def browser(self, address: str = ADDRESS) -> Browser:
        """A browser of its own at an address."""
        return Browser(_connect(self.app, self.issuer, address), self.issuer)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(path, headers=_headers(headers))

    async def post(self, path: str, form: dict[str, str] | list[tuple[str, str]], **headers: str) -> httpx2.Response:
        sent = {"content-type": FORM} | _headers(headers)
        return await self.http.post(path, content=urlencode(form), headers=sent)

    async def call(self, path: str, client: Client, **form: str) -> httpx2.Response:
        """Post a form as this client, authenticated as it registered (SECRET is every confidential client's)."""
        if client.is_public:
            return await self.post(path, {"client_id": client.client_id, **form})
        return await self.post(path, form, authorization=basic(client.client_id, SECRET))

    async def token(self, client: Client, **form: str) -> httpx2.Response:
        return await self.call("/token", client, **form)

    async def refresh(self, refresh_token: str, client: Client = WEB, **form: str) -> httpx2.Response:
        return await self.token(client, grant_type="refresh_token", refresh_token=refresh_token, **form)

    async def redeem(self, code: str, client: Client = WEB, **changes: str) -> httpx2.Response:
        """Redeem a code as it was asked for; a change of "" leaves a parameter out."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uris[0],
            "code_verifier": VERIFIER,
        } | changes
        return await self.token(client, **{name: value for name, value in form.items() if value})

    async def introspect(self, token: str, client: Client = NOTES_API) -> dict[str, Any]:
        return (await self.call("/introspect", client, token=token)).json()

    def authorization_url(self, client: Client = WEB, **changes: str) -> str:
        """A good authorization request of this client; a change of "" leaves a parameter out."""
        request = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uris[0],
            "scope": "openid notes:read",
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | changes
        return f"{self.issuer}/authorize?" + urlencode({name: value for name, value in request.items() if value})

    async def login(
        self, browser: Browser, page: httpx2.Response | None = None, user: User = USER, password: str = PASSWORD
    ) -> httpx2.Response:
        """Fill in a login page, /login's own unless one is given; return the answer to the form."""
        page = page or await browser.get(f"{self.issuer}/login")
        return await browser.submit(page, username=user.username, password=password)

    async def get_code(self, client: Client = WEB, browser: Browser | None = None, **changes: str) -> str:
        """Walk through /authorize, signing in and allowing where asked, and return the code."""
        response = await self.authorize(client, browser, **changes)
        return answer_of(response)["code"]

    async def authorize(self, client: Client = WEB, browser: Browser | None = None, **changes: str) -> httpx2.Response:
        """Walk through /authorize as `get_code` does; return the answer that points back at the client."""
        browser = browser or self.browser()
        page = await browser.open(self.authorization_url(client, **changes))
        if page.url.path.startswith("/login/"):
            page = await browser.follow(await self.login(browser, page))
        if page.url.path.startswith("/consent/"):
            page = await browser.follow(await browser.submit(page, decision="allow"))
        return page

    async def code_flow(self, client: Client = WEB, browser: Browser | None = None, **changes: str) -> dict[str, Any]:
        """Return the token response of a whole authorization code flow."""
        response = await self.redeem(await self.get_code(client, browser, **changes), client)
        assert response.status_code == 200, response.text
        return response.json()

    async def add_clients(self, *added: Client) -> None:
        """Store more clients, and have the server know them."""
        async with self.services.engine.begin() as tx:
            for client in added:
                await clients.add(tx, client)
        await self.services.directory.refresh()

    async def update_client(self, client: Client) -> None:
        """Store what has changed of a client, and have the server know it."""
        async with self.services.engine.begin() as tx:
            assert await clients.update(tx, client)
        await self.services.directory.refresh()

    async def rows(self, sql: str) -> list[Any]:
        """Rows of a statement that is the same on both databases."""
        async with self.services.engine.read() as tx:
            return list((await tx.raw(sql)).all())

    async def somebody_waits(self) -> None:
        """Hold on, in an open transaction on PostgreSQL, until another one has come as far as a lock of this one's."""
        waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        async with asyncio.timeout(10):
            while not await self.rows(waiting):  # noqa: ASYNC110 - what it waits for is in the database
                await asyncio.sleep(0.01)

    async def execute(self, sql: str) -> None:
        """Change rows behind the server's back, as time does."""
        async with self.services.engine.begin() as tx:
            await tx.raw(sql)

    async def set_back(self, table: type[SQLModel], **ago: timedelta) -> None:
        """Let time pass for every row of a table: its columns say that it was so long ago."""
        async with self.services.engine.begin() as tx:
            now = await tx.now()
            await tx.execute(update(table).values({name: now - one for name, one in ago.items()}))

    async def begin_waits_now(self) -> None:
        """Count the limiter's waits from here: a crowded machine takes longer than a second from one try to the next.

        Tries that are still free wait for nothing all the same.
        """
        await self.set_back(Attempts, last_at=-timedelta(minutes=1))

    async def audit_events(self) -> list[str]:
        return [row.event for row in await self.rows("SELECT event FROM audit_events ORDER BY id")]


def basic(client_id: str, secret: str) -> str:
    """The Authorization header of a client with a secret (RFC 6749 §2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote(client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()


def answer_of(response: httpx2.Response) -> dict[str, str]:
    """The parameters of an authorization response that is a redirect to a client."""
    location = response.headers["location"]
    pairs = parse_qsl(urlsplit(location).query, keep_blank_values=True)
    values = dict(pairs)
    assert len(values) == len(pairs), location
    return values


async def is_signed_in(server: Server, browser: Browser) -> bool:
    """Tell whether the server knows somebody in this browser."""
    answer = answer_of(await browser.get(server.authorization_url(prompt="none")))
    return answer.get("error") != "login_required"


@asynccontextmanager
async def running_server(database_url: str, folder: Path, **changes: object) -> AsyncIterator[Server]:
    """Start the application on a migrated database; fill it unless another node of it has done so."""
    key_file = folder / "sealing.key"
    if not key_file.exists():
        key_file.write_text(f"test:{base64.b64encode(bytes(range(32))).decode()}\n")
        key_file.chmod(0o600)
    values = {"issuer": ISSUER, "database_url": database_url, "sealing_key_file": key_file}
    settings = Settings(**(values | changes))  # type: ignore[arg-type]  # pydantic checks them
    await fill(settings)
    with capture_logs() as log:
        server = Server(settings, log)
        await server.app.start()
        try:
            yield server
        finally:
            await server.app.stop()


async def fill(settings: Settings) -> None:
    """Store signing keys, two resources, the clients and two users whose password is PASSWORD, unless they are there.

    A new database is filled once for each issuer; those after it are given a copy.
    """
    database = databases.of_this_test(settings.database_url)
    kind = (settings.issuer, type(database))
    is_new = database.is_new()
    if is_new and kind in _FILLED:
        database.write(_FILLED[kind])
        return
    await _fill(settings)
    if is_new:
        _FILLED[kind] = database.read()


async def _fill(settings: Settings) -> None:
    engine = Engine.open(settings.database_url)
    hasher = cheap_hasher()
    try:
        async with engine.read() as tx:
            if await signing_keys.list_all(tx):
                return
        operator = Operator(actor="test", engine=engine, settings=settings, hasher=hasher)
        await create_first(operator, load_box(settings.sealing_key_file))
        password_hash = await hasher.hash(PASSWORD)
        async with engine.begin() as tx:
            for resource in (NOTES, MAIL):
                await resources.add(tx, resource)
            for client in CLIENTS:
                await clients.add(tx, client)
            for user in (USER, OTHER_USER):
                await users.add(tx, replace(user, password_hash=password_hash))
    finally:
        hasher.close()
        await engine.close()


def _connect(app: Application, issuer: str, address: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app, client=(address, 50_000)), base_url=issuer)


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


cheap_hasher = partial(Hasher, memory_kib=64, passes=1)  # the same hash, a hundred times cheaper
