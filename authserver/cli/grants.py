"""``authserver grants``: what users gave to apps."""

from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_grant
from authserver.cli.terminal import Terminal
from authserver.operations import grants

app = make_noun(
    "See and take back what users gave to apps.",
    examples="authserver grants list --user ann\nauthserver grants revoke 0193… --yes",
)

_COLUMNS: Final = ("id", "client_id", "user_id", "scope", "created_at", "rotated_at", "expires_at")


@command(app, "list", examples="authserver grants list --user ann\nauthserver grants list --client demo-web --json")
async def list_grants(
    terminal: Terminal,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    client: Annotated[str | None, typer.Option("--client", metavar="CLIENT_ID", help="Only this client's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 1000,
) -> None:
    """List the grants that live, the youngest first."""
    async with open_desk(terminal) as desk:
        found = await grants.find_all(desk.operator, user=user, client_id=client, limit=limit)
        terminal.show_all([record_grant(grant) for grant in found], _COLUMNS, now=await desk.now())


@command(app, "revoke", examples="authserver grants revoke 0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11 --yes")
async def revoke(
    terminal: Terminal,
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant's id.")],
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a grant back: the app has to ask the user again."""
    async with open_desk(terminal) as desk:
        grant = await grants.revoke(desk.operator.rehearsing(), grant_id)
        effect = f"{grant.client_id} loses what user {grant.user_id} gave it: {' '.join(sorted(grant.scope))}."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            grant = await grants.revoke(desk.operator, grant_id)
        terminal.show(record_grant(grant))
