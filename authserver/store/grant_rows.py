"""Many grants in one statement, past SQLAlchemy: what refresh, revocation and introspection cost (DESIGN §6).

One text whatever the number of grants, so that a connection prepares each once.
"""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sqlalchemy.dialects import registry

from authserver.oauth.values import Grant, User
from authserver.store.engine import as_time
from authserver.store.grants import GrantAndUser
from authserver.store.tables import Grants, Users
from authserver.store.types import spell_id, spell_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Table
    from sqlmodel import SQLModel

    from authserver.store.engine import DriverRow, Tx

V = TypeVar("V", Grant, User)
Processor: TypeAlias = "Callable[[Any], Any] | None"

_DRIVERS: Final = {"sqlite": "sqlite.aiosqlite", "postgresql": "postgresql.psycopg_async"}
_GRANT: Final = tuple(field.name for field in fields(Grant))
_USER: Final = tuple(field.name for field in fields(User))
_COLUMNS: Final = ", ".join([f"grants.{name}" for name in _GRANT] + [f"users.{name}" for name in _USER])
_SOURCE: Final = "FROM grants LEFT JOIN users ON users.id = grants.user_id"

_LOAD: Final = {
    "sqlite": (
        f"SELECT {_COLUMNS}, strftime('%Y-%m-%d %H:%M:%f', 'now') {_SOURCE} "  # noqa: S608 - the columns' names
        "WHERE grants.id IN (SELECT value FROM json_each(?))"
    ),
    "postgresql": f"SELECT {_COLUMNS}, clock_timestamp() {_SOURCE} WHERE grants.id = ANY(%s)",
}
_LOCK: Final = {
    "sqlite": _LOAD["sqlite"],  # the transaction holds the whole file
    "postgresql": _LOAD["postgresql"] + " FOR UPDATE OF grants SKIP LOCKED",
}
_STORE: Final = {
    "sqlite": (
        "UPDATE grants SET generation = json_extract(changed.value, '$[1]'), "
        "rotated_at = json_extract(changed.value, '$[2]'), late = json_extract(changed.value, '$[3]'), "
        "revoked_at = json_extract(changed.value, '$[4]'), reason = json_extract(changed.value, '$[5]') "
        "FROM json_each(?) AS changed WHERE grants.id = json_extract(changed.value, '$[0]')"
    ),
    "postgresql": (
        "UPDATE grants SET generation = changed.generation, rotated_at = changed.rotated_at, late = changed.late, "
        "revoked_at = changed.revoked_at, reason = changed.reason "
        "FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::bigint[], %s::timestamptz[], %s::text[]) "
        "AS changed (id, generation, rotated_at, late, revoked_at, reason) WHERE grants.id = changed.id"
    ),
}


async def load(tx: Tx, grant_ids: Collection[UUID]) -> dict[UUID, GrantAndUser]:
    """Return grants as they are committed now, by their ids; those that do not exist are missing."""
    return await _load(tx, _LOAD, grant_ids)


async def lock_free(tx: Tx, grant_ids: Collection[UUID]) -> dict[UUID, GrantAndUser]:
    """Lock and return those of the grants that exist and that nobody else has locked; wait for none.

    So transactions with overlapping grants in any order cannot deadlock, and one locked grant delays no other.
    """
    return await _load(tx, _LOCK, grant_ids)


async def store_changes(tx: Tx, changed: Iterable[Grant]) -> None:
    """Store what refresh and revocation change of grants; the caller holds their rows.

    No index names the columns that a rotation changes, so it stays a HOT update.
    """
    rows = [(one.id, one.generation, one.rotated_at, one.late, one.revoked_at, one.reason) for one in changed]
    if tx.dialect == "sqlite":
        await tx.fetch(_STORE["sqlite"], [json.dumps([_spell(row) for row in rows])])
    else:
        await tx.fetch(_STORE["postgresql"], [list(column) for column in zip(*rows, strict=True)])


def _spell(row: tuple[UUID, int, datetime, int, datetime | None, str | None]) -> tuple[object, ...]:
    grant_id, generation, rotated_at, late, revoked_at, reason = row
    revoked = None if revoked_at is None else spell_time(revoked_at)
    return spell_id(grant_id), generation, spell_time(rotated_at), late, revoked, reason


async def _load(tx: Tx, statements: dict[str, str], grant_ids: Collection[UUID]) -> dict[UUID, GrantAndUser]:
    keys: object = list(grant_ids)
    if tx.dialect == "sqlite":
        keys = json.dumps([spell_id(grant_id) for grant_id in grant_ids])
    found = [_to_grant_and_user(row, tx.dialect) for row in await tx.fetch(statements[tx.dialect], [keys])]
    return {one.grant.id: one for one in found}


def _to_grant_and_user(row: DriverRow, dialect: str) -> GrantAndUser:
    grant = Grant(**_read(row, _GRANT, _processors(Grants, _GRANT, dialect)))
    rest = row[len(_GRANT) :]
    user = None if rest[0] is None else User(**_read(rest, _USER, _processors(Users, _USER, dialect)))
    return GrantAndUser(grant=grant, user=user, now=as_time(row[-1]))


def _read(row: DriverRow, names: tuple[str, ...], processors: Sequence[Processor]) -> dict[str, Any]:
    """Return a row's values by column; the row may be longer."""
    return {
        name: value if processor is None else processor(value)
        for name, processor, value in zip(names, processors, row, strict=False)
    }


@cache
def _processors(table: type[SQLModel], names: tuple[str, ...], dialect: str) -> tuple[Processor, ...]:
    """Return what Core makes of each column's value in this dialect, so that both read a row alike."""
    spoken = registry.load(_DRIVERS[dialect])()
    columns: Table = table.__table__  # type: ignore[attr-defined]  # SQLModel's metaclass sets it
    types = [columns.c[name].type.dialect_impl(spoken) for name in names]
    return tuple(kind.result_processor(spoken, None) for kind in types)
