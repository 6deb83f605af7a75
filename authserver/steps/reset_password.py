"""A forgotten password: a mail goes out, its code or link proves the address, a new password is chosen.

Each step rests on a row that the one before has changed, and on this browser, so none can be skipped (SECURITY row
111). Nobody is signed in by it: the login that follows asks for everything it always asks for (row 113).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import MailedCode, Purpose, check_open, check_proven
from authserver.sealing.opaque import hash_secret
from authserver.steps.change_password import end_with_password
from authserver.steps.mailed_codes import (
    CodeRequest,
    begin_for_account,
    find_code,
    read_code,
    redeem_code,
    resend_code,
    reserve_visit,
)
from authserver.steps.new_password import check_new_password, refuse_guessable
from authserver.store import mailed_codes, users

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.steps.mailed_codes import Delivery
    from authserver.store.engine import Tx
    from authserver.store.sessions import SignedOut


async def begin_reset(
    call: Call,
    email: str,
    *,
    browser_hash: bytes | None,
    transaction_id: UUID | None = None,
    app: str | None = None,
) -> MailedCode:
    """Send code and link to the account of an address, and to nobody where there is none; the answer is the same.

    Raise ``AddressError`` for what is no address, ``THROTTLED`` where this network has tried too much.
    """
    request = CodeRequest(
        purpose=Purpose.RESET_PASSWORD, email=email, browser_hash=browser_hash, transaction_id=transaction_id, app=app
    )
    return await begin_for_account(call, users.find_by_email, request)


async def send_another(call: Call, code_id: str, *, browser_hash: bytes | None) -> MailedCode:
    """Send a new code and link in place of one. Raise what ``resend_code`` raises."""

    async def decide(tx: Tx, code: MailedCode) -> Delivery:
        user = await users.get(tx, code.user_id) if code.user_id is not None else None
        return "code" if user is not None and user.may_sign_in else "nothing"

    return await resend_code(call, code_id, Purpose.RESET_PASSWORD, browser_hash=browser_hash, delivery=decide)


async def prove_by_code(call: Call, code_id: str, text: str, *, browser_hash: bytes | None) -> MailedCode:
    """Take the code; the password is to be chosen in this browser. Raise what ``redeem_code`` raises."""

    async def fulfil(_: Tx, code: MailedCode) -> MailedCode:
        return code

    return await redeem_code(call, code_id, Purpose.RESET_PASSWORD, text, browser_hash=browser_hash, fulfil=fulfil)


async def prove_by_link(call: Call, link: str, *, browser_hash: bytes) -> MailedCode:
    """Take the link, once, as if it were the code; whoever opened it chooses the password in that browser.

    A second click in the same browser goes on where the first one led. Raise ``MAILED_CODE_UNKNOWN``, ``_USED`` or
    ``_EXPIRED``.
    """
    link_hash = hash_secret(link)
    async with call.services.engine.begin() as tx:
        code = await mailed_codes.claim_link(tx, link_hash, Purpose.RESET_PASSWORD, browser_hash)
        if code is not None:
            return code
        code = check_open(await mailed_codes.find_by_link(tx, link_hash, Purpose.RESET_PASSWORD), await tx.now())
    if code.proven_at is not None and code.browser_hash == browser_hash:
        return code
    raise OAuthError(ErrorCode.ACCESS_DENIED, "this link has been used", Refusal.MAILED_CODE_USED)


async def find_link(call: Call, link: str) -> MailedCode | None:
    """Return the code beside a link that can still be used, and change nothing: a GET consumes no link."""
    async with call.services.engine.read() as tx:
        code = await mailed_codes.find_by_link(tx, hash_secret(link), Purpose.RESET_PASSWORD)
        now = await tx.now()
    try:
        return check_open(code, now)
    except OAuthError:
        return None


async def finish_reset(call: Call, code_id: str, password: str, *, browser_hash: bytes | None) -> SignedOut:
    """Store the new password of whoever gave the proof in this browser, once; everything else is signed out.

    Raise ``PasswordRefusedError``, ``MAILED_CODE_UNPROVEN``, ``_UNKNOWN``, ``_USED``, ``_EXPIRED`` or
    ``USER_DISABLED``; then nothing has changed and, but for the last ones, it can be tried again.
    """
    user = await _get_user(call, code_id, browser_hash)
    await check_new_password(call, password, (user.email, user.username, user.name))
    password_hash = await call.services.hasher.hash(password)
    async with call.services.engine.begin() as tx:
        await users.lock(tx, user.id)
        code = await find_code(tx, code_id, Purpose.RESET_PASSWORD, browser_hash)
        check_proven(code, browser_hash, await tx.now())
        if not await mailed_codes.claim(tx, code.id):
            raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
        await users.set_password(tx, user.id, password_hash)
        return await end_with_password(call, tx, user, "password_reset")


async def _get_user(call: Call, code_id: str, browser_hash: bytes | None) -> User:
    """Return whose password is to be replaced, after the same checks as in the deciding transaction."""
    async with call.services.engine.read() as tx:
        code = await find_code(tx, code_id, Purpose.RESET_PASSWORD, browser_hash)
        check_proven(code, browser_hash, await tx.now())
        user = await users.get(tx, code.user_id) if code.user_id is not None else None
    if user is None or not user.may_sign_in:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
    return user


async def reset_by_code(call: Call, code_id: str, text: str, password: str) -> SignedOut:
    """Take the code and store the new password at once, for an app that asks for both on one page.

    The password is looked at first, so that one that is not taken costs no code; what the account would have to say of
    it counts once the code was right. Nothing is hashed for a code that cannot be right. Raise what
    :func:`finish_reset` and ``redeem_code`` raise, and ``THROTTLED`` where this network has tried too much.
    """
    read_code(text)
    await reserve_visit(call)
    async with call.services.engine.read() as tx:
        found = check_open(await find_code(tx, code_id, Purpose.RESET_PASSWORD, None), await tx.now())
    await check_new_password(call, password, (found.email,))
    password_hash = await call.services.hasher.hash(password)

    async def fulfil(tx: Tx, code: MailedCode) -> SignedOut:
        user = await users.get(tx, code.user_id) if code.user_id is not None else None
        if user is None or not user.may_sign_in or not await mailed_codes.claim(tx, code.id):
            raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
        refuse_guessable(call, password, (user.email, user.username, user.name))
        await users.set_password(tx, user.id, password_hash)
        return await end_with_password(call, tx, user, "password_reset")

    return await redeem_code(call, code_id, Purpose.RESET_PASSWORD, text, browser_hash=None, fulfil=fulfil)
