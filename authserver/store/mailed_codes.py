"""Codes sent by mail. Each try is counted by the statement that reads the code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlmodel import col

from authserver.oauth.mailed_code_rules import PROOF_LIFETIME, TRIES, MailedCode, Purpose
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import MailedCodes

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row, Update

    from authserver.store.engine import Tx


async def add(tx: Tx, code: MailedCode) -> None:
    """Store a code that is being sent now."""
    await tx.execute(insert(MailedCodes).values(to_columns(code)))


async def set_mail(tx: Tx, code_id: UUID, mail_id: UUID) -> None:
    """Note which mail of the outbox carries a code."""
    await tx.execute(update(MailedCodes).where(col(MailedCodes.id) == code_id).values(mail_id=mail_id))


async def get(tx: Tx, code_id: UUID) -> MailedCode | None:
    """Return a code, whatever it is for and has become of it."""
    return _to_code((await tx.execute(select(MailedCodes).where(col(MailedCodes.id) == code_id))).one_or_none())


async def find(tx: Tx, code_id: UUID, purpose: Purpose) -> MailedCode | None:
    """Return a code for this purpose, whatever has become of it."""
    statement = select(MailedCodes).where(col(MailedCodes.id) == code_id, col(MailedCodes.purpose) == purpose.value)
    return _to_code((await tx.execute(statement)).one_or_none())


async def find_by_link(tx: Tx, link_hash: bytes, purpose: Purpose) -> MailedCode | None:
    """Return the code that was mailed together with a link, whatever has become of it."""
    statement = select(MailedCodes).where(
        col(MailedCodes.link_hash) == link_hash, col(MailedCodes.purpose) == purpose.value
    )
    return _to_code((await tx.execute(statement)).one_or_none())


async def has_open(tx: Tx, code: MailedCode) -> bool:
    """Tell whether this code, or another one of its user for the same purpose, can still be used."""
    is_same = col(MailedCodes.id) == code.id
    if code.user_id is not None:
        of_user = (col(MailedCodes.user_id) == code.user_id) & (col(MailedCodes.purpose) == code.purpose.value)
        is_same = is_same | of_user
    statement = select(col(MailedCodes.id)).where(
        is_same, col(MailedCodes.used_at).is_(None), col(MailedCodes.expires_at) > await tx.now()
    )
    return (await tx.execute(statement.limit(1))).first() is not None


async def claim_try(tx: Tx, code_id: UUID, purpose: Purpose, browser_hash: bytes | None) -> MailedCode | None:
    """Count one try at a code and return it as counted, or None where no try is left or it cannot be tried.

    One statement, so of any number of parallel tries five are answered: each waits for the row and counts from what
    the one before has left. Another browser's try, or one for another purpose, leaves the code untouched.
    """
    statement = (
        update(MailedCodes)
        .where(
            col(MailedCodes.id) == code_id,
            col(MailedCodes.purpose) == purpose.value,
            col(MailedCodes.browser_hash).is_not_distinct_from(browser_hash),
            col(MailedCodes.attempts) < TRIES,
            col(MailedCodes.proven_at).is_(None),
            col(MailedCodes.used_at).is_(None),
            col(MailedCodes.expires_at) > await tx.now(),
        )
        .values(attempts=col(MailedCodes.attempts) + 1)
        .returning(MailedCodes)
    )
    return _to_code((await tx.execute(statement)).one_or_none())


async def claim_link(tx: Tx, link_hash: bytes, purpose: Purpose, browser_hash: bytes) -> MailedCode | None:
    """Take a mailed link as the proof that the code would be, once; None where it was used or is too old."""
    statement = _prove(await tx.now(), browser_hash).where(
        col(MailedCodes.link_hash) == link_hash, col(MailedCodes.purpose) == purpose.value
    )
    return _to_code((await tx.execute(statement.returning(MailedCodes))).one_or_none())


async def prove(tx: Tx, code: MailedCode, browser_hash: bytes | None) -> MailedCode:
    """Note that the code was right: its purpose can be fulfilled within a quarter of an hour, in this browser."""
    now = await tx.now()
    await tx.execute(_prove(now, browser_hash).where(col(MailedCodes.id) == code.id))
    return replace(code, proven_at=now, browser_hash=browser_hash, expires_at=now + PROOF_LIFETIME)


async def claim(tx: Tx, code_id: UUID) -> bool:
    """Use a code up, or the proof that it was; return False where somebody was faster."""
    statement = update(MailedCodes).where(col(MailedCodes.id) == code_id, col(MailedCodes.used_at).is_(None))
    return (await tx.execute(statement.values(used_at=await tx.now()))).rowcount > 0


async def claim_all_of_user(tx: Tx, user_id: UUID, *, purpose: Purpose | None = None) -> int:
    """Use up every code of a user, or those for one purpose; return how many there were."""
    statement = update(MailedCodes).where(col(MailedCodes.user_id) == user_id, col(MailedCodes.used_at).is_(None))
    if purpose is not None:
        statement = statement.where(col(MailedCodes.purpose) == purpose.value)
    return (await tx.execute(statement.values(used_at=await tx.now()))).rowcount


def _prove(now: datetime, browser_hash: bytes | None) -> Update:
    return (
        update(MailedCodes)
        .where(
            col(MailedCodes.proven_at).is_(None), col(MailedCodes.used_at).is_(None), col(MailedCodes.expires_at) > now
        )
        .values(proven_at=now, browser_hash=browser_hash, expires_at=now + PROOF_LIFETIME)
    )


def _to_code(row: Row[Any] | None) -> MailedCode | None:
    if row is None:
        return None
    code = to_value(MailedCode, row)
    return replace(code, purpose=Purpose(code.purpose))
