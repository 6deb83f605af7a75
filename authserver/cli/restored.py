"""``authserver restored``: after the database came out of a backup."""

from typing import Annotated

import typer

from authserver.cli.command import command, make_single
from authserver.cli.desk import open_box, open_desk
from authserver.cli.failure import CommandFailedError
from authserver.cli.options import DryRun, Yes
from authserver.cli.terminal import Terminal
from authserver.operations.key_revocation import bury_again, find_risen
from authserver.operations.restore import accept_backup
from authserver.operations.rewrap import check_opens
from authserver.sealing.epoch import EpochFile
from authserver.sealing.tombstones import Tombstones, TombstonesError

app = make_single()


@command(
    app,
    "restored",
    examples="""
    authserver restored --dry-run
    authserver restored --yes
    authserver restored --keep --yes
    """,
)
async def restored(
    terminal: Terminal,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave sessions and grants as the backup has them.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Say that the database came out of a backup. Only then is it served again.

    A backup has forgotten which codes and tokens were used since, and who was signed out. So everybody has to sign in
    again, unless you know that nothing was lost (--keep).
    """
    async with open_desk(terminal) as desk:
        epoch_file = EpochFile.of(desk.settings)
        tombstones = _read_tombstones(epoch_file)
        risen = await find_risen(desk.operator, tombstones)
        box = open_box(desk.settings) if risen else None
        if box is not None:  # keys are made to follow those that end
            await check_opens(desk.operator, box)
        result = await accept_backup(desk.operator.rehearsing(), epoch_file, keep=keep)
        effect = (
            f"{result.sessions} sessions end, {result.grants} grants are revoked, "
            f"{result.single_use} codes, sign-ins and single-use rows are cleared."
        )
        if risen:
            effect += (
                f" Signing keys that the backup does not know to be revoked are revoked again: {', '.join(risen)}."
            )
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            if box is not None:  # first: where this is interrupted, the database is refused and the command repeated
                await bury_again(desk.operator, box, tombstones)
            result = await accept_backup(desk.operator, epoch_file, keep=keep)
            warning = epoch_file.raise_to(result.epoch)
            terminal.say(f"Warning: {warning}" if warning else "Next: authserver serve")
        terminal.show(
            {
                "epoch": result.epoch,
                "sessions_ended": result.sessions,
                "grants_revoked": result.grants,
                "single_use_cleared": result.single_use,
                "signing_keys_revoked": list(risen),
            }
        )


def _read_tombstones(epoch_file: EpochFile) -> frozenset[str]:
    try:
        return Tombstones.beside(epoch_file).read()
    except TombstonesError as error:
        raise CommandFailedError(str(error)) from error
