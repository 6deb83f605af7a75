"""A sample as its README starts it: a process of its own, asked over HTTP."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2

from tests.ports import free_ports
from tests.processes import wait_until_it_answers

CLIENTS = Path(__file__).parents[2] / "clients"


class Sample:
    """A running sample; `url` is its own address, the audience of its tokens."""

    def __init__(self, command: Sequence[str | Path], issuer: str, **environment: str) -> None:
        (port,) = free_ports(1)
        self.url = f"http://localhost:{port}"
        inherited = {"PATH": os.environ["PATH"], "ISSUER": issuer, "PORT": str(port)}
        self.process = subprocess.Popen(
            command, env=inherited | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.http = httpx2.Client(base_url=self.url, trust_env=False)

    def wait(self, path: str = "/healthz") -> None:
        """Wait until it answers."""
        wait_until_it_answers(self.process, f"{self.url}{path}", log=self.process.stdout.read)

    def get(self, path: str, token: str | None = None, scheme: str = "Bearer") -> httpx2.Response:
        """Ask it with a token, or without."""
        return self.http.get(path, headers={"authorization": f"{scheme} {token}"} if token else {})

    def stop(self) -> None:
        """End it."""
        self.http.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def python(program: str, *arguments: str) -> list[str]:
    """The command that runs a program of `clients/` with the interpreter of these tests."""
    return [sys.executable, str(CLIENTS / program), *arguments]
