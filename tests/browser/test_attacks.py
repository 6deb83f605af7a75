"""What only a real browser can show: markup that must not run, frames that must stay empty, tabs that cross."""

from __future__ import annotations

import pytest

from tests.browser import journey

expect = pytest.importorskip("playwright.sync_api").expect

HOSTILE = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
)


@pytest.mark.attack(20)
@pytest.mark.parametrize(
    "name", ["login_hint", "ui_locales", "state", "scope", "prompt", "redirect_uri", "client_id", "display"]
)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_parameter_runs_as_script(visit, demo, name, hostile):
    page = visit().page
    page.goto(journey.authorization_url(demo, **{name: hostile}))
    assert page.locator("main script, main img, main svg, main [onload], main [onerror]").count() == 0
    assert "49$" not in page.content()


@pytest.mark.attack(14)
def test_no_page_of_the_issuer_shows_in_a_frame(visit, demo):
    visitor = visit()
    page = visitor.page
    addresses = [f"{demo.issuer}{path}" for path in ("/", "/login", "/authorize")] + [f"{demo.api}/healthz"]
    frames = "".join(f'<iframe src="{address}"></iframe>' for address in addresses)
    page.route("**/framing", lambda route: route.fulfill(content_type="text/html", body=frames))
    page.goto(f"{demo.api}/framing")
    refused = "chrome-error://chromewebdata/"
    assert [frame.url for frame in page.frames[1:]] == [refused, refused, refused, f"{demo.api}/healthz"]
    visitor.console.clear()  # Chromium says there why the three stayed empty


def test_two_tabs_sign_in_one_after_the_other_and_both_arrive(visit, demo):
    first = visit().page
    second = first.context.new_page()
    for page in (first, second):
        journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.sign_in(second, demo)
    journey.allow_if_asked(second)
    journey.expect_to_be_at_home_in_the_app(second, demo)
    journey.sign_in(first, demo)
    journey.allow_if_asked(first)
    first.wait_for_load_state()
    expect(first.get_by_role("heading", level=1)).to_contain_text("Hello")


@pytest.mark.attack(11)
def test_another_browser_cannot_go_on_with_a_sign_in_under_way(visit, demo):
    mine, other = visit().page, visit().page
    journey.open_app_and_be_sent_to_sign_in(mine, demo)
    answer = other.goto(mine.url)
    assert answer.status == 400
    expect(other.get_by_role("heading", level=1)).to_have_text("Please start again")


def test_back_and_reload_lead_to_a_page_that_says_one_is_signed_in(visit, demo):
    page = visit().page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    page.evaluate("history.go(2 - history.length)")  # the first page after the empty one: the sign-in
    page.wait_for_url(f"{demo.issuer}/login/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed in")
    assert page.reload().status == 200
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed in")
