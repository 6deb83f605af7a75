"""The natural batcher: what arrives while a batch is under way makes up the next one (DESIGN §6).

No timer collects anything: where there is little to do a batch is one item and waits for nobody, and the more there is
the larger the batches are. It knows nothing of databases; the work is the caller's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from authserver.oauth.errors import Refusal
from authserver.phases import UnavailableError, forbid_open_transaction
from authserver.store.failures import ConflictError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

LARGEST_BATCH: Final = 64
QUEUE_LENGTH: Final = 1000
DEADLINE_SECONDS: Final = 5.0


def busy() -> UnavailableError:
    """Return the answer to whoever finds the queue full."""
    return UnavailableError("too much is waiting for the database", refusal=Refusal.SERVER_BUSY)


def deadline() -> float:
    """Return the moment, of the event loop's clock, until which a request that begins now may wait."""
    return asyncio.get_running_loop().time() + DEADLINE_SECONDS


class Batcher(Generic[Item, Outcome]):
    """Does items in batches, in at most ``lanes`` batches at once.

    ``work`` gives an outcome for each item of a batch, in the batch's order; an outcome that is an exception is raised
    to that item's caller alone. Where ``work`` itself raises, all the batch's callers hear of it.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome | Exception]]], *, lanes: int
    ) -> None:
        """Keep the work; nothing runs before the first item."""
        self._work = work
        self._lanes = lanes
        self._open_lanes = 0  # that will still look at what waits; ``_running`` holds the tasks until they have ended
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()

    async def submit(self, item: Item, *, until: float | None = None) -> Outcome:
        """Return the item's outcome; ``until`` is a moment of the event loop's clock, in five seconds by default.

        Raise UnavailableError where the queue is full, or where the time is over: whether the item was done is then
        unknown. A caller that is cancelled leaves its item behind: not begun, it is dropped; begun, the batch goes on.
        """
        forbid_open_transaction("waiting for a batch")
        if len(self._waiting) >= QUEUE_LENGTH:
            raise busy()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((item, future))
        if self._open_lanes < self._lanes:
            self._open_lanes += 1
            # A context of its own: the lane serves many requests, and belongs to none.
            lane = asyncio.create_task(self._run_lane(), context=Context())
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        expiry = loop.call_at(deadline() if until is None else until, _expire, future)
        try:
            return await future
        finally:
            expiry.cancel()

    async def close(self) -> None:
        """Wait for the batches under way, and for those that they leave behind."""
        while self._running:
            await asyncio.wait(self._running)

    async def _run_lane(self) -> None:
        """Take batch after batch until nothing waits."""
        try:
            while batch := self._take():
                await self._run(batch)
        finally:  # not by a callback: whoever submits before that has run would wait for a lane that is over
            self._open_lanes -= 1

    def _take(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        batch: list[tuple[Item, asyncio.Future[Outcome]]] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            item, future = self._waiting.popleft()
            if not future.done():  # else its caller has gone
                batch.append((item, future))
        return batch

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        outcomes: Sequence[Outcome | Exception]
        try:
            outcomes = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - raised to every caller, where the edge logs it
            outcomes = [_failure(error) for _ in batch]
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def _expire(future: asyncio.Future[Outcome]) -> None:
    """Tell a caller that its time is over."""
    if not future.done():
        future.set_exception(UnavailableError("the database has not answered in time"))


def _failure(error: Exception) -> Exception:
    """Return an exception of its own for each caller: one that is raised in many tasks grows their tracebacks."""
    failure: Exception
    if isinstance(error, UnavailableError):
        failure = UnavailableError(str(error), refusal=error.refusal, retry_after=error.retry_after)
    elif isinstance(error, ConflictError):
        failure = ConflictError(str(error))
    else:
        failure = RuntimeError("the batch has failed")
    failure.__cause__ = error
    return failure
