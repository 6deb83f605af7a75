"""Fixtures that every test may use: an event loop, and a fresh database on SQLite and on PostgreSQL."""

import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import databases


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run: no setting of this machine reaches a test, and no test reaches another machine."""
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):
        databases.begin_run()
    sys.addaudithook(_refuse_other_machines)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run: stop what it started."""
    if not hasattr(config, "workerinput"):
        databases.end_run()


def _refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = arguments[1][0]
    if host == "localhost" or ipaddress.ip_address(host).is_loopback:
        return
    allowed = os.environ.get("TEST_DATABASE_URL", "")
    assert host in allowed, f"a test wanted to reach {host}"


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio; the server knows no other loop."""
    return "asyncio"


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
def postgresql_url(_worker_database: databases.WorkerDatabase) -> str:
    """Give the DATABASE_URL of this worker's PostgreSQL database, migrated and emptied."""
    _worker_database.empty()
    return _worker_database.url


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


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.migrated_sqlite_file(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def _worker_database(worker_id: str) -> Iterator[databases.WorkerDatabase]:
    server = databases.server_url()
    name = f"authserver_test_{os.getpid()}_{worker_id}"
    database = databases.WorkerDatabase(server, name)
    yield database
    database.close()
    databases.drop_database(server, name)
