"""``authserver sessions``: the browsers in which people are signed in."""

from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_session
from authserver.cli.terminal import Terminal
from authserver.operations import sessions

app = make_noun(
    "See and end the browsers in which people are signed in.",
    examples="authserver sessions list --user ann\nauthserver sessions revoke 0193… --yes",
)

_COLUMNS: Final = ("id", "user_id", "created_at", "last_seen_at", "expires_at")


@command(app, "list", examples="authserver sessions list --user ann\nauthserver sessions list --json")
async def list_sessions(
    terminal: Terminal,
    *,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 1000,
) -> None:
    """List the sessions that live, the youngest first."""
    async with open_desk(terminal) as desk:
        found = await sessions.find_all(desk.operator, user=user, limit=limit)
        terminal.show_all([record_session(session) for session in found], _COLUMNS, now=await desk.now())


@command(app, "revoke", examples="authserver sessions revoke 0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11 --yes")
async def revoke(
    terminal: Terminal,
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The session's id.")],
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """End a session: that browser has to sign in again, and its apps lose their access."""
    async with open_desk(terminal) as desk:
        ended = await sessions.revoke(desk.operator.rehearsing(), session_id)
        effect = f"User {ended.session.user_id} is signed out there; {ended.grants} grants are revoked."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            ended = await sessions.revoke(desk.operator, session_id)
        terminal.show({**record_session(ended.session), "grants_revoked": ended.grants})
