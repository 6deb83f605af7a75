"""Revoke a signing key that leaked, or that nobody wants any more (DESIGN §7, SECURITY B17).

The row becomes a tombstone without its private part, *next* signs from this moment, and every node follows the version
row within a second. The epoch moves in the same transaction: a database from before it is not served again until
``authserver restored``, which buries the key once more (:func:`bury_again`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.jose.schedule import KeyState, find_signing, next_generation, plan_revocation, revocable_from, state_of
from authserver.operations.errors import OperationError, Problem
from authserver.operations.keys import generate, rotation_rules, store_changes
from authserver.store import signing_keys, state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from authserver.operations.operator import Operator
    from authserver.sealing.box import Box
    from authserver.sealing.records import SigningKey

_TRIES: Final = 3  # against other nodes that change the same ring meanwhile
MAX_REASON: Final = 500  # characters
_SPARE: Final = 2  # keys that the end of one may need: its successor, and that one's


class _RingMovedError(Exception):
    """Somebody else has changed the ring since the new keys were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What a revocation did. ``successor`` signs now where the key did; None where another key signs already.

    ``tokens_may_live_until`` is when the last token of the key would have been over: they are refused from now on.
    ``is_changed`` is False where it had been revoked before.
    """

    key: SigningKey
    was: KeyState
    successor: SigningKey | None
    tokens_may_live_until: datetime | None
    is_changed: bool


async def revoke(operator: Operator, box: Box, kid: str, *, emergency: bool, reason: str | None = None) -> Revocation:
    """Revoke a key at once: it leaves /jwks, its tokens are refused, and its tombstone stays for ever.

    Where it signs and *next* has not been published for as long as caches last, only an ``emergency`` revokes it now:
    verifiers may meet a key that they do not know yet. Raise :class:`OperationError` otherwise, which says when.
    """
    for _ in range(_TRIES):
        try:
            return await _revoke(operator, box, kid, emergency=emergency, reason=reason)
        except _RingMovedError:
            continue
    raise OperationError("The keys are being changed by somebody else.", problem=Problem.CONFLICT, fix="Try again.")


async def find_risen(operator: Operator, kids: frozenset[str]) -> tuple[str, ...]:
    """Return which of the keys that are known to have been revoked the database takes for good ones."""
    async with operator.engine.read() as tx:
        return tuple(key.kid for key in await signing_keys.list_all(tx) if key.kid in kids and key.revoked_at is None)


async def bury_again(operator: Operator, box: Box, kids: frozenset[str]) -> tuple[Revocation, ...]:
    """Revoke the keys that a backup has brought back, of those that are known to have been revoked."""
    risen = await find_risen(operator, kids) if kids else ()
    return tuple([await revoke(operator, box, kid, emergency=True) for kid in risen])


async def _revoke(operator: Operator, box: Box, kid: str, *, emergency: bool, reason: str | None) -> Revocation:
    rules = rotation_rules(operator.settings)
    async with operator.engine.read() as tx:
        seen, now = await signing_keys.list_all(tx), await tx.now()
    alg = _find(seen, kid).alg
    first = next_generation(seen, alg)
    spares = [await generate(operator, box, alg, generation=first + more, at=now) for more in range(_SPARE)]
    async with operator.begin() as tx:
        await state.bump(tx)
        before, now = tuple(await signing_keys.list_all(tx)), await tx.now()
        key = _find(before, kid)
        was = state_of(key, now)
        if was is KeyState.REVOKED:
            return Revocation(key=key, was=was, successor=None, tokens_may_live_until=None, is_changed=False)
        if next_generation(before, alg) != first:
            raise _RingMovedError
        if not emergency:
            _refuse_surprise(key, now, revocable_from(before, key, now, rules))
        after = plan_revocation(before, key, spares, now, rules)
        detail = {"revoked": kid, "emergency": emergency} | ({"reason": reason[:MAX_REASON]} if reason else {})
        await store_changes(tx, operator, "signing_key_revoked", before=before, after=after, detail=detail)
        await state.raise_epoch(tx, (await state.load(tx)).epoch + 1)
    ended = key.sign_until if was in {KeyState.RETIRED, KeyState.DROPPED} else now if was is KeyState.SIGNING else None
    return Revocation(
        key=_find(after, kid),
        was=was,
        successor=find_signing(after, alg, now) if was is KeyState.SIGNING else None,
        tokens_may_live_until=ended + rules.token_lifetime if ended is not None else None,
        is_changed=True,
    )


def _find(keys: Iterable[SigningKey], kid: str) -> SigningKey:
    for key in keys:
        if key.kid == kid:
            return key
    raise OperationError(
        f"There is no signing key {kid}.", problem=Problem.NOT_FOUND, field="kid", fix="See: authserver keys list"
    )


def _refuse_surprise(key: SigningKey, now: datetime, possible_from: datetime | None) -> None:
    """Refuse to let a key sign that verifiers do not have yet."""
    if possible_from is not None and possible_from <= now:
        return
    when = f"They have it at {possible_from:%H:%M:%S} UTC. " if possible_from is not None else ""
    raise OperationError(
        f"{key.kid} signs {key.alg} tokens, and not every verifier has the key that follows it. {when}"
        "Until then only an emergency revokes it: verifiers then refuse tokens until they ask for /jwks again.",
        problem=Problem.CONFLICT,
        field="kid",
        fix=f"If it has leaked: authserver keys revoke {key.kid} --emergency --yes",
    )
