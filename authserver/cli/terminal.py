"""How results look: a table for a person, tab-separated values for a pipe, one JSON document for a program.

stdout carries the result and nothing else. On a terminal times are told as "3 minutes ago" and there is colour; in a
pipe values are whole, without a head and without colour.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO, TypeAlias

import typer

from authserver.cli.failure import WRONG_USAGE, CommandFailedError

Record: TypeAlias = Mapping[str, object]  # the first member is the id

_AGES: Final = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
    (timedelta(seconds=1), "second"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """Colours for one stream, or none."""

    on: bool

    @classmethod
    def for_stream(cls, stream: TextIO, *, refused: bool = False) -> "Colour":
        """Decide as NO_COLOR, CLICOLOR_FORCE and ``--no-color`` say; by default only a terminal is coloured."""
        if refused or "--no-color" in sys.argv or os.environ.get("NO_COLOR"):
            return cls(on=False)
        return cls(on=bool(os.environ.get("CLICOLOR_FORCE")) or stream.isatty())

    def bold(self, text: str) -> str:
        """Return the text for a head or a name."""
        return self._wrap("1", text)

    def red(self, text: str) -> str:
        """Return the text for an error."""
        return self._wrap("31", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """Where a command writes to, and how it was asked to write."""

    as_json: bool = False
    quiet: bool = False
    no_color: bool = False

    @property
    def is_interactive(self) -> bool:
        """Tell whether a person can be asked: stdin and stdout are terminals."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def draws(self) -> bool:
        """Tell whether a picture belongs below a list: a person reads it, and did not ask for less."""
        return sys.stdout.isatty() and not self.as_json and not self.quiet

    def draw(self, lines: Sequence[str]) -> None:
        """Print a picture as it is; only where :attr:`draws`."""
        for line in lines:
            _write(line)

    def say(self, text: str) -> None:
        """Tell a person something beside the result, on stderr."""
        if not self.quiet:
            sys.stderr.write(f"{text}\n")

    def show_all(self, records: Sequence[Record], columns: Sequence[str], *, now: datetime) -> None:
        """Print a list: in JSON every member of each record, else the chosen columns."""
        if self.as_json:
            _write(json.dumps([_plain(record) for record in records], indent=2))
        elif self.quiet:
            for record in records:
                _write(_spell(next(iter(record.values()))))
        elif sys.stdout.isatty():
            self._show_table(records, columns, now)
        else:
            for record in records:
                _write("\t".join(_spell(record[column]) for column in columns))

    def show(self, record: Record, *, secrets: Record | None = None) -> None:
        """Print one record, and last the secrets that are never shown again, each alone on its line."""
        secrets = secrets or {}
        if self.as_json:
            _write(json.dumps(_plain({**record, **secrets}), indent=2))
            return
        if self.quiet:
            _write(_spell(next(iter(record.values()))))
            for secret in secrets.values():
                _write(_spell(secret))
            return
        if not sys.stdout.isatty():
            for name, value in {**record, **secrets}.items():
                _write(f"{name}\t{_spell(value)}")
            return
        colour = Colour.for_stream(sys.stdout, refused=self.no_color)
        width = max(map(len, record))
        for name, value in record.items():
            if value not in (None, "", (), [], {}):
                _write(f"{colour.bold(name.ljust(width))}  {_visible(_spell(value))}")
        for name, secret in secrets.items():
            _write(f"\n{colour.bold(name)}, shown this once:\n{_spell(secret)}")

    def may_go_on(self, effect: str, *, yes: bool, dry_run: bool) -> bool:
        """Say what will happen; tell whether to do it. Raises where nobody can be asked, and after a no."""
        self.say(effect)
        if dry_run:
            self.say("Nothing was changed: this was a dry run.")
            return False
        if yes:
            return True
        if not self.is_interactive:
            raise CommandFailedError("--yes is needed when not on a terminal", exit_code=WRONG_USAGE)
        with _interruptible():
            agreed = typer.confirm("Go on?", err=True)
        if not agreed:
            raise CommandFailedError("Nothing was changed.")
        return True

    def ask_secret(self, label: str) -> str:
        """Ask for a secret twice, showing neither; only where :attr:`is_interactive`."""
        with _interruptible():
            secret: str = typer.prompt(label, hide_input=True, confirmation_prompt="The same again", err=True)
        return secret

    def _show_table(self, records: Sequence[Record], columns: Sequence[str], now: datetime) -> None:
        colour = Colour.for_stream(sys.stdout, refused=self.no_color)
        rows = [[_visible(_spell_for_people(record[column], now)) for column in columns] for record in records]
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        _write("  ".join(colour.bold(head.ljust(width)) for head, width in zip(columns, widths, strict=True)).rstrip())
        for row in rows:
            _write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question: asyncio waits for a coroutine that gives way, and a question does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


def _plain(value: object) -> Any:  # noqa: ANN401  # what json.dumps takes
    """Return a value as JSON has it: times in RFC 3339, lifetimes in whole seconds, absent as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, bool | int | float) or value is None:
        return value
    return _spell(value)


def _spell(value: object) -> str:
    """Return a value whole, in one field of a tab-separated line."""
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            text = str(int(value.total_seconds()))
        case frozenset():
            text = " ".join(sorted(value))
        case dict():
            text = json.dumps(_plain(value))
        case list() | tuple():
            text = " ".join(_spell(member) for member in value)
        case _:
            text = str(value)
    return text.replace("\t", " ").replace("\r", " ").replace("\n", " ")


def _spell_for_people(value: object, now: datetime) -> str:
    if isinstance(value, datetime):
        return tell_age(value, now)
    if isinstance(value, bool):
        return "yes" if value else ""
    return _spell(value)


def tell_age(moment: datetime, now: datetime) -> str:
    """Say how long ago, or in how long, in the largest unit that fits: "3 minutes ago", "in 2 days"."""
    distance = abs(now - moment)
    for unit, name in _AGES:
        count = distance // unit
        if count:
            words = f"{count} {name}{'s' if count > 1 else ''}"
            return f"{words} ago" if moment <= now else f"in {words}"
    return "now"


def _visible(text: str) -> str:
    """Return the text without what could steer a terminal: a client's name is a stranger's text."""
    return "".join(character if character.isprintable() else "�" for character in text)
