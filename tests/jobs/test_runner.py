"""Jobs go on whatever happens to a run, and a leased one is done by one process at a time (SECURITY B25)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from authserver.jobs.runner import LONGEST_SLACK, Job, Jobs
from authserver.phases import UnavailableError
from authserver.store import leases
from authserver.store.engine import Engine

EVERY = 0.02


class Node:
    """One process's jobs: a leased one, and one that every process does."""

    def __init__(self, engine: Engine, owner: UUID) -> None:
        self.leased: asyncio.Queue[None] = asyncio.Queue()  # runs, until a test has counted them
        self.own: asyncio.Queue[None] = asyncio.Queue()
        self.refused: asyncio.Queue[None] = asyncio.Queue()  # claims
        self.failures: list[Exception] = []  # what the next runs of the leased job raise
        self.jobs = Jobs(
            (
                Job(name="leased", run=self._do_leased, every=EVERY, leased=True),
                Job(name="own", run=self._do_own, every=EVERY, leased=False),
            ),
            engine=engine,
            owner=owner,
        )

    async def _do_leased(self) -> None:
        self.leased.put_nowait(None)
        if self.failures:
            raise self.failures.pop()

    async def _do_own(self) -> None:
        self.own.put_nowait(None)

    async def die(self) -> None:
        """End as a killed process does: nothing more is done, and no lease is given up."""
        for task in self.jobs._tasks:
            task.cancel()
        await asyncio.gather(*self.jobs._tasks, return_exceptions=True)


async def three_more(queue: "asyncio.Queue[None]") -> None:
    """Wait until it has happened three times from now on."""
    while not queue.empty():
        queue.get_nowait()
    async with asyncio.timeout(10):
        for _ in range(3):
            await queue.get()


@pytest.fixture
async def nodes(engine, monkeypatch) -> AsyncIterator[tuple[Node, Node]]:
    """Give two processes whose leases outlast the test, however slow the machine is."""
    monkeypatch.setattr(Job, "lease_lifetime", timedelta(minutes=5))
    by_owner = {owner: Node(engine, owner) for owner in (UUID(int=1), UUID(int=2))}
    claim = leases.claim

    async def watched_claim(tx, name, owner, lifetime):
        is_ours = await claim(tx, name, owner, lifetime)
        if not is_ours:
            by_owner[owner].refused.put_nowait(None)
        return is_ours

    monkeypatch.setattr(leases, "claim", watched_claim)
    one, other = by_owner.values()
    yield one, other
    await one.jobs.stop()
    await other.jobs.stop()


async def lease_rows(engine):
    async with engine.read() as tx:
        return (await tx.raw("SELECT count(*) FROM leases")).scalar_one()


@pytest.mark.fault("B25")
async def test_a_leased_job_of_two_processes_runs_in_one_only_and_the_other_kind_in_both(nodes):
    one, other = nodes
    one.jobs.start()
    await three_more(one.leased)
    other.jobs.start()
    await three_more(other.refused)
    await three_more(other.own)
    await three_more(one.leased)
    assert other.leased.empty()
    assert one.refused.empty()


@pytest.mark.fault("B25")
async def test_another_process_takes_over_as_soon_as_the_first_one_stops(nodes, engine):
    one, other = nodes
    one.jobs.start()
    await three_more(one.leased)
    other.jobs.start()
    await three_more(other.refused)
    await one.jobs.stop()
    await three_more(other.leased)
    await other.jobs.stop()
    assert await lease_rows(engine) == 0


@pytest.mark.fault("B25")
async def test_another_process_takes_over_from_a_dead_one_when_its_lease_is_over(nodes, engine):
    one, other = nodes
    one.jobs.start()
    await three_more(one.leased)
    await one.die()
    other.jobs.start()
    await three_more(other.refused)
    assert other.leased.empty()
    async with engine.begin() as tx:
        await tx.raw("UPDATE leases SET expires_at = '2020-01-01 00:00:00.000000'")
    await three_more(other.leased)


async def test_a_process_that_stops_leaves_another_ones_lease_alone(nodes, engine):
    one, other = nodes
    one.jobs.start()
    await three_more(one.leased)
    other.jobs.start()
    await three_more(other.refused)
    await other.jobs.stop()
    assert await lease_rows(engine) == 1


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        pytest.param(ZeroDivisionError(), {"event": "job_failed", "log_level": "error"}, id="a bug"),
        pytest.param(
            UnavailableError("away"),
            {"event": "job_delayed", "log_level": "warning", "cause": "away"},
            id="no database",
        ),
    ],
)
async def test_a_failing_run_is_logged_and_tried_again(nodes, failure, event):
    node, _ = nodes
    node.failures.append(failure)
    with capture_logs() as log:
        node.jobs.start()
        await three_more(node.leased)
    assert event.items() <= log[0].items()
    assert [entry["job"] for entry in log] == ["leased"]


async def test_a_lease_that_cannot_be_claimed_is_tried_again_and_the_work_waits(nodes, monkeypatch):
    node, _ = nodes
    tries: asyncio.Queue[None] = asyncio.Queue()

    async def fail(*_: object) -> None:
        tries.put_nowait(None)
        raise UnavailableError("away")

    with capture_logs() as log, monkeypatch.context() as patch:
        patch.setattr(leases, "claim", fail)
        node.jobs.start()
        await three_more(tries)
        assert node.leased.empty()
    await three_more(node.leased)
    assert {(entry["event"], entry["job"]) for entry in log} == {("job_delayed", "leased")}


async def test_a_stop_without_a_database_leaves_the_lease_to_its_end(nodes, engine, monkeypatch):
    node, _ = nodes
    node.jobs.start()
    await three_more(node.leased)
    with capture_logs() as log, monkeypatch.context() as patch:
        patch.setattr(leases, "release", be_away)
        await node.jobs.stop()
    assert [(entry["event"], entry["jobs"]) for entry in log] == [("leases_kept", ["leased"])]
    assert await lease_rows(engine) == 1


async def be_away(*_: object) -> None:
    raise UnavailableError("away")


@pytest.mark.parametrize("every", [1.0, 60.0, 600.0, 3600.0])
def test_a_lease_outlasts_the_wait_for_the_next_run_and_a_dead_owner_not_by_much(every):
    lifetime = Job(name="any", run=be_away, every=every, leased=True).lease_lifetime.total_seconds()
    assert every < lifetime <= every + LONGEST_SLACK


async def test_a_woken_job_runs_at_once_and_again_where_it_was_woken_during_a_run(engine):
    wake, runs, gate = asyncio.Event(), [], asyncio.Event()

    async def run() -> None:
        runs.append(None)
        if len(runs) == 1:
            wake.set()
            await gate.wait()

    jobs = Jobs((Job(name="woken", run=run, every=3600.0, leased=False, wake=wake),), engine=engine, owner=UUID(int=1))
    jobs.start()
    await asyncio.sleep(0)
    assert runs == [], "it waits its interval first"
    wake.set()
    async with asyncio.timeout(10):
        while not runs:  # noqa: ASYNC110 - a run leaves nothing else to wait for
            await asyncio.sleep(0.001)
        gate.set()
        while len(runs) < 2:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert len(runs) == 2, "and then it waits again"
    await jobs.stop()
