"""Clients that strangers registered and nobody uses are ended; all others are left alone (SECURITY row 79)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.store import clients, codes, consents, grants, state
from authserver.store.directory import Directory
from authserver.store.unused_clients import UNUSED_KEPT, end_unused_clients
from tests.store.conftest import add_people
from tests.store.samples import CLIENT, CODE, GRANT, SESSION, USER

VOUCHED_FOR = replace(CLIENT, client_id="vouched-for", self_registered=False)


async def add(engine, client, age):
    async with engine.begin() as tx:
        await clients.add(tx, replace(client, created_at=await tx.now() - age))


@pytest.mark.attack(79)
async def test_an_unused_client_is_ended_after_a_month_and_not_before(engine):
    await add(engine, replace(CLIENT, client_id="old"), UNUSED_KEPT + timedelta(seconds=1))
    await add(engine, replace(CLIENT, client_id="new"), UNUSED_KEPT - timedelta(minutes=1))
    await add(engine, VOUCHED_FOR, UNUSED_KEPT * 2)
    directory = Directory(engine)
    await directory.refresh()
    assert await end_unused_clients(engine) == 1
    await directory.refresh()
    assert {client.client_id for client in directory.clients} == {"new", "vouched-for"}
    async with engine.read() as tx:
        ended = await clients.get(tx, "old")
        assert ended is not None
        assert (ended.deleted_at is None, ended.secrets) == (False, ())


@pytest.mark.attack(79)
@pytest.mark.parametrize("use", ["grant", "consent", "code"])
async def test_a_client_that_somebody_uses_is_kept(engine, use):
    await add_people(engine)
    await add(engine, replace(CLIENT, client_id="used"), UNUSED_KEPT * 2)
    async with engine.begin() as tx:
        if use == "grant":
            await grants.add(tx, replace(GRANT, client_id="used", user_id=USER.id, session_id=SESSION.id))
        elif use == "consent":
            await consents.merge(tx, USER.id, "used", frozenset({"openid"}), ())
        else:
            await codes.add(tx, replace(CODE, client_id="used"))
    await end_unused_clients(engine)
    async with engine.read() as tx:
        used = await clients.get(tx, "used")
        assert used is not None
        assert used.is_active


async def test_where_nothing_is_unused_the_version_stays(engine):
    await add(engine, VOUCHED_FOR, UNUSED_KEPT * 2)
    async with engine.read() as tx:
        before = (await state.load(tx)).version
    assert await end_unused_clients(engine) == 0
    async with engine.read() as tx:
        assert (await state.load(tx)).version == before


async def test_batches_add_up(engine):
    for number in range(5):
        await add(engine, replace(CLIENT, client_id=f"old-{number}"), UNUSED_KEPT * 2)
    assert await end_unused_clients(engine, batch=2) == 5


async def test_a_client_that_is_being_used_right_now_is_skipped(postgresql):
    await add(postgresql, replace(CLIENT, client_id="old"), UNUSED_KEPT * 2)
    async with postgresql.begin() as tx:
        await clients.lock_for_share(tx, "old")
        assert await end_unused_clients(postgresql) == 0
    assert await end_unused_clients(postgresql) == 1
