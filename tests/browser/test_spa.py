"""The sample page that has no server of its own: signed in, renewed, reloaded, in two tabs, signed out."""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.browser import journey
from tests.browser.conftest import ROOT
from tests.processes import wait_until_it_answers

expect = pytest.importorskip("playwright.sync_api").expect

VAULT = """async (change) => {
  const { Vault } = await import("/vault.js");
  const vault = new Vault("tokens of demo-spa");
  if (change) await vault.write({ ...await vault.read(), ...change });
  return await vault.read() ?? null;
}"""


@pytest.fixture(scope="module")
def spa(demo):
    """The page as its README serves it."""
    port = str(urlsplit(demo.spa).port)
    command = [sys.executable, "clients/spa/serve.py", "--issuer", demo.issuer, "--api", demo.api, "--port", port]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until_it_answers(process, demo.spa)
        yield demo.spa
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def page(visit, demo, spa):
    """The page, signed in."""
    page = visit().page
    sign_in(page, demo, spa)
    return page


def sign_in(page, demo, spa):
    page.goto(spa)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label("E-mail or user name")).to_be_focused()
    journey.sign_in(page, demo)
    journey.allow_if_asked(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Ann Example")


def tokens_of(page):
    return page.evaluate(VAULT)


def request_data(page, times):
    page.get_by_role("button", name="Request data and renew").click()
    expect(page.locator("#renewals")).to_contain_text(f"Renewed {times} time")
    expect(page.locator("#answer-status")).to_contain_text("200 from")


def test_it_signs_in_with_the_code_gone_from_the_address_and_renews_with_each_request(page):
    assert urlsplit(page.url)[2:] == ("/", "", "")
    fingerprint = page.locator("#refresh-token").inner_text()
    assert re.fullmatch("[0-9a-f]{16}", fingerprint)
    request_data(page, 1)
    expect(page.locator("#answer-text")).to_contain_text('"access": "full"')
    expect(page.locator("#refresh-token")).not_to_have_text(fingerprint)
    request_data(page, 2)


def test_a_reload_finds_everything_where_it_was_and_renews_what_has_expired(page):
    before = tokens_of(page)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Ann Example")
    assert tokens_of(page) == before
    page.evaluate(VAULT, {"expires_at": 0})
    page.reload()
    expect(page.locator("#renewals")).to_contain_text("Renewed 1 time")
    assert tokens_of(page)["access_token"] != before["access_token"]


def test_two_tabs_that_renew_at_once_take_turns_and_both_go_on(page, spa):
    other = page.context.new_page()
    other.goto(spa)
    expect(other.get_by_role("heading", level=1)).to_have_text("Hello, Ann Example")
    for tab in (page, other):  # neither click waits for an answer
        tab.evaluate("document.getElementById('request').click()")
    for tab in (page, other):
        expect(tab.locator("#answer-status")).to_contain_text("200 from")
        expect(tab.locator("#renewals")).to_contain_text("Renewed 2 times")
    request_data(page, 3)
    request_data(other, 4)


def test_signing_out_clears_every_tab_and_signs_out_at_the_issuer(page, demo, spa):
    other = page.context.new_page()
    other.goto(spa)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert page.url == f"{spa}/"
    expect(other.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert tokens_of(page) is None
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.url.startswith(f"{demo.issuer}/login/")


def test_a_grant_that_was_revoked_is_noticed_at_the_next_request(visit, demo, spa):
    visitor = visit()
    page = visitor.page
    sign_in(page, demo, spa)
    token = tokens_of(page)["refresh_token"]
    page.evaluate(
        "([address, token]) => fetch(address, "
        "{method: 'POST', body: new URLSearchParams({token, client_id: 'demo-spa'})}).then(() => null)",
        [f"{demo.issuer}/revoke", token],
    )
    page.get_by_role("button", name="Request data and renew").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert tokens_of(page) is None
    visitor.console.clear()  # Chromium's own remark on the 400


def test_an_issuer_that_does_not_answer_costs_nothing(visit, demo, spa):
    visitor = visit()
    page = visitor.page
    sign_in(page, demo, spa)
    page.route(f"{demo.issuer}/token", lambda route: route.abort())
    page.get_by_role("button", name="Request data and renew").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was lost")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Ann Example")
    page.unroute(f"{demo.issuer}/token")
    request_data(page, 1)
    expect(page.get_by_role("alert")).to_be_hidden()
    visitor.console.clear()  # Chromium's own remark on the request that failed


def test_signing_out_forgets_the_tokens_though_the_issuer_does_not_answer(visit, demo, spa):
    visitor = visit()
    page = visitor.page
    sign_in(page, demo, spa)
    page.route(f"{demo.issuer}/**", lambda route: route.abort())
    page.reload()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("The issuer does not answer")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert tokens_of(page) is None
    visitor.console.clear()  # Chromium's own remark on the request that failed


def test_an_answer_that_this_tab_did_not_ask_for_signs_nobody_in(visit, spa):
    page = visit().page
    page.goto(f"{spa}/callback?code=planted&state=foreign&iss=https://evil.example")
    expect(page.get_by_role("alert")).to_contain_text("This sign-in is over")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    assert tokens_of(page) is None


def test_it_fits_a_phone_in_the_dark(visit, demo, spa):
    visitor = visit(width=360, height=740, scheme="dark")
    sign_in(visitor.page, demo, spa)
    request_data(visitor.page, 1)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    visitor.photograph("sample-page")
