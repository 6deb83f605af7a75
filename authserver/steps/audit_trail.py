"""Audit rows of what clients and people do: every one says from which request it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.values import AuthorizationCode
from authserver.store import audit
from authserver.store.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import Grant
    from authserver.store.engine import Tx


async def record(
    call: Call,
    tx: Tx,
    event: str,
    *,
    detail: Mapping[str, object],
    user_id: UUID | None = None,
    client_id: str | None = None,
    session_id: UUID | None = None,
) -> None:
    """Write down what this request did, in the transaction that does it."""
    await audit.add(
        tx,
        event,
        user_id=user_id,
        client_id=client_id,
        session_id=session_id,
        request_id=call.facts.request_id,
        address=call.facts.address,
        detail=detail,
    )


async def record_of_grant(
    call: Call, tx: Tx, event: str, client_id: str, of: Grant | AuthorizationCode | None, reason: str
) -> None:
    """Write down what happened to a grant, or to the code that would become one; None where there is neither.

    ``client_id`` is the client that asked, which need not be the one it belongs to.
    """
    await audit.add_all(tx, [entry_of_grant(call, event, client_id, of, reason)], await tx.now())


def entry_of_grant(
    call: Call, event: str, client_id: str, of: Grant | AuthorizationCode | None, reason: str
) -> AuditEntry:
    """Return what :func:`record_of_grant` writes down: for decisions that are stored by somebody else."""
    grant_id = None if of is None else of.grant_id if isinstance(of, AuthorizationCode) else of.id
    return AuditEntry(
        event=event,
        client_id=client_id,
        user_id=of.user_id if of is not None else None,
        grant_id=grant_id,
        session_id=of.session_id if of is not None else None,
        request_id=call.facts.request_id,
        address=call.facts.address,
        detail={"reason": reason},
    )
