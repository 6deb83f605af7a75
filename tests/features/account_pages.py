"""How tests of people's pages go about: sign in, look who is signed in, let time pass, read what a page says."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

from authserver.store.tables import Sessions
from tests.oauth.examples import USER
from tests.server import PASSWORD

if TYPE_CHECKING:
    import httpx2
    from sqlalchemy import Row

    from authserver.oauth.values import User
    from tests.browser_client import Browser
    from tests.server import Server

LONG_AGO = timedelta(minutes=6)  # longer than a proof lasts


async def sign_in(server: Server, user: User = USER, address: str = "203.0.113.7", **headers: str) -> Browser:
    """A browser in which this user has just signed in."""
    browser = server.browser(address)
    page = await browser.get(f"{server.issuer}/login")
    form = {"username": user.username, "password": PASSWORD, **hidden(page)}
    answer = await browser.post(f"{server.issuer}/login", form, headers or None)
    assert answer.status_code == 303, answer.text
    return browser


async def newest_session(server: Server) -> Row[Any]:
    return (await server.rows("SELECT acr, amr, cookie_hash, auth_time FROM sessions ORDER BY id DESC"))[0]


async def let_the_proof_grow_old(server: Server) -> None:
    await server.set_back(Sessions, auth_time=LONG_AGO)


def hidden(page: httpx2.Response, number: int = 0) -> dict[str, str]:
    """The hidden fields of a page's form."""
    form = re.findall(r"(?s)<form\b.*?</form>", page.text)[number]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in fields}


def main_text(page: httpx2.Response) -> str:
    """What the page says, without its list of pages and its footer."""
    main = re.search(r"(?s)<main\b.*</main>", page.text).group(0)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


async def send(browser: Browser, page: httpx2.Response, number: int = 0, **values: str) -> httpx2.Response:
    """Send the numbered form of a page as it stands, with these values."""
    return await browser.post(str(page.url), hidden(page, number) | values)
