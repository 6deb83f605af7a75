"""``authserver users``: people's accounts."""

import asyncio
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.options import DryRun, Yes
from authserver.cli.progress import Progress
from authserver.cli.records import record_cut, record_user
from authserver.cli.terminal import Terminal
from authserver.operations import users
from authserver.operations.django_users import ReadingRules, read_file
from authserver.operations.user_import import Imported, import_users, spend_tokens
from authserver.operations.users import UserChanges

app = make_noun(
    "Look after people's accounts.",
    examples="authserver users create ann --email ann@example.org\nauthserver users disable ann",
)

Who = Annotated[str, typer.Argument(metavar="USER", help="A username, a verified e-mail address or an id.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]
_COLUMNS: Final = ("id", "username", "email", "email_verified", "is_admin", "status", "created_at")


@command(
    app,
    "create",
    examples="""
    authserver users create ann --email ann@example.org
    authserver users create ann --email ann@example.org --email-verified --admin --password-stdin < password.txt
    """,
)
async def create(
    terminal: Terminal,
    username: Annotated[str, typer.Argument(metavar="USERNAME", help="What the person signs in with.")],
    *,
    email: Annotated[str | None, typer.Option("--email", metavar="E", help="The e-mail address.")] = None,
    email_verified: Annotated[
        bool, typer.Option("--email-verified", help="The address is known to be theirs.")
    ] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Make this user an admin.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="The name apps may show.")] = None,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Nobody can sign in until one is set.")] = False,
) -> None:
    """Make an account. On a terminal the password is asked for."""
    password = None if no_password else _read_password(terminal, password_stdin=password_stdin)
    async with open_desk(terminal) as desk:
        user = await users.create(
            desk.operator,
            username=username,
            email=email,
            email_verified=email_verified,
            is_admin=admin,
            name=name,
            password=password,
        )
    terminal.show(record_user(user))


@command(app, "list", examples="authserver users list\nauthserver users list --search ann --json")
async def list_users(
    terminal: Terminal,
    *,
    search: Annotated[str | None, typer.Option("--search", help="A part of a username, name or address.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Go on after this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10000, help="How many at most.")] = 1000,
) -> None:
    """List accounts."""
    async with open_desk(terminal) as desk:
        found = await users.find_all(desk.operator, search=search, after=after, limit=limit)
        terminal.show_all([record_user(user) for user in found], _COLUMNS, now=await desk.now())
    if len(found) == limit:
        terminal.say(f"There may be more: --after {found[-1].id}")


@command(app, "show", examples="authserver users show ann")
async def show(terminal: Terminal, who: Who) -> None:
    """Show one account."""
    async with open_desk(terminal) as desk:
        user = await users.get(desk.operator, who)
        has_second_factor = await users.has_second_factor(desk.operator, user)
        passkeys = await users.count_passkeys(desk.operator, user)
        terminal.show({**record_user(user), "second_factor": has_second_factor, "passkeys": passkeys})


@command(
    app,
    "update",
    examples="""
    authserver users update ann --email ann@example.net --email-verified
    authserver users update ann --no-admin
    """,
)
async def update(
    terminal: Terminal,
    who: Who,
    *,
    username: Annotated[str | None, typer.Option("--username", help="Another username.")] = None,
    email: Annotated[str | None, typer.Option("--email", metavar="E", help="Another address, unverified.")] = None,
    email_verified: Annotated[
        bool | None, typer.Option("--email-verified/--no-email-verified", help="Whether it is known to be theirs.")
    ] = None,
    admin: Annotated[bool | None, typer.Option("--admin/--no-admin", help="Whether this user is an admin.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The name apps may show; empty removes it.")] = None,
) -> None:
    """Change an account."""
    changes = UserChanges(username=username, email=email, email_verified=email_verified, is_admin=admin, name=name)
    async with open_desk(terminal) as desk:
        terminal.show(record_user(await users.update(desk.operator, who, changes)))


@command(app, "disable", examples="authserver users disable ann --yes")
async def disable(terminal: Terminal, who: Who, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Turn an account off: sign-in stops, sessions end, apps lose their access."""
    async with open_desk(terminal) as desk:
        cut = await users.disable(desk.operator.rehearsing(), who)
        effect = f"{cut.user.username} cannot sign in; {cut.sessions} sessions end, {cut.grants} grants are revoked."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            cut = await users.disable(desk.operator, who)
        terminal.show(record_cut(cut))
    terminal.say(f"Undo: authserver users enable {who}")


@command(app, "enable", examples="authserver users enable ann")
async def enable(terminal: Terminal, who: Who) -> None:
    """Turn an account on again, or keep one whose person wanted it deleted; what was revoked stays revoked."""
    async with open_desk(terminal) as desk:
        terminal.show(record_user(await users.enable(desk.operator, who)))


@command(
    app,
    "set-password",
    examples="""
    authserver users set-password ann
    authserver users set-password ann --password-stdin < password.txt
    """,
)
async def set_password(terminal: Terminal, who: Who, *, password_stdin: PasswordStdin = False) -> None:
    """Set another password; whoever is signed in with the old one is signed out everywhere."""
    password = _read_password(terminal, password_stdin=password_stdin)
    async with open_desk(terminal) as desk:
        terminal.show(record_cut(await users.set_password(desk.operator, who, password)))


@command(app, "reset-factors", examples="authserver users reset-factors ann --yes")
async def reset_factors(terminal: Terminal, who: Who, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove second factor and passkeys of somebody who has lost them; signed out everywhere, and told by mail."""
    async with open_desk(terminal) as desk:
        cut = await users.reset_factors(desk.operator.rehearsing(), who)
        name = cut.user.username
        effect = f"{name} signs in with one factor; {cut.sessions} sessions end, {cut.grants} grants are revoked."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            cut = await users.reset_factors(desk.operator, who)
        terminal.show(record_cut(cut))


@command(app, "delete", examples="authserver users delete ann --yes\nauthserver users delete ann --dry-run")
async def delete(terminal: Terminal, who: Who, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an account: sessions and grants die at once, its id is never used again."""
    async with open_desk(terminal) as desk:
        cut = await users.delete(desk.operator.rehearsing(), who)
        effect = f"{cut.user.username} is deleted; {cut.sessions} sessions end, {cut.grants} grants are revoked."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            cut = await users.delete(desk.operator, who)
        terminal.show(record_cut(cut))


@command(
    app,
    "import",
    examples="""
    python manage.py dumpdata auth.user account.emailaddress > people.json && authserver users import people.json
    authserver users import people.csv --email-verified --dry-run
    authserver users import people.json --model accounts.customer --map ids.csv --keep-ids
    """,
)
async def import_people(
    terminal: Terminal,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What Django's dumpdata wrote, or a CSV file.")],
    *,
    model: Annotated[str | None, typer.Option("--model", help="The users' model; by default any *.user.")] = None,
    email_verified: Annotated[
        bool, typer.Option("--email-verified", help="Every address in the file is known to be theirs.")
    ] = False,
    drop_unreadable_passwords: Annotated[
        bool, typer.Option("--drop-unreadable-passwords", help="Import those accounts without a password.")
    ] = False,
    id_map: Annotated[
        Path | None, typer.Option("--map", metavar="CSV", help="Write each account's old id and new sub there.")
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Note the old ids, for refresh tokens that name them.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Import people with their passwords; run it again to go on where it was stopped.

    Who is here already stays as they are. Rows that cannot be imported are listed, and the exit code is 1.
    """
    rules = ReadingRules(model=model, all_verified=email_verified, drop_unreadable_passwords=drop_unreadable_passwords)
    found = read_file(_read_text(file), rules)
    progress = Progress(terminal, f"of {len(found.users)} read")
    try:
        async with open_desk(terminal) as desk:
            operator = desk.operator.rehearsing() if dry_run else desk.operator
            result = await import_users(operator, found.users, keep_ids=keep_ids, on_batch=progress.advance)
            spent = await spend_tokens(operator, found.spent_tokens) if keep_ids else 0
    except asyncio.CancelledError:  # Ctrl-C
        progress.end()
        terminal.say(f"Stopped after {progress.done} of {len(found.users)}. To go on, run the same command again.")
        raise
    progress.end()
    faults = [*found.faults, *result.faults]
    if id_map is not None and not dry_run:
        _write_map(id_map, result.accounts)
    for fault in faults:
        terminal.say(f"{fault.place}: {fault.username or '(no name)'}: {fault.reason}")
    counts = {"created": result.created, "known": result.known, "failed": len(faults)}
    terminal.show(counts | ({"spent_tokens": spent} if keep_ids else {}))
    if faults:
        raise CommandFailedError(f"{len(faults)} rows were not imported.", fix="Correct them and run it again.")


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailedError(f"{file} cannot be read: {error}", exit_code=WRONG_USAGE) from error


def _write_map(path: Path, accounts: Sequence[Imported]) -> None:
    """Write which subject each of the other system's users is here; nothing of it is a secret."""
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(("id", "sub"))
        writer.writerows((one.source_id, one.user.sub) for one in accounts)


def _read_password(terminal: Terminal, *, password_stdin: bool) -> str:
    """Read it from stdin or by a prompt that shows nothing: an argument would stand in the process list."""
    if password_stdin:
        line = sys.stdin.readline()
        if not line:
            raise CommandFailedError("There was no password on stdin.", exit_code=WRONG_USAGE)
        return line.rstrip("\r\n")
    if not terminal.is_interactive:
        raise CommandFailedError("--password-stdin is needed when not on a terminal", exit_code=WRONG_USAGE)
    return terminal.ask_secret("Password")
