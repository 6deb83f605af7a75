"""/account/profile: the standard claims, all problems at once, nothing else (FEATURES S10; SECURITY row 114)."""

from __future__ import annotations

import pytest

from tests.features.account_pages import main_text, send, sign_in

GOOD = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "middle_name": "King",
    "nickname": "Countess",
    "gender": "female",
    "birthdate": "1915-12-10",
    "locale": "de",
    "zoneinfo": "Europe/London",
    "phone_number": "+44 20 7946-0000",
    "address": "12 St James's Square\r\nLondon",
    "picture": "https://pictures.example/ada.png",
    "website": "https://ada.example/",
    "profile": "https://ada.example/me",
}


@pytest.mark.product("S10")
async def test_what_is_saved_is_what_apps_see(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/profile")
    answer = await send(browser, page, **GOOD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/profile")
    (row,) = await server.rows("SELECT * FROM users WHERE username = 'ada'")
    assert row.phone_number == "+442079460000"
    assert row.address == "12 St James's Square\nLondon"
    assert {name: getattr(row, name) for name in ("name", "zoneinfo", "locale", "picture")} == {
        name: GOOD[name] for name in ("name", "zoneinfo", "locale", "picture")
    }
    assert str(row.birthdate) == "1915-12-10"
    shown = await browser.open(f"{server.issuer}/account/profile")
    assert "Ihr Profil ist gespeichert." in main_text(shown), "in the language that was chosen"
    assert "gespeichert" not in main_text(await browser.get(f"{server.issuer}/account/profile")), "once"
    assert 'value="Ada Lovelace"' in shown.text
    assert '<option value="de" lang="de" selected>' in shown.text


async def test_saving_is_audited_with_the_names_of_what_changed_and_not_the_values(server):
    browser = await sign_in(server)
    await send(browser, await browser.get(f"{server.issuer}/account/profile"), name="Ada", nickname="Countess")
    (row,) = await server.rows("SELECT detail FROM audit_events WHERE event = 'profile_changed'")
    assert "nickname" in str(row.detail)
    assert "Countess" not in str(row.detail)


async def test_saving_nothing_new_writes_nothing(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/profile")
    await send(browser, page, name="Ada")
    await send(browser, page, name="Ada")
    assert (await server.audit_events()).count("profile_changed") == 1


async def test_all_problems_are_said_at_once_beside_their_fields_and_everything_is_kept(server):
    browser = await sign_in(server)
    bad = GOOD | {
        "name": "A" * 201,
        "nickname": "bell\x07",
        "birthdate": "2999-01-01",
        "zoneinfo": "Mars/Olympus",
        "phone_number": "555",
        "picture": "javascript:alert(1)",
        "locale": "not a language",
    }
    answer = await send(browser, await browser.get(f"{server.issuer}/account/profile"), **bad)
    assert answer.status_code == 422
    for field in ("name", "nickname", "birthdate", "zoneinfo", "phone_number", "picture", "locale"):
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}-problem"' in answer.text
        assert f'aria-describedby="{field}-problem"' in answer.text
    assert answer.text.count('role="alert"') == 1
    assert 'value="https://ada.example/"' in answer.text
    assert "Error: Profile" in answer.text
    assert "profile_changed" not in await server.audit_events()


async def test_what_is_emptied_is_taken_away(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/profile")
    await send(browser, page, **GOOD)
    await send(browser, page, name="Ada")
    (row,) = await server.rows("SELECT name, nickname, birthdate, picture FROM users WHERE username = 'ada'")
    assert tuple(row) == ("Ada", None, None, None)


@pytest.mark.attack(114)
async def test_a_profile_form_changes_neither_the_address_nor_who_somebody_is(server):
    browser = await sign_in(server)
    await server.execute("UPDATE users SET email_verified = FALSE, phone_number_verified = TRUE WHERE username = 'ada'")
    forbidden = {
        "email": "evil@example.com",
        "email_verified": "true",
        "is_admin": "true",
        "username": "root",
        "sub": "1",
        "phone_number_verified": "true",
        "password_hash": "x",
    }
    page = await browser.get(f"{server.issuer}/account/profile")
    await send(browser, page, name="Ada", phone_number="+4420794600", **forbidden)
    (row,) = await server.rows("SELECT * FROM users WHERE name = 'Ada'")
    assert (row.username, row.email, bool(row.email_verified)) == ("ada", "ada@example.com", False)
    assert (bool(row.is_admin), bool(row.phone_number_verified)) == (False, False)


async def test_the_language_of_the_account_replaces_the_one_chosen_in_this_browser(server):
    browser = await sign_in(server)
    await browser.post(f"{server.issuer}/language", {"language": "en", "back": "/account"})
    await send(browser, await browser.get(f"{server.issuer}/account/profile"), locale="de")
    assert '<html lang="de"' in (await browser.get(f"{server.issuer}/account/profile")).text


@pytest.mark.attack(122)
async def test_what_somebody_writes_of_themselves_is_text(server):
    browser = await sign_in(server)
    await send(browser, await browser.get(f"{server.issuer}/account/profile"), name="<script>alert(1)</script>{{7*7}}")
    page = await browser.get(f"{server.issuer}/account")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page.text
