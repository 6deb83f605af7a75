"""What every command shares: the options for its output, the form of its help, and how its errors end it."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from authserver import memory
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.terminal import Terminal
from authserver.operations.errors import OperationError
from authserver.phases import UnavailableError

_OUTPUT: Final = {
    "as_json": Annotated[bool, typer.Option("--json", help="Print one JSON document.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Print ids (and new secrets) only.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="Print without colour, as NO_COLOR does.")],
}


def make_noun(line: str, *, examples: str) -> typer.Typer:
    """Return a noun that verbs are registered on; ``line`` is its one-line help."""
    return typer.Typer(
        cls=HelpfulGroup, help=line, epilog=inspect.cleandoc(examples), add_completion=False, rich_markup_mode=None
    )


def make_single() -> typer.Typer:
    """Return a noun that is one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def command(
    app: typer.Typer, name: str, *, examples: str
) -> Callable[[Callable[..., Awaitable[None] | None]], Callable[..., None]]:
    """Register a command that takes a :class:`Terminal` first; its docstring is the help, its examples come first.

    The function may be a coroutine. ``--json``, ``--quiet`` and ``--no-color`` are added here: no command forgets one.
    """

    def register(function: Callable[..., Awaitable[None] | None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**given: Any) -> None:  # noqa: ANN401  # what Typer parsed
            memory.end_start()
            terminal = Terminal(**{option: given.pop(option) for option in _OUTPUT})
            try:
                result = function(terminal, **given)
                if inspect.iscoroutine(result):
                    asyncio.run(result)
            except OperationError as error:
                raise CommandFailedError(error.message, fix=error.fix, field=error.field) from error
            except UnavailableError as error:
                raise CommandFailedError(str(error), fix="Is the database running and reachable?") from error

        _declare_options(run, function)
        app.command(name, cls=HelpfulCommand, epilog=inspect.cleandoc(examples))(run)
        return run

    return register


def _declare_options(run: Callable[..., None], function: Callable[..., object]) -> None:
    """Let Typer see the function's own options and those for output, but not the terminal."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    parameters = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own
    ]
    parameters += [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for option, annotation in _OUTPUT.items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may carry one
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]  # else Typer reads the function's own hints


class HelpfulCommand(TyperCommand):
    """A command whose help begins with what it does and with examples to copy."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # Typer's own types are private
        """Write one line, examples, usage, the rest, options."""
        _format_help(self, ctx, formatter)


class HelpfulGroup(TyperGroup):
    """The same for a noun with its verbs; without a verb it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Typer's own types are private
        """Read the options before the verb."""
        if not args:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(WRONG_USAGE)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  # Typer's own types are private
        """Write one line, examples, usage, the rest, options and commands."""
        _format_help(self, ctx, formatter)


def _format_help(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
    first, _, rest = inspect.cleandoc(command.help or "").partition("\n")
    formatter.write(f"{first}\n")
    if command.epilog:
        with formatter.section("Examples"):
            for line in command.epilog.splitlines():
                formatter.write(f"  {line}\n")
    formatter.write_paragraph()
    command.format_usage(ctx, formatter)
    if rest.strip():
        formatter.write_paragraph()
        formatter.write_text(rest.strip())
    command.format_options(ctx, formatter)
