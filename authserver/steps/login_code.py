"""Sign in with a code by mail in place of the password (DESIGN §8).

It proves that somebody reads the account's mail, and nothing else: one factor, never the second one, whatever came
before it. Only an address that the account has verified will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import MailedCode, Purpose
from authserver.oauth.second_factor_rules import ACR_ONE_FACTOR
from authserver.steps.browser_session import begin_session
from authserver.steps.mailed_codes import CodeRequest, begin_for_account, redeem_code, resend_code
from authserver.steps.second_factor import begin_pending
from authserver.store import second_factors, users

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.second_factor_rules import PendingSignIn
    from authserver.steps.browser_session import Started
    from authserver.steps.mailed_codes import Delivery
    from authserver.store.engine import Tx

ACR_EMAIL: Final = ACR_ONE_FACTOR
AMR_EMAIL: Final = ("email",)  # RFC 8176 has no word for it; "otp" would pass for a device in the user's hand


async def begin_login_code(
    call: Call,
    email: str,
    *,
    browser_hash: bytes | None,
    transaction_id: UUID | None = None,
    app: str | None = None,
) -> MailedCode:
    """Send a code to whoever has verified this address, and to nobody where there is none; the answer is the same.

    Raise ``AddressError`` for what is no address, ``THROTTLED`` where this network has tried too much.
    """
    request = CodeRequest(
        purpose=Purpose.LOGIN, email=email, browser_hash=browser_hash, transaction_id=transaction_id, app=app
    )
    return await begin_for_account(call, users.find_owner, request)


async def send_another(call: Call, code_id: str, *, browser_hash: bytes | None) -> MailedCode:
    """Send a new code in place of one. Raise what ``resend_code`` raises."""

    async def decide(tx: Tx, code: MailedCode) -> Delivery:
        owner = await users.find_owner(tx, code.email)
        return "code" if owner is not None and owner.id == code.user_id and owner.may_sign_in else "nothing"

    return await resend_code(call, code_id, Purpose.LOGIN, browser_hash=browser_hash, delivery=decide)


async def sign_in_by_code(
    call: Call, code_id: str, text: str, *, browser_hash: bytes | None, shared_computer: bool
) -> Started | PendingSignIn:
    """Take the code and begin the session, in one transaction; who has a second factor has to give that first.

    Raise what ``redeem_code`` raises, ``USER_DISABLED`` for an account that was turned off meanwhile, and
    ``MAILED_CODE_USED`` where the address is not the account's verified one any more.
    """

    async def fulfil(tx: Tx, code: MailedCode) -> Started | PendingSignIn:
        user = await users.lock_for_share(tx, code.user_id) if code.user_id is not None else None
        if user is None or not user.may_sign_in:
            raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
        is_still_theirs = user.email_verified and users.name_key(user.email or "") == users.name_key(code.email)
        if not is_still_theirs:
            raise OAuthError(ErrorCode.ACCESS_DENIED, "the address was changed meanwhile", Refusal.MAILED_CODE_USED)
        if await second_factors.has_second_factor(tx, user.id):
            return await begin_pending(
                call, tx, user, amr=AMR_EMAIL, shared_computer=shared_computer, transaction_id=code.transaction_id
            )
        return await begin_session(call, tx, user, acr=ACR_EMAIL, amr=AMR_EMAIL, shared_computer=shared_computer)

    return await redeem_code(call, code_id, Purpose.LOGIN, text, browser_hash=browser_hash, fulfil=fulfil)
