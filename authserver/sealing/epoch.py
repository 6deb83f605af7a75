"""The epoch file beside the sealing key: it notices that a database was restored from the past (DESIGN §5, Restore).

The database holds an epoch, the file ``<sealing key file>.epoch`` the highest one this installation has served. A
database that is older than its file was restored: it has forgotten revocations and used codes.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from authserver.settings import Settings

_MAX_DIGITS: Final = 18  # fits the database's bigint


class EpochError(Exception):
    """The database must not be served; the text is for the operator and says what to do."""


@dataclass(frozen=True, slots=True)
class EpochFile:
    """The epoch file of one sealing key file."""

    path: Path

    @classmethod
    def of(cls, settings: Settings) -> EpochFile:
        """Return the epoch file that the settings mean: their own, else the one beside the sealing key file."""
        return cls(settings.epoch_file) if settings.epoch_file is not None else cls.beside(settings.sealing_key_file)

    @classmethod
    def beside(cls, sealing_key_file: Path) -> EpochFile:
        """Return the epoch file that belongs to a sealing key file."""
        return cls(sealing_key_file.with_name(sealing_key_file.name + ".epoch"))

    def read(self) -> int | None:
        """Return the epoch, or None where there is no file yet. Raise :class:`EpochError` where it cannot be read."""
        try:
            text = self.path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self.path}: the epoch file cannot be read. Let the server's user own it."
            raise EpochError(message) from error
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            message = f"{self.path}: the epoch file does not hold a number. Run `authserver restored` to write it anew."
            raise EpochError(message)
        return int(text)

    def check(self, database_epoch: int) -> str | None:
        """Refuse a database that is older than the file; raise the file to a newer one.

        Return a warning where the file should be raised and cannot be written (a read-only mount of the key): the
        server may run, but a restored database would not be noticed. Raise :class:`EpochError` for an older database.
        """
        known = self.read()
        if known is not None and database_epoch < known:
            message = (
                f"the database is at epoch {database_epoch}, but {self.path} has seen epoch {known}: it was restored "
                "from a backup and has forgotten what was revoked since. Run `authserver restored` before serving it."
            )
            raise EpochError(message)
        return self.raise_to(database_epoch)

    def raise_to(self, epoch: int) -> str | None:
        """Write the epoch atomically where the file holds a lower one; return a warning where it cannot be written.

        Raise :class:`EpochError` where the file cannot be read: what it knew must not be overwritten.
        """
        known = self.read()
        if known is not None and epoch <= known:
            return None
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(f"{epoch}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):  # a read-only place refuses this too
                draft.unlink(missing_ok=True)
            return (
                f"{self.path} cannot be written ({error.strerror}): a database restored from a backup would not be "
                "noticed. Make its folder writable for the server, or set AUTHSERVER_EPOCH_FILE to one that is."
            )
        return None
