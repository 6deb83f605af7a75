"""Without a mouse, without script, on the narrowest screen: the same demo."""

from __future__ import annotations

import pytest

from tests.browser import journey
from tests.browser.drawn import TOO_SMALL

expect = pytest.importorskip("playwright.sync_api").expect


def tab_to(page, role, name):
    """Press Tab until the element has the focus; what has it must show so."""
    page.wait_for_load_state()  # before that the focus ring may be the browser's own
    wanted = page.get_by_role(role, name=name, exact=True)
    for _ in range(20):
        if wanted.evaluate("element => element === document.activeElement"):
            outline = wanted.evaluate(
                "element => getComputedStyle(element).outlineStyle + getComputedStyle(element).outlineWidth"
            )
            assert outline == "solid3px"
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{role} {name!r} cannot be reached by Tab")


def test_the_demo_works_by_keyboard_alone(visit, demo):
    page = visit().page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    expect(page.get_by_label("E-mail or user name")).to_be_focused()
    page.keyboard.type(demo.username)
    page.keyboard.press("Tab")
    page.keyboard.type(demo.password)
    page.keyboard.press("Enter")
    if journey.is_asked(page):
        tab_to(page, "button", "Allow")
        page.keyboard.press("Enter")
    journey.expect_to_be_at_home_in_the_app(page, demo)
    tab_to(page, "button", "Request data and renew")
    page.keyboard.press("Enter")
    expect(page.locator("#answer strong")).to_have_text("200")
    tab_to(page, "button", "Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_demo_works_without_script(visit, demo, width):
    page = visit(width=width, script=False).page
    page.goto(demo.issuer)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    journey.fill_in(page, demo.username, "wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("That e-mail or password is not right.")
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    journey.request_data(page, times=1)
    journey.sign_out(page, demo)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_at_320_pixels_nothing_overflows_and_every_target_can_be_hit(visit, demo, scheme):
    page = visit(width=320, height=600, scheme=scheme).page
    refused = journey.authorization_url(demo, redirect_uri="http://localhost:3001/callback")
    for address in (demo.issuer, demo.app, refused):
        page.goto(address)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert page.evaluate(TOO_SMALL) == [], address


def test_the_copy_button_copies_what_stands_beside_it(visit, demo):
    page = visit().page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=demo.issuer)
    page.goto(demo.issuer)
    button = page.get_by_role("button", name="Copy Issuer")
    button.click()
    expect(button).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == demo.issuer


def test_two_clicks_send_one_form(visit, demo):
    page = visit().page
    journey.open_app_and_be_sent_to_sign_in(page, demo)
    posted = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    journey.fill_in(page, demo.username, demo.password)
    page.get_by_role("button", name="Sign in", exact=True).dblclick()
    journey.allow_if_asked(page)
    journey.expect_to_be_at_home_in_the_app(page, demo)
    assert len([address for address in posted if "login" in address]) == 1
