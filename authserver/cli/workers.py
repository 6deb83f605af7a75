"""Several serving processes behind one listening socket (PostgreSQL only)."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_RESTART_PAUSE: Final = 1.0  # seconds; a worker that dies at once must not take the machine with it
_SHORT_LIFE: Final = 10.0  # seconds; a worker that dies sooner did not get to work
_SHORT_LIVES_TO_GIVE_UP: Final = 5


class Workers:
    """Starts processes, starts them again when they die, and passes on the signal to stop.

    They are forked before any thread, event loop or database connection exists, and inherit the listening sockets. Each
    holds the reading end of a pipe whose other end only this process has: when it ends, however it ends, so do they.
    """

    def __init__(self, count: int, work: Callable[[], int]) -> None:
        """Run ``work`` in ``count`` processes; what it returns is a process's exit code."""
        self._count = count
        self._work = work
        self._started_at: dict[int, float] = {}  # by process id, in monotonic seconds
        self._is_stopping = False
        self._lifeline = os.pipe()

    def run(self) -> int:
        """Watch over the workers until a signal comes or they cannot be kept running; return the exit code."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(self._count):
            self._start()
        short_lives = 0
        while self._started_at:
            pid, _ = os.wait()
            lived = time.monotonic() - self._started_at.pop(pid)
            if self._is_stopping:
                continue
            short_lives = short_lives + 1 if lived < _SHORT_LIFE else 0
            if short_lives == _SHORT_LIVES_TO_GIVE_UP:
                self._stop(signal.SIGTERM, None)
                continue
            time.sleep(_RESTART_PAUSE)
            self._start()
        return 1 if short_lives == _SHORT_LIVES_TO_GIVE_UP else 0

    def _start(self) -> None:
        """Start a worker unless a signal to stop has come; one that comes meanwhile waits until the worker is known."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork() if not self._is_stopping else None
        if pid == 0:
            self._be_worker()
        if pid is not None:
            self._started_at[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be_worker(self) -> NoReturn:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        reading, writing = self._lifeline
        os.close(writing)
        threading.Thread(target=_end_with_parent, args=(reading,), daemon=True).start()
        os._exit(self._work())

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler's signature
        """Tell every worker to stop; a second signal is passed on too and shortens their drain."""
        self._is_stopping = True
        for pid in self._started_at:
            os.kill(pid, number)


def _end_with_parent(reading: int) -> None:
    """Wait for the end of the parent, which closes the pipe, and stop this process as it would have."""
    os.read(reading, 1)
    os.kill(os.getpid(), signal.SIGTERM)
