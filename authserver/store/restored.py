"""What is taken from a database that came out of a backup: it has forgotten what was used and revoked since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, update
from sqlmodel import col

from authserver.store import logout_notices
from authserver.store.tables import (
    AuthorizationCodes,
    Grants,
    Invitations,
    MailedCodes,
    PendingSignIns,
    RegistrationTokens,
    Replays,
    Sessions,
    Transactions,
    UpstreamSignIns,
)

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.store.engine import Tx

REASON: Final = "database_restored"
_SINGLE_USE: Final = (AuthorizationCodes, MailedCodes, PendingSignIns, Replays, Transactions, UpstreamSignIns)


async def forget_single_use(tx: Tx, at: datetime) -> int:
    """Clear codes, sign-ins under way, replay rows and open invitations, and revoke initial access tokens.

    Return how many rows that were.
    """
    is_open = col(Invitations.accepted_at).is_(None)
    count = (await tx.execute(delete(Invitations).where(is_open))).rowcount
    for table in _SINGLE_USE:
        count += (await tx.execute(delete(table))).rowcount
    revoked_at = col(RegistrationTokens.revoked_at)
    count += (await tx.execute(update(RegistrationTokens).where(revoked_at.is_(None)).values(revoked_at=at))).rowcount
    return count


async def end_sessions(tx: Tx, at: datetime) -> int:
    """End every session that lives, and have their clients told; return how many."""
    living = col(Sessions.ended_at).is_(None) & (col(Sessions.expires_at) > at)
    ended = await tx.execute(update(Sessions).where(living).values(ended_at=at, end_reason=REASON))
    is_ended_here = (col(Sessions.ended_at) == at) & (col(Sessions.end_reason) == REASON)
    await logout_notices.add_for_sessions(tx, is_ended_here)
    return ended.rowcount


async def revoke_grants(tx: Tx, at: datetime) -> int:
    """Revoke every grant that lives; return how many."""
    living = col(Grants.revoked_at).is_(None) & (col(Grants.expires_at) > at)
    return (await tx.execute(update(Grants).where(living).values(revoked_at=at, reason=REASON))).rowcount
