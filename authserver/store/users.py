"""People's accounts."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, or_, select
from sqlalchemy import update as update_table
from sqlmodel import col

from authserver.oauth.values import User
from authserver.store.driver_rows import ValueRows
from authserver.store.prepared import Prepared
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import Users

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import BindParameter, Select

    from authserver.store.engine import Tx

_ROWS: Final = ValueRows(User, Users)


def _select_by_id() -> Select[Any]:
    return select(*_ROWS.selected).where(col(Users.id) == bindparam("id"))


def _select_by_login() -> Select[Any]:
    key: BindParameter[str] = bindparam("key")
    is_name = col(Users.username_key) == key
    return (
        select(*_ROWS.selected)
        .where(col(Users.deleted_at).is_(None), or_(is_name, col(Users.email_key) == key))
        .order_by(is_name.desc(), col(Users.email_verified).desc())
        .limit(2)
    )


_GET: Final = Prepared(lambda _: _select_by_id())
_LOCK_FOR_SHARE: Final = Prepared(lambda _: _select_by_id().with_for_update(read=True))
_LOCK: Final = Prepared(lambda _: _select_by_id().with_for_update(key_share=True))
_FIND_BY_LOGIN: Final = Prepared(lambda _: _select_by_login())


def name_key(text: str) -> str:
    """Return what two spellings of one username or address have in common (NFKC, case folded).

    >>> name_key("Ａlice@Example.ORG") == name_key("alice@example.org")
    True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


async def add(tx: Tx, user: User) -> None:
    """Store a new account; raise ConflictError where its name, or its verified address, is another one's."""
    await tx.execute(insert(Users).values(_to_columns(user)))


async def add_all(tx: Tx, new: Sequence[User]) -> None:
    """Store many accounts at once; raise ConflictError like :func:`add`, and then none of them is stored."""
    if new:
        await tx.execute(insert(Users), [_to_columns(user) for user in new])


async def find_all_by_names(tx: Tx, usernames: Sequence[str], emails: Sequence[str]) -> tuple[User, ...]:
    """Return the accounts that have one of these usernames or have verified one of these addresses."""
    is_owner = col(Users.email_key).in_([name_key(email) for email in emails]) & col(Users.email_verified)
    statement = select(Users).where(
        col(Users.deleted_at).is_(None),
        or_(col(Users.username_key).in_([name_key(name) for name in usernames]), is_owner),
    )
    return tuple(to_value(User, row) for row in await tx.execute(statement))


async def update(tx: Tx, user: User) -> bool:
    """Store an account's new values; return False where it is gone. Raise ConflictError like :func:`add`."""
    statement = update_table(Users).where(col(Users.id) == user.id).values(_to_columns(user))
    return (await tx.execute(statement)).rowcount > 0


async def get(tx: Tx, user_id: UUID) -> User | None:
    """Return an account, a deleted one too."""
    return await _find(tx, _GET, id=user_id)


async def lock_for_share(tx: Tx, user_id: UUID) -> User | None:
    """Return an account that nobody can change, disable or delete before this transaction ends.

    Whoever inserts a grant or session holds it; whoever disables updates it first and revokes second. So of the two
    one waits, and sees what the other did (SECURITY fault B29).
    """
    return await _find(tx, _LOCK_FOR_SHARE, id=user_id)


async def lock(tx: Tx, user_id: UUID) -> User | None:
    """Return an account that nobody can change, or rest a new grant or session on, before this transaction ends.

    Rows that merely name the account can be inserted meanwhile (``FOR NO KEY UPDATE``): a mail about it waits for
    nobody. Who needs more rows takes them in this order: the account, the counts of tries, the codes.
    """
    return await _find(tx, _LOCK, id=user_id)


async def find_by_login(tx: Tx, text: str) -> User | None:
    """Return whose username this is; else whose verified address; else the only account with this address."""
    key = name_key(text.strip())
    if not _is_storable(key):
        return None
    found = [_ROWS.read(row, tx.dialect) for row in await _FIND_BY_LOGIN.fetch(tx, key=key)]
    if not found:
        return None
    is_certain = name_key(found[0].username) == key or found[0].email_verified or len(found) == 1
    return found[0] if is_certain else None


async def find_by_username(tx: Tx, name: str) -> User | None:
    """Return whose username this is."""
    key = name_key(name)
    statement = select(Users).where(col(Users.username_key) == key, col(Users.deleted_at).is_(None))
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(User, row)


async def find_owner(tx: Tx, email: str) -> User | None:
    """Return the account that has verified this address: at most one has."""
    key = name_key(email)
    statement = select(Users).where(
        col(Users.email_key) == key, col(Users.email_verified), col(Users.deleted_at).is_(None)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else to_value(User, row)


async def find_by_email(tx: Tx, email: str) -> User | None:
    """Return the account that has verified this address; else the only one that claims it, and none where two do."""
    key = name_key(email)
    statement = (
        select(Users)
        .where(col(Users.email_key) == key, col(Users.deleted_at).is_(None))
        .order_by(col(Users.email_verified).desc())
        .limit(2)
    )
    rows = (await tx.execute(statement)).all()
    if not rows or (len(rows) > 1 and not rows[0].email_verified):
        return None
    return to_value(User, rows[0])


async def release_username(tx: Tx, name: str, substitute: str) -> None:
    """Give another username to the account that has this one without having verified the address it is.

    Whoever has proven an address may sign in by it; somebody who only claimed it before cannot keep the name.
    """
    statement = update_table(Users).where(
        col(Users.username_key) == name_key(name), ~col(Users.email_verified), col(Users.deleted_at).is_(None)
    )
    await tx.execute(statement.values(username=substitute, username_key=name_key(substitute)))


async def list_all(
    tx: Tx, *, search: str | None = None, after: UUID | None = None, limit: int = 1000
) -> tuple[User, ...]:
    """Return accounts that are not deleted, by id; ``search`` is a part of a username, a name or an address."""
    statement = select(Users).where(col(Users.deleted_at).is_(None)).order_by(col(Users.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(Users.id) > after)
    if search:
        if not _is_storable(search):
            return ()
        key = name_key(search)
        statement = statement.where(
            or_(
                col(Users.username_key).contains(key, autoescape=True),
                col(Users.email_key).contains(key, autoescape=True),
                col(Users.name).icontains(search, autoescape=True),
            )
        )
    return tuple(to_value(User, row) for row in await tx.execute(statement))


async def set_password(tx: Tx, user_id: UUID, password_hash: str) -> None:
    """Store another password hash. Sessions and grants are the caller's to end, afterwards."""
    await _set(tx, user_id, password_hash=password_hash)


async def replace_password(tx: Tx, user_id: UUID, old_hash: str | None, new_hash: str) -> bool:
    """Store another password hash in place of one; return False where that was changed meanwhile.

    Sessions and grants are the caller's to end, afterwards.
    """
    statement = update_table(Users).where(
        col(Users.id) == user_id, col(Users.password_hash).is_not_distinct_from(old_hash)
    )
    return (await tx.execute(statement.values(password_hash=new_hash, updated_at=await tx.now()))).rowcount > 0


async def set_email_verified(tx: Tx, user_id: UUID, email: str) -> bool:
    """Note that a user has proven an address, if it is still the account's; return False where it is not.

    Raise ConflictError where another account has verified it.
    """
    statement = update_table(Users).where(
        col(Users.id) == user_id, col(Users.email_key) == name_key(email), col(Users.deleted_at).is_(None)
    )
    return (await tx.execute(statement.values(email_verified=True, updated_at=await tx.now()))).rowcount > 0


async def rehash(tx: Tx, user_id: UUID, old_hash: str | None, new_hash: str) -> bool:
    """Store the same password hashed by today's parameters; return False where it was changed meanwhile.

    Nothing a user would notice, so ``updated_at`` stays and nothing ends.
    """
    statement = update_table(Users).where(col(Users.id) == user_id, col(Users.password_hash) == old_hash)
    return (await tx.execute(statement.values(password_hash=new_hash))).rowcount > 0


async def set_disabled(tx: Tx, user_id: UUID, at: datetime | None) -> None:
    """Turn an account off, or on again with None. Sessions and grants are the caller's to end, afterwards."""
    await _set(tx, user_id, disabled_at=at)


async def set_delete_at(tx: Tx, user_id: UUID, at: datetime | None) -> None:
    """Note when an account is to be deleted, or with None that it stays. What must end is the caller's to end after."""
    await _set(tx, user_id, delete_at=at)


async def mark_deleted(tx: Tx, user_id: UUID, at: datetime) -> None:
    """Mark an account deleted: its name and address are free again, its id never is."""
    await _set(tx, user_id, deleted_at=at)


async def _set(tx: Tx, user_id: UUID, **columns: object) -> None:
    values = {**columns, "updated_at": await tx.now()}
    await tx.execute(update_table(Users).where(col(Users.id) == user_id).values(values))


async def _find(tx: Tx, statement: Prepared, **values: object) -> User | None:
    row = await statement.fetch_one(tx, **values)
    return None if row is None else _ROWS.read(row, tx.dialect)


def _to_columns(user: User) -> dict[str, object]:
    email_key = None if user.email is None else name_key(user.email)
    return {**to_columns(user), "username_key": name_key(user.username), "email_key": email_key}


def _is_storable(text: str) -> bool:
    """Tell whether a text from outside can stand in a database: PostgreSQL knows neither NUL nor lone surrogates."""
    return not any(character == "\x00" or unicodedata.category(character) == "Cs" for character in text)
