"""What is no row of the table: repeated refresh tokens, logins beside tokens, growth, and the projection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.bench.connection import connect
from authserver.bench.driver import drive
from authserver.bench.visitors import LoginVisitor, Refresher, Repeater, is_token_response, refresh_request
from authserver.bench.workloads import client_credentials_request

if TYPE_CHECKING:
    from authserver.bench.connection import Connection
    from authserver.bench.driver import Measured
    from authserver.bench.processes import Meter
    from authserver.bench.stock import Stock

TOKENS: Final = 20
REPEATS: Final = 8
_STORM_CLIENTS: Final = 8
_STORM_SECONDS: Final = 3.0  # at least: a hundredth of a second's tokens is too few to compare
_GROWTH_GRANTS: Final = 128
_GROWTH_TURNS: Final = 100
_GROWTH_CLIENTS: Final = 32
PROJECTED_CORES: Final = 32
PROJECTED_SESSION_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Tokens that were each presented several times at once: how many distinct successors came, and how many refusals.

    As many successors as tokens is right: every repeat gets the same one (DESIGN §5, grace).
    """

    tokens: int
    presented: int
    successors: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """client_credentials alone, and beside logins that never pause; all on the server's one core."""

    alone: Measured
    beside: Measured
    logins: int
    login_errors: int

    @property
    def p99_ratio(self) -> float:
        """How many times slower the slowest hundredth of tokens became."""
        return self.beside.p99 / self.alone.p99 if self.alone.p99 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The same grants refreshed again and again: bytes of the table and its indexes."""

    grants: int
    refreshes: int
    errors: int
    bytes_before: int
    bytes_after: int


async def present_at_once(stock: Stock) -> Repeated:
    """Present each token over several connections at the same time."""
    port, host, web = stock.installation.port, stock.installation.host, stock.registered.web
    connections = [await connect(port) for _ in range(REPEATS)]
    answers: list[str | None] = []
    try:
        for token in await stock.add_grants(TOKENS, web):
            request = refresh_request(host, web, token)
            answers += await asyncio.gather(*(_successor(connection, request) for connection in connections))
    finally:
        for connection in connections:
            connection.close()
    return Repeated(
        tokens=TOKENS,
        presented=len(answers),
        successors=len({answer for answer in answers if answer is not None}),
        refused=answers.count(None),
    )


async def _successor(connection: Connection, request: bytes) -> str | None:
    response = await connection.ask(request)
    return str(response.json()["refresh_token"]) if is_token_response(response) else None


async def storm(stock: Stock, seconds: float, meter: Meter) -> Storm:
    """Measure tokens alone, then beside one login of each user after another."""
    port, request = stock.installation.port, client_credentials_request(stock)
    seconds = max(seconds, _STORM_SECONDS)
    visitors = [Repeater(request, is_token_response) for _ in range(_STORM_CLIENTS)]
    alone = await drive(port, visitors, seconds, meter)
    people = [LoginVisitor(stock.installation.host, user.username) for user in stock.registered.users]
    beside, logins = await asyncio.gather(drive(port, visitors, seconds, meter), drive(port, people, seconds, meter))
    return Storm(alone=alone, beside=beside, logins=logins.requests, login_errors=logins.errors)


async def grow(stock: Stock, meter: Meter) -> Growth:
    """Refresh the same grants a hundred times each and look at the table before and after."""
    host, client, port = stock.installation.host, stock.registered.rotating, stock.installation.port
    tokens = await stock.add_grants(_GROWTH_GRANTS, client)
    before = await stock.size_of_grants()
    refreshes = errors = 0
    visitors = [Refresher(host, client, tokens[at::_GROWTH_CLIENTS]) for at in range(_GROWTH_CLIENTS)]
    while refreshes < _GROWTH_GRANTS * _GROWTH_TURNS:
        measured = await drive(port, visitors, 1.0, meter)
        refreshes, errors = refreshes + measured.requests, errors + measured.errors
        if errors:
            break
    return Growth(
        grants=_GROWTH_GRANTS,
        refreshes=refreshes,
        errors=errors,
        bytes_before=before,
        bytes_after=await stock.size_of_grants(),
    )


def project(refresh: Measured) -> str | None:
    """Say what one PostgreSQL server would carry, and what that takes for granted; None without a database's CPU."""
    if not refresh.database_us:
        return None
    rate = PROJECTED_CORES * 1_000_000 / refresh.database_us
    machines = rate * refresh.server_us / 1_000_000
    return (
        f"{rate:,.0f} refreshes a second on one PostgreSQL server of {PROJECTED_CORES} cores, which is "
        f"{rate * PROJECTED_SESSION_SECONDS:,.0f} sessions of {PROJECTED_SESSION_SECONDS} s access tokens, with "
        f"{machines:,.0f} cores of this server in front. It assumes that PostgreSQL's CPU is the limit, not its disk "
        "or locks, that a refresh costs the same on any number of cores, and that load is even."
    )
