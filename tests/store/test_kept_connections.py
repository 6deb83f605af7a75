"""PostgreSQL's connections between two leases: kept at hand, and never with anything of the lease before."""

import asyncio

import pytest

from authserver.store import replays
from authserver.store.engine import Engine
from tests.store.samples import FUTURE

PID = "SELECT pg_backend_pid()"


async def ask(engine, sql, *, writing, hold=None):
    """Return one value, by the driver's own way; ``hold`` keeps the lease until it is set."""
    async with engine.begin() if writing else engine.read() as tx:
        ((value,),) = await tx.fetch(sql)
        if hold is not None:
            await hold.wait()
        return value


@pytest.fixture
async def small(postgresql_url):
    engine = Engine.open(postgresql_url, pool_size=3)
    yield engine
    await engine.close()


@pytest.mark.parametrize("writing", [True, False], ids=["transactions", "reads"])
async def test_one_lease_after_another_is_the_same_connection(postgresql, writing):
    assert len({await ask(postgresql, PID, writing=writing) for _ in range(5)}) == 1


async def test_connections_kept_for_reads_do_not_keep_transactions_waiting(small):
    await ask(small, PID, writing=False)
    hold = asyncio.Event()
    transactions = [asyncio.create_task(ask(small, PID, writing=True, hold=hold)) for _ in range(3)]
    await asyncio.sleep(0.3)
    hold.set()
    async with asyncio.timeout(1):
        assert len(set(await asyncio.gather(*transactions))) == 3


async def test_whoever_waits_at_the_pool_gets_the_next_connection_that_is_free(small):
    hold = asyncio.Event()
    holding = [asyncio.create_task(ask(small, PID, writing=True, hold=hold)) for _ in range(3)]
    await asyncio.sleep(0.3)
    waiting = asyncio.create_task(ask(small, PID, writing=False))
    await asyncio.sleep(0.1)
    assert not waiting.done(), "all three are taken"
    hold.set()
    async with asyncio.timeout(1):
        await asyncio.gather(waiting, *holding)


async def test_statements_of_both_ways_are_one_transaction_whichever_came_first(postgresql):
    for number, driver_first in enumerate([True, False]):
        async with postgresql.begin() as tx:
            if driver_first:
                await tx.fetch(PID)
            assert await replays.claim(tx, b"kept %d" % number, FUTURE)
            ((seen,),) = await tx.fetch("SELECT count(*) FROM replays")
        assert await ask(postgresql, "SELECT count(*) FROM replays", writing=False) == seen == number + 1


@pytest.mark.parametrize("by_core", [True, False], ids=["through SQLAlchemy", "past it"])
async def test_nothing_of_a_transaction_that_failed_is_left_for_the_next_lease(postgresql, by_core):
    insert = "INSERT INTO replays (key_hash, expires_at) VALUES ('\\x01', now()) RETURNING 1"
    with pytest.raises(ZeroDivisionError):
        async with postgresql.begin() as tx:
            if by_core:
                await replays.claim(tx, b"lost", FUTURE)
            else:
                await tx.fetch(insert)
            raise ZeroDivisionError
    for writing in (True, False):
        assert await ask(postgresql, "SELECT count(*) FROM replays", writing=writing) == 0


async def test_one_kept_connection_that_died_takes_the_others_along(postgresql):
    hold = asyncio.Event()
    leases = [asyncio.create_task(ask(postgresql, PID, writing=True, hold=hold)) for _ in range(3)]
    await asyncio.sleep(0.3)
    hold.set()
    dead = set(await asyncio.gather(*leases))
    async with postgresql.begin() as tx:
        ((own,),) = await tx.fetch(PID)
        await tx.fetch("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [list(dead - {own})])
    for _ in range(4):
        await ask(postgresql, PID, writing=True)
    after = await asyncio.gather(*(ask(postgresql, PID, writing=True) for _ in range(3)))
    assert not set(after) & (dead - {own})


async def test_whoever_is_cancelled_while_a_connection_is_made_leaves_none_behind(postgresql_url):
    engine = Engine.open(postgresql_url, pool_size=5)
    for number in range(40):
        task = asyncio.create_task(ask(engine, PID, writing=number % 2 == 0))
        await asyncio.sleep(number * 0.0005)  # from before the first packet to after the answer
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for kept in engine._database._take_kept():
            await kept.invalidate()  # so that the next one has to connect again
            await kept.close()
    assert engine._database._engine.pool.checkedout() == 0
    await engine.close()
