"""Sign up, and set a forgotten password, in Chromium: on a phone, without script, by keyboard (UX §2, §10.4)."""

from __future__ import annotations

import html
import re
import urllib.request

import pytest

from tests.browser import journey
from tests.browser.drawn import TOO_PALE, TOO_SMALL
from tests.browser.test_access import tab_to

expect = pytest.importorskip("playwright.sync_api").expect

CHOSEN = "marmalade on the moon"


def read(address):
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the demo's own http address
        return html.unescape(answer.read().decode())


def newest_in_mail(demo, email, pattern):
    """What the youngest mail that names an address and has such words says, as the inbox page shows it."""
    paths = re.findall(r'href="(/dev/inbox/[0-9a-f-]{36})"', read(f"{demo.issuer}/dev/inbox"))
    texts = (text for text in (read(demo.issuer + path) for path in paths) if email in text)
    return next(found[0] for text in texts if (found := re.search(pattern, text)))


def code_for(demo, email):
    return newest_in_mail(demo, email, r"\b\d{3} \d{3}\b")


def is_well_drawn(page):
    assert page.evaluate(TOO_PALE) == []
    assert page.evaluate(TOO_SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def ask_for_an_account(page, email):
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(CHOSEN)
    page.get_by_role("button", name="Create an account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")


def sign_up(page, demo, email):
    ask_for_an_account(page, email)
    page.get_by_label("Code").fill(code_for(demo, email))
    page.get_by_role("button", name="Confirm the address").click()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_somebody_new_signs_up_on_the_way_to_the_app(visit, demo, script):
    page = visit(width=360, script=script).page
    email = f"new{int(script)}@example.org"
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    page.get_by_role("link", name="Create an account").click()
    is_well_drawn(page)
    ask_for_an_account(page, email)
    is_well_drawn(page)
    expect(page.get_by_text(f"If {email} can be used here, a code is on its way.")).to_be_visible()
    again = page.get_by_role("button", name="Send a new code")
    if script:
        expect(again).to_be_disabled()
    else:
        again.click()
        expect(page.get_by_role("alert")).to_contain_text("Too many tries.")
    page.get_by_label("Code").fill("000 000")
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is not right. 4 tries left.")
    is_well_drawn(page)
    page.get_by_label("Code").fill(code_for(demo, email))
    page.get_by_role("button", name="Confirm the address").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    journey.expect_to_be_at_home_in_the_app(page, demo)


def test_by_keyboard_alone_with_a_mistake_on_the_way(visit, demo):
    page = visit().page
    page.goto(f"{demo.issuer}/signup")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type("keys@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type("password1")
    tab_to(page, "button", "Show password")
    page.keyboard.press("Space")
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    page.get_by_label("Name (optional)").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error: Create an account"))
    tab_to(page, "link", "This password is too easy to guess.")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(CHOSEN)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(code_for(demo, "keys@example.org"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.issuer}/")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_forgotten_password_is_set_anew_through_the_link(visit, demo, script):
    here, phone = visit(script=script).page, visit(width=360, scheme="dark", script=script).page
    email = f"forgetful{int(script)}@example.org"
    here.goto(f"{demo.issuer}/signup")
    sign_up(here, demo, email)
    here.wait_for_url(f"{demo.issuer}/")
    here.goto(f"{demo.issuer}/forgot")
    here.get_by_label("E-mail").fill(email)
    here.get_by_role("button", name="Send the mail").click()
    phone.goto(newest_in_mail(demo, email, re.escape(demo.issuer) + r"/reset\?link=[\w-]+"))
    is_well_drawn(phone)
    phone.get_by_role("button", name="Choose a new password").click()
    is_well_drawn(phone)
    phone.get_by_label("New password").fill("violin under the stairs")
    phone.get_by_role("button", name="Save the new password").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Your password is changed")
    phone.get_by_role("link", name="Sign in").or_(phone.get_by_role("button", name="Sign in", exact=True)).click()
    journey.fill_in(phone, email, "violin under the stairs")
    phone.get_by_role("button", name="Sign in", exact=True).click()
    phone.wait_for_url(f"{demo.issuer}/")
    here.goto(f"{demo.issuer}/account")
    expect(here.get_by_role("heading", level=1)).to_have_text("Sign in")
