"""Every way a session ends is told to the apps it signed somebody in to (OpenID Connect Back-Channel Logout 1.0)."""

from __future__ import annotations

import ast
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import authserver
from authserver.jose.jwt import LOGOUT_TOKEN_TYPE, sign
from authserver.oauth.logout_token import LOGOUT_EVENT
from authserver.operations import restore, sessions, users
from authserver.sealing.epoch import EpochFile
from authserver.store.purge import REFUSALS_KEPT, purge_expired
from authserver.store.tables import Grants, LogoutNotices
from tests.features.account_pages import main_text, send, sign_in
from tests.oauth.examples import USER
from tests.relying_party import RelyingParty, find_notices, let_hear, read_part
from tests.server import OTHER_USER, PASSWORD, SPA, WEB

HEAR = "https://app.example/backchannel-logout"
PROMPT_MS = 1000


@pytest.fixture
async def server(server):
    """A server whose web client hears of sessions that end; nothing listens there."""
    await let_hear(server, WEB, HEAR)
    return server


async def told(server):
    """Who is told of which session."""
    return {(row.client_id, str(row.session_id)) for row in await find_notices(server)}


def session_of(tokens):
    return read_part(tokens["id_token"], 1)["sid"]


# --- what ends a session ----------------------------------------------------------------------------------------------


async def by_the_app(server, browser, tokens):
    await browser.get(f"{server.issuer}/end_session?id_token_hint={tokens['id_token']}")


async def by_the_app_without_its_browser(server, _, tokens):
    await server.get(f"/end_session?id_token_hint={tokens['id_token']}")


async def by_the_button(server, browser, _):
    await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")


async def from_the_devices_page(server, browser, _):
    elsewhere = await sign_in(server)
    page = await elsewhere.get(f"{server.issuer}/account/devices")
    await send(elsewhere, page, 1, decision="sign_out")


async def everywhere_else(server, browser, _):
    elsewhere = await sign_in(server)
    page = await elsewhere.get(f"{server.issuer}/account/devices")
    await send(elsewhere, page, 2, decision="sign_out_others")


async def by_a_new_password(server, browser, _):
    elsewhere = await sign_in(server)
    page = await elsewhere.get(f"{server.issuer}/account/password")
    answer = await send(elsewhere, page, **{"password": PASSWORD, "new-password": "another horse battery staple"})
    assert answer.status_code == 303, answer.text


async def by_another_user(server, browser, _):
    page = await browser.open(server.authorization_url(prompt="login"))
    await browser.follow(await server.login(browser, page, user=OTHER_USER))


async def by_leaving(server, browser, _):
    page = await browser.get(f"{server.issuer}/account/data")
    await send(browser, page, 1, decision="delete", sure="yes")


async def by_an_operator(server, browser, tokens):
    await sessions.revoke(server.operator, session_of(tokens))


async def by_turning_the_user_off(server, *_):
    await users.disable(server.operator, USER.username)


async def by_deleting_the_user(server, *_):
    await users.delete(server.operator, USER.username)


async def by_an_operators_password(server, *_):
    await users.set_password(server.operator, USER.username, "another horse battery staple")


async def by_a_restored_backup(server, *_):
    epoch_file = EpochFile(server.settings.sealing_key_file.with_name("epoch"))
    await restore.accept_backup(server.operator, epoch_file, keep=False)


@pytest.mark.parametrize(
    "end",
    [
        by_the_app,
        by_the_app_without_its_browser,
        by_the_button,
        from_the_devices_page,
        everywhere_else,
        by_a_new_password,
        by_another_user,
        by_leaving,
        by_an_operator,
        by_turning_the_user_off,
        by_deleting_the_user,
        by_an_operators_password,
        by_a_restored_backup,
    ],
)
async def test_whatever_ends_a_session_is_told_to_its_apps(server, end):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.code_flow(SPA, browser)
    assert await told(server) == set()
    await end(server, browser, tokens)
    assert await told(server) == {(WEB.client_id, session_of(tokens))}, "the other app named no address"
    (row,) = await find_notices(server)
    assert row.user_id == USER.id


def test_nothing_else_in_the_program_ends_sessions():
    """So that a new way is told too: whoever writes ``ended_at`` stands in this list, and adds the notices."""
    home = Path(authserver.__file__).parent
    found = {
        str(path.relative_to(home))
        for path in home.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "ended_at"
    }
    assert found == {"store/sessions.py", "store/restored.py"}


async def test_a_session_ends_once_and_is_told_once(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    for _ in range(3):
        await browser.get(f"{server.issuer}/end_session?id_token_hint={tokens['id_token']}")
    assert len(await find_notices(server)) == 1


async def test_other_sessions_of_the_user_are_nobodys_to_hear_of(server):
    first, second = server.browser(), server.browser()
    ended, kept = await server.code_flow(browser=first), await server.code_flow(browser=second)
    await by_the_app(server, first, ended)
    assert session_of(ended) != session_of(kept)
    assert await told(server) == {(WEB.client_id, session_of(ended))}


async def test_a_session_that_merely_expires_is_no_logout(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.execute("UPDATE sessions SET expires_at = created_at, last_seen_at = created_at")
    await browser.open(server.authorization_url(prompt="none"))
    assert await told(server) == set()
    await by_an_operator(server, browser, tokens)
    assert len(await told(server)) == 1


# --- who has to hear --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["openid offline_access notes:read", "openid", "notes:read"])
async def test_an_app_hears_whatever_it_was_given(server, scope):
    browser = server.browser()
    await server.code_flow(browser=browser, scope=scope)
    await by_the_button(server, browser, None)
    assert [row.client_id for row in await find_notices(server)] == [WEB.client_id]


async def test_an_app_that_gave_its_tokens_back_still_hears(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.call("/revoke", WEB, token=tokens["refresh_token"])
    await by_the_app(server, browser, tokens)
    assert len(await told(server)) == 1


async def test_an_app_still_hears_when_its_grant_has_been_purged(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.call("/revoke", WEB, token=tokens["refresh_token"])
    await server.set_back(Grants, revoked_at=REFUSALS_KEPT + timedelta(hours=1))
    assert (await purge_expired(server.services.engine))["grants"] == 1
    assert await server.rows("SELECT id FROM grants") == []
    await server.code_flow(browser=browser)  # a young grant beside it: still one notice
    await by_the_app(server, browser, tokens)
    assert len(await find_notices(server)) == 1


async def test_an_app_whose_code_was_never_redeemed_hears_nothing(server):
    browser = server.browser()
    await server.get_code(browser=browser)
    await by_the_button(server, browser, None)
    assert await told(server) == set()


async def test_what_was_told_is_purged_after_a_week(server):
    browser = server.browser()
    await by_the_app(server, browser, await server.code_flow(browser=browser))
    assert (await purge_expired(server.services.engine))["logout_notices"] == 0
    await server.execute("UPDATE logout_notices SET state = 'delivered'")
    await server.set_back(LogoutNotices, settled_at=timedelta(days=8))
    assert (await purge_expired(server.services.engine))["logout_notices"] == 1
    assert await server.rows("SELECT session_id FROM session_clients") == []


# --- from the button to the app ---------------------------------------------------------------------------------------


@pytest.mark.attack(96)
async def test_a_logout_takes_less_than_a_second_while_an_app_hangs(start_server):
    server = await start_server(outbound_allow="127.0.0.0/8")
    async with RelyingParty("hang") as dead:
        await let_hear(server, WEB, dead.url)
        for _ in range(3):
            browser = server.browser()
            tokens = await server.code_flow(browser=browser)
            began = time.monotonic()
            response = await browser.get(f"{server.issuer}/end_session?id_token_hint={tokens['id_token']}")
            assert (response.status_code, time.monotonic() - began < PROMPT_MS / 1000) == (200, True)
        await dead.hears(1)


@pytest.mark.attack(97)
async def test_what_arrives_is_a_logout_token_of_that_session_for_two_minutes(start_server):
    server = await start_server(outbound_allow="127.0.0.0/8")
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        browser = server.browser()
        tokens = await server.code_flow(browser=browser)
        await by_the_app(server, browser, tokens)
        await rp.hears(1)
    id_token, claims = read_part(tokens["id_token"], 1), rp.claims[0]
    assert read_part(rp.tokens[0], 0)["typ"] == LOGOUT_TOKEN_TYPE
    assert {name: claims[name] for name in ("iss", "sub", "aud", "sid")} == {
        name: id_token[name] for name in ("iss", "sub", "aud", "sid")
    }
    assert claims["events"] == {LOGOUT_EVENT: {}}
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert abs(claims["iat"] - datetime.now(UTC).timestamp()) < 10
    assert len(claims["jti"]) >= 22
    assert set(claims) == {"iss", "sub", "aud", "sid", "events", "iat", "exp", "jti"}


@pytest.mark.attack(97)
async def test_a_logout_token_opens_nothing_here(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    claims = {**read_part(tokens["id_token"], 1), "events": {LOGOUT_EVENT: {}}, "jti": "a-jti"}
    claims = {name: value for name, value in claims.items() if name not in {"nonce", "at_hash"}}
    now = datetime.now(UTC)
    for alg in ("ES256", "RS256"):
        token = sign(server.services.live.keyring, claims, alg=alg, typ=LOGOUT_TOKEN_TYPE, now=now)
        userinfo = await server.get("/userinfo", authorization=f"Bearer {token}")
        assert (userinfo.status_code, server.refusal) == (401, "token_malformed")
        assert await server.introspect(token) == {"active": False}
        assert (await server.call("/revoke", WEB, token=token)).status_code == 200
        assert (await server.refresh(token)).json()["error"] == "invalid_grant"
        await server.get(f"/end_session?id_token_hint={token}")
        answer = await browser.get(server.authorization_url(prompt="none", id_token_hint=token))
        assert "error=invalid_request" in answer.headers["location"]
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_discovery_says_that_apps_hear_and_of_which_session(server):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        document = (await server.get(path)).json()
        assert document["backchannel_logout_supported"] is True
        assert document["backchannel_logout_session_supported"] is True


async def test_every_id_token_of_a_session_says_the_same_sid(server):
    tokens = await server.code_flow(browser=server.browser())
    renewed = (await server.refresh(tokens["refresh_token"])).json()
    assert session_of(renewed) == session_of(tokens)


# --- what the page says -----------------------------------------------------------------------------------------------


async def test_the_page_says_which_apps_hear_and_which_cannot(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    await server.code_flow(replace(SPA), browser)
    page = await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")
    text = main_text(page)
    assert f"These apps are being told: {WEB.client_name}" in text
    assert f"These apps cannot be told. Sign out of them yourself: {SPA.client_name}" in text


async def test_whoever_holds_but_an_id_token_does_not_learn_of_other_apps(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    await server.code_flow(SPA, browser)
    page = await server.get(f"/end_session?id_token_hint={tokens['id_token']}")
    assert "You are signed out here." in main_text(page)
    assert SPA.client_name not in page.text
    assert "being told" not in page.text
