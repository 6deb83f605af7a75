"""Prove that an address is one's own: of a new account, or of one that was made without (DESIGN §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.steps.audit_trail import record
from authserver.steps.even_time import even_time
from authserver.steps.mailed_codes import CodeRequest, redeem_code, resend_code, reserve_visit, send_code
from authserver.steps.sign_up import delivery_of, delivery_of_sign_up, make_account
from authserver.steps.upstream_account import make_account as make_upstream_account
from authserver.steps.usernames import release_address
from authserver.store import mailed_codes, users
from authserver.store.engine import ConflictError

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.values import User
    from authserver.steps.browser_session import Started
    from authserver.steps.mailed_codes import Delivery
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Whose address is proven; ``started`` is the session of an account that was made just now."""

    user_id: UUID
    transaction_id: UUID | None
    started: Started | None = None


async def begin_verification(
    call: Call, user: User, *, browser_hash: bytes | None, transaction_id: UUID | None = None
) -> MailedCode:
    """Send a code to the address of a user who has not proven it; one that was sent before is dead.

    To an address that another account has verified nothing goes: its owner is not to be bothered, and the user can
    never verify it. Raise ``THROTTLED`` where this network has tried too much.
    """
    if user.email is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "the account has no e-mail address", Refusal.PARAMETER_MISSING)
    await reserve_visit(call)
    async with even_time(), call.services.engine.begin() as tx:
        await mailed_codes.claim_all_of_user(tx, user.id, purpose=Purpose.VERIFY_EMAIL)
        owner = await users.find_owner(tx, user.email)
        request = CodeRequest(
            purpose=Purpose.VERIFY_EMAIL,
            email=user.email,
            delivery="code" if owner is None else "nothing",
            user_id=user.id,
            browser_hash=browser_hash,
            transaction_id=transaction_id,
        )
        return await send_code(call, tx, request)


async def send_another(
    call: Call, code_id: str, *, browser_hash: bytes | None, user_id: UUID | None = None
) -> MailedCode:
    """Send a new code in place of one of a sign-up or a verification. Raise what ``resend_code`` raises.

    ``user_id`` is who asks, where that is known: nobody has another one's code replaced.
    """

    async def decide(tx: Tx, code: MailedCode) -> Delivery:
        if user_id is not None and code.user_id != user_id:
            raise OAuthError(ErrorCode.ACCESS_DENIED, "no such code was asked for here", Refusal.MAILED_CODE_UNKNOWN)
        if code.sign_up_id is not None:
            return await delivery_of_sign_up(call, tx, code.email)
        if code.upstream_id is not None:
            return await delivery_of(tx, code.email)
        if code.user_id is None:  # the sign-up was purged a day ago
            raise OAuthError(ErrorCode.ACCESS_DENIED, "begin again", Refusal.MAILED_CODE_UNKNOWN)
        return "code" if await users.find_owner(tx, code.email) is None else "nothing"

    return await resend_code(call, code_id, Purpose.VERIFY_EMAIL, browser_hash=browser_hash, delivery=decide)


async def finish_verification(call: Call, code_id: str, text: str, *, browser_hash: bytes | None) -> Verified:
    """Take the code of a sign-up, whose account it makes and signs in, or of a user, whose address is proven then.

    Raise what ``redeem_code`` raises, ``ADDRESS_TAKEN`` where another account has verified the address meanwhile, and
    ``INVITATION_OVER``.
    """

    async def fulfil(tx: Tx, code: MailedCode) -> Verified:
        if code.user_id is not None:
            return await _verify(call, tx, code, code.user_id)
        make = make_upstream_account if code.upstream_id is not None else make_account
        started = await make(call, tx, code)
        return Verified(user_id=started.session.user_id, transaction_id=code.transaction_id, started=started)

    try:
        return await redeem_code(call, code_id, Purpose.VERIFY_EMAIL, text, browser_hash=browser_hash, fulfil=fulfil)
    except ConflictError:
        raise OAuthError(
            ErrorCode.ACCESS_DENIED, "another account has verified this address", Refusal.ADDRESS_TAKEN, status=409
        ) from None


async def _verify(call: Call, tx: Tx, code: MailedCode, user_id: UUID) -> Verified:
    if not await users.set_email_verified(tx, user_id, code.email):
        raise OAuthError(ErrorCode.ACCESS_DENIED, "the address was changed meanwhile", Refusal.MAILED_CODE_USED)
    await release_address(call, tx, code.email)  # after it is proven: the user's own name stays
    await record(call, tx, "email_verified", user_id=user_id, detail={})
    return Verified(user_id=user_id, transaction_id=code.transaction_id)
