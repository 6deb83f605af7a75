"""Decisions on an authorization code that a client presents, in whichever transaction is the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from authserver.oauth.errors import OAuthError
from authserver.steps.client_auth import claim_proof
from authserver.store.code_batches import Redeemed, redeem_in
from authserver.store.engine import ConflictError

if TYPE_CHECKING:
    from authserver.feature import Call, Caller
    from authserver.store.code_batches import DecideRedemption
    from authserver.store.engine import Tx

T = TypeVar("T")


async def decide_on_code(call: Call, caller: Caller, code_hash: bytes, decide: DecideRedemption[T]) -> T:
    """Return what a pure decision answers once all it stores is committed; raise the OAuthError that it may be.

    Requests share transactions. One of its own has a request that came with a single-use proof, which is claimed
    first; so has one whose code is unknown, used, or rests on a row that somebody is changing just now.
    """
    try:
        if caller.replay_key is None:
            redeemed = await call.services.code_batches.redeem(code_hash, caller.client, decide)
            if redeemed is not None:
                return redeemed.get_answer()
        return await _decide_alone(call, caller, code_hash, decide)
    except ConflictError:  # a failover forgot which places in status lists are ours, and gave them to another process
        call.services.status_indexes.give_up()
        await call.services.status_indexes.stock()
    return await _decide_alone(call, caller, code_hash, decide)


async def _decide_alone(call: Call, caller: Caller, code_hash: bytes, decide: DecideRedemption[T]) -> T:
    async def claim_and_decide(tx: Tx) -> Redeemed[T]:
        try:
            await claim_proof(tx, caller)
        except OAuthError as refusal:
            return Redeemed(answer=refusal)
        return await redeem_in(tx, code_hash, caller.client.client_id, decide)

    return (await call.services.engine.retrying(claim_and_decide)).get_answer()
