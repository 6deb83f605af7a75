"""Whom an operator has invited to make an account: one row for each mailbox, and nothing secret in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy import delete, select, update
from sqlmodel import col

from authserver.email_address import mailbox_key
from authserver.store.insert import insert_into
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Invitations

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from authserver.store.engine import Tx

State: TypeAlias = Literal["open", "accepted", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An address whose owner may make an account until ``expires_at``; ``accepted_at`` is when they did."""

    id: UUID
    email: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Return what is told of it at a moment of the database's clock."""
        if self.accepted_at is not None:
            return "accepted"
        return "open" if self.expires_at > now else "expired"


async def put(tx: Tx, invitation: Invitation) -> Invitation:
    """Store an invitation, or renew the one that its mailbox has; return it as stored: a renewed one keeps its id."""
    values = to_columns(invitation) | {"mailbox_key": mailbox_key(invitation.email)}
    renewed = {name: values[name] for name in ("email", "expires_at", "accepted_at")}
    statement = insert_into(tx.dialect, Invitations).values(values)
    statement = statement.on_conflict_do_update(index_elements=["mailbox_key"], set_=renewed)
    return to_value(Invitation, (await tx.execute(statement.returning(Invitations))).one())


async def is_open(tx: Tx, email: str) -> bool:
    """Tell whether the owner of this mailbox may make an account now."""
    return (await tx.execute(select(col(Invitations.id)).where(*await _is_open(tx, email)))).first() is not None


async def accept(tx: Tx, email: str) -> UUID | None:
    """Use the invitation of a mailbox up, once, and return its id; None where none is open.

    One statement: whoever revokes or renews it at the same time waits, and sees it accepted.
    """
    statement = update(Invitations).where(*await _is_open(tx, email)).values(accepted_at=await tx.now())
    row = (await tx.execute(statement.returning(col(Invitations.id)))).one_or_none()
    return None if row is None else row.id


async def revoke(tx: Tx, email: str) -> UUID | None:
    """Delete the invitation of a mailbox and return its id; None where none is open."""
    statement = delete(Invitations).where(*await _is_open(tx, email)).returning(col(Invitations.id))
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else row.id


async def list_all(tx: Tx) -> tuple[Invitation, ...]:
    """Return every invitation that is kept, the youngest first."""
    rows = await tx.execute(select(Invitations).order_by(col(Invitations.id).desc()))
    return tuple(to_value(Invitation, row) for row in rows)


async def _is_open(tx: Tx, email: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Invitations.mailbox_key) == mailbox_key(email),
        col(Invitations.accepted_at).is_(None),
        col(Invitations.expires_at) > await tx.now(),
    )
