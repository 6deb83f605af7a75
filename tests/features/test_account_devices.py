"""/account/devices: what is signed in where, and how it ends (SECURITY rows 100 and 120)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from authserver.store.tables import Sessions
from tests.features.account_pages import main_text, send, sign_in
from tests.server import OTHER_USER

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
DESK = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


async def session_of(server, browser):
    """The id of the session in this browser, as its own page names it first."""
    page = await browser.get(f"{server.issuer}/account/devices")
    return re.search(r'name="session" value="([^"]+)"', page.text).group(1)


async def test_each_device_is_named_with_its_last_use_address_and_apps_and_this_one_comes_first(server):
    desk = await sign_in(server, **{"user-agent": DESK})
    await sign_in(server, address="198.51.100.9", **{"user-agent": PHONE})
    await server.code_flow(browser=desk)
    text = main_text(await desk.get(f"{server.issuer}/account/devices"))
    assert re.search(r"Firefox on Linux This device .* 203\.0\.113\.7 .* Notes on the web .* Safari on iPhone", text)
    assert "198.51.100.9" in text
    assert "Last used" in text


@pytest.mark.attack(100)
async def test_one_device_is_signed_out_with_what_its_apps_hold_and_the_others_stay(server):
    here, there = await sign_in(server), await sign_in(server)
    lost, kept = await server.code_flow(browser=there), await server.code_flow(browser=here)
    page = await here.get(f"{server.issuer}/account/devices")
    answer = await send(here, page, 1, decision="sign_out")
    assert "That device is signed out." in main_text(await here.follow(answer))
    assert (await there.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await server.refresh(lost["refresh_token"])).status_code == 400
    assert (await server.refresh(kept["refresh_token"])).status_code == 200
    (row,) = await server.rows("SELECT detail FROM audit_events WHERE event = 'session_ended'")
    assert "signed_out_by_user" in str(row.detail)


@pytest.mark.attack(100)
async def test_everywhere_else_is_signed_out_what_would_outlive_a_logout_too_and_here_stays(server):
    here, there = await sign_in(server), await sign_in(server)
    lost = await server.code_flow(browser=there, scope="openid offline_access notes:read")
    kept = await server.code_flow(browser=here)
    page = await here.get(f"{server.issuer}/account/devices")
    answer = await send(here, page, 2, decision="sign_out_others")
    assert "You are signed out everywhere else." in main_text(await here.follow(answer))
    assert (await there.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await here.get(f"{server.issuer}/account")).status_code == 200
    assert (await server.refresh(lost["refresh_token"])).status_code == 400
    assert (await server.refresh(kept["refresh_token"])).status_code == 200


async def test_signing_out_here_forgets_the_cookie(server):
    browser = await sign_in(server)
    answer = await send(browser, await browser.get(f"{server.issuer}/account/devices"), decision="sign_out")
    assert answer.headers["location"] == "/"
    assert "__Host-session" not in browser.cookies


@pytest.mark.attack(120)
async def test_nobody_signs_out_somebody_elses_device(server):
    victim, attacker = await sign_in(server), await sign_in(server, OTHER_USER)
    session = await session_of(server, victim)
    page = await attacker.get(f"{server.issuer}/account/devices")
    assert session not in page.text
    await send(attacker, page, decision="sign_out", session=session)
    assert (await victim.get(f"{server.issuer}/account")).status_code == 200
    assert "session_ended" not in await server.audit_events()


@pytest.mark.parametrize(
    ("session", "status"), [("", 422), ("nonsense", 422), ("00000000-0000-0000-0000-000000000000", 303)]
)
async def test_a_device_that_is_not_there_is_no_error(server, session, status):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/devices")
    assert (await send(browser, page, decision="sign_out", session=session)).status_code == status
    assert (await browser.get(f"{server.issuer}/account")).status_code == 200


async def test_a_device_that_was_idle_for_too_long_is_not_shown(server):
    await sign_in(server, **{"user-agent": PHONE})
    await server.set_back(Sessions, last_seen_at=timedelta(days=1))
    browser = await sign_in(server, **{"user-agent": DESK})
    assert "Safari" not in main_text(await browser.get(f"{server.issuer}/account/devices"))
