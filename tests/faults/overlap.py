"""Several nodes that refresh the same grants at once, each in an order of its own."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from uuid import UUID

import psycopg

from authserver.oauth.refresh_rules import RowChange
from authserver.store.engine import Engine
from authserver.store.grant_batches import GrantBatches, Verdict
from authserver.store.grants import GrantAndUser


def rotate(found: GrantAndUser | None) -> Verdict[int]:
    """Move the grant on by one generation, and answer with the one it comes to."""
    assert found is not None
    generation = found.grant.generation + 1
    return Verdict(answer=generation, change=RowChange(generation=generation, rotated_at=found.now, late=-2))


async def rotate_on_four_nodes(postgresql_url: str, grant_ids: Sequence[UUID], seconds: float) -> int:
    """Rotate grants on four nodes in overlapping batches, two of them in opposite order, for so long.

    Return how often the last of the grants was rotated; no deadlock may have been met.
    """
    half = len(grant_ids) // 2
    orders = (
        grant_ids,
        grant_ids[::-1],
        [*grant_ids[half:], *grant_ids[:half]],
        [*grant_ids[::-2], *grant_ids[::2]],
    )
    before = deadlocks(postgresql_url)
    ends_at = time.monotonic() + seconds

    async def serve(node: GrantBatches, order: Sequence[UUID]) -> int:
        rounds = 0
        while time.monotonic() < ends_at:
            await asyncio.gather(*(node.decide(grant_id, rotate) for grant_id in order))
            rounds += 1
        return rounds

    async with AsyncExitStack() as stack:
        nodes = []
        for _ in orders:
            engine = Engine.open(postgresql_url, pool_size=8)
            stack.push_async_callback(engine.close)
            nodes.append(GrantBatches(engine))
            stack.push_async_callback(nodes[-1].close)
        rounds = await asyncio.gather(*map(serve, nodes, orders))
    assert min(rounds) > 0
    assert deadlocks(postgresql_url) == before
    return sum(rounds[number] * list(order).count(grant_ids[-1]) for number, order in enumerate(orders))


def deadlocks(postgresql_url: str) -> int:
    """Return how many deadlocks this database has seen; a connection's end tells the server's statistics of its own."""
    with psycopg.connect(postgresql_url) as observer:
        row = observer.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])
