"""The user hears of a refresh token that came twice, in the transaction that ends its family (DESIGN §5 row 7)."""

import asyncio
from dataclasses import replace

import pytest

from authserver.store import users
from tests.features.test_refresh_attacks import STRICT
from tests.mailbox import mails
from tests.oauth.examples import USER, WEB
from tests.server import SPA


async def reuse(server, times=1):
    """Refresh once with a client that forgives nothing, and present the old token again."""
    await server.add_clients(STRICT)
    old = (await server.code_flow(STRICT))["refresh_token"]
    assert (await server.refresh(old, STRICT)).status_code == 200
    answers = await asyncio.gather(*(server.refresh(old, STRICT) for _ in range(times)))
    assert {answer.status_code for answer in answers} == {400}


@pytest.mark.attack(38)
async def test_the_user_is_told_once_however_often_the_token_comes(server):
    await reuse(server, times=5)
    (mail,) = await mails(server)
    assert (mail.kind, mail.to, mail.parameters) == ("refresh_token_reuse", USER.email, {"app": STRICT.client_name})


async def test_the_notice_is_in_the_users_language(server):
    async with server.services.engine.begin() as tx:
        user = await users.get(tx, USER.id)
        await users.update(tx, replace(user, locale="de"))
    await reuse(server)
    assert [mail.locale for mail in await mails(server)] == ["de"]


async def test_an_address_that_nobody_has_proven_hears_nothing(server):
    async with server.services.engine.begin() as tx:
        await users.update(tx, replace(await users.get(tx, USER.id), email_verified=False))
    await reuse(server)
    assert await mails(server) == []


async def test_a_refusal_that_revokes_nothing_tells_nobody(server):
    tokens = await server.code_flow(WEB)
    assert (await server.refresh(tokens["refresh_token"], SPA)).status_code == 400
    assert await mails(server) == []
