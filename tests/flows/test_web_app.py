"""The sample web app, run as its README says, in front of the real issuer."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2
import pytest

from tests.browser_client import Browser
from tests.flows.fleet import ANSWER_SECONDS, API, PASSWORD, USERNAME, Fleet, sign_in
from tests.ports import free_ports
from tests.processes import wait_until_it_answers

SAMPLE = Path(__file__).parents[2] / "clients" / "web_app" / "app.py"
SCOPE = "openid profile email notes:read"
SOON = 10  # seconds; it takes one or two, but this machine may be busy
ACCESS_TOKEN_LIFETIME = 6  # seconds; the app renews five seconds before the end


@dataclass(frozen=True, kw_only=True)
class Window:
    """One person's browser: its cookies for the app and for the issuer."""

    app: httpx2.AsyncClient
    issuer: Browser

    async def sign_in(self) -> httpx2.Response:
        """Open the app, be sent to the issuer, sign in, allow, and come back to the app's home page."""
        sent = await self.app.get("/")
        back = await self.app.get(await sign_in(self.issuer, sent.headers["location"]))
        assert back.headers["location"] == "/", back.text
        return await self.app.get("/")

    async def press(self, path: str, home: httpx2.Response | None = None) -> httpx2.Response:
        """Press a button of the home page, of the one given or of a fresh one."""
        page = home or await self.app.get("/")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        return await self.app.post(path, data={"csrf": found[1]})


@pytest.fixture(scope="module")
def address(fleet: Fleet) -> Iterator[str]:
    """Give the address of the running app; no API stands behind it."""
    port, nobody = free_ports(2)
    url = f"http://localhost:{port}"
    metadata = {
        "redirect_uris": [f"{url}/callback"],
        "post_logout_redirect_uris": [f"{url}/signed-out"],
        "backchannel_logout_uri": f"{url}/backchannel-logout",
        "scope": SCOPE,
        "access_token_lifetime": ACCESS_TOKEN_LIFETIME,
    }
    created = fleet.create_client("Sample", "web", metadata)
    options = {
        "issuer": fleet.issuer,
        "client-id": created["client_id"],
        "port": str(port),
        "api": f"http://localhost:{nobody}",
        "resource": API,
        "scope": SCOPE,
    }
    command = [sys.executable, str(SAMPLE), *(f"--{name}={value}" for name, value in options.items())]
    process = subprocess.Popen(command, env=os.environ | {"CLIENT_SECRET": created["client_secret"]})
    try:
        wait_until_it_answers(process, f"{url}/healthz", status=200)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
async def window(fleet: Fleet, address: str) -> AsyncIterator[Window]:
    async with (
        httpx2.AsyncClient(base_url=address, timeout=ANSWER_SECONDS) as app,
        httpx2.AsyncClient(timeout=ANSWER_SECONDS) as http,
    ):
        yield Window(app=app, issuer=Browser(http, fleet.issuer))


def access_token_id(page: httpx2.Response) -> str:
    found = re.search(r'"jti": "([^"]+)"', unescape(page.text))
    assert found is not None, page.text
    return found[1]


async def test_home_greets_by_name_and_shows_both_tokens(window: Window) -> None:
    page = await window.sign_in()
    text = unescape(page.text)
    assert "Hello, ann" in text
    assert '"typ": "at+jwt"' in text
    assert f'"aud": "{API}"' in text
    assert "at_hash" in text


async def test_the_button_renews_even_while_the_api_is_away(window: Window) -> None:
    before = access_token_id(await window.sign_in())
    await window.press("/experiment")
    page = await window.app.get("/")
    assert access_token_id(page) != before
    assert "does not answer" in page.text


@pytest.mark.product("S11")
async def test_on_return_with_an_expired_access_token_one_is_still_signed_in(window: Window) -> None:
    before = access_token_id(await window.sign_in())
    await asyncio.sleep(1.5)  # its lifetime less the five seconds, and a little
    page = await window.app.get("/")
    assert page.status_code == 200
    assert access_token_id(page) != before


async def test_many_tabs_at_once_do_not_sign_one_out(window: Window) -> None:
    await window.sign_in()
    answers = await asyncio.gather(*(window.press("/experiment") for _ in range(6)))
    assert {answer.headers["location"] for answer in answers} == {"/#answer"}


async def test_when_an_operator_takes_the_grant_back_one_has_to_sign_in_again(window: Window, fleet: Fleet) -> None:
    home = await window.sign_in()
    youngest = fleet.run("grants", "list", "--limit", "1")[0]
    fleet.run("grants", "revoke", youngest["id"], "--yes")
    assert (await window.press("/experiment", home)).headers["location"] == "/login"
    assert (await window.app.get("/")).headers["location"].startswith(f"{fleet.issuer}/authorize")


async def test_signing_out_ends_it_in_both_places(window: Window, fleet: Fleet) -> None:
    await window.sign_in()
    left = await window.press("/logout")
    done = await window.issuer.get(left.headers["location"])
    assert done.headers["location"].startswith(f"{window.app.base_url}/signed-out")
    assert "You are signed out" in (await window.app.get("/signed-out")).text
    sent = await window.app.get("/")
    page = await window.issuer.open(sent.headers["location"])
    assert page.url.path.startswith("/login/")
    assert page.url.host == httpx2.URL(fleet.issuer).host


async def test_signing_out_at_the_issuer_signs_the_app_out_within_seconds(window: Window, fleet: Fleet) -> None:
    home = await window.sign_in()
    page = await window.issuer.get(f"{fleet.issuer}/end_session")
    page = await window.issuer.submit(page, decision="sign_out")
    assert "being told" in page.text
    began = time.monotonic()
    while (await window.app.get("/")).status_code == 200:
        assert time.monotonic() - began < SOON, fleet.run("logout-notices", "list")
        await asyncio.sleep(0.1)
    assert (await window.press("/experiment", home)).status_code == 403, "the session is gone, not only its tokens"
    delivered = []
    while not delivered:  # written down once the app's answer is there, which it acts on before
        assert time.monotonic() - began < SOON, fleet.run("logout-notices", "list")
        delivered = fleet.run("logout-notices", "list", "--state", "delivered")
    assert delivered[0]["last_answer"] == "200"


async def test_an_operator_who_turns_a_user_off_signs_the_app_out_too(window: Window, fleet: Fleet) -> None:
    await window.sign_in()
    fleet.run("users", "disable", USERNAME, "--yes")
    try:
        began = time.monotonic()
        while (await window.app.get("/")).status_code == 200:
            assert time.monotonic() - began < SOON, fleet.run("logout-notices", "list")
            await asyncio.sleep(0.1)
    finally:
        fleet.run("users", "enable", USERNAME)


async def test_a_no_of_the_person_is_a_page_of_the_app(window: Window, fleet: Fleet) -> None:
    sent = await window.app.get("/")
    page = await window.issuer.open(f"{sent.headers['location']}&prompt=consent")
    page = await window.issuer.follow(await window.issuer.submit(page, username=USERNAME, password=PASSWORD))
    assert fleet.issuer in str(page.url)
    page = await window.issuer.follow(await window.issuer.submit(page, decision="deny"))
    refused = await window.app.get(page.headers["location"])
    assert refused.status_code == 400
    assert "You did not allow this app to sign you in." in refused.text
