"""Engines for what only one of the databases can show, and what most stories begin with."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from authserver.store import clients, sessions, users
from authserver.store.engine import Engine
from tests.store.samples import CLIENT, SESSION, USER


@pytest.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[Engine]:
    """Give an engine on PostgreSQL, for what SQLite cannot do: two transactions at once."""
    engine = Engine.open(postgresql_url)
    yield engine
    await engine.close()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Engine]:
    """Give an engine on SQLite, for what is special about its one file."""
    engine = Engine.open(sqlite_url)
    yield engine
    await engine.close()


@contextmanager
def doubtful_commits(postgresql_url: str, change: str) -> Iterator[None]:
    """Let commits with such a change (`INSERT ON replays`) warn as where the standby may not have them.

    PostgreSQL says so by a WARNING only; a deferred trigger raises one during the commit, as the server would.
    """
    table = change.rpartition(" ")[2]
    with psycopg.connect(postgresql_url, autocommit=True) as operator:
        operator.execute(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE WARNING 'not replicated'; RETURN NULL; END $$"
        )
        operator.execute(
            f"CREATE CONSTRAINT TRIGGER warn AFTER {change} DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION warn()"
        )
        try:
            yield
        finally:
            operator.execute(f"DROP TRIGGER warn ON {table}")
            operator.execute("DROP FUNCTION warn()")


async def add_people(engine: Engine) -> None:
    """Store the client, the user and the session of the samples."""
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        await users.add(tx, USER)
        await sessions.add(tx, SESSION, b"cookie", user_agent="a browser", address="192.0.2.1")
