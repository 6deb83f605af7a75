"""The steps of the demo, as a person takes them; each asserts what is to be read on the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from playwright.sync_api import expect

from tests.oauth.examples import CHALLENGE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Demo


def authorization_url(demo: Demo, **changes: str) -> str:
    """A good authorization request of the demo app, with these parameters changed or added."""
    query = {
        "response_type": "code",
        "client_id": "demo-web",
        "redirect_uri": f"{demo.app}/callback",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{demo.issuer}/authorize?{urlencode(query | changes)}"


def open_app_and_be_sent_to_sign_in(page: Page, demo: Demo) -> None:
    page.goto(demo.app)
    expect(page).to_have_title(re.compile(r"^Sign in · localhost"))
    assert page.url.startswith(demo.issuer)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def fill_in(page: Page, username: str, password: str) -> None:
    page.get_by_label("E-mail or user name").fill(username)
    page.get_by_label("Password").fill(password)


def sign_in(page: Page, demo: Demo) -> None:
    fill_in(page, demo.username, demo.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def is_asked(page: Page) -> bool:
    """Tell whether the issuer asks for consent; it does so once."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile("^Hello|^Allow access"))
    return heading.inner_text().startswith("Allow")


def allow_if_asked(page: Page) -> None:
    if is_asked(page):
        page.get_by_role("button", name="Allow", exact=True).click()


def expect_to_be_at_home_in_the_app(page: Page, demo: Demo) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hello")
    assert page.url.startswith(demo.app)
    expect(page.get_by_role("heading", name="Access token")).to_be_visible()
    expect(page.get_by_role("heading", name="ID token")).to_be_visible()
    expect(page.get_by_text('"typ": "at+jwt"')).to_be_visible()


def request_data(page: Page, times: int) -> None:
    page.get_by_role("button", name="Request data and renew").click()
    expect(page.get_by_role("heading", name="Answer of the API")).to_be_visible()
    expect(page.locator("#answer strong")).to_have_text("200")
    expect(page.locator("#renewals")).to_contain_text(f"Renewed {times} time")


def sign_out(page: Page, demo: Demo) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert page.url.startswith(f"{demo.app}/signed-out")
