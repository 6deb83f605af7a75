"""Deletes what has expired, so that tables stay as large as what is alive (DESIGN §4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, literal_column, or_, select, tuple_
from sqlmodel import col

from authserver.store import logout_notices
from authserver.store.tables import (
    Attempts,
    AuthorizationCodes,
    Clients,
    ClientSecrets,
    Devices,
    Grants,
    Invitations,
    LogoutNotices,
    MailedCodes,
    OutboxMails,
    PendingSignIns,
    RegistrationTokens,
    Replays,
    Sessions,
    SignUps,
    TotpSecrets,
    Transactions,
    UpstreamSignIns,
    Users,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Delete
    from sqlmodel import SQLModel

    from authserver.store.engine import Engine, Tx

BATCH: Final = 1000
REFUSALS_KEPT: Final = timedelta(days=7)  # so that an operator can still see why something was refused (DESIGN §8)
TRANSACTIONS_KEPT: Final = timedelta(days=1)  # who took too long to sign in can still start again from where they were
CODES_KEPT: Final = timedelta(days=1)  # a replayed code must still find the grant it revokes
ATTEMPTS_KEPT: Final = timedelta(days=1)
MAILED_CODES_KEPT: Final = timedelta(hours=1)  # sign-ins that wait too: who comes late reads why, and has a new one
UNCONFIRMED_KEPT: Final = timedelta(days=1)  # an authenticator app that somebody began to add
DELETED_KEPT: Final = timedelta(days=30)  # clients and users can be restored for so long
MAIL_KEPT: Final = timedelta(days=7)  # what was sent can be seen, what failed be tried again, for so long
NOTICES_KEPT: Final = timedelta(days=7)  # the same of what clients were told, or could not be told
DEVICES_KEPT: Final = timedelta(days=400)  # the longest a browser keeps the cookie (RFC 6265bis §5.5)


async def _delete(tx: Tx, statement: Delete) -> int:
    return len((await tx.execute(statement.returning(literal_column("1")))).all())  # SQLite counts no DELETE with a CTE


async def _delete_grants(tx: Tx, statement: Delete) -> int:
    """Delete grants, and keep of those whose session lives on which client is to hear of its end."""
    deleted = (await tx.execute(statement.returning(col(Grants.session_id), col(Grants.client_id)))).all()
    await logout_notices.keep_clients(tx, ((row.session_id, row.client_id) for row in deleted))
    return len(deleted)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What of a table is over at a moment of the database's clock, and how it goes."""

    table: type[SQLModel]
    is_over: Callable[[datetime], ColumnElement[bool]]
    delete: Callable[[Tx, Delete], Awaitable[int]] = _delete


# Clients and users take what hangs on them along. Not here: the audit, and signing keys, whose tombstones must hold.
_RULES: Final = (
    _Rule(Transactions, lambda now: col(Transactions.expires_at) < now - TRANSACTIONS_KEPT),
    _Rule(AuthorizationCodes, lambda now: col(AuthorizationCodes.expires_at) < now - CODES_KEPT),
    _Rule(MailedCodes, lambda now: col(MailedCodes.expires_at) < now - MAILED_CODES_KEPT),
    _Rule(PendingSignIns, lambda now: col(PendingSignIns.expires_at) < now - MAILED_CODES_KEPT),
    _Rule(
        TotpSecrets,
        lambda now: col(TotpSecrets.confirmed_at).is_(None) & (col(TotpSecrets.created_at) < now - UNCONFIRMED_KEPT),
    ),
    _Rule(UpstreamSignIns, lambda now: col(UpstreamSignIns.expires_at) < now - MAILED_CODES_KEPT),
    _Rule(SignUps, lambda now: col(SignUps.expires_at) < now),
    _Rule(
        Invitations,
        lambda now: or_(
            col(Invitations.expires_at) < now - REFUSALS_KEPT, col(Invitations.accepted_at) < now - REFUSALS_KEPT
        ),
    ),
    _Rule(Replays, lambda now: col(Replays.expires_at) < now),
    _Rule(Attempts, lambda now: col(Attempts.last_at) < now - ATTEMPTS_KEPT),
    _Rule(
        Grants,
        lambda now: or_(
            col(Grants.expires_at) < now - REFUSALS_KEPT,
            col(Grants.revoked_at).is_not(None) & (col(Grants.revoked_at) < now - REFUSALS_KEPT),
        ),
        delete=_delete_grants,
    ),
    _Rule(
        Sessions,
        lambda now: or_(col(Sessions.expires_at) < now - REFUSALS_KEPT, col(Sessions.ended_at) < now - REFUSALS_KEPT),
    ),
    _Rule(Devices, lambda now: col(Devices.created_at) < now - DEVICES_KEPT),
    _Rule(OutboxMails, lambda now: col(OutboxMails.settled_at) < now - MAIL_KEPT),
    _Rule(LogoutNotices, lambda now: col(LogoutNotices.settled_at) < now - NOTICES_KEPT),
    _Rule(ClientSecrets, lambda now: col(ClientSecrets.expires_at) < now),
    _Rule(RegistrationTokens, lambda now: col(RegistrationTokens.expires_at) < now - REFUSALS_KEPT),
    _Rule(Clients, lambda now: col(Clients.deleted_at) < now - DELETED_KEPT),
    _Rule(Users, lambda now: or_(col(Users.deleted_at) < now - DELETED_KEPT, col(Users.delete_at) < now)),
)


def _tell_nobody(table: str, rows: int) -> None:
    pass


async def purge_expired(
    engine: Engine, batch: int = BATCH, *, on_batch: Callable[[str, int], None] = _tell_nobody
) -> dict[str, int]:
    """Delete what is over and return how many rows of each table.

    One short transaction for each batch; rows that somebody holds are left for the next time, so several processes may
    purge at once and nobody waits for it. ``on_batch`` hears after each batch of which table how many rows it was.
    """
    return {str(rule.table.__tablename__): await _purge(engine, rule, batch, on_batch) for rule in _RULES}


async def _purge(engine: Engine, rule: _Rule, batch: int, on_batch: Callable[[str, int], None]) -> int:
    key = tuple(rule.table.__table__.primary_key)  # type: ignore[attr-defined]  # SQLModel does not declare it
    total = 0
    while True:
        async with engine.begin() as tx:
            held = select(*key).where(rule.is_over(await tx.now())).limit(batch).with_for_update(skip_locked=True)
            # looked up once: as a subquery PostgreSQL may run it for each row, and each time `batch` more are over
            over = held.cte("over").prefix_with("MATERIALIZED", dialect="postgresql")
            deleted = await rule.delete(tx, delete(rule.table).where(tuple_(*key).in_(select(*over.c))))
        total += deleted
        on_batch(str(rule.table.__tablename__), deleted)
        if deleted < batch:
            return total
