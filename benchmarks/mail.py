"""``make bench``: does a mail server that hangs make anybody wait? Answers of register and forgot compared.

Two servers on SQLite are asked in turn: the mail server of the first takes everything, that of the second takes the
message and never answers. Fails where a median beside the hanging one is ``GOAL`` times the other or more.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2

from authserver.hasher import Hasher
from authserver.operations import users
from authserver.operations.operator import Operator
from authserver.settings import load_settings
from authserver.store.engine import Engine
from tests.flows.fleet import Fleet, running_fleet
from tests.mail.smtp_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS: Final = {"register": 120, "forgot": 200}
WARM_UP: Final = 5
PAUSE: Final = 0.03  # seconds in which the mail of the request before is sent: it is not what is measured
GOAL: Final = 1.1
_CREATED: Final = 201
_ACCEPTED: Final = 202


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server that is asked, and the app that asks it."""

    name: str
    fleet: Fleet
    http: httpx2.Client
    client_id: str
    mail_server: MailServer


def main() -> int:
    """Measure, print the numbers, and return the exit code."""
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(_place(name)) for name in ("takes everything", "hangs")]
        slowest = 0.0
        sys.stdout.write("\n## The answer while the mail server hangs: two servers on SQLite, asked in turn\n\n")
        sys.stdout.write("| endpoint | runs | mail server takes everything | mail server hangs | ratio |\n")
        sys.stdout.write("|---|---:|---:|---:|---:|\n")
        for name, ask in (("register", _register), ("forgot", _forgot)):
            healthy, hanging = _measure(places, ask, RUNS[name])
            slowest = max(slowest, hanging / healthy)
            row = f"| {name} | {RUNS[name]} | {healthy:.2f} ms | {hanging:.2f} ms | {hanging / healthy:.2f} |\n"
            sys.stdout.write(row)
        taken, held = (len(place.mail_server.mails) for place in places)
        sys.stdout.write(f"\nMedians. Mails that arrived: {taken}; that hang: {held} (goal: ratios under {GOAL})\n")
    return 0 if slowest < GOAL else 1


def _measure(places: list[Place], ask: Callable[[Place, int], None], runs: int) -> tuple[float, float]:
    """Return the median milliseconds at each place; they are asked in turn, so that both see the same machine."""
    seconds: list[list[float]] = [[] for _ in places]
    for number in range(runs + WARM_UP):
        turns = list(zip(places, seconds, strict=True))
        for place, taken in turns if number % 2 else reversed(turns):
            time.sleep(PAUSE)
            began = time.perf_counter()
            ask(place, number)
            taken.append(time.perf_counter() - began)
    healthy, hanging = (statistics.median(taken[WARM_UP:]) * 1000 for taken in seconds)
    return healthy, hanging


def _register(place: Place, number: int) -> None:
    body = {"email": f"new{number}@example.org", "password": "correct horse battery", "client_id": place.client_id}
    _expect(place.http.post("/api/register", json=body), _CREATED)


def _forgot(place: Place, number: int) -> None:
    body = {"email": f"user{number}@example.org", "client_id": place.client_id}
    _expect(place.http.post("/api/password/forgot", json=body), _ACCEPTED)


def _expect(answer: httpx2.Response, status: int) -> None:
    if answer.status_code != status:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")


@contextlib.contextmanager
def _place(name: str) -> Iterator[Place]:
    """Bring up a mail server that behaves as its name says, a server that uses it, and everybody it knows."""
    folder = Path(tempfile.mkdtemp(prefix="authserver-bench-mail-"))
    with _mail_server() as mail_server:
        if name == "hangs":
            mail_server.data_answer = lambda _: "hang"
        settings = {"smtp_url": mail_server.url, "address_limit_scale": "1000000"}
        with running_fleet(f"sqlite:///{folder / 'bench.sqlite3'}", folder, 1, **settings) as fleet:
            metadata = {
                "api_register": True,
                "first_party": True,
                "redirect_uris": ["http://localhost/callback"],
                "scope": "notes:read",
            }
            made = fleet.create_client("phone", "native", metadata)
            asyncio.run(_make_people(fleet, max(RUNS.values()) + WARM_UP))
            with httpx2.Client(base_url=fleet.issuer) as http:
                yield Place(name=name, fleet=fleet, http=http, client_id=made["client_id"], mail_server=mail_server)


async def _make_people(fleet: Fleet, count: int) -> None:
    """Make accounts whose addresses are proven: only these get mail when they have forgotten their password."""
    settings = load_settings(fleet.environment, fleet.folder)
    engine = Engine.open(settings.database_url)
    operator = Operator(actor="bench", engine=engine, settings=settings, hasher=Hasher())
    for number in range(count):
        await users.create(operator, username=f"user{number}", email=f"user{number}@example.org", email_verified=True)
    await engine.close()


@contextlib.contextmanager
def _mail_server() -> Iterator[MailServer]:
    """Run a mail server in a thread of its own, so that it takes no turn of the load driver's."""
    server, loop = MailServer(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
