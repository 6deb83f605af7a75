"""A database that is away, slow or stuck: an answer within five seconds, and recovery without a restart."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from authserver.phases import UnavailableError
from authserver.store import grants, replays
from authserver.store.engine import Engine
from authserver.store.postgresql import DEADLINE_SECONDS, libpq_parameters
from tests.faults.proxy import Proxy, proxy_to
from tests.ports import free_ports
from tests.store.conftest import doubtful_commits
from tests.store.samples import FUTURE, GRANT, GRANT_ID

PATIENCE = DEADLINE_SECONDS + 1  # a second for a busy machine


@pytest.fixture
async def proxy(postgresql_url) -> AsyncIterator[Proxy]:
    async with proxy_to(postgresql_url) as proxy:
        yield proxy


@pytest.fixture
async def far(proxy) -> AsyncIterator[Engine]:
    """Give an engine on PostgreSQL behind the proxy."""
    engine = Engine.open(proxy.url, pool_size=2)
    yield engine
    proxy.thaw()
    await engine.close()


async def claim(engine: Engine, key: bytes) -> bool:
    async with engine.begin() as tx:
        return await replays.claim(tx, key, FUTURE)


async def assert_unavailable(engine: Engine, key: bytes = b"lost") -> None:
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        await claim(engine, key)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.fault("B5")
async def test_a_server_that_was_killed_is_unavailable_and_comes_back_by_itself(far, proxy):
    assert await claim(far, b"before")
    await proxy.cut()
    for _ in range(4):  # more often than the pool has connections
        await assert_unavailable(far)
    await proxy.open()
    assert await claim(far, b"after")
    assert not await claim(far, b"before"), "what was acknowledged is there"


@pytest.mark.fault("B5")
async def test_a_restart_between_two_transactions_is_not_even_noticed(far, proxy):
    assert await claim(far, b"before")
    proxy.drop()
    await asyncio.sleep(0.05)
    assert await claim(far, b"after")
    async with far.read() as tx:
        assert await tx.now()


@pytest.mark.fault("B5")
async def test_a_connection_that_breaks_in_the_middle_loses_the_whole_transaction(far, proxy):
    with pytest.raises(UnavailableError):
        async with far.begin() as tx:
            await replays.claim(tx, b"one", FUTURE)
            proxy.drop()
            await asyncio.sleep(0.05)
            await replays.claim(tx, b"two", FUTURE)
    assert await claim(far, b"one")


@pytest.mark.fault("B6")
async def test_a_server_that_says_nothing_is_given_up_after_the_deadline(far, proxy):
    assert await claim(far, b"before")
    proxy.freeze()
    await assert_unavailable(far)
    proxy.thaw()
    assert await claim(far, b"after")


@pytest.mark.fault("B6")
async def test_a_commit_without_an_answer_is_given_up_after_the_deadline(far, proxy):
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        async with far.begin() as tx:
            await replays.claim(tx, b"unknown", FUTURE)
            proxy.freeze()
    assert time.monotonic() - began < PATIENCE
    proxy.thaw()
    await claim(far, b"unknown")  # whether it was committed is unknown; that it answers is not


@pytest.mark.fault("B8")
async def test_one_locked_grant_is_unavailable_after_two_seconds_and_nothing_else_is(postgresql, postgresql_url):
    async with postgresql.begin() as tx:
        await grants.add(tx, GRANT)
    with psycopg.connect(postgresql_url) as stranger:
        stranger.execute("SELECT FROM grants WHERE id = %s FOR UPDATE", [GRANT_ID])
        began = time.monotonic()
        waiting = asyncio.create_task(lock_grant(postgresql))
        assert await claim(postgresql, b"another")
        assert time.monotonic() - began < 1
        with pytest.raises(UnavailableError):
            await waiting
        assert 1.5 < time.monotonic() - began < 4
    await lock_grant(postgresql)


async def lock_grant(engine: Engine) -> None:
    async with engine.begin() as tx:
        await grants.lock(tx, GRANT_ID)


async def test_whoever_waits_for_a_connection_gets_it_when_it_comes_free(far):
    async with far.begin() as one, far.begin() as two:
        await one.now()
        await two.now()
        waiting = [asyncio.create_task(claim(far, key)) for key in (b"first", b"second", b"third")]
        await asyncio.sleep(2.5)
        assert not any(task.done() for task in waiting)
    assert await asyncio.gather(*waiting) == [True, True, True]


@pytest.mark.fault("B6")
async def test_those_who_wait_for_a_connection_and_then_for_a_silent_server_are_told_in_time_too(far, proxy):
    proxy.freeze()
    await asyncio.gather(*(assert_unavailable(far, bytes([number])) for number in range(6)))
    proxy.thaw()
    assert await claim(far, b"after")


async def test_a_pool_that_is_used_up_is_unavailable(far):
    async with far.begin() as one, far.begin() as two:
        await one.now()
        await two.now()
        await assert_unavailable(far)
    assert await claim(far, b"after")


async def test_the_limits_hold_on_every_connection(postgresql):
    names = (
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "synchronous_commit",
        "TimeZone",
    )
    async with postgresql.read() as tx:
        found = [(await tx.raw(f"SHOW {name}")).scalar_one() for name in names]
    assert found == ["2s", "5s", "10s", "on", "UTC"]


@pytest.mark.fault("B4")
async def test_a_commit_that_the_standby_may_not_have_is_no_commit(postgresql, postgresql_url):
    with doubtful_commits(postgresql_url, "INSERT ON replays"), pytest.raises(UnavailableError, match="standby"):
        await claim(postgresql, b"doubtful")
    assert await claim(postgresql, b"sure")


def test_several_hosts_are_asked_for_the_one_that_can_be_written_to():
    parameters = libpq_parameters("postgresql://user:secret@one:5432,two:5433/name?connect_timeout=9")
    assert (parameters["host"], parameters["port"]) == ("one,two", "5432,5433")
    assert (parameters["target_session_attrs"], parameters["connect_timeout"]) == ("read-write", "9")


@pytest.mark.fault("B2")
async def test_the_second_host_is_used_where_the_first_is_gone(postgresql_url):
    (nobody,) = free_ports(1)
    engine = Engine.open(postgresql_url.replace("@", f"@127.0.0.1:{nobody},"))
    assert await claim(engine, b"key")
    await engine.close()


@pytest.mark.attack(126)
async def test_no_error_names_the_values_of_a_statement(engine):
    with pytest.raises(Exception, match=r"no such table|does not exist") as caught:
        async with engine.begin() as tx:
            await tx.raw(
                "SELECT * FROM not_there WHERE secret = " + ("?" if tx.dialect == "sqlite" else "%s"), ["hunter2"]
            )
    assert "hunter2" not in str(caught.value)
