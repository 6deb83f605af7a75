"""Who operates, and with what: every operation takes one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from authserver.hasher import Hasher
    from authserver.settings import Settings
    from authserver.store.engine import Engine, Tx


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

    def _end_rehearsal(self) -> None:
        if self.is_rehearsal:
            raise _RehearsedError
