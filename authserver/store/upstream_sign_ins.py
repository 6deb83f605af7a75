"""Ways to another provider and back; the statement that finds one by its ``state`` uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlmodel import col

from authserver.oauth.upstream import FINISH_LIFETIME, UpstreamSignIn
from authserver.store.rows import to_columns, to_value
from authserver.store.tables import UpstreamSignIns

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Row

    from authserver.oauth.upstream import Profile
    from authserver.store.engine import Tx


async def add(tx: Tx, sign_in: UpstreamSignIn) -> None:
    """Store a way that begins now."""
    await tx.execute(insert(UpstreamSignIns).values(to_columns(sign_in)))


async def claim(tx: Tx, state_hash: bytes, provider: str, browser_hash: bytes) -> UpstreamSignIn | None:
    """Use a ``state`` up, once; None where it was used, is too old, or is another browser's or provider's.

    The last two leave it as it is: a stranger cannot end a sign-in (SECURITY row 10).
    """
    now = await tx.now()
    statement = (
        update(UpstreamSignIns)
        .where(
            col(UpstreamSignIns.state_hash) == state_hash,
            col(UpstreamSignIns.provider) == provider,
            col(UpstreamSignIns.browser_hash) == browser_hash,
            col(UpstreamSignIns.used_at).is_(None),
            col(UpstreamSignIns.expires_at) > now,
        )
        .values(used_at=now)
        .returning(UpstreamSignIns)
    )
    return _to_sign_in((await tx.execute(statement)).one_or_none())


async def find_by_state(tx: Tx, state_hash: bytes, browser_hash: bytes) -> UpstreamSignIn | None:
    """Return a way that this browser began, whatever has become of it."""
    statement = select(UpstreamSignIns).where(
        col(UpstreamSignIns.state_hash) == state_hash, col(UpstreamSignIns.browser_hash) == browser_hash
    )
    return _to_sign_in((await tx.execute(statement)).one_or_none())


async def keep_profile(tx: Tx, sign_in: UpstreamSignIn, profile: Profile) -> None:
    """Keep what the provider says of somebody who is to make an account; there is an hour to finish it."""
    statement = update(UpstreamSignIns).where(col(UpstreamSignIns.id) == sign_in.id)
    values = {
        "subject": profile.subject,
        "account_name": profile.account_name,
        "name": profile.name,
        "email": profile.email,
        "expires_at": await tx.now() + FINISH_LIFETIME,
    }
    await tx.execute(statement.values(values))


async def find_unfinished(tx: Tx, sign_in_id: UUID, browser_hash: bytes) -> UpstreamSignIn | None:
    """Return the way of somebody who came back in this browser and has still to make an account."""
    statement = select(UpstreamSignIns).where(
        col(UpstreamSignIns.id) == sign_in_id,
        col(UpstreamSignIns.browser_hash) == browser_hash,
        col(UpstreamSignIns.subject).is_not(None),
        col(UpstreamSignIns.expires_at) > await tx.now(),
    )
    return _to_sign_in((await tx.execute(statement)).one_or_none())


async def claim_unfinished(tx: Tx, sign_in_id: UUID) -> UpstreamSignIn | None:
    """Take what the provider said for the account that is made of it, once."""
    statement = (
        update(UpstreamSignIns)
        .where(
            col(UpstreamSignIns.id) == sign_in_id,
            col(UpstreamSignIns.subject).is_not(None),
            col(UpstreamSignIns.expires_at) > (now := await tx.now()),
        )
        .values(expires_at=now)
        .returning(UpstreamSignIns)
    )
    return _to_sign_in((await tx.execute(statement)).one_or_none())


def _to_sign_in(row: Row[Any] | None) -> UpstreamSignIn | None:
    return None if row is None else to_value(UpstreamSignIn, row)
