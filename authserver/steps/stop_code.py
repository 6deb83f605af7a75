"""The end of a code that somebody else asked for, by whoever got the mail with it (UX §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.sealing.mailed_code import read_stop_token
from authserver.steps.audit_trail import record
from authserver.store import mailed_codes, users

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode


async def find_to_stop(call: Call, link: str) -> MailedCode | None:
    """Return the code that a link from a mail ends, whatever has become of it; None for what is no such link."""
    code_id = read_stop_token(call.services.subkeys, link)
    if code_id is None:
        return None
    async with call.services.engine.read() as tx:
        return await mailed_codes.get(tx, code_id)


async def can_stop(call: Call, code: MailedCode) -> bool:
    """Tell whether the code, or one that was sent in its place, can still be used."""
    async with call.services.engine.read() as tx:
        return await mailed_codes.has_open(tx, code)


async def stop_code(call: Call, code: MailedCode) -> bool:
    """Use a code up, its link and what was sent in its place too; return False where nothing could be used any more.

    A reset of a password ends even where the code was right already and the new password has not been chosen.
    """
    async with call.services.engine.begin() as tx:
        await users.lock(tx, code.user_id or code.id)  # before the codes, as everybody does
        was_open = await mailed_codes.has_open(tx, code)
        if was_open and code.user_id is not None:
            await mailed_codes.claim_all_of_user(tx, code.user_id, purpose=code.purpose)
        elif was_open:
            await mailed_codes.claim(tx, code.id)
        if was_open:
            detail = {"purpose": code.purpose.value}
            await record(call, tx, "mailed_code_stopped", user_id=code.user_id, detail=detail)
    return was_open
