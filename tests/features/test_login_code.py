"""Sign in with a code by mail: one factor, for verified addresses only (DESIGN §8)."""

import re
from datetime import timedelta

import pytest

from authserver.operations import users as user_operations
from tests.features.test_sign_up import normalise, set_back_codes, wrong
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import is_signed_in


async def ask(server, browser, email=USER.email, page=None):
    page = page or await browser.get(f"{server.issuer}/login-code")
    return await browser.follow(await browser.submit(page, email=email))


async def test_the_code_signs_in_and_says_that_it_was_the_mail(server):
    browser = server.browser()
    page = await ask(server, browser)
    mail = await last_mail(server, USER.email)
    assert mail.kind == "login_code"
    answer = await browser.submit(page, code=mail.code)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert await is_signed_in(server, browser)
    [row] = await server.rows("SELECT acr, amr FROM sessions")
    assert (row.acr, row.amr) == ("aal1", "email")
    assert "user_signed_in" in await server.audit_events()


async def test_the_apps_sign_in_goes_on_with_the_code(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    link = re.search(r'href="(/login-code/[^"]+)"', page.text)[1]
    page = await ask(server, browser, page=await browser.get(server.issuer + link))
    assert 'name="shared_computer"' in page.text
    page = await browser.follow(await browser.submit(page, code=(await last_mail(server, USER.email)).code))
    assert page.url.path.startswith("/consent/")


async def test_a_shared_computer_is_forgotten_when_the_browser_closes(server):
    browser = server.browser()
    page = await ask(server, browser)
    await browser.submit(page, code=(await last_mail(server, USER.email)).code, shared_computer="yes")
    line = next(line for line in browser.cookie_lines if line.startswith("__Host-session"))
    assert "max-age" not in line.lower()


@pytest.mark.attack(104)
async def test_an_unknown_address_is_answered_like_a_known_one(server):
    pages = []
    for email in (USER.email, "nobody@example.org"):
        browser = server.browser()
        page = await ask(server, browser, email)
        refused = [await browser.submit(page, code="000000") for _ in range(6)]
        pages.append([(one.status_code, normalise(one.text, email)) for one in (page, *refused)])
    assert pages[0] == pages[1]
    assert await mails(server, "nobody@example.org") == []


@pytest.mark.attack(114)
async def test_an_address_that_is_only_claimed_gets_no_code(server):
    await server.execute("UPDATE users SET email_verified = FALSE")
    await ask(server, server.browser())
    assert await mails(server, USER.email) == []


@pytest.mark.parametrize("meanwhile", ["disabled", "unverified"])
async def test_what_changed_meanwhile_counts(server, meanwhile):
    browser = server.browser()
    page = await ask(server, browser)
    code = (await last_mail(server, USER.email)).code
    if meanwhile == "disabled":
        await user_operations.disable(server.operator, USER.username)
    else:
        await server.execute("UPDATE users SET email_verified = FALSE")
    assert (await browser.submit(page, code=code)).status_code == 422
    assert not await is_signed_in(server, browser)


@pytest.mark.attack(98)
async def test_a_cookie_planted_before_is_worth_nothing_after_it(server):
    browser, attacker = server.browser(), server.browser()
    browser.cookies["__Host-session"] = attacker.cookies["__Host-session"] = "asn_" + "p" * 43
    page = await ask(server, browser)
    await browser.submit(page, code=(await last_mail(server, USER.email)).code)
    assert await is_signed_in(server, browser)
    assert not await is_signed_in(server, attacker)


@pytest.mark.attack(108)
@pytest.mark.attack(109)
async def test_a_code_signs_in_once_and_in_its_own_browser(server):
    browser, thief = server.browser(), server.browser()
    page = await ask(server, browser)
    other = await ask(server, thief, "thief@example.org")
    code = (await last_mail(server, USER.email)).code
    assert (await thief.get(str(page.url))).status_code == 404
    assert (await thief.submit(other, code=code)).status_code == 422
    assert (await browser.submit(page, code=wrong(code))).status_code == 422
    assert (await browser.submit(page, code=code)).status_code == 303
    assert (await browser.submit(page, code=code)).status_code == 422
    assert (await browser.get(str(page.url))).status_code == 404


async def test_another_code_can_be_had(server):
    browser = server.browser()
    page = await ask(server, browser)
    assert (await browser.submit(page, action="resend")).status_code == 429
    await set_back_codes(server, timedelta(seconds=31))
    page = await browser.follow(await browser.submit(page, action="resend"))
    assert (await browser.submit(page, code=(await last_mail(server, USER.email)).code)).status_code == 303


@pytest.mark.parametrize("email", ["nobody", "a@b@c"])
async def test_what_is_no_address_is_shown_again(server, email):
    browser = server.browser()
    answer = await browser.submit(await browser.get(f"{server.issuer}/login-code"), email=email)
    assert (answer.status_code, 'href="#email"' in answer.text) == (422, True)
