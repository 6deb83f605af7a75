"""Logout notices as rows: written with the end of the session, claimed by one, settled once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from authserver.store import clients, grants, logout_notices, sessions, users
from authserver.store.engine import Engine
from tests.store.samples import CLIENT, FUTURE, GRANT, NOW, SESSION, USER

OWNER, OTHER = UUID(int=1), UUID(int=2)
QUIET = replace(CLIENT, client_id="quiet", backchannel_logout_uri=None, secrets=())
DELETED = replace(CLIENT, client_id="deleted", deleted_at=NOW, secrets=())
LIVE = replace(SESSION, expires_at=FUTURE)


@pytest.fixture
async def engine(engine: Engine) -> Engine:
    """A database with a session in which three clients hold something."""
    await add_session(engine)
    return engine


async def add_session(engine):
    """Store a session with three clients; one of them is there and wants to hear of its end."""
    async with engine.begin() as tx:
        await users.add(tx, USER)
        await sessions.add(tx, LIVE, b"cookie", user_agent="", address="")
        for number, client in enumerate((CLIENT, QUIET, DELETED)):
            await clients.add(tx, client)
            grant = replace(GRANT, id=UUID(int=20 + number), client_id=client.client_id, status_index=None)
            await grants.add(tx, replace(grant, session_id=LIVE.id))


async def end(engine):
    async with engine.begin() as tx:
        await sessions.end(tx, LIVE.id, await tx.now(), "test")


async def listed(engine, **which):
    async with engine.read() as tx:
        return await logout_notices.list_all(tx, **which)


async def claim(engine, owner=OWNER, **more):
    async with engine.begin() as tx:
        return await logout_notices.claim_next(tx, owner, **more)


async def test_a_notice_is_there_with_the_end_of_the_session_and_not_without(engine):
    class RollBackError(Exception):
        pass

    with pytest.raises(RollBackError):
        async with engine.begin() as tx:
            await sessions.end(tx, LIVE.id, await tx.now(), "test")
            raise RollBackError
    assert await listed(engine) == ()
    await end(engine)
    (notice,) = await listed(engine)
    assert (notice.client_id, notice.session_id, notice.user_id) == (CLIENT.client_id, LIVE.id, USER.id)
    assert (notice.state, notice.told_state, notice.attempts) == ("waiting", "waiting", 0)


@pytest.mark.fault("B29")
async def test_whoever_ends_a_session_waits_for_the_grant_that_is_being_stored_and_tells_its_client(postgresql):
    await add_session(postgresql)
    late = replace(GRANT, id=UUID(int=30), client_id="late", status_index=None, session_id=LIVE.id)
    async with postgresql.begin() as tx:
        await clients.add(tx, replace(CLIENT, client_id="late", secrets=()))
    async with postgresql.begin() as tx:
        await sessions.lock_for_share(tx, LIVE.id)
        ending = asyncio.create_task(end(postgresql))
        await asyncio.sleep(0.1)
        assert not ending.done()
        await grants.add(tx, late)
    await ending
    assert {notice.client_id for notice in await listed(postgresql)} == {CLIENT.client_id, "late"}


@pytest.mark.fault("B29")
async def test_a_session_that_ends_while_its_grants_are_purged_is_told_all_the_same(postgresql):
    await add_session(postgresql)
    async with postgresql.begin() as tx:
        await tx.raw("DELETE FROM grants")
        await logout_notices.keep_clients(tx, [(LIVE.id, CLIENT.client_id)])
        await asyncio.wait_for(end(postgresql), 2)  # neither waits for the other
    assert [notice.client_id for notice in await listed(postgresql)] == [CLIENT.client_id]


async def test_of_two_that_claim_at_once_one_gets_it(engine):
    await end(engine)
    claimed = await asyncio.gather(claim(engine, OWNER), claim(engine, OTHER))
    assert sorted(notice is None for notice in claimed) == [False, True]
    assert await claim(engine) is None


async def test_clients_that_are_left_out_are_passed_over(engine):
    await end(engine)
    assert await claim(engine, leave_out=[CLIENT.client_id]) is None
    async with engine.read() as tx:
        assert not await logout_notices.is_any_due(tx, leave_out=[CLIENT.client_id])
        assert await logout_notices.is_any_due(tx, leave_out=["another"])
    assert await claim(engine, leave_out=["another"]) is not None


async def test_whoever_has_lost_the_claim_changes_nothing_but_to_say_that_it_was_delivered(engine):
    await end(engine)
    notice = await claim(engine, OTHER)
    async with engine.begin() as tx:
        await logout_notices.put_off(tx, notice.id, OWNER, timedelta(hours=1), "503")
        assert not await logout_notices.settle(tx, notice.id, OWNER, "failed", "503")
    assert (await listed(engine))[0].last_answer is None
    async with engine.begin() as tx:
        assert await logout_notices.settle(tx, notice.id, OWNER, "delivered", "200")
        assert not await logout_notices.settle(tx, notice.id, OTHER, "refused", "400")
    assert (await listed(engine))[0].state == "delivered"


async def test_what_is_kept_of_purged_grants_ends_with_the_session(engine):
    async with engine.begin() as tx:
        held = [(LIVE.id, CLIENT.client_id), (LIVE.id, "quiet"), (UUID(int=99), CLIENT.client_id), (None, "quiet")]
        for _ in range(2):
            await logout_notices.keep_clients(tx, held)
        await logout_notices.keep_clients(tx, [])
        rows = (await tx.raw("SELECT client_id FROM session_clients ORDER BY client_id")).all()
        assert [row.client_id for row in rows] == [CLIENT.client_id, "quiet"]
        await tx.raw("DELETE FROM grants")
    await end(engine)
    assert [notice.client_id for notice in await listed(engine)] == [CLIENT.client_id]
    async with engine.begin() as tx:
        await logout_notices.keep_clients(tx, [(LIVE.id, CLIENT.client_id)])
        await tx.raw("DELETE FROM sessions")
        assert (await tx.raw("SELECT client_id FROM session_clients")).all() == []
