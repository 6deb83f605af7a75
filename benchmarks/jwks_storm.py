"""``make bench``: every resource server fetches /jwks at once, as after a restart of all of them (SECURITY B16).

One process, 2,000 connections; each asks once a second at a moment of its own, half of them for a copy that they
have. Fails where one of a hundred answers took ``GOAL`` milliseconds or more, or any was wrong.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from authserver.bench.connection import Connection, build_request, connect
from tests.flows.fleet import running_fleet

READERS = 2_000
SECONDS = 5
GOAL = 50.0  # milliseconds
_GOLDEN = 0.6180339887498949  # spreads the readers over the second, and never evenly


def main() -> int:
    """Let the storm come, print the numbers, and return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="authserver-bench-jwks-"))
    with running_fleet(f"sqlite:///{folder / 'bench.sqlite3'}", folder, 1) as fleet:
        waits, wrong = asyncio.run(_storm(urlsplit(fleet.issuer).port or 0))
    percent = statistics.quantiles(waits, n=100)
    sys.stdout.write(
        f"\n## /jwks: {READERS:,} readers a second for {SECONDS} s, one process on SQLite\n\n"
        f"{len(waits):,} answers: median {percent[49]:.1f} ms, p99 {percent[98]:.1f} ms (goal: under {GOAL:.0f} ms), "
        f"slowest {max(waits):.1f} ms, {wrong} wrong\n"
    )
    return 0 if percent[98] < GOAL and not wrong else 1


async def _storm(port: int) -> tuple[list[float], int]:
    """Return how many milliseconds each answer took, and how many were not what they should be."""
    first = await (connection := await connect(port)).ask(build_request("GET", "/jwks", host="localhost"))
    connection.close()
    (etag,) = first.headers("etag")
    connections = [await connect(port) for _ in range(READERS)]
    waits: list[float] = []
    readers = [
        _read(connection, etag if number % 2 else None, number * _GOLDEN, waits)
        for number, connection in enumerate(connections)
    ]
    wrong = await asyncio.gather(*readers)
    for connection in connections:
        connection.close()
    return waits, sum(wrong)


async def _read(connection: Connection, etag: str | None, phase: float, waits: list[float]) -> int:
    """Ask once a second; return how many answers were wrong."""
    headers = {"if-none-match": etag} if etag else None
    request = build_request("GET", "/jwks", host="localhost", headers=headers)
    wrong = 0
    for second in range(SECONDS):
        before = (phase + second * _GOLDEN) % 1
        await asyncio.sleep(before)
        begin = time.perf_counter()
        response = await connection.ask(request)
        waits.append((time.perf_counter() - begin) * 1000)
        wrong += response.status != (304 if etag else 200)
        await asyncio.sleep(1 - before)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
