"""``authserver registration-tokens``: let apps register themselves at /register."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_registration_token
from authserver.cli.terminal import Terminal
from authserver.operations import registration_tokens

app = make_noun(
    "Let apps register themselves at /register.",
    examples="authserver registration-tokens create --uses 5 --expires-in 3600",
)

_COLUMNS: Final = ("id", "uses_left", "created_at", "expires_at", "revoked_at")


@command(
    app,
    "create",
    examples="""
    authserver registration-tokens create
    authserver registration-tokens create --uses 5 --expires-in 3600 --json
    """,
)
async def create(
    terminal: Terminal,
    *,
    uses: Annotated[int, typer.Option("--uses", metavar="N", help="For how many registrations.")] = 1,
    expires_in: Annotated[int, typer.Option("--expires-in", metavar="S", help="For how many seconds; a week.")] = int(
        registration_tokens.DEFAULT_LIFETIME.total_seconds()
    ),
) -> None:
    """Make a token; prints it this once. It goes into the Authorization header of POST /register."""
    async with open_desk(terminal) as desk:
        made = await registration_tokens.create(desk.operator, uses=uses, lifetime=timedelta(seconds=expires_in))
    terminal.show(record_registration_token(made.stored), secrets={"token": made.token})
    if desk.settings.client_registration == "off":
        terminal.say("/register is off: set AUTHSERVER_CLIENT_REGISTRATION=token and restart the server.")


@command(app, "list", examples="authserver registration-tokens list --json")
async def list_tokens(terminal: Terminal) -> None:
    """List the tokens, used up and expired ones too."""
    async with open_desk(terminal) as desk:
        found = await registration_tokens.find_all(desk.operator)
        terminal.show_all([record_registration_token(token) for token in found], _COLUMNS, now=await desk.now())


@command(app, "revoke", examples="authserver registration-tokens revoke 0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11 --yes")
async def revoke(
    terminal: Terminal,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as list shows it.")],
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End a token; apps that were registered with it stay."""
    async with open_desk(terminal) as desk:
        await registration_tokens.revoke(desk.operator.rehearsing(), token_id)
        if terminal.may_go_on("Nobody can register with this token any more.", yes=yes, dry_run=dry_run):
            await registration_tokens.revoke(desk.operator, token_id)
    terminal.show({"id": token_id, "status": "revoked"})
