"""/end_session (RP-Initiated Logout §2, §3, §6; SECURITY rows 94 and 95)."""

import pytest

from tests.oauth.examples import WEB
from tests.server import OTHER_USER, SPA, is_signed_in

GOODBYE = WEB.post_logout_redirect_uris[0]


@pytest.mark.attack(94)
async def test_nobody_is_signed_out_by_a_link(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    stranger = server.browser()
    of_another = await server.code_flow(SPA, stranger)
    for query in ("", "?client_id=web-client", f"?id_token_hint={of_another['id_token']}", "?id_token_hint=nonsense"):
        page = await browser.get(f"{server.issuer}/end_session{query}")
        assert page.status_code == 200, query
        assert await is_signed_in(server, browser), query
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.attack(94, 102)
async def test_a_form_of_another_site_signs_nobody_out(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    url = f"{server.issuer}/end_session"
    page = await browser.get(url)
    for headers in (
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        response = await browser.submit(page, headers, decision="sign_out")
        assert (response.status_code, server.refusal) == (403, "csrf")
    await browser.post(url, {"decision": "sign_out", "csrf": "guessed"})
    await browser.post(url, {"decision": "sign_out"})
    assert await is_signed_in(server, browser)


@pytest.mark.attack(94)
async def test_a_post_of_another_site_asks_first_and_leaves_the_cookies(server):
    """Browsers keep SameSite=Lax cookies back from another site's POST, and send them where it leads."""
    browser = server.browser()
    await server.code_flow(browser=browser)
    before = dict(browser.cookies)
    for form in ({}, {"decision": "sign_out"}, {"client_id": WEB.client_id, "post_logout_redirect_uri": GOODBYE}):
        response = await server.post("/end_session", form, sec_fetch_site="cross-site", origin="https://evil.example")
        assert response.status_code == 303
        assert "set-cookie" not in response.headers
        page = await browser.open(server.issuer + response.headers["location"])
        assert (page.status_code, "Sign out?" in page.text) == (200, True)
        assert browser.cookies == before
    assert await is_signed_in(server, browser)


async def test_an_apps_post_with_the_id_token_signs_out_at_once(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    form = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE}
    response = await server.post("/end_session", form, sec_fetch_site="cross-site", origin="https://app.example")
    response = await browser.open(server.issuer + response.headers["location"])
    assert (response.status_code, response.headers["location"]) == (303, GOODBYE)
    assert not await is_signed_in(server, browser)


async def test_a_session_ends_once(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    for _ in range(3):
        await browser.get(f"{server.issuer}/end_session?id_token_hint={tokens['id_token']}")
    assert (await server.audit_events()).count("session_ended") == 1


async def test_the_button_ends_the_session_and_what_apps_hold_through_it(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    page = await browser.get(f"{server.issuer}/end_session")
    response = await browser.submit(page, decision="sign_out")
    assert response.status_code == 200
    assert "__Host-session" not in browser.cookies
    assert not await is_signed_in(server, browser)
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert server.refusal == "grant_revoked"
    assert await server.introspect(tokens["access_token"]) == {"active": False}
    assert "session_ended" in await server.audit_events()


async def test_staying_signed_in_changes_nothing(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    page = await browser.get(f"{server.issuer}/end_session")
    assert (await browser.submit(page, decision="stay")).status_code == 303
    assert await is_signed_in(server, browser)


async def test_the_old_cookie_is_worth_nothing_after_the_logout(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    stolen = dict(browser.cookies)
    await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")
    browser.cookies = stolen
    assert not await is_signed_in(server, browser)


async def test_the_id_token_of_this_session_signs_out_without_a_question(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    url = f"{server.issuer}/end_session?id_token_hint={tokens['id_token']}"
    response = await browser.get(f"{url}&post_logout_redirect_uri={GOODBYE}&state=a%26b")
    assert (response.status_code, response.headers["location"]) == (303, f"{GOODBYE}?state=a%26b")
    assert not await is_signed_in(server, browser)


async def test_an_access_token_is_no_hint(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await browser.get(f"{server.issuer}/end_session?id_token_hint={tokens['access_token']}")
    assert await is_signed_in(server, browser)


@pytest.mark.attack(94)
async def test_the_id_token_of_another_user_does_not_end_this_session(server):
    ann, bob = server.browser(), server.browser()
    await server.login(ann)
    await server.login(bob, user=OTHER_USER)
    hint = (await server.code_flow(browser=bob))["id_token"]
    page = await ann.get(f"{server.issuer}/end_session?id_token_hint={hint}&post_logout_redirect_uri={GOODBYE}")
    assert page.status_code == 200, "she is asked, and sent nowhere"
    assert await is_signed_in(server, ann)


@pytest.mark.attack(95)
async def test_nobody_is_sent_to_an_address_that_no_client_registered(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    hint = f"id_token_hint={tokens['id_token']}"
    for query in (
        "post_logout_redirect_uri=https://evil.example/",
        f"post_logout_redirect_uri={GOODBYE}",
        f"client_id=nobody&post_logout_redirect_uri={GOODBYE}",
        f"client_id=spa-client&post_logout_redirect_uri={GOODBYE}",
        f"{hint}&post_logout_redirect_uri=https://evil.example/",
        f"{hint}&post_logout_redirect_uri={GOODBYE}/",
        f"{hint}&post_logout_redirect_uri={GOODBYE}%3Fa=b",
        f"{hint}&post_logout_redirect_uri={WEB.redirect_uris[0]}",
        f"{hint}&client_id=spa-client&post_logout_redirect_uri={GOODBYE}",
        f"{hint}&post_logout_redirect_uri={GOODBYE}&post_logout_redirect_uri=https://evil.example/",
    ):
        response = await browser.get(f"{server.issuer}/end_session?{query}")
        assert response.status_code == 400, query
        assert "location" not in response.headers, query
    assert await is_signed_in(server, browser), "a refused request ends nothing"


async def test_offline_access_outlives_the_logout(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser, scope="openid offline_access notes:read")
    await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
