"""Work that a cancelled task finishes before it goes: half a statement would leave a connection nobody can use."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


async def uninterrupted(work: Coroutine[object, object, T]) -> T:
    """Await work in a task of its own; where the caller is cancelled, wait for its end, then raise CancelledError.

    The work must end by itself: every wait in it has a limit.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # asked to go more than once; the first time counts
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what the caller hears of
        raise
