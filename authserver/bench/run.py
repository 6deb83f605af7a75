"""The order in which things are measured."""

from __future__ import annotations

import os
import platform
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from authserver.bench.connection import connect
from authserver.bench.driver import WrongAnswerError, drive
from authserver.bench.floor import measure_floor
from authserver.bench.installation import (
    DRIVER_CORE,
    SERVE,
    BenchError,
    make_installation,
    refuse_used_database,
    register,
    running,
    wait_until_listening,
)
from authserver.bench.probes import grow, present_at_once, storm
from authserver.bench.processes import Meter, pin, read_rss
from authserver.bench.stock import open_stock
from authserver.bench.visitors import check, is_token_response
from authserver.bench.workloads import WORKLOADS, client_credentials_request
from authserver.store.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from authserver.bench.driver import Measured
    from authserver.bench.floor import Floor
    from authserver.bench.installation import Installation
    from authserver.bench.probes import Growth, Repeated, Storm
    from authserver.bench.stock import Stock
    from authserver.bench.workloads import Workload

_CONCURRENCIES: Final = (1, 32, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for: how long each row is measured, and which; without ``only`` it is everything but growth."""

    seconds: float
    only: tuple[str, ...] = ()
    growth: bool = False
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``floor_us`` is what this run's floor makes of the workload's parts."""

    workload: Workload
    concurrency: int
    measured: Measured
    floor_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All that was measured on one database. Memory is in bytes, the cold start in seconds."""

    database: str
    machine: str
    floor: Floor
    rows: Sequence[Row]
    cold_start: float
    rss_idle: int
    rss_loaded: int
    repeated: Repeated | None = None
    storm: Storm | None = None
    growth: Growth | None = None


async def run_all(
    plan: Plan, folder: Path, database_urls: Sequence[str | None], say: Callable[[str], None]
) -> list[Result]:
    """Measure on each database; None is a new SQLite file. Raise BenchError where that is not possible."""
    pin(os.getpid(), DRIVER_CORE)
    results = []
    for number, database_url in enumerate(database_urls):
        if database_url is not None:
            await refuse_used_database(database_url)
        place = folder / str(number)
        place.mkdir()
        installation = make_installation(place, database_url)
        async with _opened(installation) as stock:
            results.append(await _measure(plan, stock, say))
    return results


@asynccontextmanager
async def _opened(installation: Installation) -> AsyncIterator[Stock]:
    engine = Engine.open(installation.settings.database_url)
    try:
        yield await open_stock(installation, await register(installation, engine), engine)
    finally:
        await engine.close()


async def _measure(plan: Plan, stock: Stock, say: Callable[[str], None]) -> Result:
    database, installation = await stock.describe_database(), stock.installation
    if plan.rows:
        say(f"{database}: putting {plan.rows:,} grants into the database")
        await stock.fill(plan.rows)
    say(f"{database}: the floor")
    floor = await measure_floor(installation, stock, _CONCURRENCIES, plan.seconds)
    began = perf_counter()
    with running([*SERVE, str(installation.port)], installation) as process:
        wait_until_listening(process, installation.port, installation.folder)
        await _ask_first_token(stock)
        cold_start, rss_idle = perf_counter() - began, read_rss(process.pid)
        postmaster = await stock.find_postmaster()
        is_embedded = stock.engine.dialect == "sqlite"
        meter = Meter(server=process.pid, postmaster=postmaster, is_embedded=is_embedded)
        rows = []
        for name in plan.only or WORKLOADS:
            say(f"{database}: {name}")
            rows += [await _measure_row(plan, stock, meter, WORKLOADS[name], floor, users) for users in _CONCURRENCIES]
        rss_loaded = read_rss(process.pid)
        whole = not plan.only
        return Result(
            database=database,
            machine=describe_machine(),
            floor=floor,
            rows=rows,
            cold_start=cold_start,
            rss_idle=rss_idle,
            rss_loaded=rss_loaded,
            repeated=await present_at_once(stock) if whole else None,
            storm=await storm(stock, plan.seconds, meter) if whole else None,
            growth=await grow(stock, meter) if plan.growth else None,
        )


async def _measure_row(
    plan: Plan, stock: Stock, meter: Meter, workload: Workload, floor: Floor, concurrency: int
) -> Row:
    try:
        visitors = await workload.prepare(stock, concurrency, plan.seconds * 1.2)
    except WrongAnswerError as error:
        raise BenchError(f"{workload.name} cannot be prepared: {error}") from error
    return Row(
        workload=workload,
        concurrency=concurrency,
        measured=await drive(stock.installation.port, visitors, plan.seconds, meter),
        floor_us=floor.under(workload, concurrency),
    )


async def _ask_first_token(stock: Stock) -> None:
    connection = await connect(stock.installation.port)
    try:
        response = await connection.ask(client_credentials_request(stock))
    finally:
        connection.close()
    try:
        check(response, is_right=is_token_response(response))
    except WrongAnswerError as error:
        raise BenchError(f"the first token was refused: {error}") from error


def describe_machine() -> str:
    """Return the processor, its cores, how busy they were before, and the versions that matter."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores of {model}, load {load:.1f}; Python {platform.python_version()}, {versions}"
