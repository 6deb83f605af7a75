"""Clients that registered themselves and that nobody uses: strangers make more of them than anybody tidies up.

They are marked deleted like any other client, so that every process drops them; the purge removes the rows later
(RFC 7591 §5, SECURITY row 79).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, select, update
from sqlmodel import col

from authserver.store import audit, state
from authserver.store.tables import AuthorizationCodes, Clients, ClientSecrets, Consents, Grants

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from authserver.store.engine import Engine, Tx

UNUSED_KEPT: Final = timedelta(days=30)  # since the registration
BATCH: Final = 1000


async def end_unused_clients(engine: Engine, batch: int = BATCH) -> int:
    """Mark clients deleted that nobody vouched for and nobody signed in to within ``UNUSED_KEPT``; return how many.

    In use is a client with a grant, a consent or a code, those included that are kept for a while after their end.
    """
    async with engine.read() as tx:  # most of the time there is none, and the version row is left alone
        if not await _find(tx, await tx.now(), 1, lock=False):
            return 0
    total = 0
    while True:
        async with engine.begin() as tx:
            ended = await _end(tx, batch)
        total += ended
        if ended < batch:
            return total


async def _end(tx: Tx, batch: int) -> int:
    """End one batch. A client that is being used this moment is held by its user, and skipped."""
    version = await state.bump(tx)
    now = await tx.now()
    client_ids = await _find(tx, now, batch, lock=True)
    # Asked again now that nobody can begin to use them: what was committed before the rows were held is seen here.
    statement = update(Clients).where(col(Clients.client_id).in_(client_ids), *_is_unused(now))
    statement = statement.values(deleted_at=now, updated_at=now, version=version)
    ended = (await tx.execute(statement.returning(col(Clients.client_id)))).scalars().all()
    await tx.execute(delete(ClientSecrets).where(col(ClientSecrets.client_id).in_(ended)))
    for client_id in ended:
        await audit.add(tx, "client_deleted", actor="job:purge", client_id=client_id, detail={"reason": "unused"})
    return len(ended)


async def _find(tx: Tx, now: datetime, limit: int, *, lock: bool) -> list[str]:
    statement = select(col(Clients.client_id)).where(*_is_unused(now)).limit(limit)
    if lock:
        statement = statement.with_for_update(skip_locked=True)
    return list((await tx.execute(statement)).scalars())


def _is_unused(now: datetime) -> tuple[ColumnElement[bool], ...]:
    client_id = col(Clients.client_id)
    return (
        col(Clients.self_registered).is_(True),
        col(Clients.deleted_at).is_(None),
        col(Clients.created_at) < now - UNUSED_KEPT,
        ~exists().where(col(Grants.client_id) == client_id),
        ~exists().where(col(Consents.client_id) == client_id),
        ~exists().where(col(AuthorizationCodes.client_id) == client_id),
    )
