"""The tombstones of revoked signing keys, in a file beside the epoch file (DESIGN §5 Restore, §7).

The database has them too, as rows. But a database that comes out of a backup has forgotten the latest ones, and a key
that leaked must not come back with it: so each machine that serves, or from which a key was revoked, also keeps the key
ids in ``<sealing key file>.revoked``, one a line. Lines are only ever added.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from authserver.sealing.epoch import EpochFile
    from authserver.sealing.records import SigningKey


class TombstonesError(Exception):
    """The file cannot be read, so a revoked key might be served; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Tombstones:
    """The file of one installation on one machine."""

    path: Path

    @classmethod
    def beside(cls, epoch_file: EpochFile) -> Tombstones:
        """Return the file that belongs to an epoch file: ``sealing.key.revoked`` beside ``sealing.key.epoch``."""
        return cls(epoch_file.path.with_suffix(".revoked"))

    def read(self) -> frozenset[str]:
        """Return the key ids; none where there is no file. Raise :class:`TombstonesError` where it cannot be read."""
        try:
            text = self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return frozenset()
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.path}: the file of revoked signing keys cannot be read. Let the server's user own it."
            raise TombstonesError(message) from error
        return frozenset(line.strip() for line in text.splitlines() if line.strip())

    def add(self, kids: Iterable[str]) -> str | None:
        """Add the key ids that are not there yet; return a warning where the file cannot be written.

        Written by appending: two processes at once may write a line twice, and lose none.
        """
        new = sorted(frozenset(kids) - self.read())
        if not new:
            return None
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, "".join(f"{kid}\n" for kid in new).encode("ascii"))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            return (
                f"{self.path} cannot be written ({error.strerror}): if the database were restored from a backup, the "
                f"revoked signing keys {', '.join(new)} would be known only by its epoch. Make the folder writable."
            )
        return None


def bury(keys: Iterable[SigningKey], kids: frozenset[str], now: datetime) -> tuple[SigningKey, ...]:
    """Return the rows as they are after what the file knows: a key in it is revoked, whatever its row says."""
    return tuple(replace(key, revoked_at=now) if key.kid in kids and key.revoked_at is None else key for key in keys)
