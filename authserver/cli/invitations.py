"""``authserver invitations``: who may sign up where accounts are made by invitation."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_invitation
from authserver.cli.terminal import Terminal
from authserver.operations import invitations

app = make_noun(
    "Invite people to make an account.",
    examples="authserver invitations create ann@example.org\nauthserver invitations list",
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address that is invited.")]
_COLUMNS: Final = ("email", "status", "created_at", "expires_at", "accepted_at")


@command(
    app,
    "create",
    examples="""
    authserver invitations create ann@example.org
    authserver invitations create ann@example.org --expires-in 86400 --locale de --client notes
    """,
)
async def create(
    terminal: Terminal,
    email: Email,
    *,
    expires_in: Annotated[int, typer.Option("--expires-in", metavar="S", help="For how many seconds; a week.")] = int(
        invitations.DEFAULT_LIFETIME.total_seconds()
    ),
    locale: Annotated[str | None, typer.Option("--locale", metavar="TAG", help="The mail's language; English.")] = None,
    client: Annotated[
        str | None, typer.Option("--client", metavar="CLIENT_ID", help="The app that the mail names.")
    ] = None,
) -> None:
    """Invite an address, or renew its invitation. A running server sends the mail; the person signs up at /signup."""
    async with open_desk(terminal) as desk:
        invited = await invitations.create(
            desk.operator, email, lifetime=timedelta(seconds=expires_in), locale=locale, client_id=client
        )
        terminal.show(record_invitation(invited.invitation, await desk.now()))
    done = "Renewed" if invited.is_renewed else "Invited"
    terminal.say(f"{done} until {invited.invitation.expires_at:%Y-%m-%d %H:%M} UTC. The mail: authserver mail list")
    if not desk.settings.needs_invitation:
        terminal.say("AUTHSERVER_SIGN_UP is open: who was not invited can sign up too.")


@command(app, "list", examples="authserver invitations list --json")
async def list_invitations(terminal: Terminal) -> None:
    """List the invitations; accepted and expired ones are kept for a week."""
    async with open_desk(terminal) as desk:
        found, now = await invitations.find_all(desk.operator), await desk.now()
        terminal.show_all([record_invitation(invitation, now) for invitation in found], _COLUMNS, now=now)


@command(app, "revoke", examples="authserver invitations revoke ann@example.org --yes")
async def revoke(terminal: Terminal, email: Email, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Take an open invitation back; an account that was made by one stays."""
    async with open_desk(terminal) as desk:
        await invitations.revoke(desk.operator.rehearsing(), email)
        if terminal.may_go_on("No account can be made by this invitation any more.", yes=yes, dry_run=dry_run):
            await invitations.revoke(desk.operator, email)
    terminal.show({"email": email, "status": "revoked"})
