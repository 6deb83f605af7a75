"""The tree of commands, and what an error looks like to the person or the script that runs one."""

import json
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module, metadata
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from authserver.cli.command import HelpfulGroup
from authserver.cli.failure import FAILED, INTERRUPTED, CommandFailedError
from authserver.cli.terminal import Colour

# noun: (module of authserver.cli, one line for --help); a module is imported when its noun is used
NOUNS: Final = {
    "dev": ("dev", "Start a demo issuer with a sample API and a sample app."),
    "serve": ("serve", "Serve the issuer."),
    "init": ("init", "Make the sealing key, the schema and the first signing keys."),
    "migrate": ("migrate", "Bring the database's schema to this version."),
    "purge": ("purge", "Delete what has expired; the server does so by itself."),
    "restored": ("restored", "Say that the database came out of a backup, so that it is served again."),
    "healthcheck": ("healthcheck", "Ask the server on this machine whether it is ready."),
    "bench": ("bench", "Measure what a request costs on this machine."),
    "keys": ("keys", "List, rotate, revoke and export the signing keys."),
    "clients": ("clients", "Register apps and look after them."),
    "resources": ("resources", "Register the APIs that tokens are for."),
    "providers": ("providers", "Let people sign in through other providers, such as GitHub."),
    "users": ("users", "Look after people's accounts."),
    "invitations": ("invitations", "Invite people to make an account."),
    "registration-tokens": ("registration_tokens", "Let apps register themselves at /register."),
    "grants": ("grants", "See and take back what users gave to apps."),
    "sessions": ("sessions", "See and end the browsers in which people are signed in."),
    "logout-notices": ("logout_notices", "See which apps were told that somebody signed out."),
    "mail": ("mail", "See what has become of mail, and have it tried again."),
    "help": ("help", "Explain exit codes, the environment and the forms of output."),
}


class Nouns(HelpfulGroup):
    """The first level: knows every noun's name and line, and imports its module on demand."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  # Typer's own type is private
        """Name every noun in the order of a newcomer's need."""
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002  # Typer's own type is private
        """Import the noun's module and return its commands; None where there is no such noun."""
        if cmd_name not in NOUNS:
            return None
        module = import_module(f"authserver.cli.{NOUNS[cmd_name][0]}")
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002
        """Write the nouns with their lines, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(noun, line) for noun, (_, line) in NOUNS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Find the noun; a typo is answered with the nearest ones."""
        if args[0] not in NOUNS:
            near = get_close_matches(args[0], NOUNS)
            meant = f" Did you mean: {', '.join(near)}?" if near else " See: authserver --help"
            ctx.fail(f"There is no command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Nouns,
    add_completion=False,
    rich_markup_mode=None,
    epilog="""\
authserver dev
authserver clients create --name Notes --type web --redirect-uri https://notes.example/callback
authserver users list --json""",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # Typer's callback
    if wanted:
        typer.echo(f"authserver {metadata.version('authserver')}")
        raise typer.Exit


@app.callback()
def authserver(
    *,
    version: Annotated[  # done by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A standalone OAuth 2.1 and OpenID Connect issuer.

    `authserver NOUN --help` and `authserver NOUN VERB --help` say more.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command, print what went wrong to stderr, and return the exit code."""
    as_json = "--json" in arguments
    command = get_command(app)
    try:
        code = command.main(list(arguments), prog_name="authserver", standalone_mode=False)
        sys.stdout.flush()
    except CommandFailedError as failure:
        _report(failure.problem(), as_json=as_json)
        return failure.exit_code
    except typer.TyperException as error:  # wrong usage
        _report({"title": "Wrong usage", "detail": error.format_message(), "fix": _usage(error)}, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # the reader had enough: `authserver users list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context is not None else None


def _report(problem: dict[str, str | None], *, as_json: bool) -> None:
    """Write an error to stderr: an RFC 9457 problem, or two lines for a person."""
    if as_json:
        document = {"type": "about:blank", **{name: text for name, text in problem.items() if text}}
        sys.stderr.write(json.dumps(document) + "\n")
        return
    colour = Colour.for_stream(sys.stderr)
    sys.stderr.write(f"{colour.red('Error:')} {problem['detail']}\n")
    if problem.get("fix"):
        sys.stderr.write(f"{problem['fix']}\n")
