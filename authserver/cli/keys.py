"""``authserver keys``: the keys that sign tokens."""

import asyncio
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import Desk, open_box, open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.records import record_rotation, record_signing_key
from authserver.cli.terminal import Terminal, tell_age
from authserver.operations import keys
from authserver.operations.keys import Rotation

app = make_noun(
    "List, rotate and export the signing keys.",
    examples="authserver keys list\nauthserver keys rotate --now --wait\nauthserver keys export > jwks.json",
)

_COLUMNS: Final = ("kid", "alg", "state", "publish_at", "sign_from", "sign_until", "drop_at")
_LONGEST_NAP: Final = 5.0  # seconds between looks at the database's clock


@command(app, "list", examples="authserver keys list\nauthserver keys list --json")
async def list_keys(terminal: Terminal) -> None:
    """List every key, dropped and revoked ones too; what a key is follows from its times."""
    async with open_desk(terminal) as desk:
        found = await keys.find_all(desk.operator)
        terminal.show_all([record_signing_key(listing) for listing in found], _COLUMNS, now=await desk.now())


@command(
    app,
    "rotate",
    examples="""
    authserver keys rotate
    authserver keys rotate --now --wait
    """,
)
async def rotate(
    terminal: Terminal,
    *,
    now: Annotated[
        bool, typer.Option("--now", help="As soon as every cache has the next key, not after 24 h.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Come back when the next keys sign.")] = False,
) -> None:
    """Let the next keys take over. Tokens that the old ones signed stay valid until they expire.

    A key signs only after it has been published for long enough that every verifier has it. Where that is not over,
    the take-over is planned, and happens by itself.
    """
    async with open_desk(terminal) as desk:
        rotations = await keys.rotate(desk.operator, open_box(desk.settings), hurry=now)
        at = await desk.now()
        for rotation in rotations:
            when = "now" if rotation.upcoming.sign_from <= at else tell_age(rotation.upcoming.sign_from, at)
            terminal.say(f"{rotation.alg}: {rotation.upcoming.kid} signs {when}.")
        if wait:
            await _wait(desk, rotations)
            at = await desk.now()
        columns = ("alg", "kid", "sign_from", "is_signing", "replaces", "last_token_expires_at")
        terminal.show_all([record_rotation(rotation, at) for rotation in rotations], columns, now=at)


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


async def _wait(desk: Desk, rotations: tuple[Rotation, ...]) -> None:
    """Wait until the database's clock has reached every take-over."""
    last = max(rotation.upcoming.sign_from for rotation in rotations)
    while (left := (last - await desk.now()).total_seconds()) > 0:  # noqa: ASYNC110  # no event: another machine's clock
        await asyncio.sleep(min(left, _LONGEST_NAP))
