"""/api/login of somebody with a second factor: two requests, the same mechanism as the pages (DESIGN §2)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from authserver.operations import users
from authserver.store import clients
from authserver.store.tables import PendingSignIns
from tests.features.factors import add_factor
from tests.features.test_api import PAGE, PHONE, Api, code_of
from tests.oauth.examples import USER


@pytest.fixture
async def api(server):
    async with server.services.engine.begin() as tx:
        for client in (PHONE, PAGE):
            await clients.add(tx, client)
    await server.services.directory.refresh()
    return Api(server)


async def begin(api):
    """The auth_session that the right password gives."""
    answer = await api.login(scope="notes:read")
    assert (answer.status_code, code_of(answer)) == (401, "second_factor_needed")
    assert answer.json()["next"] == "totp"
    assert "www-authenticate" in answer.headers
    assert "access_token" not in answer.text
    return answer.json()["auth_session"]


async def finish(api, session, code, client_id="phone-app", **more):
    return await api.post("login", client_id=client_id, auth_session=session, code=code, **more)


async def test_the_code_of_the_app_brings_tokens_of_two_factors(api):
    phone = await add_factor(api.server)
    answer = await finish(api, await begin(api), phone.code(), scope="notes:read")
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "notes:read"
    assert (await api.server.introspect(answer.json()["access_token"]))["acr"] == "aal2"
    [grant] = await api.server.rows("SELECT acr, amr FROM grants")
    assert (grant.acr, grant.amr) == ("aal2", "pwd otp mfa")


async def test_a_recovery_code_does_too(api):
    phone = await add_factor(api.server)
    answer = await finish(api, await begin(api), phone.recovery_codes[3], scope="notes:read")
    assert answer.status_code == 200, answer.text
    [grant] = await api.server.rows("SELECT amr FROM grants")
    assert grant.amr == "pwd recovery mfa"


@pytest.mark.attack(108)
async def test_the_same_code_twice_at_once_brings_tokens_once(api):
    phone = await add_factor(api.server)
    first, second = await begin(api), await begin(api)
    code = phone.code()
    answers = await asyncio.gather(*(finish(api, session, code, scope="notes:read") for session in (first, second)))
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert len(await api.server.rows("SELECT id FROM grants")) == 1


@pytest.mark.attack(105)
async def test_five_wrong_codes_end_the_sign_in(api):
    phone = await add_factor(api.server)
    session = await begin(api)
    right = {phone.code(step) for step in (-1, 0, 1, 2)}
    guesses = [f"{number:06}" for number in range(20) if f"{number:06}" not in right][:5]
    codes = [code_of(await finish(api, session, guess, scope="notes:read")) for guess in guesses]
    assert codes == ["second_factor_wrong"] * 4 + ["second_factor_over"]
    assert (await finish(api, session, phone.code(), scope="notes:read")).status_code in {403, 429}


@pytest.mark.attack(101)
async def test_the_session_is_worth_nothing_in_another_app_or_too_late_or_after_it_was_used(api):
    phone = await add_factor(api.server)
    session = await begin(api)
    foreign = await finish(api, session, phone.code(), client_id="own-page", scope="notes:read")
    assert (foreign.status_code, code_of(foreign)) == (403, "second_factor_over")
    assert (await finish(api, session, phone.code(), scope="notes:read")).status_code == 200
    assert code_of(await finish(api, session, phone.code(1), scope="notes:read")) == "second_factor_over"
    late = await begin(api)
    await api.server.set_back(PendingSignIns, expires_at=timedelta(minutes=11))
    assert code_of(await finish(api, late, phone.code(1), scope="notes:read")) == "second_factor_over"


async def test_another_password_ends_what_waits(api):
    phone = await add_factor(api.server)
    session = await begin(api)
    await users.set_password(api.server.operator, USER.username, "another phrase of some length")
    assert code_of(await finish(api, session, phone.code(), scope="notes:read")) == "second_factor_over"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/username", "/password"}),
        ({"username": "ann"}, {"/password"}),
        ({"auth_session": "asf_x"}, {"/code"}),
        ({"code": "123456"}, {"/code", "/username", "/password"}),
        ({"auth_session": "asf_x", "code": "123456", "password": "x"}, {"/password"}),
    ],
)
async def test_the_two_steps_are_not_mixed_and_all_faults_are_named(api, body, pointers):
    answer = await api.post("login", client_id="phone-app", **body)
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == pointers


async def test_what_is_no_code_at_all_is_named_as_such(api):
    await add_factor(api.server)
    answer = await finish(api, await begin(api), "no code", scope="notes:read")
    assert answer.status_code == 400
    assert (await api.server.rows("SELECT attempts FROM pending_sign_ins"))[0].attempts == 0
