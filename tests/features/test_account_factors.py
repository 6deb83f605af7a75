"""/account/factors: an app is added, its recovery codes are shown once, and it is removed (SECURITY row 100)."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote

import pytest

from authserver.operations import users
from authserver.operations.errors import OperationError
from authserver.store.tables import TotpSecrets
from tests.features.account_pages import let_the_proof_grow_old, main_text, send, sign_in
from tests.features.factors import add_factor, give_password, secret_of
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER

PATH = "/account/factors"


async def begin(server, browser):
    return await browser.follow(await send(browser, await browser.get(server.issuer + PATH), decision="begin"))


async def test_an_app_is_added_by_picture_or_key_and_one_code(server):
    browser = await sign_in(server)
    page = await begin(server, browser)
    assert 'src="data:image/svg+xml' in page.text
    [row] = await server.rows("SELECT sealed, confirmed_at FROM totp_secrets")
    assert row.confirmed_at is None
    assert secret_of(page).encode() not in bytes(row.sealed)
    phone = await add_factor(server, browser=browser)
    assert len(set(phone.recovery_codes)) == 10
    assert all(re.fullmatch(r"[0-9a-z]{4}(-[0-9a-z]{4}){2}", code) for code in phone.recovery_codes)
    text = main_text(await browser.get(server.issuer + PATH))
    assert "asked for at each sign-in" in text
    assert "10 recovery codes left" in text
    assert (await last_mail(server, USER.email)).kind == "factor_changed"
    assert "second_factor_added" in await server.audit_events()


async def test_the_codes_can_be_kept_and_are_never_shown_again(server):
    browser = await sign_in(server)
    phone = await add_factor(server, browser=browser)
    page = await browser.get(server.issuer + PATH)
    assert phone.recovery_codes[0] not in page.text
    page = await send(browser, page, 0, decision="renew")
    codes = re.findall(r"<li><code>([^<]+)</code>", page.text)
    file = unquote(re.search(r'href="data:text/plain;charset=utf-8,([^"]+)"', page.text)[1])
    assert all(code in file for code in codes)
    assert set(codes).isdisjoint(phone.recovery_codes)
    old = server.browser()
    assert (await old.submit(await give_password(server, old), code=phone.recovery_codes[0])).status_code == 422
    new = server.browser()
    assert (await new.submit(await give_password(server, new), code=codes[0])).status_code == 303
    assert "9 recovery codes left" in main_text(await browser.get(server.issuer + PATH))


@pytest.mark.parametrize(("code", "words"), [("12", "six digits"), ("000000", "That code is not right")])
async def test_a_wrong_first_code_adds_nothing(server, code, words):
    browser = await sign_in(server)
    answer = await send(browser, await begin(server, browser), decision="confirm", code=code)
    assert answer.status_code == 422
    assert words in main_text(answer)
    assert (await server.rows("SELECT confirmed_at FROM totp_secrets"))[0].confirmed_at is None
    assert (await give_password(server, server.browser())).url.path == "/"


async def test_what_was_begun_long_ago_is_begun_anew(server):
    browser = await sign_in(server)
    page = await begin(server, browser)
    await server.set_back(TotpSecrets, created_at=timedelta(minutes=31))
    answer = await browser.follow(await send(browser, page, decision="confirm", code="123456"))
    assert "took too long" in main_text(answer)
    assert "Set up an authenticator app" in main_text(answer)


@pytest.mark.attack(100)
async def test_removing_it_signs_out_everywhere_else_and_the_owner_is_told(server):
    here, there = await sign_in(server), await sign_in(server)
    phone = await add_factor(server, browser=here)
    lost = await server.code_flow(browser=there)
    waiting_browser = server.browser()
    waiting = await give_password(server, waiting_browser)
    page = await here.get(server.issuer + PATH)
    answer = await here.follow(await send(here, page, 1, decision="remove"))
    assert "The second factor is removed." in main_text(answer)
    assert (await there.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await server.refresh(lost["refresh_token"])).status_code == 400
    assert (await waiting_browser.submit(waiting, code=phone.code())).status_code == 422
    assert [mail.kind for mail in await mails(server, USER.email)].count("factor_changed") == 2
    assert (await give_password(server, server.browser())).url.path == "/"
    assert "second_factor_removed" in await server.audit_events()


async def test_only_a_fresh_sign_in_with_the_factor_changes_it(server):
    weak = await sign_in(server)
    phone = await add_factor(server)
    page = await weak.get(server.issuer + PATH)
    assert "sign in again" in main_text(page)
    assert (await weak.post(server.issuer + PATH, {"decision": "remove"})).status_code == 403
    for decision in ("remove", "renew"):
        page = await weak.get(server.issuer + PATH)
        answer = await weak.post(
            server.issuer + PATH,
            {"decision": decision, "csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1], "user": USER.sub},
        )
        assert answer.status_code == 403
    await let_the_proof_grow_old(server)
    assert "sign in again" in main_text(await phone.browser.get(server.issuer + PATH))
    again = await phone.browser.follow(await phone.browser.submit(await phone.browser.get(server.issuer + PATH)))
    page = await give_password(server, phone.browser, again)
    page = await phone.browser.follow(await phone.browser.submit(page, code=phone.code()))
    assert page.url.path == PATH
    assert "Remove the second factor" in main_text(page)


async def test_an_operator_helps_who_has_lost_everything(server):
    phone = await add_factor(server)
    assert await users.has_second_factor(server.operator, USER)
    cut = await users.reset_factors(server.operator, USER.username)
    assert cut.sessions >= 1
    assert (await phone.browser.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await give_password(server, server.browser())).url.path == "/"
    assert [mail.kind for mail in await mails(server, USER.email)].count("factor_changed") == 2
    assert "second_factors_reset" in await server.audit_events()
    with pytest.raises(OperationError, match="has no second factor and no passkey"):
        await users.reset_factors(server.operator, USER.username)
