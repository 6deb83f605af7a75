"""``make bench``: the table on SQLite, and on a PostgreSQL with its own defaults that is brought up for it.

Options are those of ``authserver bench``. A server of yours is measured instead where TEST_DATABASE_URL names one; its
database must be empty. Where there is no PostgreSQL, SQLite alone is measured, and that is said. Without ``--only``
the speed of revocation and a storm on /jwks are measured too (``benchmarks.revocation``, ``benchmarks.jwks_storm``),
whether anybody waits for the mail server (``benchmarks.mail``), and what a token costs a resource server
(``clients/verifier/benchmarks``).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import jwks_storm, mail, revocation
from tests.postgresql_server import NoPostgresqlError, Postgresql

VERIFY = Path(__file__).parents[1] / "clients" / "verifier" / "benchmarks" / "verify.py"
SETTINGS = ("max_connections=100",)  # durability is PostgreSQL's default: fsync, full pages, synchronous commits


def main(options: list[str]) -> int:
    """Run the benches and return the worst exit code."""
    code = _measure_requests(options)
    if any(option.startswith("--only") for option in options):
        return code
    code = max(code, revocation.main(), jwks_storm.main(), mail.main())
    return max(code, subprocess.run([sys.executable, VERIFY], check=False).returncode)  # noqa: S603  # our own program


def _measure_requests(options: list[str]) -> int:
    url = os.environ.get("TEST_DATABASE_URL")
    if url is not None:
        return _bench(options, url)
    server = Postgresql(Path(tempfile.mkdtemp(prefix="authserver-bench-postgresql-")), SETTINGS)
    try:
        server.start()
    except NoPostgresqlError as error:
        sys.stderr.write(f"SQLite only: {error}\n")
        return _bench(options, None)
    else:
        return _bench(options, server.url)
    finally:
        server.stop()


def _bench(options: list[str], url: str | None) -> int:
    command = [sys.executable, "-m", "authserver", "bench"]
    databases = ["--database", "both", "--database-url", url] if url is not None else []
    return subprocess.run([*command, *databases, *options], check=False).returncode  # noqa: S603  # our own program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
