"""Answers that are refused on the way back from another provider: foreign, late, repeated, mixed up."""

from __future__ import annotations

import asyncio

import pytest

from authserver.oauth.upstream import AWAY_LIFETIME
from authserver.store.tables import UpstreamSignIns
from tests.features.account_pages import hidden, main_text
from tests.mailbox import mails
from tests.oauth.examples import USER
from tests.server import is_signed_in
from tests.upstream import (
    LOOPBACK,
    FakeProvider,
    begin,
    change,
    come_back,
    go,
    link,
    oidc,
    query_of,
    refused,
    register,
    sign_in_there,
)


@pytest.fixture
async def server(upstream_server):
    return upstream_server


# --- the state --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(103)
async def test_an_answer_to_another_browser_s_way_signs_nobody_in_and_leaves_that_way_as_it_is(server, fake):
    """Login CSRF: the attacker's own answer, sent to the victim's browser."""
    await link(server)
    attacker, victim = server.browser(), server.browser()
    answer = fake.answer(await begin(server, attacker))
    await victim.get(f"{server.issuer}/login")
    page = await refused(server, victim, await come_back(server, victim, answer), "upstream_state")
    assert "another browser" in main_text(page)
    assert fake.asked == ["discovery"]  # the code was not even tried
    assert (await come_back(server, attacker, answer)).headers["location"] == "/"


@pytest.mark.attack(103)
@pytest.mark.parametrize("state", [None, "asu_" + "x" * 43, "", "\u00e4"])
async def test_an_answer_without_a_state_of_ours_is_refused(server, fake, state):
    await link(server)
    browser = server.browser()
    answer = fake.answer(await begin(server, browser))
    changed = answer | {"state": state} if state is not None else {"code": answer["code"]}
    await refused(server, browser, await come_back(server, browser, changed), "upstream_state")


async def test_a_browser_without_our_cookie_is_told_to_start_again(server, fake):
    answer = fake.answer(await begin(server, server.browser()))
    browser = server.browser()
    await refused(server, browser, await come_back(server, browser, answer), "upstream_state")


@pytest.mark.attack(22)
async def test_an_answer_works_once_and_the_second_time_leads_on_to_where_the_first_did(server, fake):
    await link(server)
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    answer = fake.answer(await go(browser, page))
    first = await come_back(server, browser, answer)
    again = await come_back(server, browser, answer)
    assert first.status_code == 303
    assert again.status_code == 400
    assert f'href="{first.headers["location"]}"' in again.text
    assert fake.asked.count("token") == 1


@pytest.mark.attack(23)
async def test_of_many_returns_at_once_one_is_taken(server, fake):
    await link(server)
    browser = server.browser()
    answer = fake.answer(await begin(server, browser))
    answers = await asyncio.gather(*(come_back(server, browser, answer) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 7
    assert fake.asked.count("token") == 1


async def test_an_answer_that_comes_too_late_is_refused_and_the_app_s_request_is_kept(server, fake):
    await link(server)
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    answer = fake.answer(await go(browser, page))
    await server.set_back(UpstreamSignIns, expires_at=AWAY_LIFETIME)
    late = await come_back(server, browser, answer)
    await refused(server, browser, late, "upstream_state")
    assert f"/authorize/{page.url.path.rpartition('/')[2]}" in late.text


@pytest.mark.attack(102)
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
async def test_another_site_cannot_send_anybody_to_a_provider(server, headers):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    answer = await browser.post(f"{server.issuer}/upstream", hidden(page, 1) | {"provider": "partner"}, headers)
    assert answer.status_code == 403
    assert server.refusal == "csrf"
    assert await server.rows("SELECT * FROM upstream_sign_ins") == []


async def test_a_form_of_an_old_tab_and_a_browser_without_cookies_are_told_what_to_do(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    stale = await browser.post(f"{server.issuer}/upstream", {"csrf": "old", "provider": "partner"})
    assert (stale.status_code, "open for a long time" in main_text(stale)) == (422, True)
    fields = hidden(page, 1) | {"provider": "partner"}
    bare = server.browser()
    refused = await bare.post(f"{server.issuer}/upstream", fields)
    assert (refused.status_code, "Allow cookies" in main_text(refused)) == (403, True)


async def test_unknown_and_turned_off_providers_lead_nowhere(server, fake):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    location = await go(browser, page)
    await change(server, disabled_at=oidc(fake).created_at)
    for slug in ("partner", "nobody", "", "../admin"):
        answer = await browser.post(f"{server.issuer}/upstream", hidden(page, 1) | {"provider": slug})
        assert answer.status_code == 404
    assert "Continue with Partner" not in (await browser.get(f"{server.issuer}/login")).text
    late = await come_back(server, browser, fake.answer(location))
    assert (late.status_code, server.refusal) == (404, "upstream_provider_unknown")
    assert (await browser.get(f"{server.issuer}/upstream/nobody/callback?state=x")).status_code == 400


async def test_starts_are_throttled_by_network(start_server, fake):
    server = await start_server(outbound_allow=LOOPBACK)
    await register(server, oidc(fake))
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    fields = hidden(page, 1) | {"provider": "partner"}
    answers = [await browser.post(f"{server.issuer}/upstream", fields) for _ in range(32)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


# --- who answered -----------------------------------------------------------------------------------------------------


@pytest.mark.attack(10)
async def test_one_provider_s_answer_is_none_at_another_one_s_address(server, fake):
    """Mix-up: the honest provider's code and state arrive where the attacker's provider answers (RFC 9700 §4.4)."""
    await link(server)
    browser = server.browser()
    answer = fake.answer(await begin(server, browser))
    await refused(server, browser, await come_back(server, browser, answer, "hub"), "upstream_state")
    assert "token" not in fake.asked
    assert (await come_back(server, browser, answer)).headers["location"] == "/"  # it was left as it is


@pytest.mark.attack(10)
@pytest.mark.parametrize("error", [{}, {"error": "access_denied"}])
async def test_an_answer_that_names_another_issuer_is_refused_an_error_too(server, fake, error):
    await link(server)
    browser = server.browser()
    answer = fake.answer(await begin(server, browser), iss="https://attacker.example", **error)
    await refused(server, browser, await come_back(server, browser, answer), "upstream_issuer")
    assert "token" not in fake.asked


@pytest.mark.attack(10)
async def test_a_provider_that_always_names_itself_must(server, fake):
    await link(server)
    fake.metadata = {"authorization_response_iss_parameter_supported": True}
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_issuer")
    assert (await sign_in_there(server, browser, fake, iss=fake.issuer)).status_code == 303


@pytest.mark.attack(10)
async def test_two_providers_with_the_same_subject_are_two_people(server, fake):
    await link(server)
    async with FakeProvider() as other:
        await register(server, oidc(other, slug="other", label="Other"))
        browser = server.browser()
        page = await browser.follow(await sign_in_there(server, browser, other, "other"))
        assert page.url.path.endswith("/finish")
        assert not await is_signed_in(server, browser)


async def test_a_no_at_the_provider_is_a_page_that_leads_back_with_the_app_s_request(server, fake):
    browser = server.browser()
    login = await browser.open(server.authorization_url())
    state = query_of(await go(browser, login))["state"]
    page = await come_back(server, browser, {"error": "access_denied", "state": state, "error_description": "<b>no"})
    await refused(server, browser, page, "upstream_denied")
    assert "You did not allow it at Partner" in main_text(page)
    assert f'href="{login.url.path}"' in page.text
    assert "<b>" not in page.text
    back = await browser.get(str(login.url))
    assert back.status_code == 200
    assert "Notes on the web" in back.text


@pytest.mark.parametrize("answer", [{"error": "server_error"}, {"error": "invalid_scope"}, {}])
async def test_another_error_of_the_provider_is_a_page_too(server, fake, answer):
    browser = server.browser()
    state = query_of(await begin(server, browser))["state"]
    page = await come_back(server, browser, answer | {"state": state})
    await refused(server, browser, page, "upstream_refused")
    assert 'href="/login"' in page.text


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(114)
@pytest.mark.parametrize("allow_sign_up", [True, False])
async def test_an_e_mail_address_links_no_account_though_a_trusted_provider_vouches_for_it(server, fake, allow_sign_up):
    await change(server, trust_email=True, allow_sign_up=allow_sign_up)
    fake.person |= {"email": USER.email.upper(), "email_verified": True}
    browser = server.browser()
    page = await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_email_known")
    assert "sign in to it as you always do" in main_text(page)
    assert await server.rows("SELECT * FROM upstream_identities") == []


@pytest.mark.attack(104)
async def test_who_claims_somebody_s_address_learns_nothing_and_its_owner_is_told(server, fake):
    """The claim of a provider that is not trusted must not tell who is here: known and unknown look the same."""
    pages = []
    for email in (USER.email, "nobody@example.org"):
        fake.person |= {"email": email, "email_verified": True}
        browser = server.browser()
        page = await browser.follow(await sign_in_there(server, browser, fake))
        page = await browser.follow(await browser.submit(page))
        pages.append(main_text(page).replace(email, "ADDRESS"))
        assert not await is_signed_in(server, browser)
    assert pages[0] == pages[1]
    assert [mail.kind for mail in await mails(server, USER.email)] == ["sign_up_known_address"]
    assert [mail.kind for mail in await mails(server, "nobody@example.org")] == ["verify_email"]
    assert await server.rows("SELECT * FROM upstream_identities") == []


@pytest.mark.attack(11)
async def test_a_newcomer_s_page_and_code_belong_to_one_browser(server, fake):
    browser, other = server.browser(), server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    await other.get(f"{server.issuer}/login")
    assert (await other.get(str(page.url))).status_code == 400
    assert (await server.browser().get(str(page.url))).status_code == 400
    assert (await other.get(f"{server.issuer}/upstream/nonsense/finish")).status_code == 400
