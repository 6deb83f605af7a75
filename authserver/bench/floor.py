"""What no server on this stack goes below: measured in the same run, on the same cores, by the same driver."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from authserver.bench.connection import build_request
from authserver.bench.driver import drive
from authserver.bench.installation import FIXED_ANSWER, free_port, running, wait_until_listening
from authserver.bench.processes import Meter, family_seconds
from authserver.bench.visitors import Repeater

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from authserver.bench.driver import Measured
    from authserver.bench.installation import Installation
    from authserver.bench.stock import Stock
    from authserver.bench.workloads import Workload

_SIGNATURES: Final = 2000
_STATEMENTS: Final = 1000
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Microseconds of CPU: an HTTP exchange at each concurrency, an ES256 signature, a statement through the store."""

    http: Mapping[int, Measured]
    signature_us: float
    statement_us: float
    statement_database_us: float

    def under(self, workload: Workload, concurrency: int) -> float:
        """Return the floor under one request of a workload, each of its statements on a round trip of its own."""
        return (
            workload.exchanges * self.http[concurrency].server_us
            + workload.signatures * self.signature_us
            + workload.statements * (self.statement_us + self.statement_database_us)
        )


async def measure_floor(
    installation: Installation, stock: Stock, concurrencies: Sequence[int], seconds: float
) -> Floor:
    """Measure the floor; nothing else of the bench runs meanwhile."""
    port = free_port()
    with running([*FIXED_ANSWER, str(port)], installation) as process:
        wait_until_listening(process, port, installation.folder)
        request = build_request("GET", "/", host=f"localhost:{port}")
        http = {}
        for concurrency in concurrencies:
            visitors = [Repeater(request, lambda response: response.status == _OK) for _ in range(concurrency)]
            http[concurrency] = await drive(port, visitors, seconds, Meter(server=process.pid))
    statement_us, statement_database_us = await _measure_statement(stock)
    return Floor(
        http=http,
        signature_us=_measure_signature(),
        statement_us=statement_us,
        statement_database_us=statement_database_us,
    )


def _measure_signature() -> float:
    key, algorithm, message = generate_private_key(SECP256R1()), ECDSA(SHA256()), b"m" * 500
    began = process_time()
    for _ in range(_SIGNATURES):
        key.sign(message, algorithm)
    return (process_time() - began) / _SIGNATURES * 1_000_000


async def _measure_statement(stock: Stock) -> tuple[float, float]:
    """Return what one ``SELECT 1`` costs this process and the database, one after another."""
    postmaster = await stock.find_postmaster()
    before = family_seconds(postmaster) if postmaster is not None else None
    began = process_time()
    for _ in range(_STATEMENTS):
        async with stock.engine.read() as tx:
            await tx.raw("SELECT 1")
    own = process_time() - began
    after = family_seconds(postmaster) if postmaster is not None else None
    database = after - before if after is not None and before is not None else 0.0
    return own / _STATEMENTS * 1_000_000, database / _STATEMENTS * 1_000_000
