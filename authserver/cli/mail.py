"""``authserver mail``: what has become of the mail that this server wrote."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.records import record_mail
from authserver.cli.terminal import Terminal
from authserver.operations import mail, users
from authserver.store.outbox import State

app = make_noun(
    "See what has become of mail, and have it tried again.",
    examples="authserver mail list --state failed\nauthserver mail retry --all-failed",
)

_COLUMNS: Final = ("id", "state", "kind", "recipient", "created_at", "attempts", "last_answer")


class _State(StrEnum):
    WAITING = "waiting"
    TRYING_AGAIN = "trying-again"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"


_STATES: Final[dict[_State, State]] = {
    _State.WAITING: "waiting",
    _State.TRYING_AGAIN: "trying again",
    _State.SENT: "sent",
    _State.FAILED: "failed",
    _State.EXPIRED: "expired",
}


@command(app, "list", examples="authserver mail list --state failed\nauthserver mail list --user ann --json")
async def list_mails(
    terminal: Terminal,
    *,
    state: Annotated[_State | None, typer.Option("--state", help="Only what is in this state.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 1000,
) -> None:
    """List mails, the youngest first. What they say is sealed, and gone once they have been sent.

    Each is kept for a week after it was sent, failed, or expired with what it held.
    """
    async with open_desk(terminal) as desk:
        user_id = (await users.get(desk.operator, user)).id if user is not None else None
        told = _STATES[state] if state is not None else None
        found = await mail.find_all(desk.operator, state=told, user_id=user_id, limit=limit)
        terminal.show_all([record_mail(each) for each in found], _COLUMNS, now=await desk.now())


@command(
    app,
    "retry",
    examples="authserver mail retry 0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11\nauthserver mail retry --all-failed",
)
async def retry(
    terminal: Terminal,
    mail_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The mail's id.")] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every mail that failed.")] = False,
) -> None:
    """Have a mail tried now that failed, or that waits for its next try. A running server sends it.

    A code or an invitation that has expired is never sent.
    """
    if (mail_id is None) != all_failed:
        raise CommandFailedError("Name one mail, or --all-failed.", exit_code=WRONG_USAGE)
    async with open_desk(terminal) as desk:
        if mail_id is not None:
            terminal.show(record_mail(await mail.retry(desk.operator, mail_id)))
        else:
            terminal.show({"retried": await mail.retry_all_failed(desk.operator)})


@command(app, "test", examples="authserver mail test ann@example.org")
async def test(
    terminal: Terminal,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to.")],
) -> None:
    """Write a mail that says that mail works. A running server sends it; `mail list` says what became of it."""
    async with open_desk(terminal) as desk:
        terminal.show(record_mail(await mail.send_test(desk.operator, address)))
        terminal.say("See: authserver mail list")
