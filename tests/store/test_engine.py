"""Engine and Tx: one short transaction, whole or not at all, and nothing slow inside (DESIGN §3 and §4)."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from sqlalchemy import insert

from authserver.hasher import Hasher
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.phases import forbid_open_transaction
from authserver.store import replays, resources, state
from authserver.store.engine import ConflictError, Engine, UnsupportedDatabaseError
from authserver.store.tables import Resources
from tests.store.samples import FUTURE, RESOURCE


async def test_a_transaction_commits_at_the_end_of_its_block(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
    async with engine.read() as tx:
        assert await resources.get(tx, RESOURCE.identifier) == RESOURCE


async def test_a_bug_rolls_everything_back(engine):
    with pytest.raises(ZeroDivisionError):
        async with engine.begin() as tx:
            await resources.add(tx, RESOURCE)
            raise ZeroDivisionError
    async with engine.read() as tx:
        assert await resources.list_all(tx) == ()


async def test_an_oauth_error_caught_inside_is_an_answer_and_commits(engine):
    async with engine.begin() as tx:
        with pytest.raises(OAuthError):
            await replays.claim(tx, b"key", FUTURE)
            raise OAuthError(ErrorCode.INVALID_GRANT, "no", Refusal.CODE_EXPIRED)
    async with engine.begin() as tx:
        assert not await replays.claim(tx, b"key", FUTURE)


async def test_nothing_is_leased_before_the_first_statement(sqlite):
    async with sqlite.begin(), sqlite.begin() as second:  # two writers at once would wait for each other
        assert (await second.now()).tzinfo is not None


async def test_readers_see_committed_data_only(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
        async with engine.read() as reader:
            assert await resources.list_all(reader) == ()


async def test_the_clock_is_read_once_in_a_transaction_and_is_the_databases(engine):
    async with engine.begin() as tx:
        first = await tx.now()
        await asyncio.sleep(0.01)
        assert await tx.now() == first
    async with engine.begin() as tx:
        assert first + timedelta(milliseconds=9) <= await tx.now() < first + timedelta(minutes=1)


async def test_a_taken_key_is_a_conflict_and_nothing_of_the_transaction_stays(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
    before = await version_of(engine)
    with pytest.raises(ConflictError):
        async with engine.begin() as tx:
            await resources.add(tx, RESOURCE)
    assert await version_of(engine) == before


async def test_after_an_error_of_the_database_a_transaction_cannot_go_on(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
    with pytest.raises(RuntimeError, match="after an error"):
        async with engine.begin() as tx:
            with pytest.raises(ConflictError):
                await resources.add(tx, RESOURCE)
            await tx.now()


async def test_an_error_of_the_database_cannot_be_swallowed(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
    with pytest.raises(RuntimeError, match="after an error"):
        async with engine.begin() as tx:
            await replays.claim(tx, b"key", FUTURE)
            with pytest.raises(ConflictError):
                await resources.add(tx, RESOURCE)
    async with engine.begin() as tx:
        assert await replays.claim(tx, b"key", FUTURE), "half a transaction was committed"


@pytest.mark.fault("B32")
async def test_slow_work_is_refused_while_a_transaction_is_open(engine):
    hasher = Hasher()
    async with engine.begin():
        with pytest.raises(RuntimeError, match="transaction is open"):
            await hasher.hash("a password")
    async with engine.read():
        with pytest.raises(RuntimeError, match="transaction is open"):
            forbid_open_transaction("a fetch")
    forbid_open_transaction("a fetch")


async def test_a_transaction_cancelled_between_statements_is_rolled_back(engine):
    started = asyncio.Event()

    async def stall() -> None:
        async with engine.begin() as tx:
            await replays.claim(tx, b"key", FUTURE)
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(stall())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_claimable(engine)


@pytest.mark.parametrize("turns", range(12))
async def test_a_transaction_cancelled_anywhere_leaves_the_database_free(engine, turns):
    """The loop runs a task for one turn after another, so each ``turns`` cancels at another await."""

    async def claim() -> None:
        async with engine.begin() as tx:
            await replays.claim(tx, b"other", FUTURE)
            await replays.claim(tx, b"another", FUTURE)

    task = asyncio.create_task(claim())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):  # late turns find the task at its end
        await task
    await assert_claimable(engine)


async def test_a_task_that_is_cancelled_while_it_waits_for_the_writer_takes_nothing_with_it(sqlite):
    async with sqlite.begin() as tx:
        await tx.now()
        waiting = asyncio.create_task(assert_claimable(sqlite))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await assert_claimable(sqlite)


async def test_a_cancelled_statement_gives_its_connection_back(postgresql):
    for _ in range(12):  # more often than the pool has connections
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), postgresql.begin() as tx:
                await tx.raw("SELECT pg_sleep(3)")
    await assert_claimable(postgresql)


async def test_raw_statements_and_core_share_one_transaction(engine):
    async with engine.begin() as tx:
        await tx.execute(insert(Resources).values(identifier="urn:x", name="x", scope=frozenset(), verified_scope=()))
        mark = "?" if tx.dialect == "sqlite" else "%s"
        row = (await tx.raw(f"SELECT name FROM resources WHERE identifier = {mark}", ["urn:x"])).one()
        assert row.name == "x"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://localhost/x", "postgresql://[", "x"])
def test_a_url_that_names_no_database_of_ours_is_refused(url):
    with pytest.raises(UnsupportedDatabaseError):
        Engine.open(url)


async def version_of(engine):
    async with engine.read() as tx:
        return (await state.load(tx)).version


async def assert_claimable(engine):
    async with asyncio.timeout(5), engine.begin() as tx:
        assert await replays.claim(tx, b"key", FUTURE)
