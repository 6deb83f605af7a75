"""Word to the owner of an account about what has happened to it, by mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.store.outbox import Mail
from authserver.web.page_language import current_language
from authserver.web.user_agent import describe_browser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx


def asked_by(call: Call) -> dict[str, str]:
    """Return who asked, for the words of a mail: the browser in our words, and the address."""
    return {"browser": describe_browser(call.facts.header(b"user-agent")), "address": call.facts.address}


async def tell_owner(call: Call, tx: Tx, user: User, kind: str, parameters: Mapping[str, str] | None = None) -> None:
    """Hand in a mail of a kind, with who asked and ``parameters``; only an address that was confirmed gets one."""
    if user.email is None or not user.email_verified:
        return
    notice = Mail(
        kind=kind,
        to=user.email,
        locale=user.locale or current_language(),
        parameters=asked_by(call) | dict(parameters or {}),
        user_id=user.id,
    )
    await call.services.outbox.add(tx, notice)
