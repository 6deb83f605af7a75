"""``make bench``: how fast is revocation? From the 200 of /revoke to the 401 of a resource server in another process.

Two nodes on one PostgreSQL behind a balancer, or one on SQLite where there is no PostgreSQL; settings, token lifetimes
and the verifier's ten seconds are the defaults. Fails where the slowest of the runs took ``GOAL`` seconds or more.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.flows.fleet import API, Fleet, running_fleet
from tests.flows.resource_server import running_resource_server
from tests.flows.revocations import measure_revocations
from tests.ports import free_ports
from tests.postgresql_server import NoPostgresqlError, Postgresql

RUNS = 50
SPREAD = 25.0  # seconds over which the revocations begin: two and a half times what a resource server waits
GOAL = 15.0


def main() -> int:
    """Measure, print the numbers, and return the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="authserver-bench-revocation-"))
    with _fleet(folder) as (fleet, where):
        (port,) = free_ports(1)
        with running_resource_server(fleet.issuer, API, port) as url:
            seconds = sorted(asyncio.run(measure_revocations(fleet, url, RUNS, SPREAD)))
    tenths = statistics.quantiles(seconds, n=10)
    sys.stdout.write(
        f"\n## From the 200 of /revoke to the 401 of a resource server: {where}\n\n"
        f"{RUNS} runs: median {statistics.median(seconds):.1f} s, nine of ten within {tenths[-1]:.1f} s, "
        f"slowest {seconds[-1]:.1f} s (goal: under {GOAL:.0f} s)\n"
    )
    return 0 if seconds[-1] < GOAL else 1


@contextlib.contextmanager
def _fleet(folder: Path) -> Iterator[tuple[Fleet, str]]:
    server = Postgresql(Path(tempfile.mkdtemp(prefix="authserver-bench-postgresql-")))
    try:
        server.start()
    except NoPostgresqlError:
        with running_fleet(f"sqlite:///{folder / 'bench.sqlite3'}", folder, 1) as fleet:
            yield fleet, "one process on SQLite"
        return
    try:
        with running_fleet(server.url, folder, 2) as fleet:
            yield fleet, "two processes on PostgreSQL"
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
