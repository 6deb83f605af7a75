"""The language of pages: chosen here, asked by the app, the account's, the browser's, English; in that order."""

from __future__ import annotations

import re

import pytest

from tests.features.account_pages import sign_in

GERMAN = {"accept-language": "de-AT, en;q=0.5"}


def language_of(page):
    return re.search(r'<html lang="([^"]+)" dir="ltr">', page.text).group(1)


async def test_the_browsers_own_language_is_spoken_to_who_is_not_signed_in(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login", GERMAN)
    assert language_of(page) == "de"
    assert "E-Mail-Adresse oder Benutzername" in page.text
    assert language_of(await browser.get(f"{server.issuer}/login")) == "en"


async def test_the_accounts_language_comes_before_the_browsers(server):
    browser = await sign_in(server)
    await server.execute("UPDATE users SET locale = 'de-DE' WHERE username = 'ada'")
    assert language_of(await browser.get(f"{server.issuer}/", {"accept-language": "en"})) == "de"


async def test_what_the_app_asks_for_comes_before_both_and_stays_for_every_step(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url(ui_locales="fr de en"))
    assert language_of(page) == "de"
    page = await browser.follow(await server.login(browser, page))
    assert page.url.path.startswith("/consent/")
    assert language_of(page) == "de"
    assert "Zugriff erlauben?" in page.text


async def test_the_language_that_is_chosen_below_a_page_comes_first_and_leads_back_to_it(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url(ui_locales="de"))
    answer = await browser.post(f"{server.issuer}/language", {"language": "en", "back": page.url.path})
    assert answer.status_code == 303
    assert answer.headers["location"] == page.url.path
    assert "__Host-language=en; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=34560000" in browser.cookie_lines
    assert language_of(await browser.get(str(page.url))) == "en"


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/a\\b",
        "/a\r\nx: y",
        "",
        "/ä",
        "/" + "a" * 3000,
    ],
)
async def test_choosing_a_language_leads_to_no_other_place(server, back):
    answer = await server.browser().post(f"{server.issuer}/language", {"language": "de", "back": back})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_language_that_is_not_offered_is_not_remembered(server):
    browser = server.browser()
    await browser.post(f"{server.issuer}/language", {"language": "tlh", "back": "/login"})
    assert "__Host-language" not in browser.cookies
    browser.cookies["__Host-language"] = "../../etc"
    assert language_of(await browser.get(f"{server.issuer}/login")) == "en"


@pytest.mark.attack(102)
async def test_another_site_cannot_change_the_language(server):
    browser = server.browser()
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await browser.post(f"{server.issuer}/language", {"language": "de", "back": "/"}, elsewhere)
    assert (answer.status_code, server.refusal) == (403, "csrf")
    assert "__Host-language" not in browser.cookies


async def test_a_page_about_a_refusal_is_translated_and_an_error_for_a_program_is_not(server):
    page = await server.get("/nothing-here", accept="text/html", accept_language="de")
    assert "Hier ist nichts" in page.text
    assert language_of(page) == "de"
    error = await server.post("/token", {}, accept_language="de")
    assert error.json()["error_description"].isascii()


async def test_one_persons_language_is_not_the_next_ones(server):
    await server.browser().get(f"{server.issuer}/login", GERMAN)
    assert language_of(await server.browser().get(f"{server.issuer}/login")) == "en"


async def test_discovery_names_the_languages(server):
    document = (await server.get("/.well-known/openid-configuration")).json()
    assert document["ui_locales_supported"] == ["en", "de"]
