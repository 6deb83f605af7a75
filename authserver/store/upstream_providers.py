"""Other providers that people may sign in through. Every change moves the version row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete as delete_from
from sqlalchemy import insert, select
from sqlalchemy import update as update_table
from sqlmodel import col

from authserver.oauth.upstream import Provider, ProviderKind
from authserver.oauth.values import AuthMethod
from authserver.store import state
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import UpstreamProviders

if TYPE_CHECKING:
    from sqlalchemy import Row

    from authserver.store.engine import Tx


async def add(tx: Tx, provider: Provider) -> None:
    """Store a new provider; raise ConflictError where its slug is taken."""
    await state.bump(tx)
    await tx.execute(insert(UpstreamProviders).values(to_columns(provider)))


async def update(tx: Tx, provider: Provider) -> bool:
    """Store a provider's new values; return False where there is none of this slug."""
    await state.bump(tx)
    statement = update_table(UpstreamProviders).where(col(UpstreamProviders.slug) == provider.slug)
    return (await tx.execute(statement.values(to_columns(provider)))).rowcount > 0


async def delete(tx: Tx, slug: str) -> bool:
    """Delete a provider with all that is linked through it; return False where there was none."""
    await state.bump(tx)
    return (await tx.execute(delete_from(UpstreamProviders).where(col(UpstreamProviders.slug) == slug))).rowcount > 0


async def get(tx: Tx, slug: str) -> Provider | None:
    """Return the provider with this slug."""
    row = (await tx.execute(select(UpstreamProviders).where(col(UpstreamProviders.slug) == slug))).one_or_none()
    return None if row is None else _to_provider(row)


async def list_all(tx: Tx) -> tuple[Provider, ...]:
    """Return every provider in the order of their buttons."""
    order = (col(UpstreamProviders.position), col(UpstreamProviders.label), col(UpstreamProviders.slug))
    return tuple(_to_provider(row) for row in await tx.execute(select(UpstreamProviders).order_by(*order)))


def _to_provider(row: Row[Any]) -> Provider:
    provider = to_value(Provider, row)
    return replace(provider, kind=ProviderKind(provider.kind), auth_method=AuthMethod(provider.auth_method))
