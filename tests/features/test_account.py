"""The account pages' common ground: who gets in, whose form is taken, when proof is asked for again (UX §3)."""

from __future__ import annotations

import pytest

from authserver.app import FEATURES
from authserver.steps.account import find_return_path
from tests.features.account_pages import hidden, let_the_proof_grow_old, main_text, send, sign_in
from tests.oauth.examples import USER
from tests.server import OTHER_USER

PAGES = [link.path for feature in FEATURES for link in feature.account_links]
FORMS = [
    endpoint.path
    for feature in FEATURES
    for endpoint in feature.endpoints
    if endpoint.path in PAGES and "POST" in endpoint.methods
]


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_sent_to_sign_in_and_comes_back(server, path):
    browser = server.browser()
    answer = await browser.get(f"{server.issuer}{path}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    page = await browser.follow(await server.login(browser))
    assert (page.status_code, page.url.path) == (200, path)
    front = await browser.open(f"{server.issuer}/")
    assert front.url.path == "/", "once only"


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_has_its_title_and_the_list_of_all_in_which_it_is_marked(upstream_server, path):
    browser = await sign_in(upstream_server)  # where there are providers, and so linked accounts in the list
    page = await browser.get(f"{upstream_server.issuer}{path}")
    assert page.status_code == 200
    assert page.text.count("<h1>") == 1
    assert page.text.count('aria-current="page"') == 1
    assert f'<a href="{path}" aria-current="page">' in page.text
    for each in PAGES:
        assert f'<a href="{each}"' in page.text


async def test_the_overview_says_who_and_how_much(server):
    browser = await sign_in(server)
    await server.get_code(browser=browser)
    text = main_text(await browser.get(f"{server.issuer}/account"))
    assert "ada@example.com" in text
    assert "You are signed in on 1 device" in text
    assert "1 app has access" in text


@pytest.mark.attack(102)
@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_another_site_is_refused_and_changes_nothing(server, path):
    browser = await sign_in(server)
    events = await server.audit_events()
    page = await browser.get(f"{server.issuer}{path}")
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await browser.post(str(page.url), hidden(page) | {"decision": "delete", "sure": "yes"}, elsewhere)
    assert (answer.status_code, server.refusal) == (403, "csrf")
    assert await server.audit_events() == events


@pytest.mark.attack(102)
@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["", "not-the-token"])
async def test_a_form_without_this_browsers_token_is_shown_again(server, path, token):
    browser = await sign_in(server)
    events = await server.audit_events()
    page = await browser.get(f"{server.issuer}{path}")
    form = hidden(page) | {"csrf": token, "decision": "delete", "sure": "yes", "name": "Eve"}
    answer = await browser.post(str(page.url), {name: value for name, value in form.items() if value})
    assert answer.status_code == 422
    assert "This page was open for a long time. Please check and send again." in answer.text
    assert await server.audit_events() == events


@pytest.mark.attack(101)
@pytest.mark.parametrize("path", FORMS)
async def test_a_form_that_was_shown_to_somebody_else_changes_nothing(server, path):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}{path}")
    await server.login(browser, user=OTHER_USER)
    events = await server.audit_events()
    answer = await send(browser, page, decision="sign_out_others", sure="yes", name="Ada", email="x@example.com")
    assert answer.status_code == 422
    assert await server.audit_events() == events


@pytest.mark.parametrize("path", ["/account/email", "/account/data"])
async def test_what_protects_the_account_asks_for_proof_again_after_five_minutes(server, path):
    browser = await sign_in(server)
    url = f"{server.issuer}{path}"
    form = await browser.get(url)
    await let_the_proof_grow_old(server)
    asked = await browser.get(url)
    assert "We ask again because this protects your account." in asked.text
    answer = await send(browser, form, decision="delete", sure="yes", email="new@example.com")
    assert answer.status_code == 403
    assert "account_deletion_asked" not in await server.audit_events()
    login = await browser.follow(await browser.submit(asked))
    assert login.url.path == "/login"
    assert 'value="ada"' in login.text, "the name is filled in"
    assert "We ask again because this protects your account." in login.text
    page = await browser.follow(await server.login(browser, login))
    assert page.url.path == path
    assert "We ask again" not in page.text


@pytest.mark.attack(98)
async def test_signing_in_again_gives_the_session_another_cookie(server):
    browser = await sign_in(server)
    before = browser.cookies["__Host-session"]
    await let_the_proof_grow_old(server)
    asked = await browser.get(f"{server.issuer}/account/data")
    await server.login(browser, await browser.follow(await browser.submit(asked)))
    assert browser.cookies["__Host-session"] != before
    stolen = server.browser()
    stolen.cookies["__Host-session"] = before
    answer = await stolen.get(f"{server.issuer}/account")
    assert answer.headers["location"] == "/login"


async def test_a_disabled_user_is_not_let_in(server):
    browser = await sign_in(server)
    await server.execute("UPDATE users SET disabled_at = created_at WHERE username = 'ada'")
    answer = await browser.get(f"{server.issuer}/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_password_managers_find_the_password_page(server):
    answer = await server.get("/.well-known/change-password")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/password")


async def test_the_front_page_of_who_is_signed_in_leads_to_the_account(server):
    browser = await sign_in(server)
    assert '<a href="/account">Your account</a>' in (await browser.get(f"{server.issuer}/")).text
    assert 'href="/account"' not in (await server.get("/")).text


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/account/../admin", "/accounts", "/account?x=1", "/", "", None]
)
def test_nobody_is_sent_on_to_anything_but_an_account_page(path):
    assert find_return_path(path) == "/account"


def test_somebody_is_sent_on_to_the_page_they_came_from():
    assert find_return_path("/account/devices") == "/account/devices"
    assert find_return_path(f"/account/email/{USER.id}") == f"/account/email/{USER.id}"


async def test_times_are_shown_by_the_users_own_clock_and_in_their_language(server):
    browser = await sign_in(server)
    await server.execute("UPDATE users SET zoneinfo = 'Asia/Tokyo', locale = 'de' WHERE username = 'ada'")
    page = await browser.get(f"{server.issuer}/account")
    assert "(JST)" in main_text(page)
    assert "Ihr Konto" in page.text


@pytest.mark.attack(99)
async def test_each_cookie_of_these_pages_is_the_hosts_own_and_no_scripts(server):
    browser = server.browser()
    await browser.get(f"{server.issuer}/account/profile")
    await browser.post(f"{server.issuer}/language", {"language": "de", "back": "/"})
    page = await browser.follow(await server.login(browser))
    await send(browser, page, name="Ada")
    lines = {line.partition("=")[0]: line for line in browser.cookie_lines if "Max-Age=0" not in line}
    assert {"__Host-return", "__Host-notice", "__Host-language", "__Host-session"} <= lines.keys()
    for line in lines.values():
        assert line.startswith("__Host-")
        assert "; Path=/; Secure; HttpOnly; SameSite=Lax" in line
        assert "Domain" not in line


async def test_a_made_up_return_leads_nowhere_else(server):
    browser = await sign_in(server)
    browser.cookies["__Host-return"] = "//evil.example"
    answer = await browser.get(f"{server.issuer}/")
    assert answer.headers["location"] == "/account"


async def test_light_or_dark_is_chosen_for_this_browser_and_taken_back(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account")
    assert "data-theme" not in page.text
    await browser.post(f"{server.issuer}/account/look", hidden(page) | {"theme": "dark"})
    page = await browser.get(f"{server.issuer}/login")
    assert '<html lang="en" dir="ltr" data-theme="dark">' in page.text
    await browser.post(f"{server.issuer}/account/look", hidden(page) | {"theme": "dark"})
    page = await browser.get(f"{server.issuer}/account")
    assert 'data-theme="dark"' in page.text, "a form without the user's word changes nothing"
    await browser.post(f"{server.issuer}/account/look", hidden(page))
    assert "data-theme" not in (await browser.get(f"{server.issuer}/account")).text
    browser.cookies["__Host-theme"] = '"><script>'
    assert "data-theme" not in (await browser.get(f"{server.issuer}/account")).text
