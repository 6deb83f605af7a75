"""Another password for an account: by whoever knows the old one, or gave the code from the mail.

Whatever was begun with the old password ends in the transaction that stores the new one: sessions, the grants of apps,
those that stand alone too, and codes still on their way (SECURITY rows 100 and 113). The owner is told by mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.steps.audit_trail import record
from authserver.steps.login import prove_again, wrong_password
from authserver.steps.mailed_codes import asked_by
from authserver.steps.new_password import check_new_password
from authserver.store import grants, mailed_codes, sessions, users
from authserver.store.outbox import Mail
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """What ended together with the old password."""

    sessions: int
    grants: int


async def change_password(
    call: Call,
    user: User,
    *,
    current: str,
    new: str,
    keep_session: UUID | None = None,
    keep_grant: UUID | None = None,
) -> SignedOut:
    """Change the password of a signed-in user who proves it once more; everywhere else is signed out.

    ``keep_session`` is the browser that asks, ``keep_grant`` the app: they stay. Raise ``PasswordRefusedError``,
    ``PASSWORD_WRONG``, ``THROTTLED`` or ``USER_DISABLED``; then nothing has changed.
    """
    await check_new_password(call, new, (user.email, user.username, user.name))
    proven = await prove_again(call, user, current)
    new_hash = await call.services.hasher.hash(new)
    async with call.services.engine.begin() as tx:
        if not await users.replace_password(tx, user.id, proven.user.password_hash, new_hash):
            raise wrong_password()  # changed meanwhile: what was proven is not the password any more
        await proven.forgive(tx)
        return await end_all(call, tx, user, "password_changed", keep_session=keep_session, keep_grant=keep_grant)


async def end_all(
    call: Call,
    tx: Tx,
    user: User,
    event: str,
    *,
    keep_session: UUID | None = None,
    keep_grant: UUID | None = None,
) -> SignedOut:
    """End what rests on the old password, write it down, and tell the owner; the user's row was changed before."""
    now = await tx.now()
    ended = await sessions.end_all_of_user(tx, user.id, at=now, reason=event, except_id=keep_session)
    revoked = await grants.revoke_of_user(tx, user.id, event, except_session=keep_session, except_grant=keep_grant)
    await mailed_codes.claim_all_of_user(tx, user.id)
    await record(
        call,
        tx,
        event,
        user_id=user.id,
        session_id=keep_session,
        detail={"sessions_ended": ended, "grants_revoked": revoked},
    )
    if user.email is not None and user.email_verified:
        notice = Mail(
            kind="password_changed",
            to=user.email,
            locale=user.locale or current_language(),
            parameters=asked_by(call),
            user_id=user.id,
        )
        await call.services.outbox.add(tx, notice)
    return SignedOut(sessions=ended, grants=revoked)
