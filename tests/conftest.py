"""A fresh database for every test that asks, on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import databases

if TYPE_CHECKING:
    from authserver.store.engine import Engine
    from tests.server import Server, StartServer


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the DATABASE_URL of a migrated database without rows: the test runs once on each database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """Give the DATABASE_URL of a migrated SQLite file of this test's own."""
    path = shutil.copy(_sqlite_template, tmp_path / "authserver.sqlite3")
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(worker_database: databases.WorkerDatabase) -> str:
    """Give the DATABASE_URL of this worker's PostgreSQL database, migrated and emptied."""
    worker_database.empty()
    return worker_database.url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator["Engine"]:
    """Give an engine on a migrated database without rows: the test runs once on each database."""
    from authserver.store.engine import Engine  # noqa: PLC0415 - tests of the house run without a store

    engine = Engine.open(database_url)
    yield engine
    await engine.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def blank_database_url(request: pytest.FixtureRequest) -> str:
    """Give the DATABASE_URL of a database without a schema: for migrations and `init`."""
    url: str = request.getfixturevalue(f"blank_{request.param}_url")
    return url


@pytest.fixture
def blank_sqlite_url(tmp_path: Path) -> str:
    """Give the DATABASE_URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'blank.sqlite3'}"


@pytest.fixture
def blank_postgresql_url(worker_id: str) -> Iterator[str]:
    """Give the DATABASE_URL of a PostgreSQL database without a schema."""
    server = databases.server_url()
    name = f"authserver_test_{os.getpid()}_{worker_id}_blank"
    yield databases.create_database(server, name)
    databases.drop_database(server, name)


@pytest.fixture
async def start_server(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator["StartServer"]:
    """Give `await start_server(**settings)`: a server in this process (tests/server.py), stopped when the test ends."""
    from tests.server import cheap_hasher, running_server  # noqa: PLC0415 - the protocol is tested without the server

    monkeypatch.setattr("authserver.app.Hasher", cheap_hasher)
    monkeypatch.setattr("authserver.steps.even_time.EVEN_SECONDS", 0.0)
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> "Server":
            return await stack.enter_async_context(running_server(database_url, tmp_path, **settings))

        yield start


@pytest.fixture
async def server(start_server: "StartServer") -> "Server":
    """Give a running server whose settings are the defaults."""
    return await start_server()


@pytest.fixture(scope="session")
def _compiled_once() -> Iterator[None]:
    from tests import compiled_once  # noqa: PLC0415 - the protocol is tested without the server

    with pytest.MonkeyPatch.context() as patch:
        compiled_once.share(patch)
        yield


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory, _compiled_once: None) -> Path:
    return databases.migrated_sqlite_file(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def worker_database(worker_id: str, _compiled_once: None) -> Iterator[databases.WorkerDatabase]:
    server = databases.server_url()
    name = f"authserver_test_{os.getpid()}_{worker_id}"
    database = databases.WorkerDatabase(server, name)
    yield database
    database.close()
    databases.drop_database(server, name)
