"""Change what a person says of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from authserver.steps.audit_trail import record
from authserver.store import users

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.values import User
    from authserver.store.engine import Tx


async def change_profile(
    call: Call, tx: Tx, user: User, changes: Mapping[str, str | date | None], *, session_id: UUID | None = None
) -> User:
    """Store new claims of a user whose row is held, and return the user; the audit has their names, not the values.

    Another phone number is an unconfirmed one. Where nothing differs nothing is written.
    """
    changed = sorted(claim for claim, value in changes.items() if getattr(user, claim) != value)
    if not changed:
        return user
    after = replace(user, **dict(changes), updated_at=await tx.now())  # type: ignore[arg-type]  # checked by its rules
    if "phone_number" in changed:
        after = replace(after, phone_number_verified=False)
    await users.update(tx, after)
    detail = {"changed": changed}
    await record(call, tx, "profile_changed", user_id=user.id, session_id=session_id, detail=detail)
    return after
