"""One fetch at a time, in a thread of its own, and not more often than agreed."""

import math
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock


class SingleFlight:
    """Runs `work` for whoever asks, once at a time, however many ask.

    May be called from any thread and from an event loop: nobody waits here. `monotonic` gives seconds that only grow.
    `work` takes care of its own errors; what it raises ends in the future, which most callers never read.
    """

    def __init__(self, work: Callable[[], None], monotonic: Callable[[], float], name: str) -> None:
        self.asked_at = -math.inf
        self._work = work
        self._monotonic = monotonic
        self._name = name
        self._process = os.getpid()
        self._under_way: Future[None] | None = None
        self._lock = Lock()

    @property
    def is_under_way(self) -> bool:
        """Whether `work` runs at the moment."""
        return self._under_way is not None

    def ask(self, interval: float) -> Future[None] | None:
        """Return the run under way, or start one if the last began at least `interval` seconds ago.

        The future ends when the run does, well or not.
        """
        with self._lock:
            if self._process != os.getpid():  # forked meanwhile: what was under way is so in the parent only
                self._under_way = None
            if self._under_way is None and (now := self._monotonic()) >= self.asked_at + interval:
                self.asked_at, self._process = now, os.getpid()
                # One short-lived thread per run: nothing to close, and nothing that a fork could leave behind.
                executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
                self._under_way = executor.submit(self._run)
                executor.shutdown(wait=False)
            return self._under_way

    def _run(self) -> None:
        try:
            self._work()
        finally:
            with self._lock:
                self._under_way = None
