"""Sign-in with an authenticator app or a recovery code: SECURITY rows 17, 98, 100, 101, 105, 108 and 113."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta

import pytest

from authserver.store.tables import PendingSignIns
from tests.features.account_pages import main_text, newest_session, send, sign_in
from tests.features.factors import add_factor, give_password
from tests.features.test_login_code import ask
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import OTHER_USER, PASSWORD, answer_of, is_signed_in

ESSENTIAL = json.dumps({"id_token": {"acr": {"essential": True, "values": ["aal2"]}}})


async def test_after_the_password_the_code_of_the_app_is_asked_for_and_signs_in(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    assert page.url.path.startswith("/second-factor/")
    assert 'inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*"' in page.text
    assert not await is_signed_in(server, browser)
    code = phone.code()
    answer = await browser.submit(page, code=f"{code[:3]} {code[3:]}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert await is_signed_in(server, browser)
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "pwd otp mfa")


@pytest.mark.attack(98)
async def test_an_apps_sign_in_goes_on_and_the_cookie_is_a_new_one_at_each_level(server):
    phone = await add_factor(server)
    before = phone.browser.cookies["__Host-session"]
    browser = server.browser()
    browser.cookies["__Host-session"] = "asn_planted"
    page = await give_password(server, browser, await browser.open(server.authorization_url()))
    assert browser.cookies["__Host-session"] == "asn_planted"  # no session by one factor
    page = await browser.follow(await browser.submit(page, code=phone.code()))
    assert page.url.path.startswith("/consent/")
    assert browser.cookies["__Host-session"] not in {"asn_planted", before}


@pytest.mark.attack(98)
async def test_adding_a_factor_makes_the_session_stronger_under_another_cookie(server):
    browser = await sign_in(server)
    old, auth_time = browser.cookies["__Host-session"], (await newest_session(server)).auth_time
    await add_factor(server, browser=browser)
    assert browser.cookies["__Host-session"] != old
    session = await newest_session(server)
    assert (session.acr, session.amr, session.auth_time) == ("aal2", "pwd otp mfa", auth_time)


async def test_a_code_by_mail_is_one_factor_and_never_the_second(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await ask(server, browser)
    page = await browser.follow(await browser.submit(page, code=(await last_mail(server, USER.email)).code))
    assert page.url.path.startswith("/second-factor/")
    await browser.submit(page, code=phone.code())
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "email otp mfa")


async def test_a_recovery_code_signs_in_once_and_the_owner_is_told(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    page = await browser.get(server.issuer + re.search(r'href="([^"]+with=recovery)"', page.text)[1])
    assert 'autocomplete="one-time-code"' not in page.text
    assert (await browser.submit(page, code=phone.recovery_codes[0].upper())).status_code == 303
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "pwd recovery mfa")
    assert [mail.kind for mail in await mails(server, USER.email)].count("factor_changed") == 2
    again = server.browser()
    answer = await again.submit(await give_password(server, again), code=phone.recovery_codes[0])
    assert answer.status_code == 422
    assert "not right, or it was used before" in main_text(answer)


@pytest.mark.attack(108)
async def test_a_code_works_once_and_so_does_no_older_one(server):
    phone = await add_factor(server)
    first, second = server.browser(), server.browser()
    pages = [await give_password(server, browser) for browser in (first, second)]
    code = phone.code()
    answers = await asyncio.gather(first.submit(pages[0], code=code), second.submit(pages[1], code=code))
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    third = server.browser()
    page = await give_password(server, third)
    for old in (code, phone.code(-1)):
        assert (await third.submit(page, code=old)).status_code == 422
    assert not await is_signed_in(server, third)


@pytest.mark.attack(108)
async def test_other_digits_are_no_code_and_cost_no_try(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in phone.code())
    for text in (wide, "12345", "abc", " "):
        answer = await browser.submit(page, code=text)
        assert answer.status_code == 422
        assert "six digits" in main_text(answer)
    assert (await server.rows("SELECT attempts FROM pending_sign_ins"))[0].attempts == 0
    assert (await browser.submit(page, code=phone.code())).status_code == 303


def wrong(phone):
    right = {phone.code(step) for step in (-1, 0, 1, 2)}
    return next(f"{number:06}" for number in range(1000) if f"{number:06}" not in right)


@pytest.mark.attack(105)
async def test_of_many_parallel_guesses_five_are_looked_at(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    answers = await asyncio.gather(*(browser.submit(page, code=wrong(phone)) for _ in range(30)))
    assert {answer.status_code for answer in answers} <= {422, 429}
    guesses = await server.rows("SELECT detail FROM audit_events WHERE event = 'second_factor_wrong'")
    assert len(guesses) == 5
    over = await browser.get(str(page.url))
    assert over.status_code == 404
    assert "Please start again." in main_text(over)


@pytest.mark.attack(105)
async def test_a_right_password_does_not_forgive_wrong_codes(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    for _ in range(4):
        assert (await browser.submit(page, code=wrong(phone))).status_code == 422
    other = server.browser()
    page = await give_password(server, other)
    assert (await other.submit(page, code=wrong(phone))).status_code == 422
    await server.begin_waits_now()
    answer = await other.submit(page, code=phone.code())
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.attack(101)
async def test_what_one_user_proved_is_nothing_for_another_in_the_same_browser(server):
    mine, theirs = await add_factor(server), await add_factor(server, OTHER_USER)
    browser = server.browser()
    first = await give_password(server, browser)
    second = await give_password(server, browser, user=OTHER_USER)
    assert (await browser.submit(first, code=mine.code())).status_code == 422  # forgotten when the other began
    assert (await browser.submit(second, code=mine.code())).status_code == 422
    assert (await browser.submit(second, code=theirs.code())).status_code == 303
    [row] = await server.rows("SELECT user_id FROM sessions ORDER BY id DESC LIMIT 1")
    assert str(row.user_id).replace("-", "") == OTHER_USER.id.hex


@pytest.mark.attack(101)
async def test_cancelling_forgets_the_password_that_was_given(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser, await browser.open(server.authorization_url()))
    answer = await send(browser, page, 1, action="cancel")
    assert re.fullmatch(r"/login/[^?]+\?switch=1", answer.headers["location"])
    assert (await browser.submit(page, code=phone.code())).status_code == 422
    assert await server.rows("SELECT * FROM pending_sign_ins") == []


@pytest.mark.attack(101)
async def test_another_browser_cannot_go_on_and_time_runs_out(server):
    phone = await add_factor(server)
    browser, thief = server.browser(), server.browser()
    page = await give_password(server, browser, await browser.open(server.authorization_url()))
    await thief.get(f"{server.issuer}/login")
    assert (await thief.get(str(page.url))).status_code == 404
    assert (await browser.get(f"{server.issuer}/second-factor/nonsense")).status_code == 404
    await server.set_back(PendingSignIns, expires_at=timedelta(minutes=11))
    answer = await browser.submit(page, code=phone.code())
    assert answer.status_code == 422
    assert re.search(r'href="/authorize/[^"]+"', answer.text)  # the app's request is not lost


@pytest.mark.attack(113)
async def test_a_reset_password_does_not_get_around_it_and_ends_what_waits(server):
    phone = await add_factor(server)
    browser = server.browser()
    waiting = await give_password(server, browser)
    other = server.browser()
    page = await other.follow(await other.submit(await other.get(f"{server.issuer}/forgot"), email=USER.email))
    page = await other.follow(await other.submit(page, code=(await last_mail(server, USER.email)).code))
    new = "another phrase of some length"
    await other.follow(await other.submit(page, **{"new-password": new}))
    assert (await browser.submit(waiting, code=phone.code())).status_code == 422
    page = await other.get(f"{server.issuer}/login")
    page = await other.follow(await other.submit(page, username=USER.username, password=new))
    assert page.url.path.startswith("/second-factor/")
    assert not await is_signed_in(server, other)


@pytest.mark.attack(17)
async def test_an_app_that_asks_for_two_factors_gets_a_stronger_session_of_the_same_age(server):
    weak = await sign_in(server)
    phone = await add_factor(server)
    before = await newest_session(server)
    for asked in ({"acr_values": "aal2"}, {"claims": ESSENTIAL}):
        page = await weak.open(server.authorization_url(**asked))
        assert page.url.path.startswith("/second-factor/")
    old_cookie = weak.cookies["__Host-session"]
    page = await weak.follow(await weak.submit(page, code=phone.code()))
    assert page.url.path.startswith("/consent/")
    assert weak.cookies["__Host-session"] != old_cookie
    rows = await server.rows("SELECT acr, amr FROM sessions WHERE acr = 'aal2'")
    assert len(rows) == 2
    assert before.acr == "aal2"
    answer = answer_of(await weak.follow(await weak.submit(page, decision="allow")))
    tokens = (await server.redeem(answer["code"])).json()
    assert (await server.introspect(tokens["access_token"]))["acr"] == "aal2"


@pytest.mark.attack(17)
async def test_who_has_no_second_factor_is_refused_where_it_is_essential_and_goes_on_where_it_is_a_wish(server):
    browser = await sign_in(server)
    page = await browser.open(server.authorization_url(acr_values="aal2"))
    assert page.url.path.startswith("/consent/")
    page = await browser.open(server.authorization_url(claims=ESSENTIAL))
    assert page.url.path.startswith("/login/")
    answer = await browser.follow(await browser.submit(page, username=USER.username, password=PASSWORD))
    assert answer_of(answer)["error"] == "unmet_authentication_requirements"


async def test_discovery_offers_both_levels(server):
    document = (await server.get("/.well-known/openid-configuration")).json()
    assert document["acr_values_supported"] == ["aal1", "aal2"]


async def test_a_step_up_is_of_no_use_without_the_session_it_is_for(server):
    weak = await sign_in(server)
    phone = await add_factor(server)
    page = await weak.open(server.authorization_url(acr_values="aal2"))
    del weak.cookies["__Host-session"]
    assert (await weak.submit(page, code=phone.code())).status_code == 422
    assert not await is_signed_in(server, weak)


async def test_an_account_that_is_turned_off_meanwhile_is_not_signed_in(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    await server.execute("UPDATE users SET disabled_at = created_at")
    assert (await browser.submit(page, code=phone.code())).status_code == 422


async def test_a_form_of_another_site_is_refused_and_an_old_page_is_shown_again(server):
    phone = await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await browser.submit(page, foreign, code=phone.code())).status_code == 403
    stale = await browser.submit(page, csrf="old", code=phone.code())
    assert stale.status_code == 422
    assert not await is_signed_in(server, browser)
