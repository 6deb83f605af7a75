"""Tries at passwords and codes, counted in rows. What the counts mean is the limiter's to say (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, or_
from sqlmodel import col

from authserver.store.insert import insert_into
from authserver.store.rows import columns_of
from authserver.store.tables import Attempts as AttemptsTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from authserver.store.engine import Tx


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
    rows = [
        {"kind": key.kind, "key_hash": key.key_hash, "count": 0, "first_at": now, "last_at": now} for key in ordered
    ]
    statement = insert_into(tx, AttemptsTable).values(rows)
    statement = statement.on_conflict_do_update(  # changes nothing: it is how a row that is there gets locked
        index_elements=["kind", "key_hash"], set_={"count": col(AttemptsTable.count)}
    )
    rows_held = (columns_of(row) for row in await tx.execute(statement.returning(AttemptsTable)))
    return tuple(
        Attempts(
            key=AttemptKey(kind=row["kind"], key_hash=row["key_hash"]),
            count=row["count"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows_held
    )


async def store(tx: Tx, attempts: Sequence[Attempts]) -> None:
    """Store counts whose rows this transaction holds."""
    rows = [
        {
            "kind": counted.key.kind,
            "key_hash": counted.key.key_hash,
            "count": counted.count,
            "first_at": counted.first_at,
            "last_at": counted.last_at,
        }
        for counted in sorted(attempts, key=lambda counted: counted.key)
    ]
    if not rows:
        return
    statement = insert_into(tx, AttemptsTable).values(rows)
    new = statement.excluded
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "key_hash"],
            set_={"count": new["count"], "first_at": new["first_at"], "last_at": new["last_at"]},
        )
    )


async def forget(tx: Tx, keys: Iterable[AttemptKey]) -> None:
    """Delete counts, after a success."""
    which = [
        and_(col(AttemptsTable.kind) == key.kind, col(AttemptsTable.key_hash) == key.key_hash) for key in sorted(keys)
    ]
    if which:
        await tx.execute(delete(AttemptsTable).where(or_(*which)))
