"""Take back what a user lets an app do: the consent, the codes on their way, and every grant, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.steps.audit_trail import record
from authserver.store import codes, consents, grants

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.store.engine import Tx

REASON: Final = "consent_withdrawn"


async def take_back(call: Call, tx: Tx, user_id: UUID, client_id: str) -> int:
    """End what a client has of a user who is held, and return how many grants fell; it may ask again.

    The consent first and the grants second: whoever inserts a grant holds the consent or the user (DESIGN §3). A code
    that is being redeemed is waited for, and its grant falls with the others; one that is not yet is gone. A redemption
    may take its rows in the other order: call this by ``Engine.retrying``.
    """
    await consents.withdraw(tx, user_id, client_id)
    await codes.delete_unused(tx, user_id, client_id)
    revoked = await grants.revoke_of_consent(tx, user_id, client_id, REASON)
    await record(
        call, tx, "consent_withdrawn", user_id=user_id, client_id=client_id, detail={"grants_revoked": revoked}
    )
    return revoked
