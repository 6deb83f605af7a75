"""``authserver keys``: the keys that sign tokens."""

import asyncio
import shutil
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import Desk, open_box, open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.key_timeline import FINE, PLAIN, draw_timeline, tell_plan
from authserver.cli.options import DryRun, Yes
from authserver.cli.progress import Progress
from authserver.cli.records import record_revocation, record_rotation, record_signing_key
from authserver.cli.terminal import Record, Terminal, tell_age
from authserver.operations import key_revocation, keys
from authserver.operations.key_revocation import Revocation
from authserver.operations.keys import Rotation
from authserver.operations.rewrap import check_opens, count_superseded
from authserver.operations.rewrap import rewrap as rewrap_all
from authserver.sealing.box import Box
from authserver.sealing.epoch import EpochFile
from authserver.sealing.keyring_file import VARIABLE, SealingKeyError, add_key
from authserver.sealing.records import SigningKey
from authserver.sealing.tombstones import Tombstones
from authserver.store import state

app = make_noun(
    "List, rotate, revoke and export the signing keys, and seal them anew.",
    examples="authserver keys list\nauthserver keys rotate --now --wait\nauthserver keys revoke iJ3v… --emergency",
)

_COLUMNS: Final = ("kid", "alg", "state", "publish_at", "sign_from", "sign_until", "drop_at", "next_change_at")
_ROTATED: Final = ("alg", "kid", "sign_from", "is_signing", "replaces", "last_token_expires_at")
_LONGEST_NAP: Final = 5.0  # seconds between looks at the database's clock


@command(app, "list", examples="authserver keys list\nauthserver keys list --json")
async def list_keys(terminal: Terminal) -> None:
    """List every key, dropped and revoked ones too, and on a terminal draw their time line.

    What a key is follows from its times: published ahead of its turn, signing, retired until its last token is over,
    dropped.
    """
    async with open_desk(terminal) as desk:
        found, now = await keys.find_all(desk.operator), await desk.now()
    terminal.show_all([record_signing_key(listing) for listing in found], _COLUMNS, now=now)
    if terminal.draws:
        strokes = FINE if (sys.stdout.encoding or "").lower().startswith("utf") else PLAIN
        picture = draw_timeline(found, now, width=shutil.get_terminal_size().columns, strokes=strokes)
        terminal.draw(["", *picture, "", *tell_plan(found, now)])


@command(
    app,
    "rotate",
    examples="""
    authserver keys rotate
    authserver keys rotate --now --wait
    authserver keys rotate --add EdDSA
    """,
)
async def rotate(
    terminal: Terminal,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="As soon as every cache has the next key, not after 24 h.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Come back when the next keys sign.")] = False,
    add: Annotated[
        str | None, typer.Option("--add", metavar="ALG", help="Begin to sign with another algorithm: EdDSA, PS256.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Let the next keys take over. Tokens that the old ones signed stay valid until they expire.

    A key signs only after it has been published for long enough that every verifier has it. Where that is not over,
    the take-over is planned, and happens by itself. With --add the other keys stay as they are; clients may ask for
    the new algorithm when discovery announces it.
    """
    async with open_desk(terminal) as desk:
        box = await _open_right_box(desk)
        operator = desk.operator.rehearsing() if dry_run else desk.operator
        if add is not None:
            listing = await keys.begin_algorithm(operator, box, add, hurry=now)
            terminal.say(f"{_tell_when(listing.key, await desk.now())}.")
            _warn_of_long_caches(terminal, desk, [listing.key])
            if wait and not dry_run:
                await _wait(terminal, desk, listing.key.sign_from)
                listing = keys.list_key(listing.key, await desk.now())
            _say_dry(terminal, dry_run=dry_run)
            terminal.show(record_signing_key(listing))
            return
        rotations = await keys.rotate(operator, box, hurry=now)
        at = await desk.now()
        for rotation in rotations:
            terminal.say(_tell_plan(rotation, at))
        _warn_of_long_caches(terminal, desk, [rotation.upcoming for rotation in rotations])
        _say_dry(terminal, dry_run=dry_run)
        if wait and not dry_run:
            await _wait(terminal, desk, max(rotation.upcoming.sign_from for rotation in rotations))
            at = await desk.now()
        terminal.show_all([record_rotation(rotation, at) for rotation in rotations], _ROTATED, now=at)


@command(
    app,
    "revoke",
    examples="""
    authserver keys revoke iJ3v… --dry-run
    authserver keys revoke iJ3v… --emergency --yes --reason "found in a public repository"
    """,
)
async def revoke(
    terminal: Terminal,
    *,
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key's id; see: authserver keys list")],
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Also where verifiers do not have the key yet that signs from now on.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; for the audit.")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Revoke a key for good, as when it has leaked: the next one signs at once, and its own tokens are refused.

    Every server follows within a second. The key never comes back, not even out of a backup: a tombstone stays in the
    database and beside the sealing key.
    """
    async with open_desk(terminal) as desk:
        box = await _open_right_box(desk)
        done = await key_revocation.revoke(desk.operator.rehearsing(), box, kid, emergency=emergency)
        if terminal.may_go_on(_tell_effect(done), yes=yes, dry_run=dry_run):
            done = await key_revocation.revoke(desk.operator, box, kid, emergency=emergency, reason=reason)
            await _remember(terminal, desk, kid)
        terminal.show(record_revocation(done))


@command(
    app,
    "rewrap",
    examples="""
    authserver keys rewrap --add
    authserver keys rewrap
    """,
)
async def rewrap(
    terminal: Terminal,
    *,
    add: Annotated[
        bool, typer.Option("--add", help="Only put a new sealing key on top of the file; copy that to every machine.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Seal what the database holds anew under the first key of the sealing key file, so that an old one can go.

    After Ctrl-C what was done stays done, and the next run goes on from there; servers may run meanwhile.
    """
    async with open_desk(terminal) as desk:
        if add:
            terminal.show(_add_sealing_key(terminal, desk, dry_run=dry_run))
            return
        box = open_box(desk.settings)
        if dry_run:
            count = await count_superseded(desk.operator, box)
            terminal.say("Nothing was changed: this was a dry run.")
            terminal.show({"current": box.current, "to_rewrap": count})
            return
        progress = Progress(terminal, "rows sealed anew")
        try:
            done = await rewrap_all(desk.operator, box, on_row=progress.advance)
        except asyncio.CancelledError:  # Ctrl-C
            progress.end()
            terminal.say(f"Stopped after {progress.done} rows. To go on: authserver keys rewrap")
            raise
        progress.end()
        for key_id in done.superseded:
            terminal.say(f"Nothing is sealed under {key_id} any more: keep it with old backups, and take its line out.")
        terminal.show(
            {
                "current": done.current,
                "rewrapped": done.rewrapped,
                "kept": done.kept,
                "superseded": list(done.superseded),
            }
        )


@command(
    app,
    "export",
    examples="""
    authserver keys export > jwks.json
    authserver keys export --kid iJ3v… --format pem
    """,
)
async def export(
    terminal: Terminal,
    *,
    kid: Annotated[str | None, typer.Option("--kid", help="One key, a dropped one too; needs --format pem.")] = None,
    form: Annotated[str, typer.Option("--format", metavar="jwks|pem", help="As what.")] = "jwks",
) -> None:
    """Print the public keys, as /jwks says them or as PEM. Private keys are never printed."""
    if form not in {"jwks", "pem"} or (kid is not None) != (form == "pem"):
        raise CommandFailedError(
            "Give --format jwks alone, or --kid KID with --format pem.", field="format", exit_code=WRONG_USAGE
        )
    async with open_desk(terminal) as desk:
        if kid is not None:
            typer.echo(await keys.export_pem(desk.operator, kid), nl=False)
        else:
            typer.echo(await keys.export_jwks(desk.operator))


async def _open_right_box(desk: Desk) -> Box:
    """Read the sealing key; refuse one that is not the servers': they could not open what is made under it."""
    box = open_box(desk.settings)
    await check_opens(desk.operator, box)
    return box


async def _wait(terminal: Terminal, desk: Desk, moment: datetime) -> None:
    """Wait until the database's clock has reached a moment; whoever breaks off is told that it comes all the same."""
    try:
        while (left := (moment - await desk.now()).total_seconds()) > 0:  # noqa: ASYNC110  # no event: another's clock
            await asyncio.sleep(min(left, _LONGEST_NAP))
    except asyncio.CancelledError:  # Ctrl-C
        terminal.say(f"No longer waiting. The keys sign at {moment:%d %b %H:%M:%S} UTC all the same.")
        raise


def _tell_when(key: SigningKey, now: datetime) -> str:
    when = "now" if key.sign_from <= now else f"{tell_age(key.sign_from, now)}, at {key.sign_from:%d %b %H:%M:%S} UTC"
    return f"{key.alg}: {key.kid} signs {when}"


def _tell_plan(rotation: Rotation, now: datetime) -> str:
    """Return the whole plan of a take-over, with clock times."""
    old, over = rotation.current, rotation.last_token_expires_at
    if old is None or over is None:
        return f"{_tell_when(rotation.upcoming, now)}; nothing signs {rotation.alg} before."
    dropped = f"; {old.kid} is dropped at {old.drop_at:%d %b %H:%M:%S} UTC" if old.drop_at is not None else ""
    last = f"; the last token of {old.kid} is over at {over:%d %b %H:%M:%S} UTC"
    return f"{_tell_when(rotation.upcoming, now)}{last if old.kid != rotation.upcoming.kid else ''}{dropped}."


def _say_dry(terminal: Terminal, *, dry_run: bool) -> None:
    if dry_run:
        terminal.say("Nothing was changed: this was a dry run.")


def _warn_of_long_caches(terminal: Terminal, desk: Desk, upcoming: Iterable[SigningKey]) -> None:
    """Say which verifiers will meet a key that they do not know, and from when on none can."""
    ahead = keys.rotation_rules(desk.settings).publish_ahead
    hurried = [key for key in upcoming if key.sign_from - key.publish_at < ahead]
    if not hurried:
        return
    minutes = int(min(key.sign_from - key.publish_at for key in hurried).total_seconds() // 60)
    length = f"{minutes} minute{'s' if minutes > 1 else ''}"
    known = max(key.publish_at for key in hurried) + ahead
    terminal.say(
        f"A resource server that keeps /jwks for longer than {length}, which it must not, will have to ask for it "
        f"again; one that keeps it for {ahead.total_seconds() / 3600:.0f} hours has the new key by "
        f"{known:%d %b %H:%M:%S} UTC."
    )


def _tell_effect(done: Revocation) -> str:
    """Return what a revocation means, for whoever has to say yes."""
    if not done.is_changed:
        return f"{done.key.kid} was revoked before, at {done.key.revoked_at:%d %b %Y %H:%M:%S} UTC."
    effect = f"{done.key.kid} ({done.key.alg}, {done.was.value}) leaves /jwks for good."
    if done.successor is not None:  # one that was made for this has another kid when it is done, not only rehearsed
        is_new = done.successor.publish_at >= done.successor.sign_from
        effect += f" {'A key that no verifier has yet' if is_new else done.successor.kid} signs from now on."
    if done.tokens_may_live_until is not None:
        effect += (
            " Tokens that it signed are refused here at once, and by resource servers when they next ask for /jwks; "
            "refresh tokens and sessions go on."
        )
    return effect


async def _remember(terminal: Terminal, desk: Desk, kid: str) -> None:
    """Put the tombstone and the epoch beside the sealing key of this machine; servers do the same on theirs."""
    epoch_file = EpochFile.of(desk.settings)
    async with desk.engine.read() as tx:
        epoch = (await state.load(tx)).epoch
    for warning in (Tombstones.beside(epoch_file).add([kid]), epoch_file.raise_to(epoch)):
        if warning:
            terminal.say(f"Warning: {warning}")


def _add_sealing_key(terminal: Terminal, desk: Desk, *, dry_run: bool) -> Record:
    """Put a new key on top of the file, and say what is next."""
    settings = desk.settings
    if settings.sealing_key is not None:
        raise CommandFailedError(
            f"The sealing keys are in {VARIABLE}, not in a file.",
            field="add",
            fix=f"Put a new key before the others in {VARIABLE} of every machine, start the servers again, and run: "
            "authserver keys rewrap",
        )
    open_box(settings)
    if dry_run:
        terminal.say(f"{settings.sealing_key_file} would get a new first key. Nothing was changed: this was a dry run.")
        return {"sealing_key_file": str(settings.sealing_key_file), "added": None}
    try:
        key_id = add_key(settings.sealing_key_file, plug_in=settings.sealing_key_plugin)
    except SealingKeyError as error:
        raise CommandFailedError(str(error)) from error
    terminal.say(
        f"Copy {settings.sealing_key_file} to every machine that serves, and to where you keep its copy.\n"
        "Next: authserver keys rewrap"
    )
    return {"sealing_key_file": str(settings.sealing_key_file), "added": key_id}
