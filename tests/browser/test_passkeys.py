"""Passkeys in Chromium, with an authenticator that its developer tools make (UX §2, §3, SECURITY row 116)."""

from __future__ import annotations

import re

import pytest

from tests.browser import journey
from tests.browser.drawn import TOO_PALE, TOO_SMALL
from tests.browser.test_access import tab_to
from tests.browser.test_account import sign_in_to_account

expect = pytest.importorskip("playwright.sync_api").expect

OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Device:
    """The authenticator of one window. Where its person is not ``there``, it waits to be touched."""

    def __init__(self, page, **options):
        self._tools = page.context.new_cdp_session(page)
        self._tools.send("WebAuthn.enable", {"enableUI": False})
        made = self._tools.send("WebAuthn.addVirtualAuthenticator", {"options": OPTIONS | options})
        self._id = {"authenticatorId": made["authenticatorId"]}

    def be(self, *, there=None, verified=None):
        if there is not None:
            self._tools.send("WebAuthn.setAutomaticPresenceSimulation", self._id | {"enabled": there})
        if verified is not None:
            self._tools.send("WebAuthn.setUserVerified", self._id | {"isUserVerified": verified})

    def credentials(self):
        return self._tools.send("WebAuthn.getCredentials", self._id)["credentials"]


def add_passkey(page, demo):
    page.goto(f"{demo.issuer}/account/passkeys")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_have_text("The passkey is added. You can sign in with it from now on.")


def forget_who_is_signed_in(page):
    page.context.clear_cookies()


@pytest.fixture
def person(visit, demo):
    """A window in which Ann has just added a passkey, and its authenticator."""
    page = visit().page
    device = Device(page)
    sign_in_to_account(page, demo, "/passkeys")
    add_passkey(page, demo)
    yield page, device
    remove_all(page, device, demo)


def remove_all(page, device, demo):
    """Leave the demo's person without passkeys: other tests sign in as the same."""
    device.be(there=False)
    forget_who_is_signed_in(page)
    sign_in_to_account(page, demo, "/passkeys")
    button = page.get_by_role("button", name=re.compile("^Remove "))
    while button.count():
        button.first.click()
        expect(page.get_by_role("status")).to_have_text("The passkey is removed. You are signed out everywhere else.")


def test_the_button_signs_in_to_the_app(person, demo):
    page, device = person
    forget_who_is_signed_in(page)
    device.be(there=False)
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    device.be(there=True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    expect(page.get_by_text('"acr": "aal2"').first).to_be_visible()


def test_the_list_of_the_field_signs_in_by_itself(person, demo):
    """The authenticator of the developer tools chooses at once what a person would choose from the list."""
    page, _ = person
    forget_who_is_signed_in(page)
    page.goto(demo.app)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)


def test_who_gives_up_is_told_so_in_place_and_can_go_on(person, demo):
    page, device = person
    forget_who_is_signed_in(page)
    device.be(there=False)
    page.goto(f"{demo.issuer}/login")
    name = page.get_by_label("E-mail or user name")
    name.fill("ann@exam")
    device.be(verified=False)
    device.be(there=True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("Nothing was changed. Try again or use your password.")
    expect(name).to_have_value("ann@exam")
    device.be(verified=True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{demo.issuer}/")


def test_an_app_that_wants_more_than_a_password_gets_the_passkey_beside_it(person, demo):
    page, device = person
    forget_who_is_signed_in(page)
    device.be(there=False)
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    asked = page.context.request.get(f"{demo.app}/login", max_redirects=0).headers["location"]
    page.goto(f"{asked}&acr_values=aal2")
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    expect(page.get_by_label("Code from your authenticator app")).to_have_count(0)
    device.be(there=True)
    page.get_by_role("button", name="Use a passkey").click()
    journey.expect_to_be_at_home_in_the_app(page, demo)
    expect(page.get_by_text('"acr": "aal2"').first).to_be_visible()


def test_a_removed_one_is_unknown_and_the_authenticator_drops_it(person, demo):
    page, device = person
    assert len(device.credentials()) == 1
    device.be(there=False)
    other = page.context.new_page()
    other.goto(f"{demo.issuer}/account/passkeys")
    other.get_by_role("button", name=re.compile("^Remove ")).click()
    expect(other.get_by_role("status")).to_have_text("The passkey is removed. You are signed out everywhere else.")
    other.close()
    forget_who_is_signed_in(page)
    device.be(there=True)
    page.goto(f"{demo.issuer}/login")
    expect(page.get_by_role("alert")).to_have_text("This passkey is not known here. It may have been removed.")
    for _ in range(50):  # the browser tells it in its own time
        if not device.credentials():
            break
        page.wait_for_timeout(100)
    assert device.credentials() == []


def test_the_same_device_is_not_added_twice_and_all_of_it_goes_by_keyboard(person, demo):
    page, _ = person
    page.goto(f"{demo.issuer}/account/passkeys")
    tab_to(page, "button", "Add a passkey")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This device has a passkey for your account already.")
    page.get_by_label("Name of the passkey").fill("The blue key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The passkey has its new name.")
    expect(page.get_by_role("heading", level=2)).to_contain_text("The blue key")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_where_there_are_no_passkeys_nothing_offers_them(visit, demo, script):
    page = visit(script=script).page
    page.add_init_script("delete window.PublicKeyCredential")
    page.goto(f"{demo.issuer}/login")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    sign_in_to_account(page, demo, "/passkeys")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    expect(page.get_by_text("This browser cannot make passkeys")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_with_a_passkey_can_be_read_and_hit_on_a_phone(visit, demo, scheme):
    page = visit(width=320, scheme=scheme).page
    device = Device(page)
    sign_in_to_account(page, demo, "/passkeys")
    add_passkey(page, demo)
    for path in ("/account/passkeys", "/account/activity"):
        page.goto(demo.issuer + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(TOO_PALE) == []
        assert page.evaluate(TOO_SMALL) == []
    remove_all(page, device, demo)
