"""``authserver logout-notices``: what apps were told of sessions that ended."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.records import record_logout_notice
from authserver.cli.terminal import Terminal
from authserver.operations import logout_notices
from authserver.store.logout_notices import State

app = make_noun(
    "See which apps were told that somebody signed out, and have them told again.",
    examples="authserver logout-notices list --state failed\nauthserver logout-notices retry --all-failed",
)

_COLUMNS: Final = ("id", "state", "client_id", "user_id", "created_at", "attempts", "last_answer")


class _State(StrEnum):
    WAITING = "waiting"
    TRYING_AGAIN = "trying-again"
    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


_STATES: Final[dict[_State, State]] = {
    _State.WAITING: "waiting",
    _State.TRYING_AGAIN: "trying again",
    _State.DELIVERED: "delivered",
    _State.REFUSED: "refused",
    _State.FAILED: "failed",
}


@command(
    app,
    "list",
    examples="authserver logout-notices list --state failed\n"
    "authserver logout-notices list --client 7hq2mvbx4t9kcznd --json",
)
async def list_notices(
    terminal: Terminal,
    *,
    state: Annotated[_State | None, typer.Option("--state", help="Only what is in this state.")] = None,
    client: Annotated[str | None, typer.Option("--client", metavar="CLIENT_ID", help="Only this app's.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 1000,
) -> None:
    """List notices, the youngest first: one for each app that a session that ended had signed somebody in to.

    Refused: the app answered 400. Failed: given up after a day of tries. Each is kept for a week after its end.
    """
    async with open_desk(terminal) as desk:
        told = _STATES[state] if state is not None else None
        found = await logout_notices.find_all(desk.operator, state=told, client_id=client, user=user, limit=limit)
        terminal.show_all([record_logout_notice(each) for each in found], _COLUMNS, now=await desk.now())


@command(
    app,
    "retry",
    examples="authserver logout-notices retry 0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11\n"
    "authserver logout-notices retry --all-failed",
)
async def retry(
    terminal: Terminal,
    notice_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The notice's id.")] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every one refused or given up.")] = False,
) -> None:
    """Have an app told now that refused, was given up, or is to be asked again later. A running server does it."""
    if (notice_id is None) != all_failed:
        raise CommandFailedError("Name one notice, or --all-failed.", exit_code=WRONG_USAGE)
    async with open_desk(terminal) as desk:
        if notice_id is not None:
            terminal.show(record_logout_notice(await logout_notices.retry(desk.operator, notice_id)))
        else:
            terminal.show({"retried": await logout_notices.retry_all_failed(desk.operator)})
