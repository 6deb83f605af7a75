"""Another e-mail address for an account: pending until a code sent to it comes back (SECURITY row 114).

The old address hears of it at once, so that its owner can still act; the new one is the account's only when it is
proven, and then a verified one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.steps.audit_trail import record
from authserver.steps.mailed_codes import CodeRequest, redeem_code, resend_code, send_code, stop_link
from authserver.steps.notices import tell_owner
from authserver.steps.usernames import release_address
from authserver.store import mailed_codes, users
from authserver.store.engine import ConflictError

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.values import User
    from authserver.steps.mailed_codes import Delivery
    from authserver.store.engine import Tx


async def ask_for_email(
    call: Call, tx: Tx, user: User, email: str, *, browser_hash: bytes | None, session_id: UUID | None = None
) -> MailedCode:
    """Send a code to the new address and word of it to the old one; the account stays as it is, its row is held.

    Nothing goes to an address that is another account's, and nobody can tell.
    """
    request = CodeRequest(
        purpose=Purpose.CHANGE_EMAIL,
        email=email,
        delivery=await _delivery(tx, email, user),
        user_id=user.id,
        browser_hash=browser_hash,
    )
    code = await send_code(call, tx, request)
    await record(call, tx, "email_change_asked", user_id=user.id, session_id=session_id, detail={})
    told = {"new_address": email, "stop_link": stop_link(call, code.id)}
    await tell_owner(call, tx, user, "email_change_notice", told)
    return code


async def ask_again(call: Call, code_id: str, user: User, *, browser_hash: bytes | None) -> MailedCode:
    """Send another code in place of one; raise what :func:`resend_code` raises."""

    async def delivery(tx: Tx, code: MailedCode) -> Delivery:
        return await _delivery(tx, code.email, user)

    return await resend_code(call, code_id, Purpose.CHANGE_EMAIL, browser_hash=browser_hash, delivery=delivery)


async def change_email(
    call: Call, code_id: str, text: str, user: User, *, browser_hash: bytes | None, session_id: UUID | None = None
) -> User:
    """Take the code and make the address it was sent to the account's own, verified; return the account.

    Raise what :func:`redeem_code` raises, ``USER_GONE``, or ``ADDRESS_TAKEN`` where another account proved it first.
    """

    async def fulfil(tx: Tx, code: MailedCode) -> User:
        before = await users.lock(tx, user.id)
        if before is None or not before.is_active or code.user_id != user.id:
            raise OAuthError(ErrorCode.ACCESS_DENIED, "the account is gone", Refusal.USER_GONE, status=403)
        is_also_name = before.email is not None and users.name_key(before.username) == users.name_key(before.email)
        after = replace(
            before,
            email=code.email,
            email_verified=True,
            username=code.email if is_also_name else before.username,  # a name with @ is the account's own address
            updated_at=await tx.now(),
        )
        await release_address(call, tx, code.email)
        await users.update(tx, after)
        await mailed_codes.claim_all_of_user(tx, user.id)  # codes on their way to the old address prove nothing now
        await record(call, tx, "email_changed", user_id=user.id, session_id=session_id, detail={})
        return after

    try:
        return await redeem_code(call, code_id, Purpose.CHANGE_EMAIL, text, browser_hash=browser_hash, fulfil=fulfil)
    except ConflictError as error:
        raise OAuthError(
            ErrorCode.ACCESS_DENIED, "another account has this address", Refusal.ADDRESS_TAKEN, status=409
        ) from error


async def _delivery(tx: Tx, email: str, user: User) -> Delivery:
    owner = await users.find_owner(tx, email)
    return "code" if owner is None or owner.id == user.id else "nothing"
