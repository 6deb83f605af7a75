"""The login engine: what proves a user, whichever skin (page, first-party app, JSON) asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.second_factor_rules import ACR_ONE_FACTOR
from authserver.sealing.opaque import hash_secret
from authserver.steps import limiter
from authserver.steps.browser_session import begin_session
from authserver.steps.limiter import Try
from authserver.steps.second_factor import begin_pending
from authserver.store import second_factors, sessions, users
from authserver.web.cookies import DEVICE

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.second_factor_rules import PendingSignIn
    from authserver.oauth.values import User
    from authserver.steps.browser_session import Started
    from authserver.store.engine import Tx

ACR_PASSWORD: Final = ACR_ONE_FACTOR
AMR_PASSWORD: Final = ("pwd",)  # RFC 8176 §2
MAX_LOGIN_LENGTH: Final = 320  # the longest e-mail address (RFC 3696 erratum 1690)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenByPassword:
    """A user whose password was right a moment ago, and what must still hold when the session begins."""

    user: User
    new_hash: str | None  # the same password under today's parameters, where the stored hash is older
    attempt: Try

    async def forgive(self, tx: Tx) -> None:
        """Forget the tries that came before the right one."""
        await limiter.forgive(tx, self.attempt)


async def prove_by_password(call: Call, login: str, password: str) -> ProvenByPassword:
    """Check a username or e-mail address and its password; no transaction is open.

    An unknown user costs the same hash and gets the same answer as a wrong password (SECURITY row 104). Raise
    ``PASSWORD_WRONG``, ``THROTTLED`` (429 with Retry-After), or ``USER_DISABLED`` after the right password only.
    """
    call.services.hasher.check_length(password)
    async with call.services.engine.begin() as tx:
        user = await users.find_by_login(tx, login[:MAX_LOGIN_LENGTH])
        attempt = await _attempt(call, tx, login, user)
        refusal = await _reserve(call, tx, attempt)
    if refusal is not None:
        raise refusal
    return await _prove(call, user, attempt, password)


async def prove_again(call: Call, user: User, password: str) -> ProvenByPassword:
    """Check the password of somebody who is signed in, before something that protects the account is changed.

    Tries count as those of a login do. Raise what :func:`prove_by_password` raises.
    """
    call.services.hasher.check_length(password)
    async with call.services.engine.begin() as tx:
        current = await users.get(tx, user.id)
        attempt = await _attempt(call, tx, user.username, user)
        refusal = await _reserve(call, tx, attempt)
    if refusal is not None:
        raise refusal
    return await _prove(call, current, attempt, password)


async def sign_in(
    call: Call, proven: ProvenByPassword, *, shared_computer: bool, transaction_id: UUID | None = None
) -> Started | PendingSignIn:
    """Begin the session in one transaction; what the proof relied on is checked again under the user's lock.

    Who has a second factor is not signed in before that is given too: the sign-in waits for it.
    """
    async with call.services.engine.begin() as tx:
        user = await confirm(tx, proven)
        if await second_factors.has_second_factor(tx, user.id):
            return await begin_pending(
                call, tx, user, amr=AMR_PASSWORD, shared_computer=shared_computer, transaction_id=transaction_id
            )
        return await begin_session(call, tx, user, acr=ACR_PASSWORD, amr=AMR_PASSWORD, shared_computer=shared_computer)


async def confirm(tx: Tx, proven: ProvenByPassword) -> User:
    """Return the user, held, after checking again what the proof relied on; the tries before it are forgotten.

    A newer hash of the same password is stored. Raise ``PASSWORD_WRONG`` where it was changed or the account turned
    off meanwhile; nothing was written then.
    """
    password_hash = proven.user.password_hash
    if proven.new_hash is not None and await users.rehash(tx, proven.user.id, password_hash, proven.new_hash):
        password_hash = proven.new_hash  # written before the row is locked for sharing: two logins must not wait
    user = await users.lock_for_share(tx, proven.user.id)
    if user is None or not user.may_sign_in or user.password_hash != password_hash:
        raise wrong_password()
    await proven.forgive(tx)
    return user


async def _reserve(call: Call, tx: Tx, attempt: Try) -> OAuthError | None:
    """Count the try; return the refusal, so that the transaction commits what was counted."""
    try:
        await limiter.reserve(tx, attempt, call.services.settings.address_limit_scale)
    except OAuthError as error:
        return error
    return None


async def _prove(call: Call, user: User | None, attempt: Try, password: str) -> ProvenByPassword:
    hasher = call.services.hasher
    if user is None or user.password_hash is None:
        await hasher.verify_nothing(password)
        raise wrong_password()
    verdict = await hasher.verify(user.password_hash, password)
    if not verdict.ok:
        raise wrong_password()
    if not user.may_sign_in:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
    new_hash = await hasher.hash(password) if verdict.needs_rehash else None
    return ProvenByPassword(user=user, new_hash=new_hash, attempt=attempt)


async def _attempt(call: Call, tx: Tx, login: str, user: User | None) -> Try:
    account = str(user.id) if user is not None else users.name_key(login.strip())  # or spellings would tell who exists
    device = call.facts.cookie(DEVICE)
    if user is not None and device is not None and await sessions.is_known_device(tx, hash_secret(device), user.id):
        return Try(account=account, address=call.facts.address, known_device=hash_secret(device))
    return Try(account=account, address=call.facts.address)


def wrong_password() -> OAuthError:
    """Return the refusal of an unknown user and of a wrong password alike."""
    return OAuthError(ErrorCode.ACCESS_DENIED, "that e-mail or password is not right", Refusal.PASSWORD_WRONG)
