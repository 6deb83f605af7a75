"""``authserver help TOPIC``: what holds for every command."""

from typing import Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.terminal import Terminal

app = make_noun(
    "Explain exit codes, the environment and the forms of output.",
    examples="authserver help exit-codes\nauthserver help environment",
)

EXIT_CODES: Final = """\
  0  done
  1  failed, or problems were found
  2  wrong usage, or wrong settings; nothing was tried
130  stopped by Ctrl-C"""

FORMATTING: Final = """\
stdout carries the result and nothing else; notes, questions and errors go to stderr.

On a terminal   a table with heads; times as "3 minutes ago"; colour
In a pipe       one line for each row, values whole and separated by tabs, no head, no colour;
                a single record as lines of name, tab, value
--json          one document in snake_case, [] where there is nothing; errors as a problem (RFC 9457) on stderr
--quiet         ids only, and secrets that are shown once
--no-color      no colour; NO_COLOR=1 does the same, CLICOLOR_FORCE=1 colours in a pipe too"""


@command(app, "exit-codes", examples="authserver help exit-codes")
def exit_codes(terminal: Terminal) -> None:  # noqa: ARG001  # every command takes one
    """Say what the exit codes mean."""
    typer.echo(EXIT_CODES)


@command(app, "environment", examples="authserver help environment")
def environment(terminal: Terminal) -> None:
    """List every setting with its default and what is allowed."""
    from authserver.settings import describe  # noqa: PLC0415  # brings pydantic

    settings = describe()
    if terminal.as_json:
        terminal.show({setting.name: {"default": setting.default, "meaning": setting.meaning} for setting in settings})
        return
    for setting in settings:
        default = "must be set" if setting.default is None else f"default {setting.default or 'none'}"
        typer.echo(f"{setting.name}\n    {setting.meaning}\n    {default}; allowed: {setting.allowed}")


@command(app, "formatting", examples="authserver help formatting")
def formatting(terminal: Terminal) -> None:  # noqa: ARG001  # every command takes one
    """Say how results are written to a terminal, to a pipe and to a program."""
    typer.echo(FORMATTING)
