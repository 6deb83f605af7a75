"""A process that commits to SQLite as fast as it can, and is killed."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from authserver.store import replays
from authserver.store.engine import Engine

async def main() -> None:
    engine = Engine.open(sys.argv[1])
    for number in range(int(sys.argv[2]), 10_000_000):
        async with engine.begin() as tx:
            await replays.claim(tx, number.to_bytes(4, "big"), datetime(2126, 1, 1, tzinfo=UTC))
        print(number, flush=True)

asyncio.run(main())
"""


def kill_while_committing(path: Path, kills: int) -> None:
    """Kill a writer that says each commit on its standard output, again and again; what it said must be stored.

    Each life goes on where the one before was cut off. Its last commit may be stored without having been said.
    """
    acknowledged = -1
    for kill in range(kills):
        begins_at = acknowledged + 2
        command = [sys.executable, "-c", WRITER, f"sqlite:///{path}", str(begins_at)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                acknowledged = int(line)
                if acknowledged >= begins_at + kill % 17:
                    os.kill(writer.pid, signal.SIGKILL)
                    break
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            found = {int.from_bytes(key, "big") for (key,) in connection.execute("SELECT key_hash FROM replays")}
            assert found >= set(range(begins_at, acknowledged + 1))
            assert len(found) >= acknowledged - kill, "nothing of an earlier life is gone"
