"""The test databases themselves: a server that is never left behind, and a clear word where there is none."""

import contextlib
import importlib.util
import socket
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
