"""Make an account for oneself: the code goes out first, the account exists once it came back (DESIGN §2).

Nothing that is answered before the code tells whether the address is known here: the password is hashed, the row is
stored and a mail is handed in either way. The owner of a known address hears of it instead of getting a code. By
invitation the code goes to invited addresses alone; for the others the mail is taken back, as for whoever asks for a
new password without an account.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.email_address import AddressError, is_same_mailbox, parse_email_address
from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.oauth.values import User
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import begin_session
from authserver.steps.even_time import even_time
from authserver.steps.login import ACR_PASSWORD, AMR_PASSWORD
from authserver.steps.mailed_codes import CodeRequest, reserve_visit, send_code
from authserver.steps.new_password import find_password_fault
from authserver.steps.usernames import release_address
from authserver.store import invitations, sign_ups, users
from authserver.store.sign_ups import SignUp
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.steps.browser_session import Started
    from authserver.steps.mailed_codes import Delivery
    from authserver.store.engine import Tx

MAX_NAME: Final = 200  # characters
SIGN_UP_LIFETIME: Final = timedelta(hours=24)  # in which new codes for it can be asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What somebody asks an account with, as typed."""

    email: str
    password: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one field; ``hints`` are sentences in gettext's form."""

    word: str  # missing | malformed | too_long | characters | a password's fault
    hints: tuple[str, ...] = ()


async def find_faults(call: Call, account: NewAccount) -> Mapping[str, Fault]:
    """Return everything that is wrong at once, by field: ``email``, ``new-password``, ``name``."""
    faults: dict[str, Fault] = {}
    try:
        parse_email_address(account.email)
    except AddressError:
        faults["email"] = Fault(word="malformed" if account.email.strip() else "missing")
    if not account.password:
        faults["new-password"] = Fault(word="missing")
    elif fault := await find_password_fault(call, account.password, (account.email, account.name)):
        faults["new-password"] = Fault(word=fault.fault, hints=fault.hints)
    if len(account.name) > MAX_NAME:
        faults["name"] = Fault(word="too_long")
    elif any(unicodedata.category(character)[0] == "C" for character in account.name):
        faults["name"] = Fault(word="characters")  # a line break would be one in a mail's head
    return faults


async def begin_sign_up(
    call: Call,
    account: NewAccount,
    *,
    browser_hash: bytes | None,
    transaction_id: UUID | None = None,
    app: str | None = None,
) -> MailedCode:
    """Store what somebody asked for and send the code, or the owner a notice; the account has no :func:`find_faults`.

    Raise ``THROTTLED`` where this network has tried too much, whoever it asked for.
    """
    email = parse_email_address(account.email)
    await reserve_visit(call)
    password_hash = await call.services.hasher.hash(account.password)
    async with even_time(), call.services.engine.begin() as tx:
        now = await tx.now()
        sign_up = SignUp(
            id=uuid7(call.now),
            email=email,
            name=unicodedata.normalize("NFC", account.name).strip() or None,
            password_hash=password_hash,
            locale=current_language(),
            created_at=now,
            expires_at=now + SIGN_UP_LIFETIME,
        )
        await sign_ups.add(tx, sign_up)
        request = CodeRequest(
            purpose=Purpose.VERIFY_EMAIL,
            email=email,
            delivery=await delivery_of_sign_up(call, tx, email),
            sign_up_id=sign_up.id,
            browser_hash=browser_hash,
            transaction_id=transaction_id,
            app=app,
        )
        return await send_code(call, tx, request)


async def delivery_of_sign_up(call: Call, tx: Tx, email: str) -> Delivery:
    """Say what leaves for an address that somebody signs up with at /signup; it may need an invitation."""
    delivery = await delivery_of(tx, email)
    if not call.services.settings.needs_invitation:
        return delivery
    is_invited = await invitations.is_open(tx, email)  # asked for a known address too: it takes as long
    return delivery if is_invited or delivery == "notice" else "nothing"


async def delivery_of(tx: Tx, email: str) -> Delivery:
    """Say what leaves for an address that is to become an account's, whoever lets it."""
    owner = await users.find_owner(tx, email)
    if owner is None:
        return "code"
    return "notice" if is_same_mailbox(owner.email or "", email) else "nothing"


async def make_account(call: Call, tx: Tx, code: MailedCode) -> Started:
    """Make the account of a sign-up whose code was right, and sign it in, in the transaction that used the code.

    The address is the username: it is proven, so whoever only claimed it loses the name. Raise ``MAILED_CODE_USED``
    where the account has been made, ConflictError where another one has verified the address meanwhile, and
    ``INVITATION_OVER`` where accounts need an invitation and none is open any more.
    """
    sign_up = await sign_ups.claim(tx, code.sign_up_id) if code.sign_up_id is not None else None
    if sign_up is None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
    now = await tx.now()
    user_id = uuid7(call.now)
    await release_address(call, tx, sign_up.email)
    user = User(
        id=user_id,
        username=sign_up.email,
        email=sign_up.email,
        email_verified=True,
        password_hash=sign_up.password_hash,
        name=sign_up.name,
        locale=sign_up.locale,
        created_at=now,
        updated_at=now,
    )
    await users.add(tx, user)
    detail = await _accept_invitation(call, tx, sign_up.email)
    await record(call, tx, "user_signed_up", user_id=user.id, detail=detail)
    return await begin_session(call, tx, user, acr=ACR_PASSWORD, amr=AMR_PASSWORD, shared_computer=False)


async def _accept_invitation(call: Call, tx: Tx, email: str) -> Mapping[str, object]:
    """Use up the invitation that an account is made by, and return what the audit says of it.

    Where sign-up is open there need be none. After the account is stored, so that of two browsers that prove one
    address the second hears that it is taken.
    """
    invitation_id = await invitations.accept(tx, email)
    if invitation_id is not None:
        return {"invitation": str(invitation_id)}
    if call.services.settings.needs_invitation:
        raise OAuthError(
            ErrorCode.ACCESS_DENIED, "no invitation is open for this address", Refusal.INVITATION_OVER, status=403
        )
    return {}
