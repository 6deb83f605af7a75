"""From an account that does not exist to one that has signed out, by keyboard alone (UX §10.4)."""

from __future__ import annotations

import re

import pytest

from tests.browser import journey
from tests.browser.test_access import tab_to
from tests.browser.test_passkeys import Device
from tests.browser.test_sign_up import CHOSEN, code_for

expect = pytest.importorskip("playwright.sync_api").expect

EMAIL = "hands-off-the-mouse@example.org"


class Keys:
    """A person who has a keyboard and nothing else, and who notes where they have been."""

    def __init__(self, page):
        self.page = page
        self.titles = {}

    def see(self, heading):
        """Wait for a page; no two pages have the same title."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        place = re.sub(r"/[0-9a-f-]{36}", "/…", self.page.url.split("?")[0])
        self.titles.setdefault(self.page.title(), set()).add(place)

    def press(self, role, name):
        tab_to(self.page, role, name)
        self.page.keyboard.press("Enter")

    def type(self, label, text):
        expect(self.page.get_by_label(label, exact=True)).to_be_focused()
        self.page.keyboard.type(text)


@pytest.mark.product("S7", "S11")
def test_sign_up_verify_allow_add_a_passkey_take_the_access_back_and_sign_out(visit, demo):
    page = visit().page
    device, keys = Device(page), Keys(page)
    device.be(there=False)
    page.goto(demo.app)
    keys.see("Sign in")
    keys.press("link", "Create an account")
    keys.see("Create an account")
    keys.type("E-mail", EMAIL)
    page.keyboard.press("Tab")
    keys.type("Password", CHOSEN)
    page.keyboard.press("Enter")
    keys.see("Check your mail")
    keys.type("Code", "000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error: "))
    tab_to(page, "textbox", "Code")
    page.keyboard.type(code_for(demo, EMAIL))
    page.keyboard.press("Enter")
    keys.see(re.compile("^Allow access"))
    keys.press("button", "Allow")
    journey.expect_to_be_at_home_in_the_app(page, demo)
    page.goto(f"{demo.issuer}/")
    keys.press("link", "Your account")
    keys.see("Your account")
    keys.press("link", "Passkeys")
    keys.see("Passkeys")
    device.be(there=True)
    keys.press("button", "Add a passkey")
    expect(page.get_by_role("status")).to_have_text("The passkey is added. You can sign in with it from now on.")
    assert len(device.credentials()) == 1
    keys.press("link", "Apps with access")
    keys.see("Apps with access")
    keys.press("button", "Take back the access of Demo app")
    expect(page.get_by_role("status")).to_have_text("The app has no access any more.")
    page.goto(f"{demo.issuer}/")
    keys.press("button", "Sign out")
    expect(page.get_by_text("You are signed out here.")).to_be_visible()
    assert {title: places for title, places in keys.titles.items() if len(places) > 1} == {}
