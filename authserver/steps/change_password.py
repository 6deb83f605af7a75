"""Another password for an account: by whoever knows the old one, or gave the code from the mail.

Whatever was begun with the old password ends in the transaction that stores the new one: sessions, the grants of apps,
those that stand alone too, and codes still on their way (SECURITY rows 100 and 113). The owner is told by mail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.steps.login import prove_again, wrong_password
from authserver.steps.new_password import check_new_password
from authserver.steps.notices import tell_owner
from authserver.steps.sign_out import end_all
from authserver.store import mailed_codes, users

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx
    from authserver.store.sessions import SignedOut


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
        return await end_with_password(
            call, tx, user, "password_changed", keep_session=keep_session, keep_grant=keep_grant
        )


async def end_with_password(
    call: Call,
    tx: Tx,
    user: User,
    event: str,
    *,
    keep_session: UUID | None = None,
    keep_grant: UUID | None = None,
) -> SignedOut:
    """End what rests on the old password, write it down, and tell the owner; the user's row was changed before."""
    ended = await end_all(call, tx, user.id, event, keep_session=keep_session, keep_grant=keep_grant)
    await mailed_codes.claim_all_of_user(tx, user.id)
    await tell_owner(call, tx, user, "password_changed")
    return ended
