"""Sign-in through another provider: who is known, who is new, and how an app's request comes through."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest

from authserver.operations import users
from authserver.store.purge import purge_expired
from authserver.store.tables import UpstreamSignIns
from tests.features.account_pages import main_text, newest_session
from tests.features.factors import add_factor
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import answer_of, is_signed_in
from tests.upstream import (
    CLIENT_ID,
    SECRET,
    change,
    come_back,
    go,
    link,
    query_of,
    sign_in_there,
)


@pytest.fixture
async def server(upstream_server):
    return upstream_server


# --- there ------------------------------------------------------------------------------------------------------------


async def test_each_provider_has_a_button_on_the_login_page_that_needs_no_script(server):
    page = await server.browser().get(f"{server.issuer}/login")
    assert 'name="provider" value="partner" class="outline">Continue with Partner</button>' in page.text
    assert 'value="hub" class="outline">Continue with Hub</button>' in page.text
    assert "form-action" not in page.headers["content-security-policy"]  # Chromium follows it to the provider


async def test_without_providers_the_page_is_as_it_was(start_server):
    page = await (server := await start_server()).browser().get(f"{server.issuer}/login")
    assert 'class="providers"' not in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]


async def test_sign_up_shows_those_through_which_an_account_can_be_made(server, fake):
    await change(server, allow_sign_up=False)
    page = await server.browser().get(f"{server.issuer}/signup")
    assert "Continue with Hub" in page.text
    assert "Continue with Partner" not in page.text


async def test_the_browser_is_sent_with_state_nonce_and_pkce_and_the_database_holds_neither(server, fake):
    browser = server.browser()
    location = await go(browser, await browser.get(f"{server.issuer}/login"))
    assert location.startswith(f"{fake.issuer}/authorize?")
    query = query_of(location)
    assert query | {"state": "", "nonce": "", "code_challenge": ""} == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": f"{server.issuer}/upstream/partner/callback",
        "scope": "openid email profile",
        "code_challenge_method": "S256",
        "state": "",
        "nonce": "",
        "code_challenge": "",
    }
    assert [len(query[name]) for name in ("state", "nonce", "code_challenge")] == [47, 43, 43]
    row = str(await server.rows("SELECT * FROM upstream_sign_ins"))
    assert query["state"] not in row
    assert query["nonce"] not in row


async def test_the_code_is_exchanged_with_our_credentials_and_the_verifier(server, fake):
    await link(server)
    browser = server.browser()
    location = await go(browser, await browser.get(f"{server.issuer}/login"))
    await come_back(server, browser, fake.answer(location))
    verifier = fake.token_request.pop("code_verifier")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert challenge == query_of(location)["code_challenge"]
    assert fake.token_request == {
        "grant_type": "authorization_code",
        "code": "code-0",
        "redirect_uri": f"{server.issuer}/upstream/partner/callback",
    }
    # form-encoded before base64, as RFC 6749 §2.3.1 has it
    pair = f"{CLIENT_ID.replace(' ', '+')}:{SECRET.replace(' ', '+')}"
    assert fake.authorization == "Basic " + base64.b64encode(pair.encode()).decode()


# --- somebody who is known --------------------------------------------------------------------------------------------


@pytest.mark.attack(98)
async def test_who_is_linked_signs_in_and_the_cookie_is_new(server, fake):
    await link(server)
    browser = server.browser()
    browser.cookies["__Host-session"] = "asn_planted"
    answer = await sign_in_there(server, browser, fake)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.cookies["__Host-session"] != "asn_planted"
    assert await is_signed_in(server, browser)
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal1", "upstream")
    assert fake.asked == ["discovery", "token", "jwks"]  # nothing more is asked of who is known
    assert (await server.audit_events())[-1] == "user_signed_in"
    used = (await server.rows("SELECT last_used_at FROM upstream_identities"))[0].last_used_at
    assert used is not None


async def test_an_app_s_sign_in_goes_on_in_each_of_two_tabs(server, fake):
    await link(server)
    browser = server.browser()
    tabs = [await browser.open(server.authorization_url(state=state)) for state in ("one", "two")]
    ways = [await go(browser, tab) for tab in tabs]
    for way, state in reversed(list(zip(ways, ("one", "two"), strict=True))):
        page = await browser.follow(await come_back(server, browser, fake.answer(way)))
        if page.url.path.startswith("/consent/"):
            page = await browser.follow(await browser.submit(page, decision="allow"))
        assert answer_of(page)["state"] == state
        tokens = (await server.redeem(answer_of(page)["code"])).json()
        assert "access_token" in tokens


async def test_a_second_factor_is_asked_for_all_the_same(server, fake):
    phone = await add_factor(server)
    await link(server)
    browser = server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    assert page.url.path.startswith("/second-factor/")
    assert not await is_signed_in(server, browser)
    await browser.submit(page, code=phone.code())
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "upstream otp mfa")


@pytest.mark.attack(17)
async def test_what_the_provider_says_of_factors_and_of_the_past_is_not_taken_for_more(server, fake):
    await link(server)
    fake.id_token = {"acr": "aal2", "amr": ["mfa", "otp"], "auth_time": 1_700_000_000}
    await sign_in_there(server, server.browser(), fake)
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal1", "upstream")
    assert str(session.auth_time).startswith("2023-11-14 22:13:20")


async def test_who_is_signed_in_or_asked_to_prove_it_again_is_asked_anew_there(server, fake):
    await link(server)
    browser = server.browser()
    assert "max_age" not in query_of(await go(browser, await browser.get(f"{server.issuer}/login")))
    for changes in ({"prompt": "login"}, {"max_age": "60"}, {"prompt": "create"}):
        page = await browser.open(server.authorization_url(**changes))
        assert query_of(await go(browser, page))["max_age"] == "0"
    await sign_in_there(server, browser, fake)
    page = await browser.get(f"{server.issuer}/login?again=1")
    assert query_of(await go(browser, page))["max_age"] == "0"


@pytest.mark.attack(36)
@pytest.mark.parametrize("column", ["disabled_at", "deleted_at"])
async def test_an_account_that_is_turned_off_or_gone_is_not_signed_in(server, fake, column):
    await link(server)
    await server.execute(f"UPDATE users SET {column} = '2026-01-01 00:00:00.000000'")
    page = await sign_in_there(server, browser := server.browser(), fake)
    assert page.status_code == 403
    assert "turned off" in main_text(page)
    assert server.refusal == "user_disabled"
    assert not await is_signed_in(server, browser)


@pytest.mark.attack(117)
async def test_a_deleted_user_s_link_is_gone_at_once(server, fake):
    await link(server)
    await users.delete(server.operator, USER.username)
    assert await server.rows("SELECT * FROM upstream_identities") == []


# --- somebody who is new ----------------------------------------------------------------------------------------------


async def test_a_newcomer_proves_an_address_by_our_own_code_and_goes_on_to_the_app(server, fake):
    fake.person |= {"email": "mona@example.net", "email_verified": True}  # its word does not count here
    browser = server.browser()
    location = await go(browser, await browser.open(server.authorization_url()))
    page = await browser.follow(await come_back(server, browser, fake.answer(location)))
    assert page.url.path.endswith("/finish")
    assert 'value="mona@example.net"' in page.text
    assert "Notes on the web" in page.text
    assert await server.rows("SELECT * FROM users WHERE email = 'mona@example.net'") == []
    page = await browser.follow(await browser.submit(page, email="mona@example.org"))
    assert page.url.path.startswith("/verify/")
    code = (await last_mail(server, "mona@example.org")).code
    page = await browser.follow(await browser.submit(page, code=code))
    page = await browser.follow(await browser.submit(page, decision="allow"))
    assert "code" in answer_of(page)
    [user] = await server.rows("SELECT * FROM users WHERE email = 'mona@example.org'")
    assert (bool(user.email_verified), user.password_hash, user.name) == (True, None, "Mona")
    assert (await newest_session(server)).amr == "upstream"
    again = server.browser()
    assert (await sign_in_there(server, again, fake)).headers["location"] == "/"


async def test_a_trusted_provider_s_verified_address_makes_the_account_at_once(server, fake):
    await change(server, trust_email=True)
    fake.person |= {"email": "mona@example.net", "email_verified": True}
    answer = await sign_in_there(server, browser := server.browser(), fake)
    assert answer.headers["location"] == "/"
    assert await is_signed_in(server, browser)
    [user] = await server.rows("SELECT * FROM users WHERE email = 'mona@example.net'")
    assert (bool(user.email_verified), user.password_hash) == (True, None)
    assert "user_signed_up" in await server.audit_events()


@pytest.mark.attack(114)
@pytest.mark.parametrize("word", [False, None, "true", 1])
async def test_an_address_that_a_trusted_provider_has_not_verified_does_not_count(server, fake, word):
    await change(server, trust_email=True)
    fake.person |= {"email": "mona@example.net", "email_verified": word}
    answer = await sign_in_there(server, server.browser(), fake)
    assert answer.headers["location"].endswith("/finish")


async def test_without_sign_up_a_newcomer_hears_how_to_link(server, fake):
    await change(server, allow_sign_up=False)
    page = await sign_in_there(server, server.browser(), fake)
    assert page.status_code == 403
    assert "No account here is linked" in main_text(page)
    assert "Linked accounts" in main_text(page)
    assert server.refusal == "upstream_unknown"


async def test_an_account_like_github_s_is_known_by_its_number_and_its_main_address_is_suggested(server, fake):
    fake.emails = [
        {"email": "old@example.net", "primary": False, "verified": True},
        {"email": "mona@example.net", "primary": True, "verified": True},
        {"email": "new@example.net", "primary": False, "verified": False},
    ]
    await change(server, "hub", emails_endpoint=f"{fake.issuer}/emails")
    browser = server.browser()
    location = await go(browser, await browser.get(f"{server.issuer}/login"), "hub")
    assert "nonce" not in query_of(location)
    page = await browser.follow(await come_back(server, browser, fake.answer(location), "hub"))
    assert 'value="mona@example.net"' in page.text
    page = await browser.follow(await browser.submit(page))
    await browser.submit(page, code=(await last_mail(server, "mona@example.net")).code)
    [row] = await server.rows("SELECT * FROM upstream_identities")
    assert (row.provider, row.subject, row.account_name) == ("hub", "583231", "octocat")
    assert fake.asked == ["token", "user", "emails"]


async def test_a_newcomer_may_mend_the_address_and_have_another_code(server, fake):
    browser = server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    finish = page.url.path
    wrong = await browser.submit(page, email="nonsense")
    assert wrong.status_code == 422
    assert "not an e-mail address" in main_text(wrong)
    page = await browser.follow(await browser.submit(page, email="wrong@example.org"))
    assert f'href="{finish}"' in page.text
    page = await browser.get(server.issuer + finish)
    page = await browser.follow(await browser.submit(page, email="right@example.org"))
    await server.execute("UPDATE mailed_codes SET created_at = '2026-01-01 00:00:00.000000'")
    page = await browser.follow(await browser.submit(page, action="resend"))
    await browser.submit(page, code=(await last_mail(server, "right@example.org")).code)
    assert await is_signed_in(server, browser)


async def test_an_account_is_made_once_of_one_way(server, fake):
    browser = server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    codes = [
        await browser.follow(await browser.submit(page, email=email))
        for email in ("one@example.org", "two@example.org")
    ]
    assert (await browser.submit(codes[0], code=(await last_mail(server, "one@example.org")).code)).status_code == 303
    late = await browser.submit(codes[1], code=(await last_mail(server, "two@example.org")).code)
    assert late.status_code == 422
    assert await server.rows("SELECT * FROM users WHERE email = 'two@example.org'") == []


async def test_ways_that_are_over_are_purged_and_take_nothing_along(server, fake):
    browser = server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    await browser.submit(page, email="mona@example.org")
    await server.set_back(UpstreamSignIns, expires_at=timedelta(hours=2))
    assert (await purge_expired(server.services.engine))["upstream_sign_ins"] == 1
    assert (await server.rows("SELECT upstream_id FROM mailed_codes"))[0].upstream_id is None
    code = (await mails(server, "mona@example.org"))[-1].code
    page = await browser.get(f"{server.issuer}/verify/{(await server.rows('SELECT id FROM mailed_codes'))[0].id}")
    assert (await browser.submit(page, code=code)).status_code == 422
