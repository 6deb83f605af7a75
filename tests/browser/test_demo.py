"""A newcomer's way through the demo, on a phone and on a desktop, light and dark; its pictures go to docs/images."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from tests.browser import journey

expect = pytest.importorskip("playwright.sync_api").expect

WINDOWS = [
    pytest.param({"width": width, "height": height, "scheme": scheme}, id=f"{width}-{scheme}")
    for width, height in ((360, 740), (1280, 800))
    for scheme in ("light", "dark")
]


@pytest.mark.product("S11")
@pytest.mark.parametrize("window", WINDOWS)
def test_the_demo_signs_in_gets_tokens_asks_the_api_renews_and_signs_out(visit, demo, window):
    visitor = visit(**window)
    page = visitor.page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    visitor.photograph("sign-in")
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    journey.request_data(page, times=1)
    journey.request_data(page, times=2)
    visitor.photograph("sample-app")
    journey.sign_out(page, demo)
    page.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize("window", WINDOWS)
def test_consent_says_who_asks_for_what_and_a_no_leads_back_to_the_app(visit, demo, window):
    visitor = visit(**window)
    page = visitor.page
    asked = {"scope": "openid profile email api:read", "resource": demo.api, "prompt": "consent"}
    page.goto(journey.authorization_url(demo, **asked))
    journey.sign_in(page, demo)
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow access?")
    expect(page.get_by_text("You are signed in as Ann Example.")).to_be_visible()
    expect(page.get_by_text(f"Demo app ({urlsplit(demo.app).netloc}) wants to:")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_text(
        ["Know that it is you", "See your name and your profile", "See your e-mail address", "Use Sample API: api:read"]
    )
    refuse, allow = (page.get_by_role("button", name=name, exact=True) for name in ("Don't allow", "Allow"))
    assert refuse.bounding_box()["width"] == allow.bounding_box()["width"]
    assert refuse.bounding_box()["height"] == allow.bounding_box()["height"]
    visitor.photograph("consent")
    refuse.click()
    expect(page.get_by_text("You did not allow this app to sign you in.")).to_be_visible()


@pytest.mark.parametrize("window", WINDOWS)
def test_the_front_page_says_where_everything_is_and_that_it_is_not_for_real_users(visit, demo, window):
    visitor = visit(**window)
    page = visitor.page
    page.goto(demo.issuer)
    expect(page.get_by_text("Development mode: not for real users")).to_be_visible()
    expect(page.get_by_role("heading", name="For developers")).to_be_visible()
    expect(page.get_by_text(f"{demo.issuer}/.well-known/openid-configuration")).to_be_visible()
    expect(page.get_by_text(demo.username)).to_be_visible()
    visitor.photograph("front-page")


@pytest.mark.parametrize("window", WINDOWS)
def test_a_wrong_password_is_said_calmly_the_name_stays_and_the_summary_has_the_focus(visit, demo, window):
    visitor = visit(**window)
    page = visitor.page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.fill_in(page, demo.username, "not my password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    summary = page.get_by_role("alert")
    expect(summary).to_have_text("That e-mail or password is not right.")
    expect(summary).to_be_focused()
    expect(page).to_have_title(re.compile(r"^Error: Sign in"))
    expect(page.get_by_label("E-mail or user name")).to_have_value(demo.username)
    expect(page.get_by_label("Password")).to_have_value("")
    visitor.photograph("sign-in-wrong")
    summary.get_by_role("link").click()
    expect(page.get_by_label("Password")).to_be_focused()
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_foreign_redirect_uri_is_a_page_with_its_fix_and_no_way_to_the_foreign_address(visit, demo, window):
    visitor = visit(**window)
    page = visitor.page
    answer = page.goto(journey.authorization_url(demo, redirect_uri="http://localhost:3001/callback"))
    assert answer.status == 400
    expect(page.get_by_role("heading", level=1)).to_contain_text("cannot sign you in yet")
    page.get_by_text("Details for the developer").click()
    expect(page.get_by_text("redirect_uri_not_registered")).to_be_visible()
    expect(page.get_by_text("--add-redirect-uri http://localhost:3001/callback")).to_be_visible()
    visitor.photograph("error")
