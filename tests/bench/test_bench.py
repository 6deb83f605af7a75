"""`authserver bench` brings up what it measures, and every answer it counts was right."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from authserver.bench.connection import connect
from authserver.bench.installation import SERVE, make_installation, register, running, wait_until_listening
from authserver.bench.probes import TOKENS, present_at_once
from authserver.bench.stock import open_stock
from authserver.bench.workloads import WORKLOADS
from authserver.store import grants
from authserver.store.engine import Engine


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"}
    command = [sys.executable, "-m", "authserver", "bench", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_a_quick_run_of_one_workload_ends_without_an_error(tmp_path: Path) -> None:
    done = bench(tmp_path, "--quick", "--seconds", "0.2", "--only", "jwks", "--json", "--plot", "plot.svg")
    assert done.returncode == 0, done.stderr
    [result] = json.loads(done.stdout)["results"]
    rows: list[dict[str, Any]] = result["rows"]
    assert [(row["workload"], row["concurrency"], row["errors"]) for row in rows] == [
        ("jwks", 1, 0),
        ("jwks", 32, 0),
        ("jwks", 128, 0),
    ]
    assert all(row["requests"] > 0 and row["database_us"] == 0 and row["goal_us"] == 30 for row in rows)
    assert result["database"].startswith("SQLite")
    assert result["rss_idle_bytes"] > 0
    assert "jwks, SQLite" in "".join(ET.parse(tmp_path / "plot.svg").getroot().itertext())  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("options", "field"),
    [
        pytest.param(["--only", "nothing"], "only", id="no such workload"),
        pytest.param(["--database", "postgresql"], "database_url", id="PostgreSQL without an address"),
    ],
)
def test_what_cannot_be_measured_is_wrong_usage(tmp_path: Path, options: list[str], field: str) -> None:
    done = bench(tmp_path, *options, "--json")
    assert done.returncode == 2
    assert json.loads(done.stderr)["field"] == field


def test_a_database_with_an_installation_in_it_is_left_alone(tmp_path: Path, postgresql_url: str) -> None:
    done = bench(tmp_path, "--quick", "--database", "postgresql", "--database-url", postgresql_url)
    assert done.returncode == 1
    assert "needs an empty database" in done.stderr


async def test_grants_put_in_stock_are_refreshed_revoked_and_introspected(tmp_path: Path) -> None:
    installation = make_installation(tmp_path, None)
    engine = Engine.open(installation.settings.database_url)
    try:
        stock = await open_stock(installation, await register(installation, engine), engine)
        with running([*SERVE, str(installation.port)], installation) as process:
            wait_until_listening(process, installation.port, tmp_path)
            connection = await connect(installation.port)
            for workload in WORKLOADS.values():
                [visitor] = await workload.prepare(stock, 1, 0.001)
                await visitor.visit(connection)  # raises where an answer is not right
            connection.close()
            repeated = await present_at_once(stock)
            assert (repeated.successors, repeated.refused) == (TOKENS, 0)
    finally:
        await engine.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_table_is_filled_with_older_grants_that_are_copies_of_one(
    tmp_path: Path, database: str, blank_postgresql_url: str
) -> None:
    installation = make_installation(tmp_path, blank_postgresql_url if database == "postgresql" else None)
    engine = Engine.open(installation.settings.database_url)
    try:
        stock = await open_stock(installation, await register(installation, engine), engine)
        await stock.fill(20_100)  # more than one statement's share
        async with engine.read() as tx:
            rows = tuple(await tx.raw("SELECT count(*), count(DISTINCT id), count(DISTINCT secret_hash) FROM grants"))
            assert [tuple(row) for row in rows] == [(20_101, 20_101, 1)]
            newest, *others = await grants.list_all(tx, limit=3)
        assert all(other.id < newest.id and other.id.version == 7 for other in others)
    finally:
        await engine.close()
