"""The jobs of a serving process: follow the version row, purge what has expired, keep a *next* key published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.jobs.follower import KeyFollower
from authserver.jobs.logout_notices import LogoutNotifier
from authserver.jobs.outbox import MailSender
from authserver.jobs.runner import Job, Jobs
from authserver.jobs.status_watch import StatusWatch
from authserver.logs import get_logger
from authserver.operations.keys import ensure_next, erase_dropped
from authserver.operations.operator import Operator
from authserver.store import state
from authserver.store.purge import purge_expired
from authserver.store.unused_clients import end_unused_clients

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from authserver.feature import Services
    from authserver.sealing.box import Box
    from authserver.sealing.epoch import EpochFile

log = get_logger("authserver.jobs")

CONFIRM_EVERY: Final = 1.0  # seconds; how long a disabled client or a rotated secret may go unnoticed
PURGE_EVERY: Final = 60.0
KEYS_EVERY: Final = 60.0  # a key that has begun to sign has a *next* one within this
EPOCH_EVERY: Final = 600.0  # a backup older than this is recognised as one


def build_jobs(services: Services, box: Box, epoch_file: EpochFile, now: Callable[[], datetime]) -> Jobs:
    """Return the jobs, not started; each of their steps is safe to run twice.

    Every process follows the version row for itself; of the rest one process does each (SECURITY B25).
    """
    operator = Operator(engine=services.engine, hasher=services.hasher, settings=services.settings, actor="job:keys")

    async def purge() -> None:
        counts = {**await purge_expired(services.engine), "unused_clients": await end_unused_clients(services.engine)}
        if any(counts.values()):
            log.info("purged", **counts)

    async def keep_next_key() -> None:
        for key in await ensure_next(operator, box):
            log.info("signing_key_published", kid=key.kid, alg=key.alg)
        for kid in await erase_dropped(operator):
            log.info("signing_key_erased", kid=kid)

    async def advance_epoch() -> None:
        """Move the epoch on, so that a restored database is known by its age; the version moves along."""
        async with services.engine.begin() as tx:
            await state.bump(tx)
            current = await state.load(tx)
            await state.raise_epoch(tx, current.epoch + 1)

    services.directory.on_change(KeyFollower(services, operator, box, epoch_file, now).follow)
    watch = StatusWatch(services, now)
    return Jobs(
        (
            Job(name="confirm", run=services.directory.refresh, every=CONFIRM_EVERY, leased=False),
            Job(name="status", run=watch.follow, every=CONFIRM_EVERY, leased=False),
            Job(name="status_rows", run=watch.keep, every=PURGE_EVERY, leased=True),
            Job(name="purge", run=purge, every=PURGE_EVERY, leased=True),
            Job(name="keys", run=keep_next_key, every=KEYS_EVERY, leased=True),
            Job(name="epoch", run=advance_epoch, every=EPOCH_EVERY, leased=True),
            LogoutNotifier(services, now).build_job(),
            *MailSender(services, now).build_jobs(),
        ),
        engine=services.engine,
        owner=uuid7(now()),
    )
