"""Decisions on a grant that stands already, in whichever transaction is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from authserver.steps.client_auth import claim_proof
from authserver.store.grant_batches import decide_in

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call, Caller
    from authserver.store.engine import Tx
    from authserver.store.grant_batches import Decide, Verdict

T = TypeVar("T")


async def decide_on_grant(call: Call, caller: Caller, grant_id: UUID, decide: Decide[T]) -> T:
    """Return what a pure decision answers once all it stores is committed; raise the OAuthError that it may be.

    Requests share transactions, unless this one came with a single-use proof: that is claimed first in one of its own.
    """
    if caller.replay_key is None:
        return await call.services.grant_batches.decide(grant_id, decide)

    async def claim_and_decide(tx: Tx) -> Verdict[T]:
        await claim_proof(tx, caller)  # a refusal here has written nothing, so it may roll back
        return await decide_in(tx, grant_id, decide, call.services.outbox)

    return (await call.services.engine.retrying(claim_and_decide)).get_answer()
