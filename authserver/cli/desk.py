"""What a command works with: the settings, the database, and the operator it acts as."""

import getpass
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from authserver.cli.dev_settings import dev_database, dev_defaults
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.terminal import Terminal
from authserver.hasher import Hasher
from authserver.operations.operator import Operator
from authserver.sealing import keyring_file
from authserver.sealing.box import Box
from authserver.sealing.keyring_file import SealingKeyError
from authserver.settings import CONFIG_FILE, CONFIG_NAME, INBOX, Settings, SettingsError, load_settings
from authserver.store.engine import Engine
from authserver.store.migrations import SchemaError, check_schema
from authserver.store.sqlite import file_of

_SETTINGS_OF_A_PLACE: Final = (
    "AUTHSERVER_ISSUER",
    "AUTHSERVER_DATABASE_URL",
    "AUTHSERVER_DATABASE_URL_FILE",
    "AUTHSERVER_SEALING_KEY_FILE",
    "AUTHSERVER_SEALING_KEY",
    "AUTHSERVER_SEALING_KEY_PLUGIN",
    "AUTHSERVER_EPOCH_FILE",
    CONFIG_NAME,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """An open database and the operator at it."""

    settings: Settings
    engine: Engine
    operator: Operator

    async def now(self) -> datetime:
        """Read the database's clock, which every stored time is told by."""
        async with self.engine.read() as tx:
            return await tx.now()


def read_settings(defaults: Mapping[str, object] | None = None) -> Settings:
    """Read the settings of this process; what is wrong with them is told all at once."""
    try:
        return load_settings(os.environ, Path.cwd(), defaults=defaults)
    except SettingsError as error:
        raise CommandFailedError(f"The settings cannot be used.\n{error}", exit_code=WRONG_USAGE) from error


def read_dev_settings(*, port: int, api_port: int, web_port: int) -> Settings:
    """Read the settings of ``authserver dev``: the environment's, but never which issuer, database or key is meant.

    Mail stays in the inbox page, whatever mail server the environment names.

    ``authserver.toml`` speaks of another server and is not read; ``var/authserver.toml`` may speak of this one.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _SETTINGS_OF_A_PLACE}
    defaults = dev_defaults(port=port, api_port=api_port, web_port=web_port)
    try:
        settings = load_settings(environ, dev_database().parent, defaults=defaults)
    except SettingsError as error:
        raise CommandFailedError(f"The settings cannot be used.\n{error}", exit_code=WRONG_USAGE) from error
    return settings.model_copy(update={"smtp_url": INBOX})


def find_settings(terminal: Terminal) -> Settings:
    """Read the settings; where none name a place, those of ``authserver dev`` if it has run here."""
    names_a_place = any(os.environ.get(name) for name in _SETTINGS_OF_A_PLACE) or Path(CONFIG_FILE).exists()
    if names_a_place or not dev_database().exists():
        return read_settings()
    terminal.say(f"Using {dev_database()}, the database of authserver dev.")
    return read_settings(dev_defaults())


@asynccontextmanager
async def open_desk(terminal: Terminal) -> AsyncIterator[Desk]:
    """Open the database that the settings name, refuse one of another version, and close it at the end."""
    settings = find_settings(terminal)
    async with open_engine(settings) as engine:
        await refuse_other_schema(engine, settings)
        yield Desk(settings=settings, engine=engine, operator=make_operator(settings, engine))


async def refuse_other_schema(engine: Engine, settings: Settings) -> None:
    """Raise where the database is not there, or has another schema than this program's; say what to do."""
    path = file_of(settings.database_url)
    if path is not None and not path.exists():
        raise CommandFailedError(f"There is no database {path} yet.", fix="Run: authserver init")
    try:
        await check_schema(engine)
    except SchemaError as error:
        raise CommandFailedError(str(error)) from error


def make_operator(settings: Settings, engine: Engine) -> Operator:
    """Return the operator that whoever runs this command is."""
    return Operator(actor=get_actor(), engine=engine, settings=settings, hasher=Hasher())


def open_box(settings: Settings) -> Box:
    """Read the sealing key; say what to do where it cannot be used."""
    try:
        return keyring_file.open_box(settings)
    except SealingKeyError as error:
        raise CommandFailedError(str(error)) from error


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[Engine]:
    """Open the database and close it at the end."""
    engine = Engine.open(settings.database_url)
    try:
        yield engine
    finally:
        await engine.close()


def get_actor() -> str:
    """Return what the audit says of a command: who ran it on this machine."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"cli:{os.getuid()}"
