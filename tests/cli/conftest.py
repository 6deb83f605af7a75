"""A command line at a fresh installation, and what it printed."""

import codecs
import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authserver.cli import main
from tests.command_line import run_command

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = {"AUTHSERVER_ISSUER": "https://id.example.org"}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        return json.loads(self.err)


Run = Callable[..., Ran]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without a setting of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands in this process, in an empty folder; stdin is what is given, and never a terminal."""

    def run_command(*arguments: str, stdin: str = "") -> Ran:
        read, write = os.pipe()
        os.write(write, stdin.encode())
        os.close(write)
        capfd.readouterr()
        with os.fdopen(read) as given, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", given)
            code = main(list(arguments))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run_command


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    """Give the folder of a new installation, to be copied: making its keys takes longer than most tests."""
    folder = tmp_path_factory.mktemp("installation")
    database = shutil.copy(_sqlite_template, folder / "authserver.sqlite3")
    run_command("init", environment=INSTALLED | {"AUTHSERVER_DATABASE_URL": f"sqlite:///{database}"}, folder=folder)
    return folder


@pytest.fixture
def installed(run: Run, here: Path, sqlite_url: str, installation: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands at a new installation."""
    shutil.copytree(installation, here, dirs_exist_ok=True)  # its database takes the place of the empty one
    for name, value in (INSTALLED | {"AUTHSERVER_DATABASE_URL": sqlite_url}).items():
        monkeypatch.setenv(name, value)
    return run


@pytest.fixture
def start(here: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commands as processes; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start_command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "authserver", *arguments],
            cwd=here,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_command
    for process in started:
        if process.poll() is None:
            for pid in (*descendants_of(process.pid), process.pid):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def descendants_of(pid: int) -> set[int]:
    """Return the processes that a process has started, and that these have started."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found: set[int] = set()
    new = {pid}
    while new:
        found |= new
        new = {child for child, parent in parents if parent in new} - found
    return found - {pid}


def converse(answers: Iterable[tuple[str, str]], *arguments: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; answer each prompt as it comes, and return (exit code, screen)."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "authserver", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=lambda: os.login_tty(terminal),  # noqa: PLW1509  # so that Ctrl-C is a signal, as in a terminal
    )
    os.close(terminal)
    shown, decoder = "", codecs.getincrementaldecoder("utf-8")()  # a read may end within a character
    waiting = list(answers)
    with contextlib.suppress(OSError):  # EIO: the program has ended
        while chunk := os.read(controller, 4096):
            shown += decoder.decode(chunk)
            while waiting and waiting[0][0] in shown:
                time.sleep(0.3)  # a person reads first; turning the echo off throws away what was typed before
                os.write(controller, waiting.pop(0)[1].encode())
    os.close(controller)
    assert not waiting, shown
    return process.wait(timeout=10), shown
