"""CPU and memory of processes as Linux tells them in /proc (proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What /proc/PID/stat says; times are user and system time together, in clock ticks."""

    name: str
    parent: int
    own: int
    reaped: int  # of children that have ended and were waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of CPU so far; ``database`` is None where its processes cannot be seen (another machine's)."""

    server: float
    database: float | None

    def since(self, before: Spent) -> Spent:
        """Return what was spent between two readings."""
        database = None
        if self.database is not None and before.database is not None:
            database = self.database - before.database
        return Spent(server=self.server - before.server, database=database)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Reads the CPU of a server process, and of every process of a PostgreSQL server on this machine.

    ``postmaster`` is None where there is none to read. With ``is_embedded`` (SQLite) the database works inside the
    server process, so its own share is 0.
    """

    server: int
    postmaster: int | None = None
    is_embedded: bool = True

    def read(self) -> Spent:
        """Return the CPU spent until now; raise ProcessLookupError where the server has ended."""
        stat = read_stat(self.server)
        if stat is None:
            raise ProcessLookupError(f"process {self.server} has ended")
        database = 0.0 if self.is_embedded else None
        if self.postmaster is not None:
            database = family_seconds(self.postmaster)
        return Spent(server=_seconds(stat.own), database=database)


def parse_stat(text: str) -> Stat:
    """Return what a line of /proc/PID/stat says; the name in it may hold spaces and parentheses."""
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 1 :].split()
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return Stat(name=name, parent=int(fields[1]), own=user + system, reaped=reaped_user + reaped_system)


def parse_rss(text: str) -> int:
    """Return the bytes of VmRSS in /proc/PID/status; 0 for a process without memory of its own."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def read_stat(pid: int) -> Stat | None:
    """Return what a process's stat says, None where it has ended or this is no Linux."""
    with suppress(OSError):
        return parse_stat((_PROC / str(pid) / "stat").read_text())
    return None


def read_rss(pid: int) -> int:
    """Return a process's resident memory in bytes, 0 where it has ended."""
    with suppress(OSError):
        return parse_rss((_PROC / str(pid) / "status").read_text())
    return 0


def family_seconds(parent: int) -> float | None:
    """Return the CPU of a process, of its living children and of those it has reaped; None where it has ended."""
    own = read_stat(parent)
    if own is None:
        return None
    stats = [read_stat(int(path.name)) for path in _PROC.glob("[0-9]*")]
    children = sum(stat.own for stat in stats if stat is not None and stat.parent == parent)
    return _seconds(own.own + own.reaped + children)


def find_postmaster(backend: int) -> int | None:
    """Return the server process above a PostgreSQL backend, None where that backend is not on this machine."""
    stat = read_stat(backend)
    return stat.parent if stat is not None and "postgres" in stat.name else None


def pin(pid: int, core: int) -> bool:
    """Keep a process on one core, counted from 0; tell whether that was possible."""
    cores = allowed_cores()
    if len(cores) <= 1:
        return False
    with suppress(OSError):
        os.sched_setaffinity(pid, {cores[core % len(cores)]})
        return True
    return False


@cache
def allowed_cores() -> tuple[int, ...]:
    """Return the cores this process might use when it was asked first: before it pinned itself to one of them."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _seconds(ticks: int) -> float:
    return ticks / os.sysconf("SC_CLK_TCK")
