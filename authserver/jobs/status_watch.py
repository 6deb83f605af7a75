"""Every process follows what is revoked; one of them looks after the rows that the lists rest on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.jose.status_lists import MARGIN, Snapshot
from authserver.logs import get_logger
from authserver.phases import UnavailableError
from authserver.steps.lifetimes import longest_access_token_lifetime
from authserver.store import status_lists

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from authserver.feature import Services

log = get_logger("authserver.jobs")

WHOLE_EVERY: Final = 60  # runs of `follow`, a second each
OVERLAP: Final = timedelta(seconds=10)  # longer than a transaction lasts: a revocation is dated before it is committed
AT_ONCE: Final = 500  # rows that get an index in one transaction
BATCHES: Final = 40  # in one run, so that an upgrade with millions of grants is nothing that anybody notices
PAUSE: Final = 0.05  # seconds between two of them


class StatusWatch:
    """Follows the database for the status lists of one process; each step is safe to run twice."""

    def __init__(self, services: Services, now: Callable[[], datetime]) -> None:
        """Read all of it at the first :meth:`follow`."""
        self._services = services
        self._now = now
        self._runs = 0
        self._known: tuple[int, timedelta] | None = None

    async def follow(self) -> None:
        """Read what was revoked: everything in the window once a minute, else what is new, which is next to nothing."""
        try:
            await self._follow()
        except UnavailableError:
            self._services.status_indexes.give_up()
            raise

    async def _follow(self) -> None:
        services = self._services
        configured = self._configured()
        asked_at = self._now()  # what the answer says was true at least until then
        whole = self._runs % WHOLE_EVERY == 0
        async with services.engine.read() as tx:
            lists = await status_lists.load(tx)
            longest = max(lists.longest_lifetime, configured)
            window = longest + MARGIN if whole else OVERLAP
            revoked = await status_lists.load_revoked(tx, lists.now - window)
        after = (longest + MARGIN).total_seconds()
        ends = {index: ended_at + after for index, ended_at in revoked.items()}
        snapshot = Snapshot(
            lists=lists.lists, open_list=lists.open_list, longest_lifetime=longest, until=ends, now=lists.now
        )
        services.status_lists.follow(snapshot, asked_at=asked_at, whole=whole)
        services.status_indexes.keep_to(lists)
        self._runs += 1
        if configured > lists.longest_lifetime:  # at once: what is lowered again a moment later must not be forgotten
            await self._remember()

    async def keep(self) -> None:
        """Note lifetimes that have changed, and give an index to what a program before this added without one."""
        await self._remember()
        given = 0
        for give in (status_lists.give_to_clients, status_lists.give_to_grants):
            for _ in range(BATCHES):
                async with self._services.engine.begin() as tx:
                    batch = await give(tx, AT_ONCE)
                given += batch
                if batch < AT_ONCE:
                    break
                await asyncio.sleep(PAUSE)
        if given:
            log.info("status_indexes_given", rows=given)

    async def _remember(self) -> None:
        async with self._services.engine.begin() as tx:
            await status_lists.remember_lifetime(tx, self._configured(), MARGIN)

    def _configured(self) -> timedelta:
        """Return the longest lifetime that anything asks for, computed when a client or a resource has changed."""
        directory = self._services.directory
        if self._known is None or self._known[0] != directory.version:
            longest = longest_access_token_lifetime(self._services.settings, directory.clients, directory.resources)
            self._known = (directory.version, longest)
        return self._known[1]
