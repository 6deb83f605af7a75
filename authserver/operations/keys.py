"""The signing keys of the issuer: make the first, rotate, keep a *next* one published, list, export (DESIGN §7).

Two nodes may do any of this at once. Keys are made before the transaction; inside it the version row is locked first,
and what the other node has done by then is seen and left as it is. The clock is the database's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from authserver.jose import keyring
from authserver.jose.schedule import (
    ALGORITHMS,
    FIRST_ALGORITHMS,
    LISTED,
    KeyState,
    RotationRules,
    find_next,
    find_signing,
    next_change_at,
    next_generation,
    plan_first,
    plan_next,
    plan_rotation,
    plan_sooner,
    state_of,
)
from authserver.operations.errors import OperationError, Problem
from authserver.sealing.subkeys import make_master
from authserver.store import audit, masters, signing_keys, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from authserver.operations.operator import Operator
    from authserver.sealing.box import Box
    from authserver.sealing.records import SigningKey
    from authserver.settings import Settings
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyListing:
    """A signing key, what it is good for at the moment it was read, and when that changes; None where nothing will."""

    key: SigningKey
    state: KeyState
    next_change_at: datetime | None

    @property
    def is_signing(self) -> bool:
        """Tell whether tokens are signed with it."""
        return self.state is KeyState.SIGNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did for one algorithm: ``upcoming`` signs from its ``sign_from``, ``current`` until then.

    ``is_changed`` is False where the take-over was planned for then, or sooner, already. ``last_token_expires_at`` is
    when the last token that ``current`` signed is over. Both are None where ``upcoming`` is the algorithm's first key.
    """

    alg: str
    current: SigningKey | None
    upcoming: SigningKey
    is_changed: bool
    last_token_expires_at: datetime | None


def rotation_rules(settings: Settings) -> RotationRules:
    """Return the lengths that follow from the settings."""
    return RotationRules(
        jwks_max_age=settings.jwks_max_age,
        token_lifetime=max(settings.access_token_lifetime, settings.id_token_lifetime),
    )


async def has_sealed_rows(operator: Operator) -> bool:
    """Tell whether the database holds anything that only the present sealing key can open."""
    async with operator.engine.read() as tx:
        return bool(await signing_keys.list_all(tx) or await masters.list_all(tx))


async def create_first(operator: Operator, box: Box) -> tuple[KeyListing, ...]:
    """Make the master secret, a key of each algorithm that signs at once, and a *next* one of each."""
    async with operator.engine.read() as tx:
        now = await tx.now()
    firsts = [await generate(operator, box, alg, generation=1, at=now) for alg in FIRST_ALGORITHMS]
    candidates = [await generate(operator, box, alg, generation=2, at=now) for alg in FIRST_ALGORITHMS]
    async with operator.begin() as tx:
        await state.bump(tx)
        if await signing_keys.list_all(tx) or await masters.list_all(tx):
            raise OperationError(
                "There are signing keys already.", problem=Problem.CONFLICT, fix="See: authserver keys list"
            )
        keys = tuple(firsts)
        for candidate in candidates:
            change = plan_next(keys, candidate, now, rotation_rules(operator.settings))
            keys = change.apply_to(keys) if change is not None else keys
        await masters.add(tx, make_master(box, key_id=0, now=now))
        await store_changes(tx, operator, "signing_keys_created", before=(), after=keys)
    return _list(keys, now)


async def find_all(operator: Operator) -> tuple[KeyListing, ...]:
    """Return every key with its state, revoked and dropped ones too."""
    async with operator.engine.read() as tx:
        return _list(await signing_keys.list_all(tx), await tx.now())


async def ensure_next(operator: Operator, box: Box) -> tuple[SigningKey, ...]:
    """Publish a *next* key for each algorithm that has none; return what was published. For the key-schedule job."""
    async with operator.engine.read() as tx:
        keys, now = await signing_keys.list_all(tx), await tx.now()
    lacking = [alg for alg in present_algorithms(keys) if find_next(keys, alg, now) is None]
    if not lacking:
        return ()
    candidates = [await generate(operator, box, alg, generation=next_generation(keys, alg), at=now) for alg in lacking]
    async with operator.begin() as tx:
        await state.bump(tx)
        before, now = tuple(await signing_keys.list_all(tx)), await tx.now()
        after = before
        for candidate in candidates:
            change = plan_next(after, candidate, now, rotation_rules(operator.settings))
            after = change.apply_to(after) if change is not None else after
        await store_changes(tx, operator, "signing_key_published", before=before, after=after)
    known = {key.kid for key in before}
    return tuple(key for key in after if key.kid not in known)


async def erase_dropped(operator: Operator) -> tuple[str, ...]:
    """Erase the private part of keys that are dropped; return their ids. For the key-schedule job."""
    async with operator.engine.read() as tx:
        keys, now = await signing_keys.list_all(tx), await tx.now()
    if not _spent(keys, now):
        return ()
    async with operator.begin() as tx:
        await state.bump(tx)
        before = tuple(await signing_keys.list_all(tx))
        spent = _spent(before, now)
        after = tuple(replace(key, sealed_private=b"") if key.kid in spent else key for key in before)
        await store_changes(tx, operator, "signing_key_erased", before=before, after=after)
    return tuple(sorted(spent))


def _spent(keys: Iterable[SigningKey], now: datetime) -> frozenset[str]:
    return frozenset(key.kid for key in keys if key.sealed_private and state_of(key, now) not in LISTED)


async def rotate(operator: Operator, box: Box, *, hurry: bool = False) -> tuple[Rotation, ...]:
    """Let each *next* key take over: 24 h after it was published, or in a ``hurry`` as soon as caches have it.

    A take-over that may not be yet is planned: every node does it then, whoever runs. Of several calls that begin
    before the first has finished, one changes something; the others report what it did.
    """
    rules = rotation_rules(operator.settings)
    async with operator.engine.read() as tx:
        seen, now = await signing_keys.list_all(tx), await tx.now()
    algorithms = present_algorithms(seen)
    if not algorithms:
        raise OperationError("There are no signing keys.", problem=Problem.NOT_FOUND, fix="Run: authserver init")
    expected = {alg: find_next(seen, alg, now) for alg in algorithms}
    candidates = {
        alg: await generate(operator, box, alg, generation=next_generation(seen, alg), at=now)
        for alg in algorithms
        if _leaves_no_next(seen, alg, now, rules, hurry=hurry)
    }
    async with operator.begin() as tx:
        await state.bump(tx)
        before, now = tuple(await signing_keys.list_all(tx)), await tx.now()
        after, rotations = before, []
        for alg in algorithms:
            after, rotation = _rotate(after, alg, expected[alg], candidates.get(alg), now, rules, hurry=hurry)
            rotations.append(rotation)
        await store_changes(tx, operator, "signing_keys_rotated", before=before, after=after)
    return tuple(rotations)


async def begin_algorithm(operator: Operator, box: Box, alg: str, *, hurry: bool = False) -> KeyListing:
    """Publish the first key of another algorithm; it signs, and is announced, once verifiers have it.

    Raise :class:`OperationError` where this server cannot sign with it, or does already.
    """
    if alg not in ALGORITHMS:
        raise OperationError(
            f"This server cannot sign with {alg}.", field="add", fix=f"One of: {', '.join(ALGORITHMS)}"
        )
    rules = rotation_rules(operator.settings)
    async with operator.engine.read() as tx:
        seen, now = await signing_keys.list_all(tx), await tx.now()
    candidate = await generate(operator, box, alg, generation=next_generation(seen, alg), at=now)
    async with operator.begin() as tx:
        await state.bump(tx)
        before, now = tuple(await signing_keys.list_all(tx)), await tx.now()
        if not before:
            raise OperationError("There are no signing keys.", problem=Problem.NOT_FOUND, fix="Run: authserver init")
        if alg in present_algorithms(before):
            raise OperationError(
                f"There are {alg} keys already.", problem=Problem.CONFLICT, field="add", fix="See: authserver keys list"
            )
        first = plan_first(candidate, now, rules, hurry=hurry)
        await store_changes(tx, operator, "signing_algorithm_added", before=before, after=(*before, first))
    return list_key(first, now)


async def export_jwks(operator: Operator) -> bytes:
    """Return the JWK set as /jwks says it now."""
    return keyring.public_jwks(listing.key for listing in await find_all(operator) if listing.state in LISTED)


async def export_pem(operator: Operator, kid: str) -> str:
    """Return one public key as PEM; dropped and revoked ones too, for checking old signatures."""
    for listing in await find_all(operator):
        if listing.key.kid == kid:
            return keyring.public_pem(listing.key)
    raise OperationError(
        f"There is no signing key {kid}.", problem=Problem.NOT_FOUND, field="kid", fix="See: authserver keys list"
    )


def _rotate(
    keys: tuple[SigningKey, ...],
    alg: str,
    expected: SigningKey | None,
    candidate: SigningKey | None,
    now: datetime,
    rules: RotationRules,
    *,
    hurry: bool,
) -> tuple[tuple[SigningKey, ...], Rotation]:
    """Return the rows after rotating one algorithm, and what that means. Pure."""
    upcoming = find_next(keys, alg, now)
    before = keys
    if upcoming == expected:  # nobody was faster
        if upcoming is None:
            keys = _publish(keys, candidate, now, rules)
        change = plan_rotation(keys, alg, now, rules, hurry=hurry)
        if change is not None:
            keys = change.apply_to(keys)
            if change.new.sign_from <= now:
                keys = _publish(keys, candidate, now, rules)
            rotation = Rotation(
                alg=alg,
                current=change.old,
                upcoming=change.new,
                is_changed=True,
                last_token_expires_at=change.last_token_expires_at,
            )
            return keys, rotation
    current, upcoming = find_signing(keys, alg, now), find_next(keys, alg, now)
    if (
        current is None and upcoming is not None
    ):  # begun, and not signing yet: it must not keep the others from rotating
        first = plan_sooner(upcoming, now, rules, hurry=hurry)
        keys = tuple(first if key.kid == first.kid else key for key in keys)
        return keys, Rotation(
            alg=alg, current=None, upcoming=first, is_changed=first != upcoming, last_token_expires_at=None
        )
    if current is None or upcoming is None:
        raise OperationError(
            f"The {alg} keys are being changed by somebody else.", problem=Problem.CONFLICT, fix="Try again."
        )
    return keys, Rotation(
        alg=alg,
        current=current,
        upcoming=upcoming,
        is_changed=keys != before,
        last_token_expires_at=upcoming.sign_from + rules.token_lifetime,
    )


def _leaves_no_next(keys: Sequence[SigningKey], alg: str, now: datetime, rules: RotationRules, *, hurry: bool) -> bool:
    if find_next(keys, alg, now) is None:
        return True
    change = plan_rotation(keys, alg, now, rules, hurry=hurry)
    return change is not None and change.new.sign_from <= now


def _publish(
    keys: tuple[SigningKey, ...], candidate: SigningKey | None, now: datetime, rules: RotationRules
) -> tuple[SigningKey, ...]:
    change = plan_next(keys, candidate, now, rules) if candidate is not None else None
    return change.apply_to(keys) if change is not None else keys


def present_algorithms(keys: Iterable[SigningKey]) -> tuple[str, ...]:
    """Return the algorithms that keys are there for, or were until the last one was revoked or dropped."""
    present = {key.alg for key in keys}
    return tuple(alg for alg in ALGORITHMS if alg in present)


def _list(keys: Iterable[SigningKey], now: datetime) -> tuple[KeyListing, ...]:
    ordered = sorted(keys, key=lambda key: (key.alg, key.generation))
    return tuple(list_key(key, now) for key in ordered)


def list_key(key: SigningKey, now: datetime) -> KeyListing:
    """Return what a key is good for at a moment."""
    state_now = state_of(key, now)
    change_at = next_change_at([key], now) if state_now in LISTED else None
    return KeyListing(key=key, state=state_now, next_change_at=change_at)


async def generate(operator: Operator, box: Box, alg: str, *, generation: int, at: datetime) -> SigningKey:
    """Return a new key that no row knows yet; its times are for a plan to set."""
    issuer = operator.settings.issuer
    return await asyncio.to_thread(
        keyring.generate, alg, box, issuer=issuer, generation=generation, publish_at=at, sign_from=at
    )


async def store_changes(
    tx: Tx,
    operator: Operator,
    event: str,
    *,
    before: Sequence[SigningKey],
    after: Sequence[SigningKey],
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write what differs, and an audit row for it with ``detail`` beside; nothing where nothing does."""
    known = {key.kid: key for key in before}
    # the old key's row first: PostgreSQL and SQLite see one order of statements on every node
    for key in sorted(after, key=lambda key: (key.alg, key.generation)):
        if key.kid not in known:
            await signing_keys.add(tx, key)
        elif key != known[key.kid]:
            await signing_keys.update(tx, key)
    changed = [key for key in after if key != known.get(key.kid)]
    if changed:
        times = {key.kid: f"{key.alg} signs from {key.sign_from:%Y-%m-%dT%H:%M:%SZ}" for key in changed}
        await audit.add(tx, event, actor=operator.actor, detail={**times, **(detail or {})})
