"""Leave: an account is to be deleted, at its person's own wish, and can be kept until that day comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.steps.notices import tell_owner
from authserver.steps.sign_out import end_all
from authserver.store import consents, mailed_codes, users

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx

GRACE: Final = timedelta(days=30)  # DESIGN §8
REASON: Final = "account_deletion_asked"


async def leave(call: Call, tx: Tx, user: User) -> datetime:
    """Note that a user whose row is held goes, end all that is alive of them, and return when the account is deleted.

    The row stays until then, with its name and address, so that nobody takes them meanwhile; after that the purge
    deletes it and what hangs on it, and its ``sub`` is never given to anybody else (SECURITY row 117).
    """
    delete_at = await tx.now() + GRACE
    when = {"delete_at": delete_at.isoformat()}
    await users.set_delete_at(tx, user.id, delete_at)
    await end_all(call, tx, user.id, REASON, detail=when)
    for given in await consents.list_of_user(tx, user.id):
        await consents.withdraw(tx, user.id, given.consent.client_id)
    await mailed_codes.claim_all_of_user(tx, user.id)
    await tell_owner(call, tx, user, "account_deletion", when)
    return delete_at
