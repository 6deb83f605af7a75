"""Transactions that PostgreSQL undoes for another one's sake: run again whole, with their effects once."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from authserver.phases import UnavailableError, transaction_open
from authserver.store import audit, grants
from authserver.store.audit import AuditEntry
from authserver.store.engine import RETRIES, Engine, RetryableError, Tx
from authserver.store.grant_batches import GrantBatches, Verdict
from tests.store.samples import GRANT

ONE, OTHER = UUID(int=1), UUID(int=2)
ENDED = AuditEntry(event="grant_revoked", detail={"reason": "test"})


@pytest.fixture
async def engine(postgresql: Engine) -> Engine:
    """Give an engine on PostgreSQL with two grants."""
    async with postgresql.begin() as tx:
        for grant_id in (ONE, OTHER):
            await grants.add(tx, replace(GRANT, id=grant_id, status_index=None))
    return postgresql


@pytest.fixture
async def batches(engine: Engine) -> AsyncIterator[GrantBatches]:
    batches = GrantBatches(engine)
    yield batches
    await batches.close()


@pytest.fixture
async def stranger(postgresql_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Give a connection that looks for deadlocks so late that it is always the other side which is undone."""
    async with await psycopg.AsyncConnection.connect(postgresql_url) as connection:
        await connection.execute("SET deadlock_timeout = '1min'")
        yield connection
        await connection.rollback()


async def lock(stranger: psycopg.AsyncConnection, grant_id: UUID) -> None:
    await stranger.execute("SELECT FROM grants WHERE id = %s FOR UPDATE", [grant_id])


async def lock_then_let_go(stranger: psycopg.AsyncConnection, grant_id: UUID) -> None:
    """Wait for a grant that somebody holds who waits for us, and end as soon as it is ours."""
    await lock(stranger, grant_id)
    await stranger.rollback()


class Revocation:
    """A decision that counts how often it is taken, and tells when it is."""

    def __init__(self) -> None:
        self.runs = 0
        self.begun = asyncio.Event()

    def __call__(self, found: grants.GrantAndUser | None) -> Verdict[bool]:
        self.runs += 1
        self.begun.set()
        assert found is not None
        return Verdict(answer=found.grant.revoked_at is None, revoke_reason="test", audit=(ENDED,))


async def count_of_audit(engine: Engine) -> int:
    async with engine.read() as tx:
        return len(await audit.list_all(tx))


@pytest.mark.fault("B28")
async def test_a_deadlock_over_two_grants_is_broken_and_the_work_done_once(engine, stranger):
    runs = []
    holds_one = asyncio.Event()

    async def work(tx: Tx) -> int:
        runs.append(tx)
        await audit.add(tx, "began", detail={})
        await grants.lock(tx, ONE)
        holds_one.set()
        await grants.lock(tx, OTHER)
        return len(runs)

    await lock(stranger, OTHER)
    working = asyncio.create_task(engine.retrying(work))
    await holds_one.wait()
    await lock_then_let_go(stranger, ONE)
    assert await working == 2
    assert len(set(map(id, runs))) == 2, "each run has a transaction of its own"
    assert await count_of_audit(engine) == 1, "what the first run wrote is gone"


@pytest.mark.fault("B28")
async def test_a_batch_that_met_a_deadlock_is_decided_again_and_stored_once(engine, batches, stranger):
    decisions = {ONE: Revocation(), OTHER: Revocation()}
    await stranger.execute("LOCK TABLE audit_events IN SHARE MODE")  # the batch waits for it with its grants locked
    deciding = [asyncio.create_task(batches.decide(grant_id, decide)) for grant_id, decide in decisions.items()]
    await decisions[OTHER].begun.wait()
    await lock_then_let_go(stranger, ONE)
    assert await asyncio.gather(*deciding) == [True, True]
    assert [decide.runs for decide in decisions.values()] == [2, 2]
    assert await count_of_audit(engine) == 2


@pytest.mark.fault("B28")
async def test_a_decision_that_waited_for_its_row_and_met_a_deadlock_is_stored_once(
    engine, batches, stranger, postgresql_url
):
    revocation = Revocation()
    async with await psycopg.AsyncConnection.connect(postgresql_url) as holder:
        await lock(holder, ONE)
        deciding = asyncio.create_task(batches.decide(ONE, revocation))
        await asyncio.sleep(0.2)
        assert revocation.runs == 0, "the grant is in the waiting lane"
        await stranger.execute("LOCK TABLE audit_events IN SHARE MODE")
        await holder.rollback()
    await revocation.begun.wait()
    await lock_then_let_go(stranger, ONE)
    assert await deciding is True
    assert revocation.runs == 2
    assert await count_of_audit(engine) == 1


@pytest.mark.fault("B28")
async def test_a_serialization_failure_is_run_again_on_what_is_there_by_then(engine, postgresql_url):
    seen = []

    async def work(tx: Tx) -> None:
        await tx.raw("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        generation = (await tx.raw("SELECT generation FROM grants WHERE id = %s", [ONE])).scalar_one()
        seen.append(generation)
        if len(seen) == 1:
            async with await psycopg.AsyncConnection.connect(postgresql_url) as other:
                await other.execute("UPDATE grants SET generation = 7 WHERE id = %s", [ONE])
        await tx.raw("UPDATE grants SET generation = %s WHERE id = %s", [generation + 1, ONE])

    await engine.retrying(work)
    assert seen == [0, 7]
    async with engine.read() as tx:
        assert (await grants.get(tx, ONE)).generation == 8


@pytest.mark.fault("B28")
async def test_three_retries_are_the_end_and_the_answer_is_that_of_a_database_that_is_not_there(engine):
    runs = []

    async def work(tx: Tx) -> None:
        runs.append(tx)
        await tx.raw("DO $$ BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = '40001'; END $$")

    with pytest.raises(UnavailableError) as caught:
        await engine.retrying(work)
    assert isinstance(caught.value, RetryableError)
    assert caught.value.refusal == "storage_unavailable"
    assert len(runs) == 1 + RETRIES


async def test_what_is_no_deadlock_is_not_run_again(engine):
    runs = []

    async def work(tx: Tx) -> None:
        runs.append(tx)
        await tx.raw("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")

    with pytest.raises(UnavailableError) as caught:
        await engine.retrying(work)
    assert not isinstance(caught.value, RetryableError)
    assert len(runs) == 1


async def test_nothing_is_tried_again_after_a_requests_five_seconds(engine, monkeypatch):
    monkeypatch.setattr("authserver.store.engine.RETRY_WITHIN", 0.05)
    runs = []

    async def work(tx: Tx) -> None:
        runs.append(tx)
        await asyncio.sleep(0.1)
        await tx.raw("DO $$ BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = '40001'; END $$")

    began = time.monotonic()
    with pytest.raises(RetryableError):
        await engine.retrying(work)
    assert len(runs) == 1
    assert time.monotonic() - began < 2


async def test_nobody_pauses_with_a_transaction_open(engine):
    async def work(tx: Tx) -> None:
        await tx.raw("DO $$ BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = '40001'; END $$")

    with transaction_open(), pytest.raises(RuntimeError, match="while a transaction is open"):
        await engine.retrying(work)
