"""Somebody signs out of other places than the one they are at: a browser, an app that signed in by itself, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.steps.audit_trail import record, record_of_grant
from authserver.steps.browser_session import end_session
from authserver.store import grants, sessions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from authserver.feature import Call
    from authserver.store.engine import Tx
    from authserver.store.sessions import SignedOut

REASON: Final = "signed_out_by_user"


async def end_browser(call: Call, tx: Tx, user_id: UUID, session_id: UUID) -> bool:
    """End one of this user's sessions, and what apps hold through it; anybody else's is as if it did not exist."""
    session = await sessions.get(tx, session_id)
    if session is None or session.user_id != user_id:
        return False
    if await end_session(tx, session_id, await tx.now(), REASON):
        await record(call, tx, "session_ended", user_id=user_id, session_id=session_id, detail={"reason": REASON})
    return True


async def end_app(call: Call, tx: Tx, user_id: UUID, grant_id: UUID) -> bool:
    """Revoke one of this user's grants that began without a browser; any other is as if it did not exist."""
    grant = await grants.get(tx, grant_id)
    if grant is None or grant.user_id != user_id or grant.session_id is not None:
        return False
    if await grants.revoke(tx, grant_id, REASON):
        await record_of_grant(call, tx, "grant_revoked", grant.client_id, grant, REASON)
    return True


async def end_all(
    call: Call,
    tx: Tx,
    user_id: UUID,
    event: str,
    *,
    reason: str | None = None,
    keep_session: UUID | None = None,
    keep_grant: UUID | None = None,
    detail: Mapping[str, str] | None = None,
) -> SignedOut:
    """End whatever a user is signed in to but for where they are, and write it down as ``event`` with ``detail``.

    ``reason`` is what the sessions and grants end with, ``event`` itself unless told. The user's row is held.
    """
    ended = await sessions.end_all_of_user(
        tx, user_id, reason=reason or event, keep_session=keep_session, keep_grant=keep_grant
    )
    counts = {"sessions_ended": ended.sessions, "grants_revoked": ended.grants}
    await record(call, tx, event, user_id=user_id, session_id=keep_session, detail={**(detail or {}), **counts})
    return ended
