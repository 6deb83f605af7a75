"""A server of its own for the bench: keys, one API, clients and users on an empty database, in a throw-away folder."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from authserver.app import collect_metadata, offered_features
from authserver.bench.processes import pin
from authserver.hasher import Hasher
from authserver.jose.schedule import FIRST_ALGORITHMS
from authserver.oauth.values import ClientType, RefreshPolicy, Resource
from authserver.operations import clients, resources, users
from authserver.operations.clients import Offer
from authserver.operations.operator import Operator
from authserver.settings import load_settings
from authserver.store.engine import Engine
from authserver.store.migrations import SchemaError, check_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from authserver.oauth.values import User
    from authserver.settings import Settings

SERVE: Final = (sys.executable, "-m", "authserver", "serve", "--port")
FIXED_ANSWER: Final = (sys.executable, "-m", "authserver.cli.bench_floor")
SERVER_CORE: Final = 1
DRIVER_CORE: Final = 0
START_SECONDS: Final = 60.0  # a hang, not a speed
API: Final = "https://api.bench.example"
API_SCOPE: Final = "bench:read"
CALLBACK: Final = "https://app.bench.example/callback"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105  # guards a throw-away database
LOGIN_USERS: Final = 4


class BenchError(Exception):
    """The bench cannot be run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A client that authenticates by HTTP Basic (RFC 6749 §2.3.1)."""

    client_id: str
    client_secret: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where the server is, and how to start it."""

    folder: Path
    port: int
    settings: Settings
    environment: dict[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """The Host header's value."""
        return f"localhost:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Who may ask: a client for itself, an app for its users, and users who can sign in.

    ``rotating`` is an app too, and strict: any other gets the same successor again within the grace (DESIGN §5), so
    that refreshing without pause would measure reads.
    """

    machine: Credentials
    web: Credentials
    rotating: Credentials
    users: tuple[User, ...]


def make_installation(folder: Path, database_url: str | None) -> Installation:
    """Make the keys and the schema as an operator does. Without an URL the database is a SQLite file in the folder."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSERVER_")} | {
        "AUTHSERVER_ISSUER": f"http://localhost:{port}",
        "AUTHSERVER_DATABASE_URL": database_url or f"sqlite:///{folder / 'bench.sqlite3'}",
        "AUTHSERVER_SEALING_KEY_FILE": str(folder / "sealing.key"),
        "AUTHSERVER_DRAIN_SECONDS": "0",
        "AUTHSERVER_ADDRESS_LIMIT_SCALE": "1000000",
        "AUTHSERVER_ACCESS_TOKEN_LIFETIME": "3600",
    }
    settings = load_settings(environment, folder)
    command = [sys.executable, "-m", "authserver", "init", "--quiet"]
    done = subprocess.run(  # noqa: S603  # our own program
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"authserver init failed: {done.stderr.strip()}")
    return Installation(folder=folder, port=port, settings=settings, environment=environment)


async def refuse_used_database(database_url: str) -> None:
    """Raise BenchError where there is a schema already: the bench fills a database with rows and leaves them there."""
    engine = Engine.open(database_url)
    try:
        await check_schema(engine)
    except SchemaError:
        return
    finally:
        await engine.close()
    raise BenchError("The bench needs an empty database, and this one holds an installation.")


async def register(installation: Installation, engine: Engine) -> Registered:
    """Make the API, the clients and the users, the first of whom owns all grants."""
    settings = installation.settings
    operator = Operator(actor="bench", engine=engine, settings=settings, hasher=Hasher())
    await resources.create(operator, Resource(identifier=API, name="Bench", scope=frozenset({API_SCOPE})))
    offer = Offer(
        metadata=collect_metadata(offered_features(settings), settings, FIRST_ALGORITHMS), allow_http=lambda _: False
    )
    machine = await clients.create(
        operator, offer, {"client_name": "Machine", "scope": API_SCOPE}, client_type=ClientType.SERVICE
    )
    app = {
        "client_name": "App",
        "scope": f"openid offline_access {API_SCOPE}",
        "redirect_uris": [CALLBACK],
        "first_party": True,
    }
    web = await clients.create(operator, offer, app, client_type=ClientType.WEB)
    strict = app | {"client_name": "Rotating", "refresh_token_policy": RefreshPolicy.STRICT.value}
    rotating = await clients.create(operator, offer, strict, client_type=ClientType.WEB)
    made = [
        await users.create(operator, username=f"user{number}", email=None, password=PASSWORD)
        for number in range(LOGIN_USERS)
    ]
    return Registered(
        machine=_credentials(machine),
        web=_credentials(web),
        rotating=_credentials(rotating),
        users=tuple(made),
    )


def _credentials(registered: clients.Registered) -> Credentials:
    return Credentials(client_id=registered.client.client_id, client_secret=registered.client_secret or "")


@contextmanager
def running(command: Sequence[str], installation: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program on the server's core and stop it at the end; its output is in the folder."""
    with (installation.folder / "server.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own program
            list(command),
            env=installation.environment,
            cwd=installation.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    pin(process.pid, SERVER_CORE)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_listening(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Return as soon as somebody listens; raise BenchError where the process ends or nobody comes."""
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.005)
    raise BenchError(f"the server did not start: {(folder / 'server.log').read_text()[-2000:]}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
