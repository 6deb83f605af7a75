"""Runs Alembic over one synchronous connection, alone."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import create_engine, pool

from authserver.store.migrations import HEAD, SchemaError
from authserver.store.postgresql import libpq_parameters
from authserver.store.sqlite import BUSY_SECONDS, file_of, make_private

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

MIGRATION_LOCK: Final = 0x61757468  # any number that is ours among the database's advisory locks


def make_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; nothing of it comes from a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest_migration() -> str | None:
    """Return the revision that the newest migration makes."""
    return ScriptDirectory.from_config(make_config()).get_current_head()


def upgrade_to_head(database_url: str) -> None:
    """Run the migrations that are missing."""
    with open_connection(database_url) as connection:
        try:
            command.upgrade(make_config(connection), HEAD)
        except CommandError as error:
            raise SchemaError(
                f"The database's schema is newer than this program, which knows {HEAD}. Install the newer program."
            ) from error


@contextmanager
def open_connection(database_url: str) -> Iterator[Connection]:
    """Yield a connection that nobody else migrates beside: the file's write lock, or an advisory lock."""
    path = file_of(database_url)
    if path is not None:
        make_private(path)
        engine = create_engine(
            f"sqlite:///{path}",
            poolclass=pool.NullPool,
            connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
        )
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()
        return
    parameters = libpq_parameters(database_url)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**parameters),  # type: ignore[arg-type]  # all are texts
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        connection.exec_driver_sql("SET lock_timeout = '5s'")  # DDL must not queue everybody else behind itself
        connection.commit()
        yield connection
        connection.commit()
