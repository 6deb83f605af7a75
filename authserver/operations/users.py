"""Accounts of people: make, change, turn off and on, delete.

Whatever takes something from a user changes the user's row first and then revokes, in one transaction: whoever is about
to insert a grant or a session holds that row and is therefore either revoked with the others or sees the change
(DESIGN §3).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from authserver.ids import parse_uuid, uuid7
from authserver.oauth.values import User
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.operations.user_rules import check_password, parse_email, parse_username
from authserver.store import audit, passkeys, second_factors, sessions, upstream_identities, users
from authserver.store.engine import ConflictError
from authserver.store.outbox import Mail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What an operation took from a user: counted for the person who is asked whether to go on."""

    user: User
    sessions: int
    grants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """New values of an account; None leaves a value as it is."""

    username: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    is_admin: bool | None = None
    name: str | None = None


async def create(
    operator: Operator,
    *,
    username: str,
    email: str | None,
    email_verified: bool = False,
    is_admin: bool = False,
    name: str | None = None,
    password: str | None = None,
) -> User:
    """Make an account. Without a password nobody can sign in to it until one is set."""
    email = parse_email(email) if email is not None else None
    username = parse_username(username, email=email)
    _check_verified(email, email_verified=email_verified)
    if password is not None:
        check_password(password)
    # hashed before the transaction opens: nothing but the database is awaited in it
    password_hash = await operator.hasher.hash(password) if password is not None else None
    with _names_taken():
        async with operator.begin() as tx:
            now = await tx.now()
            user = User(
                id=uuid7(now),
                username=username,
                email=email,
                email_verified=email_verified,
                password_hash=password_hash,
                is_admin=is_admin,
                name=name,
                created_at=now,
                updated_at=now,
            )
            await users.add(tx, user)
            await audit.add(tx, "user_created", actor=operator.actor, user_id=user.id, detail={"is_admin": is_admin})
        return user


async def get(operator: Operator, who: str) -> User:
    """Return the account with this id, username or verified e-mail address."""
    async with operator.engine.read() as tx:
        return await load(tx, who)


async def find_all(
    operator: Operator, *, search: str | None = None, after: str | None = None, limit: int = 1000
) -> Sequence[User]:
    """Return accounts in the order of their ids; ``search`` is a part of a username, a name or an address."""
    after_id = parse_id(after, "users", field="after") if after else None
    async with operator.engine.read() as tx:
        return await users.list_all(tx, search=search, after=after_id, limit=limit)


async def update(operator: Operator, who: str, changes: UserChanges) -> User:
    """Change what an account says; a new e-mail address counts as unverified unless the change says otherwise."""
    with _names_taken():
        async with operator.begin() as tx:
            named = await load(tx, who)
            before = await users.lock(tx, named.id) or named  # every column is written: nothing may change meanwhile
            after = _apply(before, changes)
            if after == before:
                return before
            after = replace(after, updated_at=await tx.now())
            await users.update(tx, after)
            await audit.add(
                tx,
                "user_updated",
                actor=operator.actor,
                user_id=after.id,
                detail={"changed": _changed(before, after), "is_admin": after.is_admin},
            )
        return after


async def disable(operator: Operator, who: str) -> Cut:
    """Turn an account off: nobody signs in to it, its sessions end and its grants are revoked."""
    async with operator.begin() as tx:
        user = await load(tx, who)
        now = await tx.now()
        await users.set_disabled(tx, user.id, now)
        return await _cut(tx, operator, replace(user, disabled_at=now), "user_disabled")


async def enable(operator: Operator, who: str) -> User:
    """Turn an account on again, or keep one that its person wanted deleted; what was revoked stays revoked."""
    async with operator.begin() as tx:
        user = await load(tx, who)
        await users.set_disabled(tx, user.id, None)
        if user.delete_at is not None:
            await users.set_delete_at(tx, user.id, None)
        await audit.add(tx, "user_enabled", actor=operator.actor, user_id=user.id, detail={})
    return replace(user, disabled_at=None, delete_at=None)


async def set_password(operator: Operator, who: str, password: str) -> Cut:
    """Give an account another password; whoever is signed in with the old one is signed out everywhere, and told."""
    check_password(password)
    password_hash = await operator.hasher.hash(password)
    async with operator.begin() as tx:
        user = await load(tx, who)
        await users.set_password(tx, user.id, password_hash)
        if user.email is not None and user.email_verified:
            notice = Mail(kind="password_changed", to=user.email, locale=user.locale, parameters={}, user_id=user.id)
            await operator.mail(tx, notice)
        return await _cut(tx, operator, user, "password_set")


async def has_second_factor(operator: Operator, user: User) -> bool:
    """Tell whether somebody has to give a second factor to sign in."""
    async with operator.engine.read() as tx:
        return await second_factors.has_second_factor(tx, user.id)


async def count_passkeys(operator: Operator, user: User) -> int:
    """Return how many passkeys somebody has."""
    async with operator.engine.read() as tx:
        return len(await passkeys.list_of_user(tx, user.id))


async def reset_factors(operator: Operator, who: str) -> Cut:
    """Remove second factor and passkeys of somebody who has lost them; they are signed out everywhere, and told."""
    async with operator.begin() as tx:
        user = await load(tx, who)
        await users.lock(tx, user.id)
        had_app = await second_factors.remove_all(tx, user.id)
        had_passkeys = await passkeys.remove_all(tx, user.id) > 0
        if not had_app and not had_passkeys:
            raise OperationError(f"{user.username} has no second factor and no passkey.", problem=Problem.CONFLICT)
        if had_app:
            await _tell_of_factor(operator, tx, user, "totp_removed")
        if had_passkeys:
            await _tell_of_factor(operator, tx, user, "passkey_removed")
        return await _cut(tx, operator, user, "second_factors_reset")


async def delete(operator: Operator, who: str) -> Cut:
    """Mark an account deleted; sessions and grants die at once, its ``sub`` is never given to anybody else."""
    async with operator.begin() as tx:
        user = await load(tx, who)
        now = await tx.now()
        await users.mark_deleted(tx, user.id, now)
        await upstream_identities.remove_all_of_user(tx, user.id)
        return await _cut(tx, operator, replace(user, deleted_at=now), "user_deleted")


async def load(tx: Tx, who: str) -> User:
    """Return the account with this id, username or e-mail address; a deleted one is not there any more."""
    user_id = parse_uuid(who)
    user = await (users.get(tx, user_id) if user_id is not None else users.find_by_login(tx, who))
    if user is None or user.deleted_at is not None:
        raise OperationError(f"There is no user {who!r}.", problem=Problem.NOT_FOUND, fix="See: authserver users list")
    return user


async def _tell_of_factor(operator: Operator, tx: Tx, user: User, change: str) -> None:
    if user.email is not None and user.email_verified:
        parameters = {"change": change}
        notice = Mail(kind="factor_changed", to=user.email, locale=user.locale, parameters=parameters, user_id=user.id)
        await operator.mail(tx, notice)


async def _cut(tx: Tx, operator: Operator, user: User, reason: str) -> Cut:
    """End every session and revoke every grant of a user whose row this transaction has changed already."""
    ended = await sessions.end_all_of_user(tx, user.id, reason=reason)
    counts = {"sessions_ended": ended.sessions, "grants_revoked": ended.grants}
    await audit.add(tx, reason, actor=operator.actor, user_id=user.id, detail=counts)
    return Cut(user=user, sessions=ended.sessions, grants=ended.grants)


def _apply(user: User, changes: UserChanges) -> User:
    email, verified = user.email, user.email_verified
    if changes.email is not None:
        email = parse_email(changes.email)
        verified = verified and email == user.email
    if changes.email_verified is not None:
        verified = changes.email_verified
    _check_verified(email, email_verified=verified)
    return replace(
        user,
        username=parse_username(changes.username if changes.username is not None else user.username, email=email),
        email=email,
        email_verified=verified,
        is_admin=user.is_admin if changes.is_admin is None else changes.is_admin,
        name=user.name if changes.name is None else changes.name or None,
    )


def _changed(before: User, after: User) -> list[str]:
    members = ("username", "email", "email_verified", "is_admin", "name")
    return [member for member in members if getattr(before, member) != getattr(after, member)]


def _check_verified(email: str | None, *, email_verified: bool) -> None:
    if email_verified and email is None:
        raise OperationError("An address that is not there cannot be verified.", field="email_verified")


@contextmanager
def _names_taken() -> Iterator[None]:
    """Say which name is taken; a username once over all accounts, an address once over those that verified it."""
    try:
        yield
    except ConflictError as error:
        raise OperationError(
            "Another account has this username or this verified e-mail address.",
            problem=Problem.CONFLICT,
            field="username",
            fix="See: authserver users list --search TEXT",
        ) from error
