"""The browsers in which people are signed in: see them, and end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.operations import users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.store import audit, sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.oauth.values import Session
    from authserver.operations.operator import Operator

REASON: Final = "session_ended_by_operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session that was ended, and how many grants fell with it."""

    session: Session
    grants: int


async def find_all(operator: Operator, *, user: str | None = None, limit: int = 1000) -> Sequence[Session]:
    """Return sessions that live, the youngest first; of one user where one is named."""
    async with operator.engine.read() as tx:
        user_id = (await users.load(tx, user)).id if user is not None else None
        return await sessions.list_all(tx, user_id=user_id, limit=limit)


async def revoke(operator: Operator, session_id: str) -> Ended:
    """End a session as its user's logout does: its grants fall, but those meant to outlive it (DESIGN §5)."""
    async with operator.begin() as tx:
        session = await sessions.get(tx, parse_id(session_id, "sessions"))
        if session is None:
            raise OperationError(
                f"There is no session {session_id}.", problem=Problem.NOT_FOUND, fix="See: authserver sessions list"
            )
        ended = await sessions.end_with_grants(tx, session.id, await tx.now(), REASON)
        await audit.add(
            tx,
            "session_ended",
            actor=operator.actor,
            user_id=session.user_id,
            session_id=session.id,
            detail={"reason": REASON, "grants_revoked": ended.grants},
        )
    return Ended(session=session, grants=ended.grants)
