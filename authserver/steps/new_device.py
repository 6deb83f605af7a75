"""Word to the owner of an account that somebody has signed in to it in a browser not seen before (UX §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.steps.notices import tell_owner
from authserver.store import sessions

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx


async def tell_of_new_device(call: Call, tx: Tx, user: User) -> None:
    """Hand the mail in, with the sign-in itself; call it before the browser is remembered.

    The first browser of all is no news: its owner has just made the account in it. Nothing goes to an address that
    nobody has confirmed.
    """
    if await sessions.has_device(tx, user.id):
        await tell_owner(call, tx, user, "new_device")
