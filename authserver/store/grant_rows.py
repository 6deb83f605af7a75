"""Many grants in one statement, past SQLAlchemy: what refresh, revocation and introspection cost (DESIGN §6).

One text whatever the number of grants, so that a connection prepares each once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from authserver.oauth.values import Grant, User
from authserver.store.driver_rows import ValueRows
from authserver.store.engine import as_time
from authserver.store.grants import GrantAndUser
from authserver.store.tables import Grants, Users
from authserver.store.types import spell_id, spell_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import DriverRow, Tx

_GRANTS: Final = ValueRows(Grant, Grants)
_USERS: Final = ValueRows(User, Users)
_COLUMNS: Final = f"{_GRANTS.columns}, {_USERS.columns}"
_SOURCE: Final = "FROM grants LEFT JOIN users ON users.id = grants.user_id"

_LOAD: Final = {
    "sqlite": (
        f"SELECT {_COLUMNS}, strftime('%Y-%m-%d %H:%M:%f', 'now') {_SOURCE} "  # noqa: S608 - the columns' names
        "WHERE grants.id IN (SELECT value FROM json_each(?))"
    ),
    "postgresql": f"SELECT {_COLUMNS}, clock_timestamp() {_SOURCE} WHERE grants.id = ANY(%s::uuid[])",
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
        "UPDATE grants SET generation = (changed.value ->> 1)::bigint, "
        "rotated_at = (changed.value ->> 2 || '+00')::timestamptz, late = (changed.value ->> 3)::bigint, "
        "revoked_at = (changed.value ->> 4 || '+00')::timestamptz, reason = changed.value ->> 5 "
        "FROM jsonb_array_elements(%s::jsonb) AS changed (value) WHERE grants.id = (changed.value ->> 0)::uuid"
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


class ChangedGrant(NamedTuple):
    """The columns of a grant that refresh and revocation change, as they are to be."""

    id: UUID
    generation: int
    rotated_at: datetime
    late: int
    revoked_at: datetime | None
    reason: str | None


async def store_changes(tx: Tx, changed: Iterable[ChangedGrant | Grant]) -> None:
    """Store what refresh and revocation change of grants; the caller holds their rows.

    No index names the columns that a rotation changes, so it stays a HOT update.
    """
    # One text: psycopg takes 10 us a row to make arrays of six columns, and json 4.
    document = json.dumps([_spell(grant) for grant in changed])
    await tx.fetch(_STORE[tx.dialect], [document])


def _spell(grant: ChangedGrant | Grant) -> tuple[object, ...]:
    revoked_at = None if grant.revoked_at is None else spell_time(grant.revoked_at)
    return spell_id(grant.id), grant.generation, spell_time(grant.rotated_at), grant.late, revoked_at, grant.reason


async def _load(tx: Tx, statements: dict[str, str], grant_ids: Collection[UUID]) -> dict[UUID, GrantAndUser]:
    spelled = [spell_id(grant_id) for grant_id in grant_ids]
    keys = json.dumps(spelled) if tx.dialect == "sqlite" else f"{{{','.join(spelled)}}}"
    found = [_to_grant_and_user(row, tx.dialect) for row in await tx.fetch(statements[tx.dialect], [keys])]
    return {one.grant.id: one for one in found}


def _to_grant_and_user(row: DriverRow, dialect: str) -> GrantAndUser:
    grant = _GRANTS.read(row, dialect)
    user = None if row[_GRANTS.width] is None else _USERS.read(row, dialect, _GRANTS.width)
    return GrantAndUser(grant=grant, user=user, now=as_time(row[-1]))
