"""Whose account it is that somebody came back with from another provider, and who gets a new one.

Only the provider's subject says so. An e-mail address never signs anybody in, whoever vouches for it: two accounts
are linked by who is signed in to the one here, and by nothing else (SECURITY rows 98, 101 and 114).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from authserver.email_address import AddressError, parse_email_address
from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.oauth.second_factor_rules import ACR_ONE_FACTOR, PendingSignIn
from authserver.oauth.upstream import AMR_UPSTREAM, Identity, Profile
from authserver.oauth.upstream_rules import check_may_link
from authserver.oauth.values import User
from authserver.steps.account import Visit, hold_account
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import Started, begin_session, find_browser_hash, find_signed_in
from authserver.steps.even_time import even_time
from authserver.steps.mailed_codes import CodeRequest, reserve_visit, send_code
from authserver.steps.second_factor import begin_pending, tell_of_change
from authserver.steps.sign_up import delivery_of
from authserver.steps.usernames import release_address
from authserver.store import second_factors, upstream_identities, upstream_sign_ins, users
from authserver.store.engine import ConflictError
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.upstream import Provider, UpstreamSignIn
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Somebody who came back. ``profile`` was asked for unless the subject seemed to be known."""

    provider: Provider
    sign_in: UpstreamSignIn
    subject: str
    profile: Profile | None
    auth_time: datetime | None  # None: just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """An account that is linked from now on."""

    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class ToProve:
    """A newcomer whose address is still to be proven by a code of ours."""

    sign_in: UpstreamSignIn


Outcome: TypeAlias = Started | PendingSignIn | Linked | ToProve


async def decide(call: Call, arrival: Arrival) -> Outcome:
    """Sign in, link, make an account, or keep what is to be proven, in one transaction.

    Raise ``USER_DISABLED``, ``UPSTREAM_UNKNOWN``, ``UPSTREAM_EMAIL_KNOWN``, ``UPSTREAM_LINKED_ELSEWHERE``,
    ``UPSTREAM_LINK_UNVERIFIED``, or ``SESSION_ENDED`` where who wanted to link is not signed in any more.
    """
    try:
        async with call.services.engine.begin() as tx:
            return await _decide(call, tx, arrival)
    except ConflictError:  # another tab was faster: it has linked the account, or made one with this address
        async with call.services.engine.begin() as tx:
            return await _decide(call, tx, arrival)


async def begin_proof(call: Call, sign_in: UpstreamSignIn, email: str, *, app: str | None) -> MailedCode:
    """Send a code to the address that a newcomer gives; its owner, if it has one here, hears of it instead.

    Nothing that is answered tells which (SECURITY row 104). Raise ``AddressError``, or ``THROTTLED``.
    """
    address = parse_email_address(email)
    await reserve_visit(call)
    async with even_time(), call.services.engine.begin() as tx:
        request = CodeRequest(
            purpose=Purpose.VERIFY_EMAIL,
            email=address,
            delivery=await delivery_of(tx, address),
            upstream_id=sign_in.id,
            browser_hash=sign_in.browser_hash,
            transaction_id=sign_in.transaction_id,
            app=app,
        )
        return await send_code(call, tx, request)


async def find_to_prove(call: Call, sign_in_id: UUID | None) -> UpstreamSignIn | None:
    """Return the newcomer who came back in this browser, None where there is none."""
    browser_hash = find_browser_hash(call)
    if sign_in_id is None or browser_hash is None:
        return None
    async with call.services.engine.read() as tx:
        return await upstream_sign_ins.find_unfinished(tx, sign_in_id, browser_hash)


async def make_account(call: Call, tx: Tx, code: MailedCode) -> Started:
    """Make the account of a newcomer whose code was right and sign it in, in the transaction that used the code.

    Raise ``MAILED_CODE_USED`` where it has been made, or took too long; ConflictError where the address, or the account
    at the provider, is another one's by now.
    """
    sign_in = await upstream_sign_ins.claim_unfinished(tx, code.upstream_id) if code.upstream_id is not None else None
    if sign_in is None or sign_in.subject is None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
    profile = Profile(subject=sign_in.subject, account_name=sign_in.account_name, name=sign_in.name)
    return await _add_account(call, tx, sign_in.provider, profile, email=code.email)


async def _decide(call: Call, tx: Tx, arrival: Arrival) -> Outcome:
    identity = await upstream_identities.find(tx, arrival.provider.slug, arrival.subject)
    if arrival.sign_in.session_id is not None:
        return await _link(call, tx, arrival, identity)
    if identity is not None:
        return await _sign_in(call, tx, arrival, identity)
    return await _welcome(call, tx, arrival)


async def _sign_in(call: Call, tx: Tx, arrival: Arrival, identity: Identity) -> Started | PendingSignIn:
    """Sign in whose account this is; who has a second factor gives that first. The provider's own does not count."""
    user = await users.lock_for_share(tx, identity.user_id)
    if user is None or not user.may_sign_in:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
    if not await upstream_identities.use(tx, identity):  # unlinked while we waited for the user
        raise _unknown()
    transaction_id = arrival.sign_in.transaction_id
    if await second_factors.has_second_factor(tx, user.id):
        return await begin_pending(call, tx, user, amr=AMR_UPSTREAM, transaction_id=transaction_id)
    return await _start(call, tx, user, arrival.provider.slug, arrival.auth_time)


async def _link(call: Call, tx: Tx, arrival: Arrival, identity: Identity | None) -> Linked:
    """Link to the account of the session that asked for it, which must still be this browser's."""
    signed_in = await find_signed_in(call, tx)
    if signed_in is None or signed_in.session.id != arrival.sign_in.session_id:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "signed out meanwhile", Refusal.SESSION_ENDED, status=403)
    visit = Visit(user=signed_in.user, session=signed_in.session, is_recent=True, is_post=False, is_stale=False)
    user = await hold_account(tx, visit)
    check_may_link(user)
    if identity is not None and identity.user_id != user.id:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "it is linked to another account", Refusal.UPSTREAM_LINKED_ELSEWHERE)
    if identity is None and arrival.profile is not None:
        await _add_identity(tx, arrival.provider.slug, arrival.profile, user)
        detail = {"provider": arrival.provider.slug}
        await record(call, tx, "account_linked", user_id=user.id, session_id=signed_in.session.id, detail=detail)
        await tell_of_change(call, tx, user, "account_linked", name=arrival.provider.label)
    return Linked(user=user)


async def _welcome(call: Call, tx: Tx, arrival: Arrival) -> Started | ToProve:
    """Make an account for a newcomer, or keep what is to be proven first.

    That an account has the address is said only where the provider vouches for it and its word counts: who reads that
    mail could learn it from us by mail as well. Else the code goes out first, and the answer is always the same.
    """
    provider, profile = arrival.provider, arrival.profile
    if profile is None:  # unlinked since it was looked up
        raise _unknown()
    email = _find_proven_address(provider, profile)
    if email is not None and await users.find_owner(tx, email) is not None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "an account here has this address", Refusal.UPSTREAM_EMAIL_KNOWN)
    if not provider.allow_sign_up:
        raise _unknown()
    if email is None:
        await upstream_sign_ins.keep_profile(tx, arrival.sign_in, profile)
        return ToProve(sign_in=arrival.sign_in)
    return await _add_account(call, tx, provider.slug, profile, email=email, auth_time=arrival.auth_time)


def _find_proven_address(provider: Provider, profile: Profile) -> str | None:
    """Return the address that counts as proven: verified by a provider whose word is trusted."""
    if not provider.trust_email or not profile.email_verified or profile.email is None:
        return None
    try:
        return parse_email_address(profile.email)
    except AddressError:
        return None


async def _add_account(
    call: Call, tx: Tx, provider: str, profile: Profile, *, email: str, auth_time: datetime | None = None
) -> Started:
    """Make an account without a password whose address is proven, link it, and sign it in."""
    now = await tx.now()
    await release_address(call, tx, email)
    user = User(
        id=uuid7(call.now),
        username=email,
        email=email,
        email_verified=True,
        password_hash=None,
        name=profile.name,
        locale=current_language(),
        created_at=now,
        updated_at=now,
    )
    await users.add(tx, user)
    await _add_identity(tx, provider, profile, user)
    await record(call, tx, "user_signed_up", user_id=user.id, detail={"provider": provider})
    return await _start(call, tx, user, provider, auth_time)


async def _add_identity(tx: Tx, provider: str, profile: Profile, user: User) -> None:
    now = await tx.now()
    identity = Identity(
        provider=provider,
        subject=profile.subject,
        user_id=user.id,
        account_name=profile.account_name,
        created_at=now,
        last_used_at=None,
    )
    await upstream_identities.add(tx, identity)


async def _start(call: Call, tx: Tx, user: User, provider: str, auth_time: datetime | None) -> Started:
    return await begin_session(
        call,
        tx,
        user,
        acr=ACR_ONE_FACTOR,
        amr=AMR_UPSTREAM,
        shared_computer=False,
        auth_time=auth_time,
        provider=provider,
    )


def _unknown() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "no account here is linked to it", Refusal.UPSTREAM_UNKNOWN)
