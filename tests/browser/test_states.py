"""What people meet beside the straight way: asked to sign out, someone else's account, too many tries, no cookies."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from tests.browser import journey

expect = pytest.importorskip("playwright.sync_api").expect


def ask_to_sign_out(page, demo):
    query = {"client_id": "demo-web", "post_logout_redirect_uri": f"{demo.app}/signed-out"}
    page.goto(f"{demo.issuer}/end_session?{urlencode(query)}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign out?")


@pytest.mark.attack(94)
def test_an_app_without_a_hint_may_only_ask_and_a_yes_leads_back_to_it(visit, demo):
    page = visit().page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    ask_to_sign_out(page, demo)
    expect(page.get_by_text("Sign out of Demo app?")).to_be_visible()
    page.get_by_role("button", name="Stay signed in").click()
    expect(page.get_by_text("Signed in as Ann Example")).to_be_visible()
    ask_to_sign_out(page, demo)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert page.url.startswith(f"{demo.app}/signed-out")


def test_the_front_page_signs_in_and_out_by_itself(visit, demo):
    page = visit().page
    page.goto(demo.issuer)
    page.get_by_role("button", name="Sign in", exact=True).click()
    journey.sign_in(page, demo)
    expect(page.get_by_text("Signed in as Ann Example")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out here.")).to_be_visible()
    page.get_by_role("button", name="Sign in again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_who_is_not_the_one_signed_in_can_say_so_before_allowing_anything(visit, demo):
    page = visit().page
    page.goto(journey.authorization_url(demo, prompt="consent"))
    journey.sign_in(page, demo)
    page.get_by_role("button", name="Not you?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    expect(page.get_by_label("E-mail or user name")).to_have_value("")


def test_after_too_many_tries_the_wait_is_said_and_counts_down(visit, demo):
    page = visit().page
    page.goto(f"{demo.issuer}/login")
    for _ in range(8):
        journey.fill_in(page, "nobody@example.org", "wrong")
        with page.expect_response(lambda response: response.request.method == "POST") as answered:
            page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("alert")).to_be_visible()
        if answered.value.status == 429:
            break
    seconds = int(answered.value.headers["retry-after"])
    expect(page.get_by_role("alert")).to_have_text(
        re.compile(rf"Too many tries\. Wait {seconds} seconds?\.|You can try again now\.")
    )
    expect(page.get_by_role("alert")).to_have_text("You can try again now.", timeout=(seconds + 3) * 1000)


def test_without_cookies_the_page_says_what_to_allow(visit, demo):
    page = visit().page
    page.goto(f"{demo.issuer}/login")
    page.context.clear_cookies()
    journey.sign_in(page, demo)
    expect(page.get_by_role("alert")).to_contain_text("Your browser did not keep our cookie.")
    expect(page.get_by_label("E-mail or user name")).to_have_value(demo.username)
    journey.sign_in(page, demo)
    expect(page.get_by_text("Signed in as Ann Example")).to_be_visible()
