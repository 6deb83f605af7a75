"""SECURITY list A9: sessions, cookies, forms and passwords (OIDC Core §3.1.2.3, NIST SP 800-63B §5.2.2)."""

import asyncio
import re
from datetime import timedelta

import pytest

from authserver.hasher import Hasher
from authserver.operations import users as user_operations
from authserver.store.tables import Attempts
from tests.oauth.examples import USER
from tests.server import OTHER_USER, PASSWORD, is_signed_in

SESSION = "__Host-session"
FOREIGN = (
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example", "sec-fetch-site": ""},
    {"origin": "null", "sec-fetch-site": "cross-site"},
    {"origin": "", "sec-fetch-site": "same-site"},
)


async def sessions_of(server):
    return [row for row in await server.rows("SELECT user_id, ended_at FROM sessions") if row.ended_at is None]


@pytest.mark.attack(98)
async def test_a_cookie_planted_before_the_login_is_worth_nothing_after_it(server):
    browser, attacker = server.browser(), server.browser()
    browser.cookies[SESSION] = attacker.cookies[SESSION] = "asn_" + "p" * 43
    await server.login(browser)
    assert browser.cookies[SESSION] != attacker.cookies[SESSION]
    assert await is_signed_in(server, browser)
    assert not await is_signed_in(server, attacker)


@pytest.mark.attack(98)
async def test_each_login_gives_a_new_cookie_and_kills_the_old_one(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    old = dict(browser.cookies)
    await server.login(browser)
    assert browser.cookies[SESSION] != old[SESSION]
    thief = server.browser()
    thief.cookies = old
    assert not await is_signed_in(server, thief)
    assert await is_signed_in(server, browser)
    assert len(await sessions_of(server)) == 1
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200, "the same user: what apps have stays"


@pytest.mark.attack(99)
async def test_no_cookie_can_be_planted_read_by_script_or_sent_from_afar(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")
    assert len(browser.cookie_lines) >= 4
    for line in browser.cookie_lines:
        name, *attributes = (part.strip().lower() for part in line.split(";"))
        assert name.startswith("__host-"), line
        assert {"path=/", "secure", "httponly", "samesite=lax"} <= set(attributes), line
        assert not any(attribute.startswith("domain") for attribute in attributes), line


async def test_a_shared_computer_is_forgotten_when_the_browser_closes(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    await browser.submit(page, username=USER.username, password=PASSWORD, shared_computer="yes")
    line = next(line for line in browser.cookie_lines if line.startswith(SESSION))
    assert "max-age" not in line.lower()
    assert not any(line.startswith("__Host-device") for line in browser.cookie_lines)


@pytest.mark.attack(100)
@pytest.mark.parametrize("cut", ["password", "disable", "delete"])
async def test_no_session_survives_what_takes_it_away(server, cut):
    one, two = server.browser(), server.browser()
    for browser in (one, two):
        await server.login(browser)
    if cut == "password":
        await user_operations.set_password(server.operator, USER.username, "another long password")
    elif cut == "disable":
        await user_operations.disable(server.operator, USER.username)
    else:
        await user_operations.delete(server.operator, USER.username)
    assert await sessions_of(server) == []
    for browser in (one, two):
        assert not await is_signed_in(server, browser)


@pytest.mark.attack(101)
async def test_what_one_user_was_shown_is_not_allowed_by_another(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    consent = await browser.follow(await server.login(browser, page))
    assert consent.url.path.startswith("/consent/")
    await server.login(browser, user=OTHER_USER)  # another tab of the same browser
    answer = await browser.submit(consent, decision="allow")
    assert answer.status_code == 422, "the page is shown again, to the user who is there now"
    assert await server.rows("SELECT user_id FROM consents") == []
    assert [str(row.user_id).replace("-", "") for row in await sessions_of(server)] == [OTHER_USER.id.hex]


@pytest.mark.attack(101)
async def test_another_user_ends_the_first_ones_session_in_this_browser(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.login(browser, user=OTHER_USER)
    assert len(await sessions_of(server)) == 1
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.attack(102)
async def test_consent_is_given_on_our_own_page_only(server):
    browser, stranger = server.browser(), server.browser()
    page = await browser.open(server.authorization_url())
    consent = await browser.follow(await server.login(browser, page))
    foreign = await stranger.get(f"{server.issuer}/login")
    for headers in FOREIGN:
        response = await browser.submit(consent, headers, decision="allow")
        assert (response.status_code, server.refusal) == (403, "csrf"), headers
    stranger_token = re.search(r'name="csrf" value="([^"]+)"', foreign.text)[1]
    for token in ("", stranger_token, "x" * 43):
        response = await browser.post(str(consent.url), {"csrf": token, "user": USER.sub, "decision": "allow"})
        assert response.status_code == 422, token
    assert await server.rows("SELECT user_id FROM consents") == []
    assert (await browser.get(f"{consent.url}?decision=allow")).status_code == 200, "a GET allows nothing"
    assert (await browser.submit(consent, decision="allow")).status_code == 303


@pytest.mark.attack(103)
async def test_a_form_of_another_site_does_not_replace_the_browsers_cookie(server):
    """It comes without the cookie that the browser has; a new one would end the sign-ins under way."""
    form = {"username": USER.username, "password": PASSWORD}
    response = await server.post("/login", form, sec_fetch_site="cross-site", origin="https://evil.example")
    assert (response.status_code, server.refusal) == (403, "csrf")
    assert "set-cookie" not in response.headers


@pytest.mark.attack(103)
async def test_nobody_is_signed_in_by_a_foreign_form(server):
    victim, attacker = server.browser(), server.browser()
    form = {"username": OTHER_USER.username, "password": PASSWORD}
    attackers_page = await attacker.get(f"{server.issuer}/login")
    token = re.search(r'name="csrf" value="([^"]+)"', attackers_page.text)[1]
    for headers in ({"origin": "", "sec-fetch-site": ""}, *FOREIGN):
        for fields in (form, form | {"csrf": token}):
            response = await victim.post(f"{server.issuer}/login", fields, headers)
            assert response.status_code == 403, headers
            assert SESSION not in victim.cookies
    await victim.get(f"{server.issuer}/login")
    response = await victim.post(f"{server.issuer}/login", form | {"csrf": token})
    assert response.status_code == 422
    assert SESSION not in victim.cookies


@pytest.mark.attack(104)
async def test_a_login_does_not_tell_who_has_an_account(server, monkeypatch):
    await user_operations.disable(server.operator, OTHER_USER.username)
    verified = []
    original = Hasher._verify
    monkeypatch.setattr(Hasher, "_verify", lambda self, *args: verified.append(1) or original(self, *args))
    answers = []
    for username in (USER.username, "nobody", "nobody@example.com", OTHER_USER.username, "' or 1=1 --"):
        browser = server.browser()
        response = await browser.submit(
            await browser.get(f"{server.issuer}/login"), username=username, password="wrong"
        )
        answers.append(
            (response.status_code, server.refusal, response.text.count("not right"), sorted(browser.cookies))
        )
    assert len(set(map(str, answers))) == 1, answers
    assert answers[0][:3] == (422, "password_wrong", 1)
    assert len(verified) == 5, "the same work for everybody"


@pytest.mark.attack(106)
async def test_every_spelling_of_a_login_shares_one_budget(server):
    spellings = ("ada", "ADA", " ada ", "ada@example.com", "ADA@EXAMPLE.COM", "ａｄａ", "Ada")
    statuses = []
    for number, username in enumerate(spellings):
        browser = server.browser()
        page = await browser.get(f"{server.issuer}/login")
        forged = {"x-forwarded-for": f"198.51.100.{number}", "forwarded": f"for=198.51.100.{number}"}
        response = await browser.submit(page, forged, username=username, password="wrong")
        statuses.append(response.status_code)
        await server.begin_waits_now()
    assert statuses[:5] == [422] * 5
    assert statuses[5:] == [429] * 2


@pytest.mark.attack(104, 106)
async def test_the_budget_of_nobody_is_shared_as_somebodys_is(server):
    statuses = []
    for username in ("eve", "EVE", " eve ", "ｅｖｅ", "Eve", "ＥＶＥ", "eve"):
        browser = server.browser()
        page = await browser.get(f"{server.issuer}/login")
        statuses.append((await browser.submit(page, username=username, password="wrong")).status_code)
        await server.begin_waits_now()
    assert statuses == [422] * 5 + [429] * 2


@pytest.mark.attack(106)
async def test_an_ipv6_network_counts_as_one_address(server):
    statuses = []
    for number in range(7):
        browser = server.browser(f"2001:db8:1:2::{number:x}")
        page = await browser.get(f"{server.issuer}/login")
        statuses.append((await browser.submit(page, username="ada", password="wrong")).status_code)
        await server.begin_waits_now()
    assert statuses == [422] * 5 + [429] * 2
    elsewhere = server.browser("2001:db8:1:3::1")
    page = await elsewhere.get(f"{server.issuer}/login")
    assert (await elsewhere.submit(page, username="ada", password=PASSWORD)).status_code == 303


@pytest.mark.attack(106)
async def test_a_trusted_proxy_is_believed_and_nobody_else(start_server):
    server = await start_server(trusted_proxies="203.0.113.7")
    statuses = []
    for number in range(7):
        browser = server.browser("203.0.113.7")
        page = await browser.get(f"{server.issuer}/login")
        header = {"x-forwarded-for": f"192.0.2.1, 198.51.100.{number}"}
        statuses.append((await browser.submit(page, header, username="ada", password="wrong")).status_code)
    assert statuses == [422] * 7, "seven addresses behind the proxy"


@pytest.mark.attack(107)
async def test_a_thousand_wrong_tries_lock_nobody_out(server):
    """The owner's device signs in at once, a new one within 60 seconds."""
    known = server.browser()
    await server.login(known)
    strangers = []
    for number in range(50):
        browser = server.browser(f"198.51.{number}.1")
        strangers.append((browser, await browser.get(f"{server.issuer}/login")))

    async def guess(browser, page):
        return [
            (await browser.submit(page, username=USER.username, password=f"guess {number}")).status_code
            for number in range(20)
        ]

    answers = [status for stranger in strangers for status in await guess(*stranger)]
    assert len(answers) == 1000
    assert set(answers) == {422, 429}
    assert answers.count(422) <= 60, "few of them were tried at all"
    assert (await server.login(known)).status_code == 303
    new = server.browser("192.0.2.99")
    page = await new.get(f"{server.issuer}/login")
    told = await new.submit(page, username=USER.username, password=PASSWORD)
    if told.status_code != 303:
        wait = int(told.headers["retry-after"])
        assert told.status_code == 429
        assert 0 < wait <= 60
        await server.set_back(Attempts, last_at=timedelta(seconds=60), first_at=timedelta(seconds=60))
        told = await new.submit(page, username=USER.username, password=PASSWORD)
    assert told.status_code == 303


@pytest.mark.attack(107)
async def test_a_stolen_known_device_has_a_budget_too(server):
    known = server.browser()
    await server.login(known)
    statuses = []
    for _ in range(7):
        page = await known.get(f"{server.issuer}/login")
        statuses.append((await known.submit(page, username=USER.username, password="wrong")).status_code)
        await server.begin_waits_now()
    assert statuses == [422] * 5 + [429] * 2


async def test_a_device_is_remembered_once_however_often_its_user_signs_in(server):
    browser = server.browser()
    for _ in range(3):
        await server.login(browser)
    assert len(await server.rows("SELECT device_hash FROM devices")) == 1
    await server.login(browser, user=OTHER_USER)
    assert len(await server.rows("SELECT device_hash FROM devices")) == 2


@pytest.mark.attack(118)
async def test_long_passwords_and_many_logins_cost_little(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    assert (await browser.submit(page, username="ada", password="x" * 1025)).status_code == 400
    assert (await browser.submit(page, username="ada", password="x" * 1_000_000)).status_code == 413
    assert (await browser.submit(page, username="a" * 60_000, password="x")).status_code == 422
    places = server.services.hasher._places
    server.services.hasher._places = 0  # the queue is full
    busy = await browser.submit(page, username="bob", password="wrong")
    assert busy.status_code == 503
    assert int(busy.headers["retry-after"]) >= 1
    server.services.hasher._places = places
    logins = [server.login(server.browser(f"198.51.100.{number}")) for number in range(100)]
    keys = [server.get("/jwks") for _ in range(10)]
    (*answers,) = await asyncio.gather(*keys, *logins)
    assert {answer.status_code for answer in answers[:10]} == {200}
    assert {answer.status_code for answer in answers[10:]} <= {303, 429, 503}


async def test_a_user_who_closed_the_login_page_long_ago_sees_it_again(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    browser.cookies.clear()
    await browser.get(f"{server.issuer}/login")
    response = await browser.submit(page, username=USER.username, password=PASSWORD)
    assert response.status_code == 422
    assert (await browser.submit(response, username=USER.username, password=PASSWORD)).status_code == 303


async def test_a_form_that_is_sent_twice_at_once_signs_in_whichever_answer_the_browser_keeps(server):
    """A double click: the first answer may be thrown away, or come last (docs/decisions/0017)."""
    first = server.browser()
    page = await first.open(server.authorization_url())
    second = server.browser()
    second.cookies = dict(first.cookies)
    values = {"username": USER.username, "password": PASSWORD}
    answers = await asyncio.gather(first.submit(page, **values), second.submit(page, **values))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert first.cookies[SESSION] != second.cookies[SESSION]
    assert [await is_signed_in(server, browser) for browser in (first, second)] == [True, True]
