"""Move people in from elsewhere: accounts with the hashes of the passwords they have.

In batches of one transaction each. Who is here already is left alone, so an import that was stopped is run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.oauth.legacy_tokens import replay_key
from authserver.oauth.values import User
from authserver.operations.django_users import ImportFault
from authserver.operations.errors import OperationError, Problem
from authserver.store import audit, imported_ids, replays, users
from authserver.store.engine import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from authserver.operations.django_users import ImportedUser, SpentToken
    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx

BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One account that is here now, by its key in the file."""

    source_id: str
    user: User
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What became of a file's accounts."""

    accounts: Sequence[Imported]
    faults: Sequence[ImportFault]

    @property
    def created(self) -> int:
        """How many accounts are new."""
        return sum(one.is_new for one in self.accounts)

    @property
    def known(self) -> int:
        """How many were here before, and are as they were."""
        return len(self.accounts) - self.created


def _tell_nobody(count: int) -> None:
    pass


async def import_users(
    operator: Operator,
    people: Sequence[ImportedUser],
    *,
    keep_ids: bool = False,
    on_batch: Callable[[int], None] = _tell_nobody,
) -> ImportResult:
    """Make the accounts that are not here yet. ``on_batch`` hears after each batch how many rows it was.

    ``keep_ids`` notes the old ids, so that refresh tokens which name them can be exchanged.

    Raise OperationError where accounts with the same names are made at the same time; then run it again.
    """
    accounts: list[Imported] = []
    faults: list[ImportFault] = []
    for start in range(0, len(people), BATCH):
        batch = people[start : start + BATCH]
        try:
            async with operator.begin() as tx:
                done, failed = await _store(operator, tx, batch)
                if keep_ids:
                    await imported_ids.add_all(tx, {one.source_id: one.user.id for one in done if one.source_id})
        except ConflictError as error:
            raise OperationError(
                "Somebody made accounts with the same names meanwhile.",
                problem=Problem.CONFLICT,
                fix="Run the same command again; what was imported stays.",
            ) from error
        accounts += done
        faults += failed
        on_batch(len(batch))
    return ImportResult(accounts=accounts, faults=faults)


async def spend_tokens(operator: Operator, spent: Sequence[SpentToken]) -> int:
    """Note refresh tokens that the old project refuses, so that nobody uses them here; return how many are new."""
    count = 0
    for start in range(0, len(spent), BATCH):
        async with operator.begin() as tx:
            now = await tx.now()
            for token in spent[start : start + BATCH]:
                if token.expires_at > now:
                    count += await replays.claim(tx, replay_key(token.jti), token.expires_at)
    return count


async def _store(operator: Operator, tx: Tx, batch: Sequence[ImportedUser]) -> tuple[list[Imported], list[ImportFault]]:
    now = await tx.now()
    known = await users.find_all_by_names(
        tx, [one.username for one in batch], [one.email for one in batch if one.email is not None]
    )
    by_name = {users.name_key(user.username): user for user in known}
    owners = {users.name_key(user.email): user for user in known if user.email is not None and user.email_verified}
    done: list[Imported] = []
    faults: list[ImportFault] = []
    new: list[User] = []
    for one in batch:
        here = by_name.get(users.name_key(one.username))
        if here is not None and _is_same(here, one):
            done.append(Imported(source_id=one.source_id, user=here, is_new=False))
        elif reason := _find_conflict(one, here, owners):
            faults.append(ImportFault(place=one.place, username=one.username, reason=reason))
        else:
            user = _make(one, now)
            new.append(user)
            done.append(Imported(source_id=one.source_id, user=user, is_new=True))
            if user.email is not None and user.email_verified:
                owners[users.name_key(user.email)] = user
    await users.add_all(tx, new)
    if new:
        await audit.add(tx, "users_imported", actor=operator.actor, detail={"users": len(new)})
    return done, faults


def _is_same(here: User, one: ImportedUser) -> bool:
    """Tell whether an account is what an earlier run made of this row, whatever has been changed in it since.

    One that has not proven an address which the row has is somebody's who was faster: the row's tokens must not become
    theirs.
    """
    if one.email_verified and not here.email_verified:
        return False
    return (here.email is None and one.email is None) or (
        here.email is not None and one.email is not None and users.name_key(here.email) == users.name_key(one.email)
    )


def _find_conflict(one: ImportedUser, here: User | None, owners: Mapping[str, User]) -> str | None:
    if here is not None:
        return "another account has this username"
    if one.email is not None and one.email_verified and users.name_key(one.email) in owners:
        return "another account has verified this e-mail address"
    return None


def _make(one: ImportedUser, now: datetime) -> User:
    name = " ".join(part for part in (one.given_name, one.family_name) if part) or None
    return User(
        id=uuid7(now),
        username=one.username,
        email=one.email,
        email_verified=one.email_verified,
        password_hash=one.password_hash,
        name=name,
        given_name=one.given_name,
        family_name=one.family_name,
        created_at=min(one.joined_at, now) if one.joined_at is not None else now,
        updated_at=now,
        disabled_at=None if one.is_active else now,
    )
