"""``authserver bench``: what a request costs on this machine."""

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from authserver.cli.command import command, make_single
from authserver.cli.failure import FAILED, WRONG_USAGE, CommandFailedError
from authserver.cli.terminal import Terminal

app = make_single()

_QUICK_SECONDS: Final = 1.0


class DatabaseChoice(StrEnum):
    """Which databases to measure."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    BOTH = "both"


@command(
    app,
    "bench",
    examples="""
    authserver bench --quick
    authserver bench --only refresh --json
    authserver bench --database both --database-url postgresql://user:password@host/empty
    """,
)
def bench(
    terminal: Terminal,
    *,
    database: Annotated[
        DatabaseChoice, typer.Option("--database", help="What to measure on; PostgreSQL needs --database-url.")
    ] = DatabaseChoice.SQLITE,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", metavar="URL", envvar="TEST_DATABASE_URL", help="An empty PostgreSQL database."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.1, max=600, help="How long each row is measured.")
    ] = 5.0,
    quick: Annotated[bool, typer.Option("--quick", help="A minute in all: one second a row.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="One workload; repeat it.")] = None,
    growth: Annotated[bool, typer.Option("--growth", help="Refresh the same grants a hundred times.")] = False,
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=0, help="First put so many grants into the database.")
    ] = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Draw CPU per request beside the goals.")
    ] = None,
) -> None:
    """Measure CPU per request, rates and latencies of a server that is brought up for it.

    The server runs on one core and the load on another; every answer is checked. The floor (the HTTP stack with a fixed
    answer, one signature, one statement) is measured in the same run.
    """
    from authserver.bench.installation import BenchError  # noqa: PLC0415  # brings the whole application
    from authserver.bench.report import draw, to_document, to_text  # noqa: PLC0415  # the same
    from authserver.bench.run import Plan, run_all  # noqa: PLC0415  # the same
    from authserver.bench.workloads import WORKLOADS  # noqa: PLC0415  # the same

    _refuse_unknown(only or (), known=WORKLOADS)
    urls = _choose_urls(database, database_url)
    plan = Plan(
        seconds=min(seconds, _QUICK_SECONDS) if quick else seconds, only=tuple(only or ()), growth=growth, rows=rows
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="authserver-bench-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            results = runner.run(run_all(plan, Path(folder), urls, terminal.say))
    except BenchError as error:
        raise CommandFailedError(str(error)) from error
    if terminal.as_json:
        terminal.show(to_document(results))
    else:
        typer.echo(to_text(results))
    if plot is not None:
        plot.write_text(draw(results))
    if any(row.measured.errors for result in results for row in result.rows):
        raise typer.Exit(FAILED)


def _refuse_unknown(names: Iterable[str], *, known: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise CommandFailedError(
            f"There is no workload {unknown[0]!r}.",
            field="only",
            fix=f"One of: {', '.join(known)}",
            exit_code=WRONG_USAGE,
        )


def _choose_urls(database: DatabaseChoice, database_url: str | None) -> Sequence[str | None]:
    """Return what to measure on, one after another; None is a new SQLite file."""
    if database is DatabaseChoice.SQLITE:
        return (None,)
    if database_url is None:
        raise CommandFailedError(
            "PostgreSQL is measured on a database of yours.",
            field="database_url",
            fix="--database-url postgresql://user:password@host/empty; `make bench` brings a server up",
            exit_code=WRONG_USAGE,
        )
    return (database_url,) if database is DatabaseChoice.POSTGRESQL else (None, database_url)
