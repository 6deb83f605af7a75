"""A real installation for journeys: set up by the command line, served by one or two processes, reached over HTTP."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browser_client import Browser
from tests.command_line import run_command
from tests.flows.balancer import balancing
from tests.ports import free_ports
from tests.processes import wait_until_it_answers

API = "https://notes.example"
CALLBACK = "http://localhost:3999/callback"
SIGNED_OUT = "http://localhost:3999/signed-out"
USERNAME = "ann"
PASSWORD = "correct horse battery staple"
ANSWER_SECONDS = 30  # a hang, not a speed: where all cores are busy a login waits for its hash (decision 0022)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One issuer, however many processes stand behind it."""

    issuer: str
    environment: dict[str, str] = field(repr=False)
    folder: Path
    nodes: "Sequence[Node]"

    def run(self, *arguments: str, stdin: str = "") -> Any:
        """Run a command of the command line with --json and return what it printed."""
        printed = run_command(*arguments, "--json", environment=self.environment, folder=self.folder, stdin=stdin)
        return json.loads(printed) if printed.strip() else None

    def create_client(self, name: str, kind: str, metadata: dict[str, Any] | None = None, *more: str) -> dict[str, str]:
        """Register a client as an operator does and return what the command line printed."""
        arguments = ["clients", "create", "--name", name, "--type", kind]
        if metadata is not None:
            file = self.folder / f"{name}.json"
            file.write_text(json.dumps(metadata))
            arguments += ["--metadata", str(file)]
        created: dict[str, str] = self.run(*arguments, *more)
        return created


async def sign_in(browser: Browser, url: str, username: str = USERNAME) -> str:
    """Go through login and consent as a person does, as far as they come; return the address at the app it ends at."""
    page = await browser.open(url)
    while page.status_code == 200:
        is_login = page.url.path.startswith("/login/")
        answers = {"username": username, "password": PASSWORD} if is_login else {"decision": "allow"}
        page = await browser.follow(await browser.submit(page, **answers))
    address: str = page.headers["location"]
    return address


@contextlib.contextmanager
def running_fleet(database_url: str, folder: Path, processes: int, **settings: str) -> Iterator[Fleet]:
    """Set an installation up on an empty database and serve it, behind a balancer where there are several processes."""
    front, *backs = free_ports(1 if processes == 1 else processes + 1)
    issuer = f"http://localhost:{front}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSERVER_")} | {
        "AUTHSERVER_ISSUER": issuer,
        "AUTHSERVER_DATABASE_URL": database_url,
        "AUTHSERVER_SEALING_KEY_FILE": str(folder / "sealing.key"),
        "AUTHSERVER_DRAIN_SECONDS": "0",
        "AUTHSERVER_ADDRESS_LIMIT_SCALE": "100",
        **{f"AUTHSERVER_{name.upper()}": value for name, value in settings.items()},
    }
    nodes = [Node(environment, folder, port) for port in backs or [front]]
    fleet = Fleet(issuer=issuer, environment=environment, folder=folder, nodes=nodes)
    fleet.run("init")
    fleet.run("resources", "create", API, "--name", "Notes API", "--scope", "notes:read", "--scope", "notes:write")
    fleet.run(
        "users", "create", USERNAME, "--email", "ann@example.org", "--email-verified", "--password-stdin",
        stdin=f"{PASSWORD}\n",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        for node in fleet.nodes:
            node.start()
            stack.callback(node.stop)
        if backs:
            stack.enter_context(balancing(front, backs))
        yield fleet


class Node:
    """One `authserver serve` of an installation."""

    def __init__(self, environment: dict[str, str], folder: Path, port: int) -> None:
        """Only name it; :meth:`start` starts it."""
        self.port = port
        self._environment = environment
        self._folder = folder
        self._log = folder / f"serve-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        command = [sys.executable, "-m", "authserver", "serve", "--port", str(self.port)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=self._environment, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            ready = f"http://127.0.0.1:{self.port}/readyz"
            wait_until_it_answers(self._process, ready, status=200, log=self._log.read_text)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)

    def stop(self) -> None:
        """End the process as an operator does; it has to go in peace."""
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(timeout=30) == 0, self._log.read_text()
