"""The workloads, their goals, and what each of them cannot do without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.bench.connection import build_request, connect
from authserver.bench.installation import API_SCOPE
from authserver.bench.visitors import (
    AppVisitor,
    Refresher,
    Repeater,
    Revoker,
    check,
    form_request,
    is_token_response,
    refresh_request,
    sign_in,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from authserver.bench.connection import Connection, Response
    from authserver.bench.driver import Visitor
    from authserver.bench.stock import Stock

_OK: Final = 200
_REVOCATIONS_PER_SECOND: Final = 2500  # tokens put in stock for a run; where they are used up, the run ends earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One row of the table.

    Goals are microseconds of CPU per request (PERFORMANCE.md). ``signatures``, ``statements`` and ``exchanges`` are
    what the floor under it is made of.
    """

    name: str
    server_goal: int
    database_goal: int
    signatures: int = 0
    statements: int = 0
    exchanges: int = 1
    prepare: Callable[[Stock, int, float], Awaitable[list[Visitor]]]

    @property
    def goal(self) -> int:
        """The server's and the database's goal together."""
        return self.server_goal + self.database_goal


async def _client_credentials(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:  # noqa: ARG001
    request = client_credentials_request(stock)
    return [Repeater(request, is_token_response) for _ in range(concurrency)]


async def _refresh(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:  # noqa: ARG001
    host, client = stock.installation.host, stock.registered.rotating
    return [Refresher(host, client, [token]) for token in await stock.add_grants(concurrency, client)]


async def _introspect(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:  # noqa: ARG001
    host, web = stock.installation.host, stock.registered.web
    connection = await connect(stock.installation.port)
    try:
        tokens = [await _access_token(connection, stock, token) for token in await stock.add_grants(concurrency, web)]
    finally:
        connection.close()
    return [Repeater(form_request("/introspect", host, web, token=token), _is_active) for token in tokens]


async def _revoke(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:
    host, web = stock.installation.host, stock.registered.web
    each = max(int(_REVOCATIONS_PER_SECOND * seconds) // concurrency, 1)
    tokens = await stock.add_grants(each * concurrency, web)
    return [Revoker(host, web, tokens[at * each : (at + 1) * each]) for at in range(concurrency)]


async def _jwks(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:  # noqa: ARG001
    request = build_request("GET", "/jwks", host=stock.installation.host)
    connection = await connect(stock.installation.port)
    try:
        first = await connection.ask(request)
    finally:
        connection.close()
    check(first, is_right=first.status == _OK and any(key["alg"] == "ES256" for key in first.json()["keys"]))
    return [Repeater(request, lambda response: response.body == first.body) for _ in range(concurrency)]


async def _code_flow(stock: Stock, concurrency: int, seconds: float) -> list[Visitor]:  # noqa: ARG001
    host, web = stock.installation.host, stock.registered.web
    connection = await connect(stock.installation.port)
    try:
        cookies = await sign_in(connection, host, stock.registered.users[0].username)
    finally:
        connection.close()
    return [AppVisitor(host, web, cookies) for _ in range(concurrency)]


def client_credentials_request(stock: Stock) -> bytes:
    """Return POST /token of the client that acts for itself."""
    return form_request(
        "/token", stock.installation.host, stock.registered.machine, grant_type="client_credentials", scope=API_SCOPE
    )


async def _access_token(connection: Connection, stock: Stock, refresh_token: str) -> str:
    response = await connection.ask(refresh_request(stock.installation.host, stock.registered.web, refresh_token))
    check(response, is_right=is_token_response(response))
    return str(response.json()["access_token"])


def _is_active(response: Response) -> bool:
    document = response.json() if response.status == _OK else None
    return isinstance(document, dict) and document.get("active") is True and "sub" in document


_ALL: Final = (
    Workload(name="client_credentials", server_goal=60, database_goal=0, signatures=1, prepare=_client_credentials),
    Workload(name="refresh", server_goal=95, database_goal=25, signatures=1, statements=1, prepare=_refresh),
    Workload(name="introspect", server_goal=40, database_goal=10, statements=1, prepare=_introspect),
    Workload(name="revoke", server_goal=75, database_goal=20, statements=1, prepare=_revoke),
    Workload(name="jwks", server_goal=30, database_goal=0, prepare=_jwks),
    Workload(
        name="code_flow",
        server_goal=900,
        database_goal=300,
        signatures=2,  # an ID token too
        statements=2,
        exchanges=2,
        prepare=_code_flow,
    ),
)
WORKLOADS: Final[Mapping[str, Workload]] = {workload.name: workload for workload in _ALL}
