"""Leave: an account is to be deleted, at its person's own wish, and can be kept until that day comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.steps.audit_trail import record
from authserver.steps.mailed_codes import asked_by
from authserver.store import consents, grants, mailed_codes, sessions, users
from authserver.store.outbox import Mail
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx

GRACE: Final = timedelta(days=30)  # DESIGN §8
REASON: Final = "account_deletion_asked"


async def leave(call: Call, tx: Tx, user: User, *, session_id: UUID | None = None) -> datetime:
    """Note that a user whose row is held goes, end all that is alive of them, and return when the account is deleted.

    The row stays until then, with its name and address, so that nobody takes them meanwhile; after that the purge
    deletes it and what hangs on it, and its ``sub`` is never given to anybody else (SECURITY row 117).
    """
    now = await tx.now()
    delete_at = now + GRACE
    await users.set_delete_at(tx, user.id, delete_at)
    ended = await sessions.end_all_of_user(tx, user.id, at=now, reason=REASON)
    for given in await consents.list_of_user(tx, user.id):
        await consents.withdraw(tx, user.id, given.consent.client_id)
    revoked = await grants.revoke_of_user(tx, user.id, REASON)
    await mailed_codes.claim_all_of_user(tx, user.id)
    detail = {"delete_at": delete_at.isoformat(), "sessions_ended": ended, "grants_revoked": revoked}
    await record(call, tx, REASON, user_id=user.id, session_id=session_id, detail=detail)
    if user.email is not None and user.email_verified:
        notice = Mail(
            kind="account_deletion",
            to=user.email,
            locale=user.locale or current_language(),
            parameters={**asked_by(call), "delete_at": delete_at.isoformat()},
            user_id=user.id,
        )
        await call.services.outbox.add(tx, notice)
    return delete_at
