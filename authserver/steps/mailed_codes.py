"""Codes by mail: send one, send another, and take what somebody typed (DESIGN §4 and §8, SECURITY rows 104 to 115).

The row of a code, its mail, and what it proves in the end are each stored in one transaction with the rest of it. What
is answered never tells whether an address is known here: where nothing may be sent, the row is there all the same, no
code fits it, and as many statements have run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from authserver.email_address import is_same_mailbox, parse_email_address
from authserver.ids import parse_uuid, uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import (
    CODE_LIFETIME,
    MailedCode,
    Purpose,
    check_open,
    parse_code,
    wrong_code,
)
from authserver.sealing.mailed_code import hash_code, is_code, make_stop_token, new_code
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.steps import limiter
from authserver.steps.audit_trail import record
from authserver.steps.decided import decide
from authserver.steps.even_time import even_time
from authserver.steps.limiter import Try
from authserver.steps.notices import asked_by
from authserver.store import mailed_codes, sessions, users
from authserver.store.outbox import Mail
from authserver.web.cookies import DEVICE
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx
    from authserver.store.outbox import State

T = TypeVar("T")

Delivery: TypeAlias = Literal["code", "notice", "nothing"]
"""What leaves: the code; to the owner of a known address the word that somebody signed up with it; or nothing at all.
"""
DeliveryOf: TypeAlias = "Callable[[Tx, MailedCode], Awaitable[Delivery]]"
"""Says, at the time of sending, what may leave for a code that is sent again."""

FindAccount: TypeAlias = "Callable[[Tx, str], Awaitable[User | None]]"
"""Says whose account an address leads to."""

KINDS: Final[Mapping[Purpose, str]] = {
    Purpose.VERIFY_EMAIL: "verify_email",
    Purpose.RESET_PASSWORD: "reset_password",
    Purpose.LOGIN: "login_code",
    Purpose.CHANGE_EMAIL: "change_email_code",
}
NOTICE: Final = "sign_up_known_address"
NOTICE_LIFETIME: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """What a code is asked for. ``email`` is where it goes; ``browser_hash`` is None where an app asks.

    ``delivery`` is decided by the caller in the same transaction. ``app`` is the name of the client the person came
    from, for the words of the mail; ``notice`` is the kind of mail that an owner gets instead of the code.
    """

    purpose: Purpose
    email: str
    delivery: Delivery = "code"
    user_id: UUID | None = None
    sign_up_id: UUID | None = None
    upstream_id: UUID | None = None
    browser_hash: bytes | None = None
    transaction_id: UUID | None = None
    app: str | None = None
    notice: str = NOTICE


async def reserve_visit(call: Call) -> None:
    """Count that this network asks for something it is at no account for yet, or raise ``THROTTLED``."""
    async with call.services.engine.begin() as tx:
        await limiter.reserve_address(tx, call.facts.address, call.services.settings.address_limit_scale)


async def begin_for_account(call: Call, find: FindAccount, request: CodeRequest) -> MailedCode:
    """Send a code to the account that ``find`` gives for the address, else to nobody; the answer is the same.

    Raise ``AddressError`` for what is no address, ``THROTTLED`` where this network has tried too much.
    """
    email = parse_email_address(request.email)
    await reserve_visit(call)
    async with even_time(), call.services.engine.begin() as tx:
        user = await find(tx, email)
        is_known = user is not None and user.may_sign_in and is_same_mailbox(user.email or "", email)
        return await send_code(
            call,
            tx,
            replace(
                request,
                email=email,
                delivery="code" if is_known else "nothing",
                user_id=user.id if user is not None and is_known else None,
            ),
        )


async def send_code(call: Call, tx: Tx, request: CodeRequest) -> MailedCode:
    """Store a new code and its mail, and return the row; the digits are known to the mail only.

    Where too many mails went to this address already, nothing leaves and nobody can tell (SECURITY row 115).
    """
    now = await tx.now()
    code_id = uuid7(call.now)
    digits = new_code()
    link = new_secret(Prefix.MAILED_LINK)
    is_sent = await limiter.reserve_mail(
        tx, request.email, call.facts.address, call.services.settings.address_limit_scale
    )
    is_real = is_sent and request.delivery == "code"
    code = MailedCode(
        id=code_id,
        purpose=request.purpose,
        user_id=request.user_id,
        sign_up_id=request.sign_up_id,
        upstream_id=request.upstream_id,
        email=request.email,
        code_hash=hash_code(
            call.services.subkeys,
            digits,
            code_id=code_id,
            purpose=request.purpose,
            browser_hash=request.browser_hash,
        )
        if is_real
        else None,
        link_hash=hash_secret(link) if is_real and request.purpose is Purpose.RESET_PASSWORD else None,
        browser_hash=request.browser_hash,
        transaction_id=request.transaction_id,
        mail_id=None,
        attempts=0,
        created_at=now,
        expires_at=now + CODE_LIFETIME,
    )
    await mailed_codes.add(tx, code)
    if is_sent:
        await _hand_in(call, tx, request, code, digits, link)
    return code


async def resend_code(
    call: Call, code_id: str, purpose: Purpose, *, browser_hash: bytes | None, delivery: DeliveryOf
) -> MailedCode:
    """Send a new code in place of one, which is dead from then on. Only its own browser may ask.

    Raise ``THROTTLED`` (429 with Retry-After) where the last one is too young, ``MAILED_CODE_UNKNOWN`` and
    ``MAILED_CODE_USED``. The tries of the account are counted on (SECURITY row 105).
    """
    async with even_time(), call.services.engine.begin() as tx:
        code = await find_code(tx, code_id, purpose, browser_hash)
        if code.used_at is None and code.proven_at is None and (seconds := code.wait_for_next(await tx.now())):
            raise limiter.throttled(seconds)
        if code.proven_at is not None or not await mailed_codes.claim(tx, code.id):
            raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
        request = CodeRequest(
            purpose=purpose,
            email=code.email,
            delivery=await delivery(tx, code),
            user_id=code.user_id,
            sign_up_id=code.sign_up_id,
            upstream_id=code.upstream_id,
            browser_hash=browser_hash,
            transaction_id=code.transaction_id,
        )
        return await send_code(call, tx, request)


async def redeem_code(
    call: Call,
    code_id: str,
    purpose: Purpose,
    text: str,
    *,
    browser_hash: bytes | None,
    fulfil: Callable[[Tx, MailedCode], Awaitable[T]],
) -> T:
    """Take a code that somebody typed, once, and return what ``fulfil`` makes of it in the same transaction.

    Raise ``PARAMETER_MALFORMED`` for what is no code at all (no try is counted), ``MAILED_CODE_WRONG`` with the tries
    that are left, ``MAILED_CODE_TRIED_TOO_OFTEN``, ``_EXPIRED``, ``_USED``, ``_UNKNOWN``, or ``THROTTLED``. A refusal
    commits: the try stays counted. What ``fulfil`` raises rolls back, and the code can be tried again.
    """
    digits = read_code(text)

    async def work(tx: Tx) -> T | OAuthError:
        try:
            code = await _claim(call, tx, code_id, purpose, digits, browser_hash)
        except OAuthError as error:  # returned, so that the transaction commits: the try is counted
            return error
        return await fulfil(tx, code)

    # by retrying: a sign-up takes the counts first, and then a name from whoever only claimed it
    return await decide(call.services.engine, work)


def read_code(text: str) -> str:
    """Return the digits of what somebody typed; raise ``PARAMETER_MALFORMED`` for what is no code at all."""
    digits = parse_code(text)
    if digits is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "a code has six digits", Refusal.PARAMETER_MALFORMED)
    return digits


async def find_code(tx: Tx, code_id: str, purpose: Purpose, browser_hash: bytes | None) -> MailedCode:
    """Return a code that this browser asked for, whatever has become of it; raise ``MAILED_CODE_UNKNOWN``."""
    key = parse_uuid(code_id)
    code = await mailed_codes.find(tx, key, purpose) if key is not None else None
    if code is None or code.browser_hash != browser_hash:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "no such code was asked for here", Refusal.MAILED_CODE_UNKNOWN)
    return code


async def mail_state(call: Call, tx: Tx, code: MailedCode) -> State | None:
    """Return what has become of the mail with a code, to show to whoever waits for it; None where nothing is known."""
    return await call.services.outbox.state(tx, code.mail_id) if code.mail_id is not None else None


def stop_link(call: Call, code_id: UUID) -> str:
    """Return the address at which whoever gets a mail about a code ends it."""
    return f"{call.services.settings.issuer}/stop?link={make_stop_token(call.services.subkeys, code_id)}"


async def _claim(
    call: Call, tx: Tx, code_id: str, purpose: Purpose, digits: str, browser_hash: bytes | None
) -> MailedCode:
    """Count the try, first of the account, then of the code itself, and compare.

    The account is held before, as whoever cuts it off has it first and the codes last (DESIGN §3). Where there is none,
    as many statements run.
    """
    found = await find_code(tx, code_id, purpose, browser_hash)
    await users.lock(tx, found.user_id or found.id)
    attempt = await _attempt(call, tx, found)
    await limiter.reserve(tx, attempt, call.services.settings.address_limit_scale)
    code = await mailed_codes.claim_try(tx, found.id, purpose, browser_hash)
    if code is None:
        check_open(await mailed_codes.find(tx, found.id, purpose), await tx.now())
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
    if not is_code(call.services.subkeys, digits, code, browser_hash):
        refusal = wrong_code(code.tries_left)
        detail = {"purpose": purpose.value, "tries_left": code.tries_left}
        await record(call, tx, "mailed_code_wrong", user_id=code.user_id, detail=detail)
        raise refusal
    await limiter.forgive(tx, attempt)
    if purpose is Purpose.RESET_PASSWORD:  # the password is chosen on the next page
        return await mailed_codes.prove(tx, code, browser_hash)
    await mailed_codes.claim(tx, code.id)
    return code


async def _attempt(call: Call, tx: Tx, code: MailedCode) -> Try:
    """Count at the account as a login does, so that codes and passwords share one budget (SECURITY row 106).

    Also where the code is nobody's: whoever has used the budget up by passwords would learn by it who is known here.
    """
    known = await users.find_by_login(tx, code.email)
    user_id = code.user_id or (known.id if known is not None else None)
    account = str(user_id) if user_id is not None else users.name_key(code.email)
    device = call.facts.cookie(DEVICE)
    if device is not None and code.user_id is not None:
        device_hash = hash_secret(device)
        if await sessions.is_known_device(tx, device_hash, code.user_id):
            return Try(account=account, address=call.facts.address, known_device=device_hash)
    return Try(account=account, address=call.facts.address)


async def _hand_in(call: Call, tx: Tx, request: CodeRequest, code: MailedCode, digits: str, link: str) -> None:
    """Hand the mail in; where nothing may leave, take it back, which is as much work as noting which mail it is."""
    parameters = asked_by(call)
    if request.app is not None and request.purpose is not Purpose.CHANGE_EMAIL:
        parameters["app"] = request.app
    if request.delivery != "notice":
        parameters["code"] = digits
        parameters["stop_link"] = stop_link(call, code.id)
    if request.purpose is Purpose.RESET_PASSWORD:
        parameters["link"] = f"{call.services.settings.issuer}/reset?link={link}"
    is_notice = request.delivery == "notice"
    mail = Mail(
        kind=request.notice if is_notice else KINDS[request.purpose],
        to=request.email,
        locale=current_language(),
        parameters=parameters,
        user_id=request.user_id,
        expires_at=code.created_at + NOTICE_LIFETIME if is_notice else code.expires_at,
    )
    mail_id = await call.services.outbox.add(tx, mail)
    if request.delivery == "nothing":
        await call.services.outbox.take_back(tx, mail_id)
    else:
        await mailed_codes.set_mail(tx, code.id, mail_id)
