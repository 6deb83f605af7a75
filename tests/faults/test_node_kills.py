"""Issuers that are killed while apps redeem codes and refresh (SECURITY fault B1)."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
import pytest

from tests import databases
from tests.browser_client import Browser
from tests.flows.fleet import CALLBACK, PASSWORD, USERNAME, Fleet, Node, running_fleet
from tests.oauth.examples import CHALLENGE, VERIFIER

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
APPS = 50
REFRESHES = 20  # of one family; then the app signs in anew
KILL_EVERY = 0.5  # seconds
PATIENCE = 30  # seconds in which one request has to be answered by somebody
ANSWER_SECONDS = 6  # the longest that an issuer takes to say that it cannot
GRACE = 3  # seconds in which a head that comes back is answered with itself
SCOPE = "openid offline_access notes:read"
WEB = {"redirect_uris": [CALLBACK], "scope": SCOPE}


@pytest.fixture
def fleet(tmp_path: Path, worker_id: str) -> Iterator[Fleet]:
    """Give an issuer that two processes serve on one PostgreSQL; its families rotate every few seconds."""
    server, name = databases.server_url(), f"authserver_faults_{os.getpid()}_{worker_id}"
    try:
        with running_fleet(
            databases.create_database(server, name), tmp_path, 2, refresh_token_grace=str(GRACE)
        ) as running:
            yield running
    finally:
        databases.drop_database(server, name)


@dataclass(kw_only=True)
class Family:
    """What an app has got of one grant: its different refresh tokens, the newest last."""

    tokens: list[str] = field(default_factory=list)
    lost_answers: int = 0


class App:
    """A client that sends the same request to the next issuer until one answers it."""

    def __init__(self, nodes: list[Node], credentials: tuple[str, str], cookies: dict[str, str]) -> None:
        self.families: list[Family] = []
        self._nodes = cycle(nodes)
        self._credentials = credentials
        self._cookies = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._http = httpx2.AsyncClient(timeout=ANSWER_SECONDS)

    async def use(self, seconds: float) -> None:
        """Sign in, refresh, and sign in again, for so long."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            family = await self._sign_in()
            for _ in range(REFRESHES):
                if family is None or time.monotonic() >= ends_at:
                    break
                await self.refresh(family)

    async def refresh(self, family: Family) -> None:
        """Refresh with the newest token; where no answer came, with the same one again."""
        answer, lost = await self._post({"grant_type": "refresh_token", "refresh_token": family.tokens[-1]})
        assert answer.status_code == 200, f"a token from a 200 was not redeemable: {answer.text}"
        family.lost_answers += lost
        token = answer.json()["refresh_token"]
        assert token not in family.tokens[:-1], "a family went back to a token that it had left"
        if token != family.tokens[-1]:
            family.tokens.append(token)

    async def refresh_twice(self, family: Family) -> None:
        """Refresh, and act as if the answer had been lost: the successor is the same."""
        before = family.tokens[-1]
        await self.refresh(family)
        assert family.tokens[-1] != before
        answer, _ = await self._post({"grant_type": "refresh_token", "refresh_token": before})
        assert answer.json().get("refresh_token") == family.tokens[-1], answer.text

    async def replay(self, family: Family) -> None:
        """Use a token that is older than the head's predecessor: the theft is seen and the family ends."""
        for token in (family.tokens[-3], family.tokens[-1]):
            answer, _ = await self._post({"grant_type": "refresh_token", "refresh_token": token})
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    async def close(self) -> None:
        await self._http.aclose()

    async def _sign_in(self) -> Family | None:
        """Return a family; None where an answer was lost: the code is spent then, and its second use ends the grant."""
        asked, _ = await self._send("GET", f"/authorize?{authorization_query(self._credentials[0])}")
        code = parse_qs(urlsplit(asked.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK}
        answer, lost = await self._post(form)
        if answer.status_code != 200:
            assert lost, f"a code that was used once was refused: {answer.text}"
            return None
        self.families.append(Family(tokens=[answer.json()["refresh_token"]]))
        return self.families[-1]

    async def _post(self, form: dict[str, str]) -> tuple[httpx2.Response, int]:
        return await self._send("POST", "/token", data=form, auth=self._credentials)

    async def _send(self, method: str, path: str, **request: Any) -> tuple[httpx2.Response, int]:
        """Return the answer, and how many were lost before it: no answer at all, or 503."""
        lost = 0
        gives_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < gives_up_at:
            url = f"http://127.0.0.1:{next(self._nodes).port}{path}"
            headers = {"cookie": self._cookies} if method == "GET" else {}
            try:
                answer = await self._http.request(method, url, headers=headers, **request)
            except httpx2.ConnectError:  # nobody has read it
                await asyncio.sleep(0.05)
                continue
            except httpx2.TransportError:
                lost += 1
                continue
            if answer.status_code != 503:
                return answer, lost
            lost += 1
            await asyncio.sleep(0.2)
        raise AssertionError(f"nobody answered {method} {path.partition('?')[0]} for {PATIENCE} s")


def authorization_query(client_id: str) -> httpx2.QueryParams:
    return httpx2.QueryParams(
        response_type="code",
        client_id=client_id,
        redirect_uri=CALLBACK,
        scope=SCOPE,
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
    )


async def cookies_of_a_signed_in_browser(fleet: Fleet, client_id: str) -> dict[str, str]:
    async with httpx2.AsyncClient() as http:
        browser = Browser(http, fleet.issuer)
        page = await browser.open(f"{fleet.issuer}/authorize?{authorization_query(client_id)}")
        page = await browser.follow(await browser.submit(page, username=USERNAME, password=PASSWORD))
        while page.status_code == 200:
            page = await browser.follow(await browser.submit(page, decision="allow"))
        return browser.cookies


async def keep_killing(nodes: list[Node], seconds: float) -> int:
    """Kill one node or another, half a second after all were ready; return how often."""
    kills, ends_at = 0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        await asyncio.sleep(KILL_EVERY)
        node = secrets.choice(nodes)
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)
        kills += 1
    return kills


async def on_each_family(app: App, step: Callable[[App, Family], Awaitable[None]]) -> None:
    for family in app.families:
        await step(app, family)


def generations(fleet: Fleet) -> list[int]:
    with psycopg.connect(fleet.environment["AUTHSERVER_DATABASE_URL"]) as observer:
        found = observer.execute("SELECT generation FROM grants WHERE revoked_at IS NULL").fetchall()
    return sorted(row[0] for row in found)


@pytest.mark.fault("B1")
async def test_no_kill_costs_an_app_its_family(fleet, fault_seconds):
    created = fleet.create_client("Notes", "web", WEB, "--first-party")
    credentials = (created["client_id"], created["client_secret"])
    cookies = await cookies_of_a_signed_in_browser(fleet, created["client_id"])
    nodes = list(fleet.nodes)
    apps = [App(nodes[number % 2 :] + nodes[: number % 2], credentials, cookies) for number in range(APPS)]
    kills, *_ = await asyncio.gather(keep_killing(nodes, fault_seconds), *(app.use(fault_seconds) for app in apps))
    assert kills >= 2
    assert sum(family.lost_answers for app in apps for family in app.families) > 0, "no kill has met a refresh"

    survivors = sorted(len(family.tokens) - 1 for app in apps for family in app.families)
    assert generations(fleet) == survivors, "a lost answer's refresh was counted twice"
    for step in (App.refresh_twice, App.refresh_twice, App.replay):
        await asyncio.sleep(GRACE + 0.5)
        await asyncio.gather(*(on_each_family(app, step) for app in apps))
    assert generations(fleet) == [], "no family has a second head that outlived the first"
    for app in apps:
        await app.close()
