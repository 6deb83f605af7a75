"""Rows that are locked for long, and nodes that want the same rows all the time (SECURITY fault B31)."""

import asyncio
import time
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from authserver.phases import UnavailableError
from authserver.store import grants
from authserver.store.engine import Engine
from authserver.store.grant_batches import GrantBatches
from tests.faults.overlap import rotate, rotate_on_four_nodes
from tests.store.samples import GRANT

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
IDS = tuple(UUID(int=number) for number in range(1, 41))
NODE_SECONDS = 6


@pytest.fixture
async def engine(postgresql_url):
    """Give an engine on PostgreSQL with forty grants."""
    engine = Engine.open(postgresql_url)
    async with engine.begin() as tx:
        for grant_id in IDS:
            await grants.add(tx, replace(GRANT, id=grant_id, status_index=None))
    yield engine
    await engine.close()


async def generation_of(engine, grant_id):
    async with engine.read() as tx:
        return (await grants.get(tx, grant_id)).generation


@pytest.mark.fault("B31")
async def test_a_grant_that_a_stranger_holds_for_long_delays_only_itself(engine, postgresql_url, fault_seconds):
    locked, *free = IDS
    batches = GrantBatches(engine)
    refused, longest, rounds = [], 0.0, 0

    async def insist(until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            with pytest.raises(UnavailableError):
                await batches.decide(locked, rotate)
            refused.append(time.monotonic() - began)

    with psycopg.connect(postgresql_url) as stranger:
        stranger.execute("SELECT FROM grants WHERE id = %s FOR UPDATE", [locked])
        ends_at = time.monotonic() + fault_seconds
        insisting = [asyncio.create_task(insist(ends_at)) for _ in range(8)]
        while time.monotonic() < ends_at:
            began = time.monotonic()
            await asyncio.gather(*(batches.decide(grant_id, rotate) for grant_id in free))
            longest, rounds = max(longest, time.monotonic() - began), rounds + 1
        await asyncio.gather(*insisting)
    assert longest < 1.5, "no batch has waited for the lock, which would take two seconds"
    assert max(refused) < 6, "whoever wants the locked one hears so within a request's five seconds"
    assert [await generation_of(engine, grant_id) for grant_id in free] == [rounds] * len(free)
    assert await batches.decide(locked, rotate) == 1, "what was refused has changed nothing"
    await batches.close()


@pytest.mark.fault("B31")
async def test_overlapping_batches_of_four_nodes_lose_no_decision_and_meet_no_deadlock(engine, postgresql_url):
    times = await rotate_on_four_nodes(postgresql_url, IDS, NODE_SECONDS)
    assert await generation_of(engine, IDS[-1]) == times
