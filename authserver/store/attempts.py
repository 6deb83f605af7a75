"""Tries at passwords and codes, counted in rows. What the counts mean is the limiter's to say (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.store.engine import as_time
from authserver.store.types import spell_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from authserver.store.engine import DriverRow, Tx

_COLUMNS: Final = ("kind", "key_hash", "count", "first_at", "last_at")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AttemptKey:
    """Whose tries are counted together: a kind, and the hash of an account, an address or both."""

    kind: str
    key_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How many tries there were since ``first_at``, and when the last one was. A new row has a count of 0."""

    key: AttemptKey
    count: int
    first_at: datetime
    last_at: datetime


async def lock(tx: Tx, keys: Iterable[AttemptKey]) -> tuple[Attempts, ...]:
    """Return the counts of these keys, which nobody else can read for counting before this transaction ends.

    Everybody takes the rows in the order of their keys, so that two tries never wait for each other.
    """
    ordered = sorted(set(keys))
    if not ordered:
        return ()
    now = await tx.now()
    # Where a row is there the update changes nothing: it is how that row gets locked.
    returning = ", ".join(f"attempts.{name}" for name in _COLUMNS)
    rows = await _upsert(tx, [(key, 0, now, now) for key in ordered], f"count = attempts.count RETURNING {returning}")
    return tuple(
        Attempts(
            key=AttemptKey(kind=kind, key_hash=bytes(key_hash)),
            count=count,
            first_at=as_time(first_at),
            last_at=as_time(last_at),
        )
        for kind, key_hash, count, first_at, last_at in rows
    )


async def store(tx: Tx, attempts: Sequence[Attempts]) -> None:
    """Store counts whose rows this transaction holds."""
    counts = sorted(attempts, key=lambda counted: counted.key)
    if counts:
        await _upsert(
            tx,
            [(counted.key, counted.count, counted.first_at, counted.last_at) for counted in counts],
            "count = excluded.count, first_at = excluded.first_at, last_at = excluded.last_at",
        )


async def forget(tx: Tx, keys: Iterable[AttemptKey]) -> None:
    """Delete counts, after a success."""
    ordered = sorted(keys)
    if ordered:
        which = " OR ".join([f"(kind = {_mark(tx)} AND key_hash = {_mark(tx)})"] * len(ordered))
        parts = [part for key in ordered for part in (key.kind, key.key_hash)]
        await tx.fetch(f"DELETE FROM attempts WHERE {which}", parts)  # noqa: S608 - our own words


async def _upsert(
    tx: Tx, rows: Sequence[tuple[AttemptKey, int, datetime, datetime]], change: str
) -> Sequence[DriverRow]:
    """Insert rows and change those that are there, past Core, which would compile so many values anew each time."""
    spell = spell_time if tx.dialect == "sqlite" else _as_it_is
    row = f"({', '.join([_mark(tx)] * len(_COLUMNS))})"
    sql = (
        f"INSERT INTO attempts ({', '.join(_COLUMNS)}) VALUES {', '.join([row] * len(rows))} "  # noqa: S608 - our own words
        f"ON CONFLICT (kind, key_hash) DO UPDATE SET {change}"
    )
    return await tx.fetch(
        sql,
        [
            part
            for key, count, first_at, last_at in rows
            for part in (key.kind, key.key_hash, count, spell(first_at), spell(last_at))
        ],
    )


def _mark(tx: Tx) -> str:
    return "?" if tx.dialect == "sqlite" else "%s"


def _as_it_is(moment: datetime) -> datetime:
    return moment
