"""After a restore: make a database that came out of a backup fit to be served again (DESIGN §5, Restore)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.sealing.epoch import EpochError
from authserver.store import audit, restored, state

if TYPE_CHECKING:
    from authserver.operations.operator import Operator
    from authserver.sealing.epoch import EpochFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was taken from the database, and the epoch it is served in from now on."""

    epoch: int
    sessions: int
    grants: int
    single_use: int


async def accept_backup(operator: Operator, epoch_file: EpochFile, *, keep: bool) -> Restored:
    """Raise the epoch above any that was ever served here, and clear what may have been used since the backup.

    Sessions and grants fall, because those revoked since the backup live again in it; ``keep`` leaves them all, for an
    operator who knows that nothing was lost. Tombstones of signing keys stay as they are. Raising the file to the new
    epoch is the caller's, after the commit; whoever serves the database raises it too.
    """
    known = _read(epoch_file)
    async with operator.begin() as tx:
        before = await state.load(tx)
        at = before.now
        epoch = max(before.epoch, known) + 1
        await state.raise_epoch(tx, epoch)
        await state.bump(tx)
        result = Restored(
            epoch=epoch,
            sessions=0 if keep else await restored.end_sessions(tx, at),
            grants=0 if keep else await restored.revoke_grants(tx, at),
            single_use=await restored.forget_single_use(tx, at),
        )
        await audit.add(
            tx,
            "database_restored",
            actor=operator.actor,
            detail={
                "epoch": epoch,
                "kept": keep,
                "sessions_ended": result.sessions,
                "grants_revoked": result.grants,
                "single_use_cleared": result.single_use,
            },
        )
    return result


def _read(epoch_file: EpochFile) -> int:
    """Return the highest epoch served here; a file that cannot be read is written anew, so it counts as none."""
    try:
        return epoch_file.read() or 0
    except EpochError:
        return 0
