"""The natural batcher by itself: what arrives during a batch is the next one (DESIGN §6)."""

import asyncio
from collections.abc import Sequence

import pytest

from authserver.phases import UnavailableError, transaction_open
from authserver.store import batcher
from authserver.store.batcher import LARGEST_BATCH, QUEUE_LENGTH, Batcher


class Work:
    """Work that records its batches and ends each one when the test says so."""

    def __init__(self) -> None:
        self.batches: list[Sequence[int]] = []
        self.running = self.most_running = 0
        self.may_end = asyncio.Event()
        self.failure: BaseException | None = None

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(items)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await self.may_end.wait()
        self.running -= 1
        if self.failure is not None:
            raise self.failure
        return [ValueError(item) if item < 0 else item * 10 for item in items]


@pytest.fixture
def work() -> Work:
    return Work()


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def submit(batcher: Batcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await settle()
    return tasks


async def test_what_arrives_during_a_batch_is_the_next_batch(work):
    batches = Batcher(work, lanes=1)
    first = await submit(batches, [1])
    later = await submit(batches, [2]) + await submit(batches, [3, 4])
    assert work.batches == [[1]], "an item that finds nothing under way waits for nobody"
    work.may_end.set()
    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40]
    assert work.batches == [[1], [2, 3, 4]]


async def test_at_most_two_lanes_run_and_a_batch_has_at_most_64_items(work):
    batches = Batcher(work, lanes=2)
    tasks = [task for item in range(4) for task in await submit(batches, [item])]
    tasks += await submit(batches, range(4, 200))
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [item * 10 for item in range(200)]
    assert work.most_running == 2
    assert [len(batch) for batch in work.batches] == [1, 1, LARGEST_BATCH, LARGEST_BATCH, LARGEST_BATCH, 6]
    assert [item for batch in work.batches for item in batch] == list(range(200)), "first come, first served"


async def test_the_1001st_that_waits_is_told_to_come_back(work):
    batches = Batcher(work, lanes=1)
    under_way = await submit(batches, [0])
    waiting = await submit(batches, range(1, QUEUE_LENGTH + 1))
    with pytest.raises(UnavailableError) as caught:
        await batches.submit(QUEUE_LENGTH + 1)
    assert (caught.value.refusal, caught.value.retry_after) == ("server_busy", 1)
    work.may_end.set()
    await asyncio.gather(*under_way, *waiting)
    assert await batches.submit(5) == 50, "and finds room when the queue is shorter"


async def test_an_exception_that_is_an_outcome_is_that_items_alone(work):
    work.may_end.set()
    batches = Batcher(work, lanes=1)
    outcomes = await asyncio.gather(*await submit(batches, [1, -2, 3]), return_exceptions=True)
    assert outcomes[::2] == [10, 30]
    assert isinstance(outcomes[1], ValueError)


async def test_where_the_database_is_unavailable_it_is_so_for_all_of_a_batch(work):
    work.may_end.set()
    work.failure = UnavailableError("gone", retry_after=7)
    batches = Batcher(work, lanes=1)
    outcomes = await asyncio.gather(*await submit(batches, [1, 2]), return_exceptions=True)
    assert [(type(one), str(one), one.retry_after) for one in outcomes] == [(UnavailableError, "gone", 7)] * 2
    assert outcomes[0] is not outcomes[1]
    work.failure = None
    assert await batches.submit(3) == 30, "the lane goes on"


async def test_a_bug_in_a_batch_is_a_bug_to_all_of_it(work):
    work.may_end.set()
    work.failure = KeyError("bug")
    with pytest.raises(RuntimeError) as caught:
        await Batcher(work, lanes=1).submit(1)
    assert caught.value.__cause__ is work.failure


async def test_a_caller_that_goes_leaves_the_batch_alone(work):
    batches = Batcher(work, lanes=1)
    gone, stays = await submit(batches, [1, 2])
    dropped, waits = await submit(batches, [3, 4])
    gone.cancel()
    dropped.cancel()
    await settle()
    work.may_end.set()
    assert await asyncio.gather(stays, waits) == [20, 40]
    assert gone.cancelled()
    assert work.batches == [[1, 2], [4]], "what has begun is carried out, what waits is dropped"


async def test_nobody_waits_longer_than_the_deadline(work, monkeypatch):
    monkeypatch.setattr(batcher, "DEADLINE_SECONDS", 0.05)
    batches = Batcher(work, lanes=1)
    outcomes = await asyncio.gather(*await submit(batches, [1]), *await submit(batches, [2]), return_exceptions=True)
    assert [type(one) for one in outcomes] == [UnavailableError] * 2
    work.may_end.set()
    await batches.close()
    assert work.batches == [[1]], "what nobody waits for any more is not begun"


async def test_a_batcher_closes_when_all_is_done(work):
    batches = Batcher(work, lanes=1)
    tasks = await submit(batches, [1]) + await submit(batches, [2])
    closing = asyncio.create_task(batches.close())
    await settle()
    assert not closing.done()
    work.may_end.set()
    await closing
    assert await asyncio.gather(*tasks) == [10, 20]


async def test_who_holds_a_transaction_must_not_wait_for_a_batch(work):
    with transaction_open(), pytest.raises(RuntimeError, match="transaction is open"):
        await Batcher(work, lanes=1).submit(1)


async def test_a_lane_that_is_stopped_lets_its_callers_go(work):
    batches = Batcher(work, lanes=1)
    (task,) = await submit(batches, [1])
    for lane in list(batches._running):
        lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_asks_right_after_the_last_answer_is_served(work):
    """A lane that has found nothing more to do is over, although its task has not been taken off the list yet."""
    work.may_end.set()
    batches = Batcher(work, lanes=1)
    async with asyncio.timeout(1):
        assert [await batches.submit(number) for number in range(20)] == [number * 10 for number in range(20)]
