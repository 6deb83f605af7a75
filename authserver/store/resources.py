"""The APIs that tokens are for. Every change moves the version row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete as delete_from
from sqlalchemy import insert, select
from sqlalchemy import update as update_table
from sqlmodel import col

from authserver.oauth.values import Resource
from authserver.store import state
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Resources

if TYPE_CHECKING:
    from authserver.store.engine import Tx


async def add(tx: Tx, resource: Resource) -> None:
    """Store a new resource; raise ConflictError where its identifier is taken."""
    await state.bump(tx)
    await tx.execute(insert(Resources).values(to_columns(resource)))


async def update(tx: Tx, resource: Resource) -> bool:
    """Store a resource's new values; return False where there is none of this identifier."""
    await state.bump(tx)
    statement = update_table(Resources).where(col(Resources.identifier) == resource.identifier)
    return (await tx.execute(statement.values(to_columns(resource)))).rowcount > 0


async def delete(tx: Tx, identifier: str) -> bool:
    """Delete a resource; return False where there was none."""
    await state.bump(tx)
    return (await tx.execute(delete_from(Resources).where(col(Resources.identifier) == identifier))).rowcount > 0


async def get(tx: Tx, identifier: str) -> Resource | None:
    """Return the resource with this identifier."""
    row = (await tx.execute(select(Resources).where(col(Resources.identifier) == identifier))).one_or_none()
    return None if row is None else to_value(Resource, row)


async def list_all(tx: Tx) -> tuple[Resource, ...]:
    """Return every resource, by identifier."""
    rows = await tx.execute(select(Resources).order_by(col(Resources.identifier)))
    return tuple(to_value(Resource, row) for row in rows)
