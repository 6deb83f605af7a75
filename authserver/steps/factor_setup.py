"""Add an authenticator app to an account, make new recovery codes, or remove both.

Each is for somebody who has signed in a moment ago; where there is a second factor, with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.second_factor_rules import (
    ACR_TWO_FACTORS,
    SETUP_LIFETIME,
    parse_factor,
    spell_recovery_code,
    strengthen,
)
from authserver.sealing.second_factor import (
    find_step,
    hash_recovery_code,
    new_recovery_codes,
    new_totp_secret,
    open_totp_secret,
    seal_totp_secret,
)
from authserver.steps import limiter
from authserver.steps.account import hold_account
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import start_session
from authserver.steps.decided import decide
from authserver.steps.second_factor import reserve_try, sign_in_over, tell_of_change, wrong_factor
from authserver.steps.sign_out import end_all
from authserver.store import second_factors

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.steps.account import Visit
    from authserver.steps.browser_session import Started
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What an account has: ``is_set`` where it counts, ``setup_secret`` where an app is being added (base32)."""

    is_set: bool
    setup_secret: str | None
    recovery_codes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An app that counts from now on: its recovery codes as they are written down, and the stronger session."""

    recovery_codes: tuple[str, ...]
    started: Started


async def find_factors(call: Call, user: User) -> Factors:
    """Return what an account has by now."""
    async with call.services.engine.read() as tx:
        stored = await second_factors.find_totp(tx, user.id)
        codes = await second_factors.count_recovery_codes(tx, user.id)
        now = await tx.now()
    is_set = stored is not None and stored.confirmed_at is not None
    secret = None
    if stored is not None and not is_set and now < stored.created_at + SETUP_LIFETIME:
        secret = open_totp_secret(call.services.subkeys, stored.sealed, user.id)
    return Factors(is_set=is_set, setup_secret=secret, recovery_codes=codes)


async def begin_setup(call: Call, visit: Visit) -> None:
    """Store the secret of an app that is being added; it counts for nothing before its first code has come."""
    sealed = seal_totp_secret(call.services.subkeys, new_totp_secret(), visit.user.id)
    async with call.services.engine.begin() as tx:
        await hold_account(tx, visit)
        await second_factors.begin_totp(tx, visit.user.id, sealed)


async def finish_setup(call: Call, visit: Visit, text: str) -> Added:
    """Take the first code of an app: it is asked for from now on, and the session is one of two factors.

    Raise ``PARAMETER_MALFORMED``, ``SECOND_FACTOR_WRONG``, ``SECOND_FACTOR_OVER`` where no app is being added any more,
    or ``THROTTLED``. A refusal commits: the try stays counted.
    """
    typed = parse_factor(text)
    if typed is None or typed.method != "otp":
        raise OAuthError(ErrorCode.INVALID_REQUEST, "a code has six digits", Refusal.PARAMETER_MALFORMED)

    async def work(tx: Tx) -> Added | OAuthError:
        user = await hold_account(tx, visit)
        try:
            attempt = await reserve_try(call, tx, user.id)
            await _confirm(call, tx, user, typed.value)
        except OAuthError as error:
            return error
        await limiter.forgive(tx, attempt)
        codes = await _store_recovery_codes(call, tx, user)
        session = visit.session
        started = await start_session(
            call,
            tx,
            user,
            acr=ACR_TWO_FACTORS,
            amr=strengthen(session.amr, "otp"),
            shared_computer=session.shared_computer,
            auth_time=session.auth_time,
        )
        await record(call, tx, "second_factor_added", user_id=user.id, session_id=session.id, detail={})
        await tell_of_change(call, tx, user, "totp_added")
        return Added(recovery_codes=codes, started=started)

    return await decide(call.services.engine, work)


async def renew_recovery_codes(call: Call, visit: Visit) -> tuple[str, ...]:
    """Replace the recovery codes, and return the new ones as they are written down; raise ``SECOND_FACTOR_OVER``."""
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        if not await second_factors.has_second_factor(tx, user.id):
            raise sign_in_over()
        codes = await _store_recovery_codes(call, tx, user)
        await record(call, tx, "recovery_codes_made", user_id=user.id, session_id=visit.session.id, detail={})
        await tell_of_change(call, tx, user, "recovery_codes_made")
    return codes


async def remove_factors(call: Call, visit: Visit) -> None:
    """Remove app and recovery codes; everywhere else is signed out (SECURITY row 100)."""
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        if not await second_factors.remove_all(tx, user.id):
            return
        await end_all(call, tx, user.id, "second_factor_removed", keep_session=visit.session.id)
        await tell_of_change(call, tx, user, "totp_removed")


async def _confirm(call: Call, tx: Tx, user: User, digits: str) -> None:
    stored = await second_factors.find_totp(tx, user.id)
    now = await tx.now()
    if stored is None or stored.confirmed_at is not None or now >= stored.created_at + SETUP_LIFETIME:
        raise sign_in_over()
    step = find_step(open_totp_secret(call.services.subkeys, stored.sealed, user.id), digits, now)
    if step is None:
        raise wrong_factor()
    if not await second_factors.confirm_totp(tx, user.id, stored.sealed, step):
        raise sign_in_over()


async def _store_recovery_codes(call: Call, tx: Tx, user: User) -> tuple[str, ...]:
    codes = new_recovery_codes()
    hashes = [hash_recovery_code(call.services.subkeys, code, user.id) for code in codes]
    await second_factors.replace_recovery_codes(tx, user.id, hashes)
    return tuple(spell_recovery_code(code) for code in codes)
