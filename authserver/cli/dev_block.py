"""What ``authserver dev`` prints: where everything is, commands to paste, and what is missing for production."""

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Final

from authserver.app import FEATURES
from authserver.cli.dev_data import EMAIL, MACHINE_CLIENT_ID, MACHINE_CLIENT_SECRET, PASSWORD
from authserver.cli.dev_samples import Sample
from authserver.cli.dev_settings import ISSUER_PORT, dev_database, dev_sealing_key
from authserver.cli.terminal import Colour, Terminal
from authserver.feature import Demo
from authserver.settings import Settings

_LABEL_WIDTH: Final = 12
_COMMAND_WIDTH: Final = 20
_PRODUCTION_JWKS_MAX_AGE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the block is made of. ``started_at`` is monotonic seconds."""

    settings: Settings
    samples: Sequence[Sample]
    port: int
    api_port: int
    started_at: float
    terminal: Terminal

    def demo(self) -> tuple[Demo, ...]:
        """Return what the front page shows of this."""
        samples = (Demo(name=sample.label, value=sample.url, href=sample.url) for sample in self.samples)
        inbox = f"{self.settings.issuer}/dev/inbox"
        return (
            Demo(name="Demo user", value=EMAIL),
            Demo(name="Password", value=PASSWORD),
            Demo(name="Inbox", value=inbox, href=inbox),
            *samples,
        )


def describe_start(told: Told) -> str:
    """Return the block of UX §1 for what exists; each feature brings its own lines."""
    issuer = told.settings.issuer
    lines = [("Issuer", issuer), ("Demo user", f"{EMAIL}  /  {PASSWORD}")]
    lines += [line for feature in FEATURES for line in feature.dev_lines(issuer)]
    colour = Colour.for_stream(sys.stdout, refused=told.terminal.no_color)
    missing = find_missing(told.settings, told.port)
    place = f"SQLite {dev_database(told.port)} · mail stays in the inbox page"
    return "\n".join(
        (
            f"authserver {metadata.version('authserver')} · dev mode · {place}",
            "",
            *(f"  {colour.bold(label.ljust(_LABEL_WIDTH))} {text}" for label, text in lines),
            *_describe_samples(told.samples, colour),
            "",
            *_describe_commands(told, colour),
            "",
            f"  Not for production yet ({len(missing)}): {', '.join(missing)}",
            f"Ready in {time.monotonic() - told.started_at:.1f} s. Ctrl-C stops all of it.",
        )
    )


def find_missing(settings: Settings, port: int) -> list[str]:
    """Return what stands between these settings and production, each in a few words."""
    checks = (
        (settings.issuer.startswith("http:"), "ISSUER is http"),
        (settings.sealing_key_file == dev_sealing_key(port), "SEALING_KEY_FILE is the dev key"),
        (settings.smtp is None, "SMTP_URL is empty"),
        (settings.database_url.startswith("sqlite:"), "DATABASE_URL is SQLite: one process"),
        (settings.jwks_max_age < _PRODUCTION_JWKS_MAX_AGE, "JWKS_MAX_AGE is seconds"),
        (not settings.drain_seconds, "DRAIN_SECONDS is 0"),
        (settings.database_url == f"sqlite:///{dev_database(port)}", "the demo's passwords are public"),
    )
    return [words for applies, words in checks if applies]


def _describe_samples(samples: Sequence[Sample], colour: Colour) -> list[str]:
    """Return them in one line: the first label in the column of labels, the others beside it."""
    widths = (_LABEL_WIDTH + 1, *(len(sample.label) + 2 for sample in samples[1:]))
    places = [
        f"{colour.bold(sample.label)}{' ' * (width - len(sample.label))}{sample.url}"
        for sample, width in zip(samples, widths, strict=False)
    ]
    return ["  " + "      ".join(places)] if places else []


def _describe_commands(told: Told, colour: Colour) -> list[str]:
    api = f"http://localhost:{told.api_port}"
    indent = " " * (_COMMAND_WIDTH + 5)
    token = (
        f"TOKEN=$(curl -s -u {MACHINE_CLIENT_ID}:{MACHINE_CLIENT_SECRET} {told.settings.issuer}/token"
        f" -d grant_type=client_credentials \\\n{indent}-d resource={api}"
        """ | sed -E 's/.*"access_token":"([^"]+)".*/\\1/'); echo $TOKEN"""
    )
    own_app = 'clients create --type web --name "My app" --redirect-uri http://localhost:3000/callback'
    commands = [("A first token", token), ("Your own app", f"{_name_place(told)}{_find_own_name()} {own_app}")]
    if told.samples:
        commands.insert(1, ("The API with it", f'curl -s {api}/experiment -H "Authorization: Bearer $TOKEN"'))
    return [f"  {colour.bold(label.ljust(_COMMAND_WIDTH))} {text}" for label, text in commands]


def _name_place(told: Told) -> str:
    """Return the settings that a command needs to find this issuer: none where it is the usual one."""
    if told.port == ISSUER_PORT:
        return ""
    return (
        f"AUTHSERVER_ISSUER={told.settings.issuer} AUTHSERVER_DATABASE_URL={told.settings.database_url}"
        f" AUTHSERVER_SEALING_KEY_FILE={told.settings.sealing_key_file} "
    )


def _find_own_name() -> str:
    """Return what to type to run this program again: its name where the shell finds it, else its path from here."""
    program = Path(sys.argv[0])
    if program.name != "authserver":
        return f"{sys.executable} -m authserver"
    found = shutil.which("authserver")
    if found is not None and Path(found).samefile(program):
        return "authserver"
    here = Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)
