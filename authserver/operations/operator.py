"""Who operates, and with what: every operation takes one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from authserver.operations.errors import OperationError
from authserver.operations.mail import make_outbox
from authserver.sealing.keyring_file import SealingKeyError, open_box
from authserver.sealing.subkeys import Subkeys
from authserver.store import masters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from authserver.hasher import Hasher
    from authserver.settings import Settings
    from authserver.store.engine import Engine, Tx
    from authserver.store.outbox import Mail, Outbox


class _RehearsedError(Exception):
    """Rolls a rehearsal back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody who may change what the server knows.

    ``actor`` is what the audit says: ``cli:ann``, ``user:<id>``, ``job:keys``.
    """

    actor: str
    engine: Engine
    settings: Settings
    hasher: Hasher
    is_rehearsal: bool = False
    outbox: Outbox | None = None  # a server's own; a command opens one when it has mail

    def rehearsing(self) -> Operator:
        """Return an operator whose operations do everything and then roll it back: the effect is known, not made."""
        return replace(self, is_rehearsal=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """Open the one transaction of an operation."""
        try:
            async with self.engine.begin() as tx:
                yield tx
                self._end_rehearsal()
        except _RehearsedError:
            return

    async def mail(self, tx: Tx, mail: Mail) -> UUID:
        """Hand in a mail in the transaction of what causes it, and return its id; a server sends it.

        Raise OperationError where the sealing key cannot be read: then nothing may change, as nobody would hear of it.
        """
        outbox = self.outbox or await self._open_outbox(tx)
        return await outbox.add(tx, mail)

    async def open_subkeys(self, tx: Tx) -> Subkeys:
        """Return what seals secrets in the database; raise OperationError where the sealing key cannot be read."""
        try:
            box = open_box(self.settings)
        except SealingKeyError as error:
            raise OperationError(str(error), fix="Run this where the server's sealing key file is.") from error
        return Subkeys(await masters.list_all(tx), box)

    async def _open_outbox(self, tx: Tx) -> Outbox:
        return make_outbox(await self.open_subkeys(tx), issuer=self.settings.issuer)

    def _end_rehearsal(self) -> None:
        if self.is_rehearsal:
            raise _RehearsedError
