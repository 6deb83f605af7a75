"""Clients and their secrets. Every change moves the version row and notes the new version in the client's row."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy import update as update_table
from sqlmodel import col

from authserver.oauth.values import (
    AuthMethod,
    Client,
    ClientSecret,
    ClientType,
    Lifetimes,
    LogoutScope,
    RefreshMode,
    RefreshPolicy,
)
from authserver.store import state, status_lists
from authserver.store.rows import columns_of, to_columns, to_value
from authserver.store.tables import Clients, ClientSecrets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Row

    from authserver.store.engine import Tx

MAX_SECRETS: Final = 2
_LIFETIMES: Final = tuple(field.name for field in fields(Lifetimes))
_NOT_COLUMNS: Final = ("secrets", "lifetimes", "contacts")
_PLAIN: Final = tuple(field.name for field in fields(Client) if field.name not in _NOT_COLUMNS)


async def add(tx: Tx, client: Client) -> None:
    """Store a new client with its secrets; raise ConflictError where its id is, or was, another one's."""
    version = await state.bump(tx)
    if client.status_index is None:
        client = replace(client, status_index=await status_lists.choose_for_client(tx))
    await tx.execute(insert(Clients).values({**_to_columns(client), "version": version}))
    await _store_secrets(tx, client)


async def update(tx: Tx, client: Client) -> bool:
    """Store a client's new values, its secrets included; return False where there is no such client.

    Its place in the status lists stays: tokens name it.
    """
    version = await state.bump(tx)
    statement = update_table(Clients).where(col(Clients.client_id) == client.client_id)
    columns = {**_to_columns(client), "version": version}
    del columns["status_index"]
    result = await tx.execute(statement.values(columns))
    if result.rowcount == 0:
        return False
    await _store_secrets(tx, client)
    return True


async def get(tx: Tx, client_id: str) -> Client | None:
    """Return a client, a deleted or disabled one too, with the secrets that are alive."""
    row = (await tx.execute(select(Clients).where(col(Clients.client_id) == client_id))).one_or_none()
    return None if row is None else to_client(row, (await _live_secrets(tx, [client_id])).get(client_id, ()))


async def lock_for_share(tx: Tx, client_id: str) -> Client | None:
    """Return a client that nobody can change, disable or delete before this transaction ends; without its secrets."""
    statement = select(Clients).where(col(Clients.client_id) == client_id).with_for_update(read=True)
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_client(row, ())


async def list_all(tx: Tx) -> tuple[Client, ...]:
    """Return every client that is not deleted, the oldest first."""
    statement = (
        select(Clients)
        .where(col(Clients.deleted_at).is_(None))
        .order_by(col(Clients.created_at), col(Clients.client_id))
    )
    rows = (await tx.execute(statement)).all()
    secrets = await _live_secrets(tx, None)
    return tuple(to_client(row, secrets.get(row.client_id, ())) for row in rows)


async def load_changed(tx: Tx, since: int) -> tuple[list[Row[Any]], dict[str, tuple[ClientSecret, ...]]]:
    """Return the rows that changed after version ``since``, deleted ones too, and the live secrets of their clients.

    Rows, because the directory turns each into a value by itself: one that cannot be read must not hide the others.
    """
    rows = list((await tx.execute(select(Clients).where(col(Clients.version) > since))).all())
    if not rows:
        return [], {}
    return rows, await _live_secrets(tx, None if since < 0 else [row.client_id for row in rows])


async def set_disabled(tx: Tx, client_id: str, at: datetime | None) -> None:
    """Turn a client off, or on again with None. Its grants are the caller's to revoke, afterwards."""
    await _touch(tx, client_id, disabled_at=at)


async def mark_deleted(tx: Tx, client_id: str, at: datetime) -> None:
    """Mark a client deleted and forget its secrets. Its grants are the caller's to revoke, afterwards."""
    await _touch(tx, client_id, deleted_at=at)
    await tx.execute(delete(ClientSecrets).where(col(ClientSecrets.client_id) == client_id))


def to_client(row: Row[Any], secrets: tuple[ClientSecret, ...]) -> Client:
    """Return the client of a row; raise ValueError for a word that this version of the server does not know."""
    columns = columns_of(row)
    return Client(
        **{name: columns[name] for name in _PLAIN if name not in _WORDS},
        **{name: read(columns[name]) for name, read in _WORDS.items()},
        contacts=tuple(columns["contacts"]),
        lifetimes=Lifetimes(**{name: columns[f"{name}_lifetime"] for name in _LIFETIMES}),
        secrets=secrets,
    )


_WORDS: Final[dict[str, Any]] = {
    "type": ClientType,
    "token_endpoint_auth_method": AuthMethod,
    "refresh_token_mode": RefreshMode,
    "refresh_token_policy": RefreshPolicy,
    "logout_scope": LogoutScope,
}


def _to_columns(client: Client) -> dict[str, object]:
    columns: dict[str, object] = {name: getattr(client, name) for name in _PLAIN}
    columns |= {name: getattr(client, name).value for name in _WORDS}
    columns |= {f"{name}_lifetime": getattr(client.lifetimes, name) for name in _LIFETIMES}
    columns["contacts"] = list(client.contacts)
    return columns


async def _touch(tx: Tx, client_id: str, **columns: object) -> None:
    version = await state.bump(tx)
    values = {**columns, "version": version, "updated_at": await tx.now()}
    await tx.execute(update_table(Clients).where(col(Clients.client_id) == client_id).values(values))


async def _store_secrets(tx: Tx, client: Client) -> None:
    """Make the stored secrets those of the value; nobody else changes them, as the version row is held."""
    if len(client.secrets) > MAX_SECRETS:
        raise ValueError("a client has at most two secrets")
    await tx.execute(delete(ClientSecrets).where(col(ClientSecrets.client_id) == client.client_id))
    rows = [{"client_id": client.client_id, **to_columns(secret)} for secret in client.secrets]
    if rows:
        await tx.execute(insert(ClientSecrets), rows)


async def _live_secrets(tx: Tx, client_ids: Iterable[str] | None) -> dict[str, tuple[ClientSecret, ...]]:
    expires_at = col(ClientSecrets.expires_at)
    statement = select(ClientSecrets).where(expires_at.is_(None) | (expires_at > await tx.now()))
    if client_ids is not None:
        statement = statement.where(col(ClientSecrets.client_id).in_(list(client_ids)))
    secrets: dict[str, tuple[ClientSecret, ...]] = {}
    for row in await tx.execute(statement.order_by(col(ClientSecrets.created_at))):
        secrets[row.client_id] = (*secrets.get(row.client_id, ()), to_value(ClientSecret, row))
    return secrets
