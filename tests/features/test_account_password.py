"""/account/password: by who knows the old one, and what rested on it ends (FEATURES S10; SECURITY rows 100, 106)."""

from __future__ import annotations

import pytest

from tests.features.account_pages import main_text, send, sign_in
from tests.mailbox import mails
from tests.oauth.examples import USER
from tests.server import PASSWORD

NEW = "marmalade on the moon"


async def change(server, browser, current=PASSWORD, new=NEW):
    """Fill in the form; return the answer to it."""
    page = await browser.get(f"{server.issuer}/account/password")
    form = {name: value for name, value in (("password", current), ("new-password", new)) if value}
    return await send(browser, page, **form)


@pytest.mark.product("S10")
@pytest.mark.attack(100)
async def test_a_changed_password_signs_out_every_other_browser_and_app_and_tells_the_owner(server):
    browser, elsewhere = await sign_in(server), await sign_in(server)
    tokens = await server.code_flow(browser=elsewhere, scope="openid offline_access notes:read")
    answer = await change(server, browser)
    assert "Your password is changed." in main_text(await browser.follow(answer))
    assert (await elsewhere.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400
    assert [mail.kind for mail in await mails(server, USER.email)][-1] == "password_changed"
    assert (await server.login(server.browser())).status_code == 422, "the old one is not right any more"
    assert (await server.login(server.browser(), password=NEW)).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "words"),
    [
        ("not the password", NEW, "That is not your password now."),
        (PASSWORD, "short", "A password has at least 8 characters."),
        (PASSWORD, "password1", "This password is too easy to guess."),
        (PASSWORD, "a" * 1025, "A password has at most 1024 characters."),
        ("a" * 1025, NEW, "That is longer than a password can be here."),
        ("", NEW, "Enter the password you have now."),
        (PASSWORD, "", "Choose a password."),
    ],
)
async def test_what_is_wrong_is_said_and_neither_password_is_filled_in_again(server, current, new, words):
    browser = await sign_in(server)
    answer = await change(server, browser, current, new)
    assert answer.status_code == (400 if len(current) > 1024 else 422)
    assert words in main_text(answer)
    assert "Error: Password" in answer.text
    assert not any(given and given in answer.text for given in (current, new))
    assert "password_changed" not in await server.audit_events()


@pytest.mark.attack(106)
async def test_tries_at_the_old_password_are_held_up_like_tries_to_sign_in(server):
    browser = await sign_in(server)
    answers = [await change(server, browser, "wrong password") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [422] * 5
    await server.begin_waits_now()
    held_up = await change(server, browser, "wrong password")
    assert held_up.status_code == 429
    assert f"Wait {held_up.headers['retry-after']} second" in main_text(held_up)


async def test_an_account_without_a_password_is_led_to_set_one(server):
    browser = await sign_in(server)
    await server.execute("UPDATE users SET password_hash = NULL WHERE username = 'ada'")
    page = await browser.get(f"{server.issuer}/account/password")
    assert "Your account has no password." in main_text(page)
    assert 'href="/forgot"' in page.text
