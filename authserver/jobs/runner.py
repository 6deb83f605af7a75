"""Background work: each job runs again and again until the server stops; a failure is logged and tried again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from authserver.phases import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

log = structlog.get_logger("authserver.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of work and the seconds between the end of one run and the start of the next."""

    name: str
    run: Callable[[], Awaitable[object]]
    every: float


class Jobs:
    """The running jobs of one process."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        """Take the jobs; nothing runs before :meth:`start`."""
        self._jobs = tuple(jobs)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin all jobs; each waits its interval first, as start-up has just done their work."""
        self._tasks = [asyncio.create_task(_repeat(job), name=f"job:{job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """Cancel all jobs and wait until they have let go of their connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _repeat(job: Job) -> None:
    while True:
        await asyncio.sleep(job.every)
        try:
            await job.run()
        except UnavailableError as error:
            log.warning("job_delayed", job=job.name, cause=str(error))
        except Exception:  # one run's bug must not end the job
            log.exception("job_failed", job=job.name)
