"""How the tests of the second factor go about: add an authenticator app, and read what it shows."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

import pyotp

from tests.features.account_pages import send, sign_in
from tests.oauth.examples import USER
from tests.server import PASSWORD

if TYPE_CHECKING:
    import httpx2

    from authserver.oauth.values import User
    from tests.browser_client import Browser
    from tests.server import Server


class Phone(NamedTuple):
    """What somebody has after they added a second factor: the app's secret, the codes on paper, and the browser."""

    secret: str
    recovery_codes: tuple[str, ...]
    browser: Browser

    def code(self, steps: int = 0) -> str:
        """What the app shows now, or so many time steps from now."""
        return pyotp.TOTP(self.secret).at(int(time.time()), counter_offset=steps)


async def add_factor(server: Server, user: User = USER, browser: Browser | None = None) -> Phone:
    """Add an app with the code of the time step before, so that the one of this moment is still good."""
    browser = browser or await sign_in(server, user)
    page = await browser.follow(
        await send(browser, await browser.get(f"{server.issuer}/account/factors"), decision="begin")
    )
    secret = secret_of(page)
    code = pyotp.TOTP(secret).at(int(time.time()), counter_offset=-1)
    page = await send(browser, page, decision="confirm", code=code)
    assert page.status_code == 200, page.text
    return Phone(secret, tuple(re.findall(r"<li><code>([^<]+)</code>", page.text)), browser)


def secret_of(page: httpx2.Response) -> str:
    return re.search(r"<code>([A-Z2-7 ]{32,})</code>", page.text)[1].replace(" ", "")


async def give_password(server: Server, browser: Browser, page: httpx2.Response | None = None, user: User = USER):
    """The page that comes after the right password."""
    page = page or await browser.get(f"{server.issuer}/login")
    return await browser.follow(await browser.submit(page, username=user.username, password=PASSWORD))
