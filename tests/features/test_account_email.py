"""/account/email: pending until the code comes back, the old address told, nobody else's address (SECURITY row 114)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authserver.store.tables import MailedCodes
from tests.features.account_pages import hidden, main_text, send, sign_in
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import OTHER_USER

NEW = "countess@example.net"


async def ask(server, browser, email=NEW):
    """Fill in the form; return the answer to it."""
    return await send(browser, await browser.get(f"{server.issuer}/account/email"), email=email)


async def address_of(server, username="ada"):
    (row,) = await server.rows(f"SELECT email, email_verified FROM users WHERE username = '{username}'")
    return row.email, bool(row.email_verified)


@pytest.mark.attack(114)
async def test_the_new_address_counts_once_its_code_has_come_back_and_the_old_one_hears_of_it_at_once(server):
    browser = await sign_in(server)
    answer = await ask(server, browser)
    assert answer.headers["location"].startswith("/account/email/")
    assert await address_of(server) == (USER.email, True), "pending"
    code, notice = await last_mail(server, NEW), await last_mail(server, USER.email)
    assert (code.kind, notice.kind) == ("change_email_code", "email_change_notice")
    assert notice.parameters["new_address"] == NEW
    page = await browser.follow(answer)
    assert NEW in main_text(page)
    done = await browser.follow(await browser.submit(page, code=code.code))
    assert "Your e-mail address is changed." in main_text(done)
    assert await address_of(server) == (NEW, True)
    events = await server.audit_events()
    assert events.count("email_change_asked") == events.count("email_changed") == 1


@pytest.mark.attack(114)
async def test_a_wrong_code_changes_nothing_and_says_how_many_tries_are_left(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    right = (await last_mail(server, NEW)).code
    answer = await browser.submit(page, code=f"{(int(right) + 1) % 1_000_000:06}")
    assert answer.status_code == 422
    assert "4 tries left" in answer.text
    assert await address_of(server) == (USER.email, True)


@pytest.mark.attack(112)
async def test_looking_at_the_page_of_a_code_uses_nothing_up_and_the_code_works_once(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    for _ in range(3):
        assert (await browser.get(str(page.url))).status_code == 200
    code = (await last_mail(server, NEW)).code
    await browser.submit(page, code=code)
    await server.execute(
        "UPDATE users SET email = 'ada@example.com', email_key = 'ada@example.com' WHERE username = 'ada'"
    )
    answer = await browser.submit(page, code=code)
    assert answer.headers["location"] == "/account/email"
    assert await address_of(server) == (USER.email, True)


@pytest.mark.attack(109)
async def test_a_code_is_worth_nothing_in_another_browser_or_for_another_user(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    code = (await last_mail(server, NEW)).code
    elsewhere = await sign_in(server)
    assert (await elsewhere.get(str(page.url))).headers["location"] == "/account/email"
    await server.login(browser, user=OTHER_USER)
    assert (await browser.submit(page, code=code)).headers["location"] == "/account/email"
    assert await address_of(server) == (USER.email, True)
    assert await address_of(server, "bob") == (OTHER_USER.email, True)


@pytest.mark.attack(104)
async def test_anothers_address_gets_no_code_and_the_answer_is_the_same(server):
    browser = await sign_in(server)
    known = await browser.follow(await ask(server, browser, OTHER_USER.email))
    unknown = await browser.follow(await ask(server, browser, "nobody@example.net"))
    assert await mails(server, OTHER_USER.email) == []
    assert (await last_mail(server, "nobody@example.net")).kind == "change_email_code"
    assert main_text(known).replace(OTHER_USER.email, "nobody@example.net") == main_text(unknown)


async def test_who_verified_the_address_first_has_it(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    await server.execute(f"UPDATE users SET email = '{NEW}', email_key = '{NEW}' WHERE username = 'bob'")
    answer = await browser.submit(page, code=(await last_mail(server, NEW)).code)
    assert "That address cannot be used." in main_text(await browser.follow(answer))
    assert await address_of(server) == (USER.email, True)


async def test_an_expired_code_offers_a_new_one_and_the_new_one_works(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    await server.set_back(MailedCodes, expires_at=timedelta(seconds=1), created_at=timedelta(minutes=11))
    answer = await browser.submit(page, code="123456")
    assert "That code has expired. We can send a new one." in answer.text
    page = await browser.follow(await browser.post(str(page.url), hidden(page) | {"action": "resend"}))
    await browser.submit(page, code=(await last_mail(server, NEW)).code)
    assert await address_of(server) == (NEW, True)


async def test_a_code_on_its_way_to_the_old_address_is_worth_nothing_afterwards(server):
    browser = await sign_in(server)
    page = await browser.follow(await ask(server, browser))
    reset = server.browser()
    forgot = await reset.get(f"{server.issuer}/forgot")
    reset_page = await reset.follow(await reset.submit(forgot, email=USER.email))
    old = await last_mail(server, USER.email)
    assert old.kind == "reset_password"
    await browser.submit(page, code=(await last_mail(server, NEW)).code)
    answer = await reset.submit(reset_page, code=old.code)
    assert "new-password" not in (await reset.follow(answer)).text


@pytest.mark.attack(115)
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "Enter the new e-mail address."),
        ("not an address", "That is not an e-mail address we can write to."),
        ("a@b.example\r\nBcc: c@d.example", "That is not an e-mail address we can write to."),
        ("ADA@example.com", "That is your address already."),
    ],
)
async def test_what_is_no_new_address_is_said_and_nothing_is_sent(server, given, words):
    browser = await sign_in(server)
    answer = await ask(server, browser, given)
    assert answer.status_code == 422
    assert words in answer.text
    assert await mails(server) == []


async def test_a_user_name_that_is_the_address_moves_along(server):
    browser = await sign_in(server)
    mail = USER.email
    await server.execute(f"UPDATE users SET username = '{mail}', username_key = '{mail}' WHERE username = 'ada'")
    page = await browser.follow(await ask(server, browser))
    await browser.submit(page, code=(await last_mail(server, NEW)).code)
    assert await address_of(server, NEW) == (NEW, True)
