"""An organisation's own app signs somebody in, or makes their account, by itself (DESIGN §2).

It is a grant without a browser. The same proof, throttles, gate and audit as on the pages; only the consent is missing,
which one's own app never asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import may_issue
from authserver.oauth.mailed_code_rules import Purpose
from authserver.oauth.passkey_rules import AMR_PASSKEY
from authserver.oauth.second_factor_rules import ACR_TWO_FACTORS, strengthen
from authserver.oauth.values import User
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.steps.audit_trail import record
from authserver.steps.decided import decide_for_good
from authserver.steps.even_time import even_time
from authserver.steps.granting import Basis, begin_grant, build_authorization, with_places
from authserver.steps.login import ACR_PASSWORD, AMR_PASSWORD, confirm
from authserver.steps.mailed_codes import CodeRequest, reserve_visit, send_code
from authserver.steps.passkeys import ask_app_second_factor, find_app_party, get_app_party, in_app, prove
from authserver.steps.second_factor import begin_pending, redeem, sign_in_over
from authserver.steps.sign_up import delivery_of
from authserver.steps.usernames import substitute_name
from authserver.store import clients, grants, passkeys, second_factors, users
from authserver.web.page_language import current_language

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.resource import Target
    from authserver.oauth.second_factor_rules import PendingSignIn
    from authserver.oauth.values import Authorization, Client
    from authserver.passkeys import Assertion
    from authserver.steps.login import ProvenByPassword
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class AppAccount:
    """An account that an app asks for, checked. Without a ``username`` the address is one, if it is free."""

    email: str
    password: str
    username: str | None
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A new account: its tokens, and the code that proves its address."""

    authorization: Authorization
    code: MailedCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The password was right, and the second factor is awaited; ``auth_session`` is what the app brings along then.

    ``following`` names what will do, one of these: a code is always taken, a passkey where the user has one.
    """

    auth_session: str
    following: str


async def sign_in_app(call: Call, client: Client, proven: ProvenByPassword, target: Target) -> Authorization | Waiting:
    """Begin a grant of a user who has just proven themselves to an app of our own, with all factors they have."""
    auth_session = new_secret(Prefix.AUTH_SESSION)

    async def begin() -> Authorization | Waiting:
        async with call.services.engine.begin() as tx:
            user = await confirm(tx, proven)
            if await second_factors.has_second_factor(tx, user.id):
                app = (client.client_id, hash_secret(auth_session))
                await begin_pending(call, tx, user, amr=AMR_PASSWORD, app=app)
                takes_passkey = find_app_party(call, client) is not None and await passkeys.has_any(tx, user.id)
                return Waiting(auth_session=auth_session, following="totp passkey" if takes_passkey else "totp")
            return await begin_app_grant(call, tx, client, user, target, event="user_signed_in")

    return await with_places(call, begin)


async def finish_app_sign_in(call: Call, client: Client, auth_session: str, text: str, target: Target) -> Authorization:
    """Take the second factor in the app that the first one was given in, and begin the grant; raise as ``redeem``."""

    async def fulfil(tx: Tx, _: PendingSignIn, user: User, amr: tuple[str, ...]) -> Authorization:
        return await begin_app_grant(
            call, tx, client, user, target, event="user_signed_in", acr=ACR_TWO_FACTORS, amr=amr
        )

    find = partial(_get_waiting, client, auth_session)
    return await with_places(call, partial(redeem, call, text, find=find, fulfil=fulfil))


async def ask_for_passkey(call: Call, client: Client, auth_session: str) -> Mapping[str, object]:
    """Return what the app asks a browser or phone for, after the password.

    Raise ``SECOND_FACTOR_OVER``, or ``PASSKEY_NOT_OFFERED`` where there is none.
    """
    async with call.services.engine.read() as tx:
        pending = await _get_waiting(client, auth_session, tx)
        allowed = await passkeys.list_of_user(tx, pending.user_id)
    return ask_app_second_factor(call, client, pending, allowed)


async def sign_in_app_by_passkey(call: Call, client: Client, assertion: Assertion, target: Target) -> Authorization:
    """Begin the grant of whoever's passkey has signed for this app; raise as ``prove``. It is two factors by itself."""
    party = get_app_party(call, client)

    async def work(tx: Tx) -> Authorization:
        user = await prove(call, tx, assertion, party, in_app(client))
        return await begin_app_grant(
            call, tx, client, user, target, event="user_signed_in", acr=ACR_TWO_FACTORS, amr=AMR_PASSKEY
        )

    return await _begin(call, work)


async def finish_app_sign_in_by_passkey(
    call: Call, client: Client, auth_session: str, assertion: Assertion, target: Target
) -> Authorization:
    """Take a passkey in place of the code; raise as ``prove``, or ``SECOND_FACTOR_OVER``."""
    party = get_app_party(call, client)

    async def work(tx: Tx) -> Authorization:
        pending = await _get_waiting(client, auth_session, tx)
        user = await prove(call, tx, assertion, party, in_app(client, pending), of=pending.user_id)
        if not await second_factors.claim_pending(tx, pending):
            raise sign_in_over()
        amr = strengthen(pending.amr, "pop")
        return await begin_app_grant(
            call, tx, client, user, target, event="user_signed_in", acr=ACR_TWO_FACTORS, amr=amr
        )

    return await _begin(call, work)


async def _begin(call: Call, work: Callable[[Tx], Awaitable[Authorization]]) -> Authorization:
    """Return what ``work`` makes of a passkey. A refusal commits: the challenge stays used."""
    return await with_places(call, partial(decide_for_good, call.services.engine, work))


async def _get_waiting(client: Client, auth_session: str, tx: Tx) -> PendingSignIn:
    """Return the sign-in that an ``auth_session`` stands for, in the app that began it, while it has tries left."""
    pending = await second_factors.find_pending_of_app(tx, hash_secret(auth_session), client.client_id)
    if pending is None or not pending.tries_left:
        raise sign_in_over()
    return pending


async def open_account(call: Call, client: Client, account: AppAccount, target: Target) -> Opened:
    """Make an account whose address is not proven, and begin its first grant (DESIGN §2).

    An address is unique among proven ones only: the owner of this one is told, and the newcomer can never prove it.
    Raise ConflictError where the username is taken, ``THROTTLED`` where this network has tried too much.
    """
    await reserve_visit(call)
    password_hash = await call.services.hasher.hash(account.password)
    return await with_places(call, partial(_open, call, client, account, password_hash, target))


async def _open(call: Call, client: Client, account: AppAccount, password_hash: str, target: Target) -> Opened:
    async with even_time(), call.services.engine.begin() as tx:
        now = await tx.now()
        user = User(
            id=uuid7(call.now),
            username=account.username or await _free_name(call, tx, account.email),
            email=account.email,
            email_verified=False,
            password_hash=password_hash,
            name=account.name,
            locale=current_language(),
            created_at=now,
            updated_at=now,
        )
        await users.add(tx, user)
        request = CodeRequest(
            purpose=Purpose.VERIFY_EMAIL,
            email=account.email,
            delivery=await delivery_of(tx, account.email),
            user_id=user.id,
            app=client.client_name,
            notice="account_exists_notice",
        )
        code = await send_code(call, tx, request)
        authorization = await begin_app_grant(call, tx, client, user, target, event="user_signed_up")
    return Opened(authorization=authorization, code=code)


async def begin_app_grant(
    call: Call,
    tx: Tx,
    client: Client,
    user: User,
    target: Target,
    *,
    event: str,
    auth_time: datetime | None = None,
    acr: str = ACR_PASSWORD,
    amr: tuple[str, ...] = AMR_PASSWORD,
) -> Authorization:
    """Hold the client beside the user, who is held, pass the gate, store the grant and write it down (DESIGN §3).

    ``auth_time`` is when the user proved themselves; None: just now.
    """
    current = await clients.lock_for_share(tx, client.client_id)
    if current is None:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "client authentication failed", Refusal.CLIENT_UNKNOWN)
    may_issue(current, user, None)
    now = await tx.now()
    basis = Basis(
        grant_id=uuid7(call.now),
        user_id=user.id,
        session_id=None,
        scope=target.scope,
        resources=target.identifiers,
        acr=acr,
        amr=amr,
        auth_time=auth_time or now,
    )
    new = begin_grant(call, current, basis, now)
    await grants.add(tx, new.grant)
    await record(
        call,
        tx,
        event,
        user_id=user.id,
        client_id=client.client_id,
        detail={"amr": " ".join(amr), "grant": str(new.grant.id)},
    )
    return build_authorization(call, current, user, new.grant, target, refresh_token=new.refresh_token)


async def _free_name(call: Call, tx: Tx, email: str) -> str:
    """Return the address as a username, or one that nobody has."""
    if await users.find_by_username(tx, email) is None:
        return email
    return substitute_name(call)
