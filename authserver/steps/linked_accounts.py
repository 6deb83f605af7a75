"""Remove a linked account: never the last way in, and everywhere else is signed out (SECURITY row 100)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.upstream_rules import check_may_unlink
from authserver.steps.account import hold_account
from authserver.steps.second_factor import tell_of_change
from authserver.steps.sign_out import end_all
from authserver.store import passkeys, upstream_identities

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.upstream import Identity
    from authserver.oauth.values import User
    from authserver.steps.account import Visit
    from authserver.store.engine import Tx


async def has_other_way(tx: Tx, user: User, identities: tuple[Identity, ...]) -> bool:
    """Tell whether a user can sign in without one of the linked accounts, and without anybody's mail or help."""
    return len(identities) > 1 or user.password_hash is not None or await passkeys.has_any(tx, user.id)


async def unlink(call: Call, visit: Visit, provider: str, subject: str, *, label: str) -> bool:
    """Remove a linked account; return False where there was none. Raise ``UPSTREAM_LAST_WAY``.

    ``label`` is what the person calls the provider. Whoever signs in by it next is nobody here.
    """

    async def work(tx: Tx) -> bool:
        user = await hold_account(tx, visit)
        identities = await upstream_identities.list_of_user(tx, user.id)
        check_may_unlink(has_other_way=await has_other_way(tx, user, identities))
        if not await upstream_identities.remove(tx, user.id, provider, subject):
            return False
        event = "account_unlinked"
        await end_all(call, tx, user.id, event, keep_session=visit.session.id, detail={"provider": provider})
        await tell_of_change(call, tx, user, event, name=label)
        return True

    return await call.services.engine.retrying(work)
