"""/stop: whoever gets a code that somebody else asked for ends it, and looking at the page ends nothing (UX §2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authserver.store.tables import MailedCodes
from tests.features.account_pages import hidden, sign_in
from tests.features.test_account_email import NEW, address_of
from tests.features.test_account_email import ask as ask_for_address
from tests.features.test_recovery import choose, forget, prove
from tests.mailbox import last_mail
from tests.oauth.examples import USER
from tests.server import OTHER_USER

PHRASE = "marmalade on the moon"


@pytest.fixture
async def opened(start_server):
    """A server at which anybody may sign up."""
    return await start_server(sign_up="open")


async def stop_link(server, email=USER.email):
    return (await last_mail(server, email)).parameters["stop_link"]


async def stop(server, link):
    """Open a link from a mail in some browser and press the button; return the answer."""
    reader = server.browser("198.51.100.9")
    return await reader.submit(await reader.get(link))


@pytest.mark.attack(112)
@pytest.mark.parametrize("path", ["signup", "login-code", "forgot"])
async def test_opening_the_link_changes_nothing_and_its_button_ends_the_code(opened, path):
    browser, scanner = opened.browser(), opened.browser()
    email = "newcomer@example.org" if path == "signup" else USER.email
    page = await browser.get(f"{opened.issuer}/{path}")
    page = await browser.follow(await browser.submit(page, **{"email": email, "new-password": PHRASE}))
    mail = await last_mail(opened, email)
    for _ in range(2):
        assert (await scanner.get(mail.parameters["stop_link"])).status_code == 200
    [row] = await opened.rows("SELECT used_at FROM mailed_codes")
    assert row.used_at is None
    stopped = await stop(opened, mail.parameters["stop_link"])
    assert "It is stopped." in stopped.text
    assert "mailed_code_stopped" in await opened.audit_events()
    after = await browser.submit(page, code=mail.code)
    if after.status_code == 303:
        after = await browser.follow(after)
    assert after.url.path != "/", "nobody is signed in"
    assert await opened.rows("SELECT id FROM sessions") == []


async def test_a_reset_ends_also_where_the_code_was_right_already(server):
    thief = server.browser()
    page = await prove(server, thief, await forget(server, thief))
    assert "It is stopped." in (await stop(server, await stop_link(server))).text
    assert (await choose(thief, page)).status_code == 422
    assert "password_reset" not in await server.audit_events()


async def test_the_old_address_can_stop_a_change_also_after_another_code_was_sent(server):
    thief = await sign_in(server)
    page = await thief.follow(await ask_for_address(server, thief))
    notice = await last_mail(server, USER.email)
    assert notice.kind == "email_change_notice"
    await server.set_back(MailedCodes, created_at=timedelta(minutes=2))
    page = await thief.follow(await thief.post(str(page.url), hidden(page) | {"action": "resend"}))
    code = (await last_mail(server, NEW)).code
    assert "It is stopped." in (await stop(server, notice.parameters["stop_link"])).text
    await thief.submit(page, code=code)
    assert (await address_of(server))[0] == USER.email
    assert await server.rows("SELECT id FROM mailed_codes WHERE used_at IS NULL") == []


async def test_it_ends_nothing_else_of_the_same_user_and_nothing_of_another(server):
    one, two, other = (server.browser() for _ in range(3))
    await forget(server, one)
    link = await stop_link(server)
    page = await two.get(f"{server.issuer}/login-code")
    await two.submit(page, email=USER.email)
    await forget(server, other, OTHER_USER.email)
    await stop(server, link)
    left = await server.rows("SELECT purpose, email FROM mailed_codes WHERE used_at IS NULL")
    assert sorted((row.purpose, row.email) for row in left) == [
        ("login", USER.email),
        ("reset_password", OTHER_USER.email),
    ]


@pytest.mark.parametrize("fate", ["stopped before", "expired"])
async def test_a_code_that_does_nothing_any_more_is_said_to(server, fate):
    await forget(server, server.browser())
    link = await stop_link(server)
    if fate == "expired":
        await server.set_back(MailedCodes, expires_at=timedelta(hours=1))
    else:
        await stop(server, link)
    page = await server.browser().get(link)
    assert page.status_code == 200
    assert "does nothing any more" in page.text
    assert 'href="/account"' in page.text


@pytest.mark.parametrize("link", ["/stop", "/stop?link=", "/stop?link=abc", "/stop?link=" + "0" * 64])
async def test_a_link_that_is_none_of_ours_is_a_page_in_words(server, link):
    page = await server.browser().get(f"{server.issuer}{link}")
    assert page.status_code == 404
    assert "This link does not work." in page.text


@pytest.mark.attack(102)
async def test_a_button_of_another_site_ends_nothing(server):
    await forget(server, server.browser())
    reader = server.browser()
    page = await reader.get(await stop_link(server))
    answer = await reader.submit(page, {"origin": "https://evil.example", "sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    stale = await reader.submit(page, csrf="old")
    assert "This page was open for a long time." in stale.text
    [row] = await server.rows("SELECT used_at FROM mailed_codes")
    assert row.used_at is None
