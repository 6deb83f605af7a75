"""/account/apps: what each app may do, in sentences, and taking it back in one transaction (SECURITY row 21)."""

from __future__ import annotations

import asyncio

import pytest

from authserver.store import code_rows
from tests.features.account_pages import main_text, send, sign_in
from tests.oauth.examples import NATIVE, WEB
from tests.server import OTHER_USER


async def take_back(server, browser):
    return await send(browser, await browser.get(f"{server.issuer}/account/apps"), decision="take_back")


async def test_an_app_is_named_with_its_host_and_what_it_may_do_in_sentences(server):
    browser = await sign_in(server)
    assert "No app has access to your account." in main_text(await browser.get(f"{server.issuer}/account/apps"))
    await server.code_flow(browser=browser, scope="openid email notes:read")
    text = main_text(await browser.get(f"{server.issuer}/account/apps"))
    assert "Notes on the web (app.example)" in text
    assert "Know that it is you See your e-mail address Use Notes: notes:read" in text
    assert "Last used" in text
    assert "after 5 minutes everywhere else" in text


@pytest.mark.attack(21)
async def test_what_is_taken_back_ends_consent_and_grants_on_every_device_and_the_app_asks_again(server):
    browser, other_browser = await sign_in(server), await sign_in(server)
    here = await server.code_flow(browser=browser)
    there = await server.code_flow(browser=other_browser, scope="openid offline_access notes:read")
    answer = await take_back(server, browser)
    assert "The app has no access any more." in main_text(await browser.follow(answer))
    for tokens in (here, there):
        assert (await server.refresh(tokens["refresh_token"])).status_code == 400
        assert (await server.introspect(tokens["access_token"])) == {"active": False}
    page = await browser.open(server.authorization_url())
    assert page.url.path.startswith("/consent/")
    (row,) = await server.rows("SELECT detail FROM audit_events WHERE event = 'consent_withdrawn'")
    assert "2" in str(row.detail)


async def test_a_code_that_is_not_redeemed_yet_is_worth_nothing_afterwards(server):
    browser = await sign_in(server)
    await server.execute(f"UPDATE clients SET first_party = TRUE WHERE client_id = '{WEB.client_id}'")
    await server.services.directory.refresh()
    await server.code_flow(browser=browser)
    code = await server.get_code(browser=browser)
    await take_back(server, browser)
    assert (await server.redeem(code)).status_code == 400
    assert "No app has access" in main_text(await browser.get(f"{server.issuer}/account/apps"))


@pytest.mark.fault("B29")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_code_redeemed_during_the_taking_back_leaves_no_live_grant(server, monkeypatch):
    browser = await sign_in(server)
    code = await server.get_code(browser=browser)
    page = await browser.get(f"{server.issuer}/account/apps")
    added, original = asyncio.Event(), code_rows.add_grants

    async def add_grants(tx, new):
        await original(tx, new)
        added.set()
        await server.somebody_waits()

    monkeypatch.setattr(code_rows, "add_grants", add_grants)
    redeeming = asyncio.create_task(server.redeem(code))
    await added.wait()
    assert (await send(browser, page, decision="take_back")).status_code == 303
    assert (await redeeming).status_code == 200, "it was faster"
    assert await server.rows("SELECT id FROM grants WHERE revoked_at IS NULL") == []


async def test_an_app_whose_access_is_asked_for_each_time_can_be_cut_off_too(server):
    browser = await sign_in(server)
    await server.code_flow(NATIVE, browser=browser)
    text = main_text(await browser.get(f"{server.issuer}/account/apps"))
    assert "Notes on the desk" in text
    await take_back(server, browser)
    assert await server.rows("SELECT id FROM grants WHERE revoked_at IS NULL") == []


@pytest.mark.attack(120)
async def test_taking_back_touches_nobody_elses_grants(server):
    owner, other = await sign_in(server), await sign_in(server, OTHER_USER)
    tokens = await server.code_flow(browser=owner)
    await server.code_flow(browser=other)
    await take_back(server, other)
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_an_app_nobody_knows_is_no_error(server):
    browser = await sign_in(server)
    await server.code_flow(browser=browser)
    page = await browser.get(f"{server.issuer}/account/apps")
    assert (await send(browser, page, decision="take_back", client="unknown" * 10)).status_code == 303
