"""The installations that journeys run on: one process on each database, and two processes on one PostgreSQL."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.flows.fleet import Fleet, running_fleet


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "postgresql-two-processes"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Fleet]:
    """Give a served issuer with the API https://notes.example and the user ann; journeys make their own clients."""
    folder = tmp_path_factory.mktemp("fleet")
    processes = 2 if "two" in request.param else 1
    with (
        _database(request.param, folder, worker_id) as url,
        running_fleet(url, folder, processes, client_registration="token") as running,
    ):
        yield running


@contextlib.contextmanager
def _database(kind: str, folder: Path, worker_id: str) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'authserver.sqlite3'}"
        return
    server, name = databases.server_url(), f"authserver_fleet_{os.getpid()}_{worker_id}"
    try:
        yield databases.create_database(server, name)
    finally:
        databases.drop_database(server, name)
