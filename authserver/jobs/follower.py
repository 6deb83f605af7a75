"""What every process does when the version row has moved: take over the signing keys as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.jose.keyring import Keyring
from authserver.logs import get_logger
from authserver.operations.key_revocation import bury_again
from authserver.sealing.tombstones import Tombstones, TombstonesError, bury
from authserver.store import signing_keys, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from authserver.feature import Services
    from authserver.operations.operator import Operator
    from authserver.sealing.box import Box
    from authserver.sealing.epoch import EpochFile

log = get_logger("authserver.jobs")


class KeyFollower:
    """Follows the keys of the database, and holds them against what this machine knows better: epoch and tombstones."""

    def __init__(
        self,
        services: Services,
        operator: Operator,
        box: Box,
        epoch_file: EpochFile,
        now: Callable[[], datetime],
    ) -> None:
        """Take what :meth:`follow` needs; ``operator`` is who buries a key again."""
        self._services = services
        self._operator = operator
        self._box = box
        self._epoch_file = epoch_file
        self._now = now
        self._tombstones = Tombstones.beside(epoch_file)
        self._buried: frozenset[str] = frozenset()
        self._told: set[str] = set()

    async def follow(self) -> None:
        """Take over changed keys; refuse a database that was put back to an earlier state under our feet.

        Keys that others have revoked get their tombstone on this machine too; one whose revocation the database has
        forgotten is not used for a moment, and is revoked again.
        """
        async with self._services.engine.read() as tx:
            rows = await signing_keys.list_all(tx)
            current = await state.load(tx)
        self._tell_once("epoch_file", self._epoch_file.check(current.epoch))
        try:
            self._buried |= self._tombstones.read()
        except TombstonesError as error:  # what was read before still holds
            self._tell_once("tombstones", str(error))
        self._services.live.keyring = Keyring.load(
            bury(rows, self._buried, self._now()),
            self._box,
            issuer=self._services.settings.issuer,
            jwks_max_age=self._services.settings.jwks_max_age,
            now=self._now(),
            previous=self._services.live.keyring,
        )
        for kid in self._services.live.keyring.sealed:
            self._tell_once(
                "signing_key_sealed",
                f"{kid} cannot be used here: sealed under a key that this process lacks, or newer than this version",
            )
        self._remember(row.kid for row in rows if row.revoked_at is not None)
        for again in await bury_again(self._operator, self._box, self._buried):
            log.warning("signing_key_risen", kid=again.key.kid, cause="the database had forgotten that it was revoked")

    def _remember(self, kids: Iterable[str]) -> None:
        try:
            self._tell_once("tombstones", self._tombstones.add(kids))
        except TombstonesError as error:
            self._tell_once("tombstones", str(error))

    def _tell_once(self, event: str, cause: str | None) -> None:
        if cause is not None and cause not in self._told:
            self._told.add(cause)
            log.warning(event, cause=cause)
