"""Authenticator apps, recovery codes and the sign-ins that wait for them; the statement that finds a code uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlmodel import col

from authserver.oauth.second_factor_rules import TRIES, PendingSignIn
from authserver.store.driver_rows import ValueRows
from authserver.store.prepared import Prepared
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import PendingSignIns, RecoveryCodes, TotpSecrets

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Row

    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpSecret:
    """A user's authenticator app as stored; one without ``confirmed_at`` is being added."""

    user_id: UUID
    sealed: bytes
    last_step: int
    created_at: datetime
    confirmed_at: datetime | None


_TOTP_SECRETS: Final = ValueRows(TotpSecret, TotpSecrets)
_FIND_TOTP: Final = Prepared(
    lambda _: select(*_TOTP_SECRETS.selected).where(col(TotpSecrets.user_id) == bindparam("user_id"))
)


async def begin_totp(tx: Tx, user_id: UUID, sealed: bytes) -> bool:
    """Store a secret that is still to be confirmed, in place of one that was not; False where one was.

    The caller holds the user's row.
    """
    await tx.execute(
        delete(TotpSecrets).where(col(TotpSecrets.user_id) == user_id, col(TotpSecrets.confirmed_at).is_(None))
    )
    if await find_totp(tx, user_id) is not None:
        return False
    secret = TotpSecret(user_id=user_id, sealed=sealed, last_step=0, created_at=await tx.now(), confirmed_at=None)
    await tx.execute(insert(TotpSecrets).values(to_columns(secret)))
    return True


async def find_totp(tx: Tx, user_id: UUID) -> TotpSecret | None:
    """Return a user's authenticator app, one that is being added too."""
    row = await _FIND_TOTP.fetch_one(tx, user_id=user_id)
    return None if row is None else _TOTP_SECRETS.read(row, tx.dialect)


async def has_second_factor(tx: Tx, user_id: UUID) -> bool:
    """Tell whether a user has to give a second factor."""
    secret = await find_totp(tx, user_id)
    return secret is not None and secret.confirmed_at is not None


async def confirm_totp(tx: Tx, user_id: UUID, sealed: bytes, step: int) -> bool:
    """Let an app count from now on, and its first code never again; False where it is another one by now, or did."""
    statement = update(TotpSecrets).where(
        col(TotpSecrets.user_id) == user_id,
        col(TotpSecrets.sealed) == sealed,
        col(TotpSecrets.confirmed_at).is_(None),
    )
    return (await tx.execute(statement.values(confirmed_at=await tx.now(), last_step=step))).rowcount > 0


async def use_step(tx: Tx, user_id: UUID, sealed: bytes, step: int) -> bool:
    """Use the code of a time step, once; False where it, or a later one, has been used (RFC 6238 §5.2)."""
    statement = (
        update(TotpSecrets)
        .where(
            col(TotpSecrets.user_id) == user_id,
            col(TotpSecrets.sealed) == sealed,
            col(TotpSecrets.confirmed_at).is_not(None),
            col(TotpSecrets.last_step) < step,
        )
        .values(last_step=step)
        .returning(col(TotpSecrets.user_id))
    )
    return (await tx.execute(statement)).one_or_none() is not None


async def replace_recovery_codes(tx: Tx, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Store new recovery codes; the ones before are worth nothing. The caller holds the user's row."""
    now = await tx.now()
    await tx.execute(delete(RecoveryCodes).where(col(RecoveryCodes.user_id) == user_id))
    await tx.execute(
        insert(RecoveryCodes), [{"user_id": user_id, "code_hash": one, "created_at": now} for one in hashes]
    )


async def use_recovery_code(tx: Tx, user_id: UUID, hashes: Sequence[bytes]) -> bool:
    """Use a recovery code, once; ``hashes`` are what it may be stored as."""
    statement = (
        delete(RecoveryCodes)
        .where(col(RecoveryCodes.user_id) == user_id, col(RecoveryCodes.code_hash).in_(hashes))
        .returning(col(RecoveryCodes.code_hash))
    )
    return (await tx.execute(statement)).one_or_none() is not None


async def count_recovery_codes(tx: Tx, user_id: UUID) -> int:
    """Return how many recovery codes a user has left."""
    statement = select(func.count()).select_from(RecoveryCodes).where(col(RecoveryCodes.user_id) == user_id)
    return int((await tx.execute(statement)).scalar_one())


async def remove_all(tx: Tx, user_id: UUID) -> bool:
    """Remove app, recovery codes and what waits for them; return whether the app counted."""
    was_there = await has_second_factor(tx, user_id)
    await tx.execute(delete(TotpSecrets).where(col(TotpSecrets.user_id) == user_id))
    await tx.execute(delete(RecoveryCodes).where(col(RecoveryCodes.user_id) == user_id))
    await forget_pending_of_user(tx, user_id)
    return was_there


async def add_pending(tx: Tx, pending: PendingSignIn) -> None:
    """Store a sign-in that waits, in place of any other of the same browser and app's request (SECURITY row 101)."""
    await forget_pending(tx, pending.binding_hash, pending.transaction_id)
    await tx.execute(insert(PendingSignIns).values(to_columns(pending)))


async def find_pending(tx: Tx, pending_id: UUID, binding_hash: bytes) -> PendingSignIn | None:
    """Return a sign-in that waits in this browser, or did until its time was over; None where there is none."""
    statement = select(PendingSignIns).where(*_is(pending_id, binding_hash))
    return _to_pending((await tx.execute(statement)).one_or_none())


async def find_pending_of_app(tx: Tx, binding_hash: bytes, client_id: str) -> PendingSignIn | None:
    """Return the sign-in of an app that an ``auth_session`` stands for; None where it is over."""
    statement = select(PendingSignIns).where(
        *_is_open(await tx.now()),
        col(PendingSignIns.binding_hash) == binding_hash,
        col(PendingSignIns.client_id) == client_id,
    )
    return _to_pending((await tx.execute(statement)).one_or_none())


async def claim_try(tx: Tx, pending: PendingSignIn) -> PendingSignIn | None:
    """Count one try and return the row as counted, or None where none is left: parallel ones wait for each other."""
    statement = (
        update(PendingSignIns)
        .where(*_is_open(await tx.now()), *_is(pending.id, pending.binding_hash), col(PendingSignIns.attempts) < TRIES)
        .values(attempts=col(PendingSignIns.attempts) + 1)
        .returning(PendingSignIns)
    )
    return _to_pending((await tx.execute(statement)).one_or_none())


async def claim_pending(tx: Tx, pending: PendingSignIn) -> bool:
    """Use a sign-in up that has got its second factor; False where somebody was faster."""
    statement = delete(PendingSignIns).where(*_is(pending.id, pending.binding_hash))
    return (await tx.execute(statement)).rowcount > 0


async def forget_pending(tx: Tx, binding_hash: bytes, transaction_id: UUID | None) -> None:
    """Forget whoever had begun to sign in in this browser, for this request of an app or for none."""
    await tx.execute(
        delete(PendingSignIns).where(
            col(PendingSignIns.binding_hash) == binding_hash,
            col(PendingSignIns.transaction_id).is_not_distinct_from(transaction_id),
        )
    )


async def forget_pending_of_user(tx: Tx, user_id: UUID) -> None:
    """Forget every sign-in of a user that waits: what they began with may be worth nothing any more."""
    await tx.execute(delete(PendingSignIns).where(col(PendingSignIns.user_id) == user_id))


def _is_open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (col(PendingSignIns.expires_at) > now,)


def _is(pending_id: UUID, binding_hash: bytes) -> tuple[ColumnElement[bool], ...]:
    return (col(PendingSignIns.id) == pending_id, col(PendingSignIns.binding_hash) == binding_hash)


def _to_pending(row: Row[Any] | None) -> PendingSignIn | None:
    return None if row is None else to_value(PendingSignIn, row)
