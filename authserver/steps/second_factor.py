"""A sign-in whose first factor was right waits for the second one (DESIGN §2, SECURITY rows 98, 101, 105 and 108).

What was proven is a row of its own: for one user, one browser (or one app) and one request of an app, for ten minutes.
A session begins in the transaction that uses the code up. Tries are counted on the row and at the account; a right
password forgives none of the latter, or whoever knows it could guess on for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from authserver.ids import parse_uuid, uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.second_factor_rules import (
    ACR_TWO_FACTORS,
    PENDING_LIFETIME,
    PendingSignIn,
    TypedFactor,
    parse_factor,
    strengthen,
)
from authserver.sealing.opaque import hash_secret
from authserver.sealing.second_factor import find_recovery_hashes, find_step, open_totp_secret
from authserver.steps import limiter
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import begin_session, find_browser_hash, find_signed_in
from authserver.steps.decided import decide
from authserver.steps.limiter import Try
from authserver.steps.notices import tell_owner
from authserver.store import passkeys, second_factors, sessions, users
from authserver.web.cookies import DEVICE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.passkey_rules import Passkey
    from authserver.oauth.values import Session, Transaction, User
    from authserver.steps.browser_session import Started
    from authserver.store.engine import Tx

T = TypeVar("T")
SECOND_FACTOR: Final = "/second-factor"


async def begin_pending(
    call: Call,
    tx: Tx,
    user: User,
    *,
    amr: tuple[str, ...],
    shared_computer: bool = False,
    transaction_id: UUID | None = None,
    session_id: UUID | None = None,
    app: tuple[str, bytes] | None = None,
) -> PendingSignIn:
    """Note that this user has given the first factor; the caller holds the user's row.

    ``app`` is the client_id and the hash of the ``auth_session`` where an app asks, else it is this browser that waits.
    Whoever else had begun in it for the same request is forgotten.
    """
    client_id, binding_hash = app if app is not None else (None, find_browser_hash(call))
    if not binding_hash:
        raise sign_in_over()
    now = await tx.now()
    pending = PendingSignIn(
        id=uuid7(call.now),
        user_id=user.id,
        binding_hash=binding_hash,
        client_id=client_id,
        transaction_id=transaction_id,
        session_id=session_id,
        amr=amr,
        shared_computer=shared_computer,
        attempts=0,
        created_at=now,
        expires_at=now + PENDING_LIFETIME,
    )
    await second_factors.add_pending(tx, pending)
    return pending


async def begin_step_up(call: Call, session: Session, transaction: Transaction) -> PendingSignIn:
    """Let a session that stands wait for the second factor, which an app asks for."""
    async with call.services.engine.begin() as tx:
        user = await users.lock_for_share(tx, session.user_id)
        if user is None or not user.may_sign_in:
            raise sign_in_over()
        return await begin_pending(
            call,
            tx,
            user,
            amr=session.amr,
            shared_computer=session.shared_computer,
            transaction_id=transaction.id,
            session_id=session.id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A sign-in that this browser began, whose it is, and what they have: an app, passkeys.

    ``is_over``: it takes no second factor any more.
    """

    pending: PendingSignIn
    user: User
    is_over: bool
    has_app: bool
    passkeys: tuple[Passkey, ...]


async def find_begun(call: Call, pending_id: str) -> Found | None:
    """Return a sign-in that this browser began, None where there is none (SECURITY row 11)."""
    async with call.services.engine.read() as tx:
        pending = await load_begun(call, tx, pending_id)
        user = await users.get(tx, pending.user_id) if pending is not None else None
        if pending is None or user is None:
            return None
        return Found(
            pending=pending,
            user=user,
            is_over=await tx.now() >= pending.expires_at or not pending.tries_left,
            has_app=await second_factors.has_second_factor(tx, user.id),
            passkeys=await passkeys.list_of_user(tx, user.id),
        )


async def cancel(call: Call, pending: PendingSignIn) -> None:
    """Forget a sign-in that waits: somebody else is going to sign in (SECURITY row 101)."""
    async with call.services.engine.begin() as tx:
        await second_factors.claim_pending(tx, pending)


async def finish_sign_in(call: Call, pending_id: str, text: str) -> tuple[Started, PendingSignIn]:
    """Take the second factor that somebody typed and begin the session. Raise what :func:`redeem` raises."""

    async def find(tx: Tx) -> PendingSignIn:
        pending = await load_begun(call, tx, pending_id)
        if pending is None:
            raise sign_in_over()
        return pending

    return await redeem(call, text, find=find, fulfil=partial(start_strong_session, call))


async def start_strong_session(
    call: Call, tx: Tx, pending: PendingSignIn, user: User, amr: tuple[str, ...]
) -> tuple[Started, PendingSignIn]:
    """Begin the session of a sign-in that has got its second factor, or make the one there is stronger.

    A stronger session has a new cookie, and the ``auth_time`` of its first factor: the second one alone does not make
    it young again (SECURITY row 17).
    """
    auth_time = None
    if pending.session_id is not None:
        signed_in = await find_signed_in(call, tx)
        if signed_in is None or signed_in.session.id != pending.session_id:
            raise sign_in_over()
        auth_time = signed_in.session.auth_time
    started = await begin_session(
        call,
        tx,
        user,
        acr=ACR_TWO_FACTORS,
        amr=amr,
        shared_computer=pending.shared_computer,
        auth_time=auth_time,
    )
    return started, pending


async def redeem(
    call: Call,
    text: str,
    *,
    find: Callable[[Tx], Awaitable[PendingSignIn]],
    fulfil: Callable[[Tx, PendingSignIn, User, tuple[str, ...]], Awaitable[T]],
) -> T:
    """Take a second factor that somebody typed, once, and return what ``fulfil`` makes of it in the same transaction.

    ``fulfil`` gets the sign-in, the user, whose row is held, and the ``amr`` of both factors. Raise
    ``PARAMETER_MALFORMED`` for what is no code at all (no try is counted), ``SECOND_FACTOR_WRONG``, also for a code
    that was used, ``SECOND_FACTOR_OVER``, ``USER_DISABLED`` or ``THROTTLED``. A refusal commits: the try stays counted.
    """
    typed = parse_factor(text)
    if typed is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "that is no such code", Refusal.PARAMETER_MALFORMED)

    async def work(tx: Tx) -> T | OAuthError:
        try:
            pending, user = await _prove(call, tx, await find(tx), typed)
        except OAuthError as error:  # returned, so that the transaction commits: the try is counted
            return error
        return await fulfil(tx, pending, user, strengthen(pending.amr, typed.method))

    # by retrying: other sign-ins of the same account take its row and its counts in the other order
    return await decide(call.services.engine, work)


async def reserve_try(call: Call, tx: Tx, user_id: UUID) -> Try:
    """Count a try at an account's second factor, or raise ``THROTTLED``; the budget is the account's, by its id.

    It is another one than that of the password, and as large.
    """
    account = f"{user_id}|second factor"
    device = call.facts.cookie(DEVICE)
    is_known = device is not None and await sessions.is_known_device(tx, hash_secret(device), user_id)
    attempt = Try(
        account=account,
        address=call.facts.address,
        known_device=hash_secret(device) if device is not None and is_known else None,
    )
    await limiter.reserve(tx, attempt, call.services.settings.address_limit_scale)
    return attempt


async def tell_of_change(call: Call, tx: Tx, user: User, change: str, *, name: str | None = None) -> None:
    """Hand in the mail that says what has happened to a way of signing in; only a confirmed address gets one.

    ``name`` is what the person calls it.
    """
    named = {"name": name} if name is not None else {}
    await tell_owner(call, tx, user, "factor_changed", {"change": change, **named})


async def load_begun(call: Call, tx: Tx, pending_id: str) -> PendingSignIn | None:
    """Return a sign-in that this browser began, one that is over too; None where there is none."""
    key, binding_hash = parse_uuid(pending_id), find_browser_hash(call)
    if key is None or binding_hash is None:
        return None
    return await second_factors.find_pending(tx, key, binding_hash)


async def _prove(call: Call, tx: Tx, found: PendingSignIn, typed: TypedFactor) -> tuple[PendingSignIn, User]:
    """Count the try, first at the account, then on the row, and compare.

    The user is held before both, as whoever cuts them off has the user first and this row last (DESIGN §3).
    """
    user = await users.lock_for_share(tx, found.user_id)
    attempt = await reserve_try(call, tx, found.user_id)
    pending = await second_factors.claim_try(tx, found)
    if pending is None:
        raise sign_in_over()
    if user is None or not user.may_sign_in:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
    if not await _use(call, tx, user, typed):
        detail = {"method": typed.method, "tries_left": pending.tries_left}
        await record(call, tx, "second_factor_wrong", user_id=user.id, detail=detail)
        raise wrong_factor() if pending.tries_left else sign_in_over()
    await limiter.forgive(tx, attempt)
    if not await second_factors.claim_pending(tx, pending):
        raise sign_in_over()
    return pending, user


async def _use(call: Call, tx: Tx, user: User, typed: TypedFactor) -> bool:
    """Use the code up; False where it is wrong or was used before."""
    subkeys = call.services.subkeys
    if typed.method == "recovery":
        if not await second_factors.use_recovery_code(tx, user.id, find_recovery_hashes(subkeys, typed.value, user.id)):
            return False
        await record(call, tx, "recovery_code_used", user_id=user.id, detail={})
        await tell_of_change(call, tx, user, "recovery_code_used")
        return True
    stored = await second_factors.find_totp(tx, user.id)
    if stored is None:
        return False
    secret = open_totp_secret(subkeys, stored.sealed, user.id)
    step = find_step(secret, typed.value, await tx.now())
    return step is not None and await second_factors.use_step(tx, user.id, stored.sealed, step)


def wrong_factor() -> OAuthError:
    """Return the refusal of a wrong code and of one that was used, alike."""
    return OAuthError(ErrorCode.ACCESS_DENIED, "that code is not right", Refusal.SECOND_FACTOR_WRONG)


def sign_in_over() -> OAuthError:
    """Return the refusal where nothing waits for a second factor here, or not any more."""
    return OAuthError(ErrorCode.ACCESS_DENIED, "this sign-in is over; start again", Refusal.SECOND_FACTOR_OVER)
