"""The account pages in Chromium: by keyboard, on a phone, in the dark, in German, without script (UX §3, §10.4)."""

from __future__ import annotations

import pytest

from tests.browser import journey
from tests.browser.drawn import TOO_PALE, TOO_SMALL
from tests.browser.test_access import tab_to
from tests.browser.test_sign_up import code_for, sign_up

expect = pytest.importorskip("playwright.sync_api").expect

PAGES = (
    "",
    "/profile",
    "/email",
    "/password",
    "/passkeys",
    "/factors",
    "/connections",
    "/devices",
    "/apps",
    "/activity",
    "/data",
)


def sign_in_to_account(page, demo, path=""):
    """Begin at an account page: the way leads over the sign-in and back."""
    page.goto(f"{demo.issuer}/account{path}")
    journey.sign_in(page, demo)
    page.wait_for_url(f"{demo.issuer}/account{path}")


def use_the_app(page, demo):
    """Give the demo app access, so that there is something to take back."""
    page.goto(demo.app)
    journey.allow_if_asked(page)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_every_account_page_can_be_read_hit_and_reflows(visit, demo, width, scheme, script, language):
    page = visit(width=width, scheme=scheme, script=script).page
    sign_in_to_account(page, demo)
    if language == "de":
        page.get_by_role("button", name="Deutsch").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Ihr Konto")
    for path in PAGES:
        page.goto(f"{demo.issuer}/account{path}")
        assert page.locator("html").get_attribute("lang") == language
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(TOO_PALE) == [], path
        assert page.evaluate(TOO_SMALL) == [], path
        assert page.locator("h1").count() == 1, path


def test_the_titles_of_the_account_pages_tell_them_apart(visit, demo):
    page = visit().page
    sign_in_to_account(page, demo)
    titles = set()
    for path in PAGES:
        page.goto(f"{demo.issuer}/account{path}")
        titles.add(page.title())
    assert len(titles) == len(PAGES)


def test_an_app_is_taken_back_by_keyboard_alone(visit, demo):
    page = visit().page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    page.goto(f"{demo.issuer}/")
    tab_to(page, "link", "Your account")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    tab_to(page, "link", "Apps with access")
    page.keyboard.press("Enter")
    app = page.get_by_role("heading", level=2, name="Demo app")  # beside it, what other tests have given access
    expect(app).to_be_visible()
    tab_to(page, "button", "Take back the access of Demo app")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The app has no access any more.")
    expect(app).to_have_count(0)


def test_the_first_tab_leads_past_the_list_of_pages(visit, demo):
    page = visit(width=360).page
    sign_in_to_account(page, demo, "/profile")
    page.goto(f"{demo.issuer}/account/profile")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()


def test_what_is_wrong_with_a_profile_has_the_focus_and_leads_to_its_field(visit, demo):
    page = visit(width=360).page
    sign_in_to_account(page, demo, "/profile")
    page.get_by_label("Time zone").fill("Mars/Olympus")
    page.get_by_role("button", name="Save").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    page.get_by_role("link", name="Time zone: Write a time zone").click()
    expect(page.get_by_label("Time zone")).to_be_focused()
    page.get_by_label("Time zone").fill("Europe/Tallinn")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Your profile is saved.")


def test_a_new_address_is_confirmed_with_the_code_from_the_inbox(visit, demo):
    page = visit().page
    page.goto(f"{demo.issuer}/signup")
    sign_up(page, demo, "moving@example.org")
    page.wait_for_url(f"{demo.issuer}/")
    page.goto(f"{demo.issuer}/account/email")
    page.get_by_label("New e-mail address").fill("moved@elsewhere.example")
    page.get_by_role("button", name="Send the code").click()
    expect(page.get_by_label("Code")).to_be_focused()
    expect(page.get_by_text("moved@elsewhere.example")).to_be_visible()
    page.keyboard.type(code_for(demo, "moved@elsewhere.example"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Your e-mail address is changed.")


def test_one_of_two_devices_is_signed_out_and_finds_itself_at_the_sign_in(visit, demo):
    here, there = visit().page, visit(width=360).page
    for page in (here, there):
        sign_in_to_account(page, demo, "/devices")
    here.reload()
    here.get_by_role("button", name="Sign out everywhere else").click()
    expect(here.get_by_role("status")).to_have_text("You are signed out everywhere else.")
    there.reload()
    expect(there.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_colours_that_were_chosen_are_as_readable_as_the_systems(visit, demo, theme):
    page = visit(scheme="dark" if theme == "Light" else "light").page
    sign_in_to_account(page, demo)
    page.get_by_role("button", name=theme).click()
    expect(page.get_by_role("button", name=theme)).to_have_attribute("aria-pressed", "true")
    for path in PAGES:
        page.goto(f"{demo.issuer}/account{path}")
        assert page.evaluate(TOO_PALE) == [], path
