"""What an app sees where PostgreSQL undoes its request's transaction in a deadlock: nothing."""

import asyncio

import psycopg
import pytest

from authserver.store import code_rows, codes
from authserver.store.code_batches import CodeBatches


@pytest.mark.fault("B28")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a batch"])
async def test_a_redemption_that_met_a_deadlock_makes_one_grant(server, postgresql_url, monkeypatch, alone):
    claims = []
    holds_the_code = asyncio.Event()
    module, name = (codes, "claim") if alone else (code_rows, "hold_codes")
    original = getattr(module, name)

    async def claim(tx, *arguments):
        claims.append(tx)
        claimed = await original(tx, *arguments)
        holds_the_code.set()
        return claimed

    async def find_nothing(*_arguments):
        return None

    monkeypatch.setattr(module, name, claim)
    if alone:
        monkeypatch.setattr(CodeBatches, "redeem", find_nothing)
    code = await server.get_code()
    async with await psycopg.AsyncConnection.connect(postgresql_url) as stranger:
        await stranger.execute("SET deadlock_timeout = '1min'")  # so that it is the server's side which is undone
        await stranger.execute("LOCK TABLE grants IN SHARE MODE")
        redeeming = asyncio.create_task(server.redeem(code))
        await holds_the_code.wait()
        await stranger.execute("SELECT FROM authorization_codes FOR UPDATE")
        await stranger.rollback()
    answer = await redeeming
    assert answer.status_code == 200, answer.text
    assert len(claims) == 2, "the claim of the code was undone and made again"
    (grant,) = await server.rows("SELECT revoked_at FROM grants")
    assert grant.revoked_at is None
    refreshed = await server.refresh(answer.json()["refresh_token"])
    assert refreshed.status_code == 200, "its second claim was no replay"
