"""The load: virtual clients that ask one thing after another, and check every answer."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from authserver.bench.connection import NotHttpError, Response, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.bench.connection import Connection
    from authserver.bench.processes import Meter

WARM_UP: Final = 0.2  # of the time that is measured


class WrongAnswerError(Exception):
    """An answer that is not what the workload asked for; says which."""

    @classmethod
    def of(cls, response: Response) -> WrongAnswerError:
        """Return it for a response, of which the beginning is told, in one line."""
        beginning = " ".join(response.body[:200].decode(errors="replace").split())
        return cls(f"HTTP {response.status}: {beginning}")


class Visitor(Protocol):
    """One virtual client."""

    def has_more(self) -> bool:
        """Tell whether there is something left to ask."""

    async def visit(self, connection: Connection) -> None:
        """Do what one request of the workload is; raise WrongAnswerError where an answer is not right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. CPU is in microseconds per request, latencies are in milliseconds, memory is in bytes."""

    requests: int
    errors: int
    rps: float
    p50: float
    p95: float
    p99: float
    server_us: float
    database_us: float | None
    first_error: str | None = None

    @property
    def cpu_us(self) -> float:
        """The server's and the database's CPU together."""
        return self.server_us + (self.database_us or 0.0)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What the virtual clients of one run have seen so far."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of an ordered sample does not exceed; 0 without a sample."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0


async def drive(port: int, visitors: Sequence[Visitor], seconds: float, meter: Meter) -> Measured:
    """Let every visitor ask without pause for so long, each over its own connection, after a warm-up."""
    connections = [await connect(port) for _ in visitors]
    pairs = list(zip(visitors, connections, strict=True))
    try:
        warm_up = await _run(pairs, seconds * WARM_UP)
        before, began = meter.read(), perf_counter()
        tally = await _run(pairs, seconds)
        elapsed, spent = perf_counter() - began, meter.read().since(before)
    finally:
        for connection in connections:
            connection.close()
    ordered = sorted(tally.latencies)
    count = len(ordered)
    failures = warm_up.failures + tally.failures
    per_request = 1_000_000 / max(count, 1)
    return Measured(
        requests=count,
        errors=len(failures),
        rps=count / elapsed,
        p50=percentile(ordered, 0.50) * 1000,
        p95=percentile(ordered, 0.95) * 1000,
        p99=percentile(ordered, 0.99) * 1000,
        server_us=spent.server * per_request,
        database_us=None if spent.database is None else spent.database * per_request,
        first_error=failures[0] if failures else None,
    )


async def _run(pairs: Sequence[tuple[Visitor, Connection]], seconds: float) -> _Tally:
    tally, end = _Tally(), perf_counter() + seconds
    await asyncio.gather(*(_visit_until(end, visitor, connection, tally) for visitor, connection in pairs))
    return tally


async def _visit_until(end: float, visitor: Visitor, connection: Connection, tally: _Tally) -> None:
    began = perf_counter()
    while began < end and visitor.has_more():
        try:
            await visitor.visit(connection)
        except WrongAnswerError as error:
            tally.failures.append(str(error))
        except (OSError, NotHttpError) as error:
            tally.failures.append(f"{type(error).__name__}: {error}")
            return
        now = perf_counter()
        tally.latencies.append(now - began)
        began = now
