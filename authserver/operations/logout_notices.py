"""What clients were told of sessions that ended: see what has become of it, and have it tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.operations import users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.store import audit, logout_notices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.operations.operator import Operator
    from authserver.store.logout_notices import LogoutNotice, State


async def find_all(
    operator: Operator,
    *,
    state: State | None = None,
    client_id: str | None = None,
    user: str | None = None,
    limit: int = 1000,
) -> Sequence[LogoutNotice]:
    """Return notices, the youngest first; of one state, client or user where these are named."""
    async with operator.engine.read() as tx:
        user_id = (await users.load(tx, user)).id if user is not None else None
        return await logout_notices.list_all(tx, state=state, client_id=client_id, user_id=user_id, limit=limit)


async def retry(operator: Operator, notice_id: str) -> LogoutNotice:
    """Have one notice tried now: one that was refused or given up, or one that waits for its next try."""
    async with operator.begin() as tx:
        notice = await logout_notices.get(tx, parse_id(notice_id, "logout-notices"))
        if notice is None:
            raise OperationError(
                f"There is no notice {notice_id}.",
                problem=Problem.NOT_FOUND,
                fix="See: authserver logout-notices list",
            )
        if not (await logout_notices.retry(tx, notice.id) or await logout_notices.hurry(tx, notice.id)):
            is_heard = notice.state == "delivered"
            why = "The client has heard of it." if is_heard else "That notice is being delivered at this moment."
            raise OperationError(why, problem=Problem.CONFLICT)
        await audit.add(
            tx,
            "logout_notice_retried",
            actor=operator.actor,
            user_id=notice.user_id,
            client_id=notice.client_id,
            session_id=notice.session_id,
            detail={"notice": str(notice.id)},
        )
        return await logout_notices.get(tx, notice.id) or notice


async def retry_all_failed(operator: Operator) -> int:
    """Have every notice that was refused or given up tried again, and return how many."""
    async with operator.begin() as tx:
        count = await logout_notices.retry(tx, None)
        if count:
            await audit.add(tx, "logout_notice_retried", actor=operator.actor, detail={"count": count})
    return count
