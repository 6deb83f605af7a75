"""Background work: each job runs again and again until the server stops; a failure is logged and tried again.

Of a leased job, one process at a time does the work, whichever claimed its lease in the database (SECURITY B25). It is
renewed before each run and given up at the end; a process that dies loses it when it is over. A lease saves double work
and is no lock: every step of a job is safe to run twice, and at the same time as somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.logs import get_logger
from authserver.phases import UnavailableError
from authserver.store import leases

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from uuid import UUID

    from authserver.store.engine import Engine

log = get_logger("authserver.jobs")

LONGEST_SLACK: Final = 600.0  # seconds for which a dead process's lease outlasts the run it should have made


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of work and the seconds between the end of one run and the start of the next.

    ``leased`` work is for the whole installation, and one process does it; the rest every process does for itself.
    ``wake`` ends the wait for the next run; each set of it, also during a run, is followed by a run.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    every: float
    leased: bool
    wake: asyncio.Event | None = None

    @property
    def lease_lifetime(self) -> timedelta:
        """Three intervals, so that one late run loses nothing; of long intervals one and ``LONGEST_SLACK``."""
        return timedelta(seconds=self.every + min(2 * self.every, LONGEST_SLACK))


class Jobs:
    """The running jobs of one process."""

    def __init__(self, jobs: Iterable[Job], *, engine: Engine, owner: UUID) -> None:
        """Take the jobs and the process's own name for its leases; nothing runs before :meth:`start`."""
        self._jobs = tuple(jobs)
        self._engine = engine
        self._owner = owner
        self._claimed: set[str] = set()  # what this process holds, or may hold: an answer can get lost
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin all jobs; each waits its interval first, as start-up has just done their work."""
        self._tasks = [asyncio.create_task(self._repeat(job), name=f"job:{job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """Cancel all jobs, wait until they have let go of their connections, and give up their leases."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._release()

    async def _repeat(self, job: Job) -> None:
        while True:
            await _wait(job)
            try:
                if not job.leased or await self._claim(job):
                    await job.run()
            except UnavailableError as error:
                log.warning("job_delayed", job=job.name, cause=str(error))
            except Exception:  # one run's bug must not end the job
                log.exception("job_failed", job=job.name)

    async def _claim(self, job: Job) -> bool:
        """Take or renew the lease in a transaction of its own, over before the work begins."""
        self._claimed.add(job.name)
        async with self._engine.begin() as tx:
            is_ours = await leases.claim(tx, job.name, self._owner, job.lease_lifetime)
        if not is_ours:
            self._claimed.discard(job.name)
        return is_ours

    async def _release(self) -> None:
        if not self._claimed:
            return
        try:
            async with self._engine.begin() as tx:
                for name in sorted(self._claimed):
                    await leases.release(tx, name, self._owner)
        except UnavailableError as error:  # then they are over by themselves
            log.warning("leases_kept", jobs=sorted(self._claimed), cause=str(error))
        self._claimed.clear()


async def _wait(job: Job) -> None:
    """Wait the job's interval, or until it is woken."""
    if job.wake is None:
        await asyncio.sleep(job.every)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(job.every):
            await job.wake.wait()
    job.wake.clear()
