"""Word to the owner of an account that somebody has signed in to it in a browser not seen before (UX §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.steps.mailed_codes import asked_by
from authserver.store import sessions
from authserver.store.outbox import Mail
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx


async def tell_of_new_device(call: Call, tx: Tx, user: User) -> None:
    """Hand the mail in, with the sign-in itself; call it before the browser is remembered.

    The first browser of all is no news: its owner has just made the account in it. Nothing goes to an address that
    nobody has confirmed.
    """
    if user.email is None or not user.email_verified or not await sessions.has_device(tx, user.id):
        return
    notice = Mail(
        kind="new_device",
        to=user.email,
        locale=user.locale or current_language(),
        parameters=asked_by(call),
        user_id=user.id,
    )
    await call.services.outbox.add(tx, notice)
