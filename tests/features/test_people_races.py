"""Attacks on accounts by doing two things at once (SECURITY rows 36, 43, 100 and 105, fault B29)."""

import asyncio

import pytest

from authserver.oauth.mailed_code_rules import Purpose
from authserver.operations import users as operations_on_users
from authserver.store import grants, mailed_codes, users
from tests.features.test_api import PHRASE, code_of
from tests.features.test_people_attacks import forgot, reset
from tests.features.test_sign_up import wrong
from tests.mailbox import last_mail
from tests.oauth.examples import USER
from tests.server import PASSWORD


@pytest.mark.attack(105)
async def test_of_two_wishes_for_another_code_at_once_one_is_granted(apps):
    server = apps.server
    tokens = (await apps.register()).json()
    await server.execute("UPDATE mailed_codes SET created_at = '2001-01-01 00:00:00'")
    answers = await asyncio.gather(
        *(
            apps.post("verify/resend", bearer=tokens["access_token"], verification_id=tokens["verification_id"])
            for _ in range(6)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202, *[403] * 5]


@pytest.mark.attack(105)
async def test_five_tries_of_an_app_end_a_code_also_parallel_ones_and_the_right_one_is_refused_then(apps):
    reset_id = await forgot(apps, USER.email)
    code = (await last_mail(apps.server, USER.email)).code
    await apps.server.execute("DELETE FROM attempts")
    answers = await asyncio.gather(*(reset(apps, reset_id, wrong(code)) for _ in range(20)))
    assert sum(code_of(answer) == "mailed_code_wrong" for answer in answers) <= 4
    while (attempts := (await apps.server.rows("SELECT attempts FROM mailed_codes"))[0].attempts) < 5:
        await apps.server.execute("DELETE FROM attempts")  # so that it is the code which ends, and nobody has to wait
        await reset(apps, reset_id, wrong(code))
    assert attempts == 5
    await apps.server.execute("DELETE FROM attempts")
    assert (await reset(apps, reset_id, code)).status_code == 403


async def change_password_in(server, browser):
    page = await browser.get(f"{server.issuer}/account/password")
    return await browser.submit(page, **{"password": PASSWORD, "new-password": PHRASE})


async def reset_password_in(server, browser):
    page = await browser.get(f"{server.issuer}/forgot")
    page = await browser.follow(await browser.submit(page, email=USER.email))
    page = await browser.follow(await browser.submit(page, code=(await last_mail(server, USER.email)).code))
    return await browser.submit(page, **{"new-password": PHRASE})


@pytest.mark.fault("B29")
@pytest.mark.attack(100)
@pytest.mark.parametrize("cut", [change_password_in, reset_password_in])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_code_redeemed_while_the_password_changes_leaves_no_session(apps, monkeypatch, cut):
    server, owner, other = apps.server, apps.server.browser(), apps.server.browser()
    await server.login(owner)
    page = await other.get(f"{server.issuer}/login-code")
    page = await other.follow(await other.submit(page, email=USER.email))
    code = (await last_mail(server, USER.email)).code
    original, counted = mailed_codes.claim_try, asyncio.Event()

    async def claim_try(tx, code_id, purpose, browser_hash):
        claimed = await original(tx, code_id, purpose, browser_hash)
        if purpose is Purpose.LOGIN:
            counted.set()
            await server.somebody_waits()
        return claimed

    monkeypatch.setattr(mailed_codes, "claim_try", claim_try)
    redeeming = asyncio.create_task(other.submit(page, code=code))
    await counted.wait()
    changed = await cut(server, owner)
    assert changed.status_code == 303, changed.text
    assert (await redeeming).status_code == 303, "it was faster"
    live = await server.rows("SELECT id FROM sessions WHERE ended_at IS NULL")
    assert len(live) == (1 if cut is change_password_in else 0), "but what it began ends with the rest"


@pytest.mark.fault("B29")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_change_by_an_operator_undoes_no_change_that_was_made_meanwhile(apps, monkeypatch):
    server = apps.server
    operator, original = server.operator, users.update

    async def update(tx, user):
        async def change():
            async with server.services.engine.begin() as other:
                await users.set_password(other, user.id, "another hash")

        changing = asyncio.create_task(change())
        await server.somebody_waits()
        changed = await original(tx, user)
        changings.append(changing)
        return changed

    changings = []
    monkeypatch.setattr(users, "update", update)
    await operations_on_users.update(operator, USER.username, operations_on_users.UserChanges(name="Another name"))
    await asyncio.gather(*changings)
    [row] = await server.rows(f"SELECT name, password_hash FROM users WHERE email = '{USER.email}'")
    assert (row.name, row.password_hash) == ("Another name", "another hash")


@pytest.mark.fault("B29")
@pytest.mark.attack(36)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", ["disable", "delete", "set_password"])
async def test_whoever_signs_in_by_an_app_while_being_cut_off_has_nothing_in_the_end(apps, monkeypatch, cut):
    server, inserted, original = apps.server, asyncio.Event(), grants.add

    async def add(tx, grant):
        await original(tx, grant)
        inserted.set()
        await server.somebody_waits()

    monkeypatch.setattr(grants, "add", add)
    signing_in = asyncio.create_task(apps.login(scope="notes:read"))
    await inserted.wait()
    more = (PHRASE,) if cut == "set_password" else ()
    await getattr(operations_on_users, cut)(server.operator, USER.username, *more)
    assert (await signing_in).status_code == 200, "it was faster"
    assert await server.rows("SELECT id FROM grants WHERE revoked_at IS NULL") == []


@pytest.mark.fault("B29")
@pytest.mark.attack(43)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_refresh_that_races_a_change_of_password_leaves_no_live_grant(apps):
    tokens = [await apps.tokens() for _ in range(4)]
    keep = await apps.tokens()
    changing = apps.post("password/change", bearer=keep["access_token"], current_password=PASSWORD, new_password=PHRASE)
    refreshing = [apps.post("refresh", client_id="phone-app", refresh_token=pair["refresh_token"]) for pair in tokens]
    changed, *refreshed = await asyncio.gather(changing, *refreshing)
    assert changed.status_code == 200, changed.text
    assert {answer.status_code for answer in refreshed} <= {200, 400}
    assert len(await apps.server.rows("SELECT id FROM grants WHERE revoked_at IS NULL")) == 1
