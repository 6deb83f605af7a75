"""The test databases themselves: a server that is never left behind, and a clear word where there is none."""

import contextlib
import importlib.util
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from tests import postgresql_server
from tests.databases import server_url

ROOT = Path(__file__).parents[2]
PATIENCE = 60


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@contextlib.contextmanager
def running(command):
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_server_goes_when_the_run_that_wanted_it_is_gone():
    folder = Path(tempfile.mkdtemp(prefix="authserver-tests-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        controller = stack.enter_context(running([sys.executable, "-c", "import time; time.sleep(600)"]))
        stack.enter_context(
            running([sys.executable, "-m", "tests.postgresql_server", str(folder), str(controller.pid)])
        )
        wait_until((folder / "url").exists)
        url = (folder / "url").read_text()
        with psycopg.connect(url) as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        controller.kill()
        controller.wait()
        wait_until(lambda: not folder.exists())
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_machine_without_postgresql_is_told_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(postgresql_server.NoPostgresqlError, match="TEST_DATABASE_URL"):
        postgresql_server.find_binaries()


def test_all_workers_of_a_run_are_given_one_server():
    assert server_url() == server_url()


def test_a_test_cannot_reach_another_machine():
    with socket.socket() as outside, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 443))


def rows_of(url, statement):
    """Run a statement on the database of a DATABASE_URL, commit, and return its rows if it has some."""
    if url.startswith("sqlite:///"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_finds_what_the_migrations_left_whatever_the_one_before_did(database_url, turn):
    assert rows_of(database_url, "SELECT count(*) FROM state") == [(1,)]
    assert rows_of(database_url, "SELECT count(*) FROM resources") == [(0,)]
    rows_of(database_url, "DELETE FROM state")
    rows_of(database_url, "INSERT INTO resources (identifier, name, scope, verified_scope) VALUES ('a', 'b', '', '')")


def test_a_connection_that_a_test_forgot_does_not_hold_up_the_next_one(postgresql_url, worker_database):
    forgotten = psycopg.connect(postgresql_url)
    forgotten.execute("LOCK TABLE state")
    worker_database.empty()
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()


def test_a_blank_database_has_no_schema(blank_database_url):
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    if blank_database_url.startswith("sqlite"):
        tables = "SELECT name FROM sqlite_master"
    assert rows_of(blank_database_url, tables) == []
