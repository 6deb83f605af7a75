"""A sign-in in a browser not seen before brings its owner a mail (UX §2)."""

from __future__ import annotations

from tests.features.account_pages import sign_in
from tests.mailbox import mails
from tests.oauth.examples import USER
from tests.server import OTHER_USER, PASSWORD

FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}


async def notices(server, to=USER.email):
    return [mail for mail in await mails(server, to) if mail.kind == "new_device"]


async def test_the_first_browser_is_no_news_the_second_is_and_says_which_and_where(server):
    await sign_in(server)
    assert await notices(server) == []
    await sign_in(server, address="198.51.100.9", **FIREFOX)
    (notice,) = await notices(server)
    assert notice.parameters == {"browser": "Firefox on Linux", "address": "198.51.100.9"}


async def test_a_browser_that_was_seen_before_is_no_news(server):
    await sign_in(server)
    browser = await sign_in(server)
    del browser.cookies["__Host-session"]
    await server.login(browser)
    await server.login(browser)
    assert len(await notices(server)) == 1


async def test_a_shared_computer_is_news_each_time(server):
    await sign_in(server)
    for _ in range(2):
        browser = server.browser()
        page = await browser.get(f"{server.issuer}/login")
        await browser.submit(page, username="ada", password=PASSWORD, shared_computer="yes")
    assert len(await notices(server)) == 2


async def test_a_browser_in_which_somebody_else_signed_in_is_a_new_one(server):
    await sign_in(server, OTHER_USER)
    browser = await sign_in(server)
    await server.login(browser, user=OTHER_USER)
    assert len(await notices(server, OTHER_USER.email)) == 1


async def test_nothing_goes_to_an_address_that_nobody_has_confirmed(server):
    await server.execute("UPDATE users SET email_verified = FALSE")
    await sign_in(server)
    await sign_in(server)
    assert await mails(server) == []


async def test_the_mail_speaks_the_language_of_the_account(server):
    await sign_in(server)
    await server.execute("UPDATE users SET locale = 'de' WHERE username = 'ada'")
    await sign_in(server)
    assert [notice.locale for notice in await notices(server)] == ["de"]
