"""Seal everything anew under the current sealing key, so that an older one can be thrown away (``keys rewrap``).

Two kinds of rows are sealed by the ring itself, signing keys and masters; whatever else is kept secret in the database
is sealed under subkeys of the masters, which do not change. Each row is opened, sealed and written by itself and only
where nobody has changed it meanwhile, so the work can be stopped anywhere, taken up again, and done twice at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.jose.keyring import purpose_of
from authserver.jose.schedule import LISTED, state_of
from authserver.operations.errors import OperationError, Problem
from authserver.sealing.box import UnsealError
from authserver.sealing.subkeys import purpose_of_master
from authserver.store import audit, masters, signing_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from authserver.operations.operator import Operator
    from authserver.sealing.box import Box
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """How many rows were sealed anew, how many were current already, and what the current sealing key is.

    ``superseded`` are the ids of the other sealing keys at hand under which nothing is sealed any more.
    """

    current: str
    rewrapped: int
    kept: int
    superseded: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """One sealed value, and how to write another in its place."""

    name: str
    value: bytes
    purpose: str
    replace: Callable[[Tx, bytes], Awaitable[bool]]


async def count_superseded(operator: Operator, box: Box) -> int:
    """Return how many rows are sealed under another key than the current one."""
    return sum(box.key_id_of(sealed.value) != box.current for sealed in await _list_sealed(operator))


async def check_opens(operator: Operator, box: Box) -> None:
    """Raise :class:`OperationError` where something that this server needs is sealed under a key that is not here."""
    for sealed in await _list_sealed(operator):
        _check_opens(sealed, box)


def _check_opens(sealed: _Sealed, box: Box) -> None:
    try:
        box.open(sealed.value, purpose=sealed.purpose)
    except UnsealError as error:
        raise OperationError(
            f"The {sealed.name} cannot be opened: {error}. Nothing was changed.",
            problem=Problem.CONFLICT,
            fix="Bring the sealing key back that this database was sealed with; it may stand below a newer one.",
        ) from error


async def rewrap(operator: Operator, box: Box, *, on_row: Callable[[int], object] = lambda _: None) -> Rewrapped:
    """Seal every row under the current key; ``on_row`` hears of each that was.

    Raise :class:`OperationError` before anything is changed where a row does not open: its key is missing.
    """
    every = await _list_sealed(operator)
    for sealed in every:
        _check_opens(sealed, box)
    count = 0
    for sealed in every:
        if box.key_id_of(sealed.value) == box.current:
            continue
        anew = box.seal(box.open(sealed.value, purpose=sealed.purpose), purpose=sealed.purpose)
        async with operator.begin() as tx:
            if await sealed.replace(tx, anew):
                detail = {"what": sealed.name, "sealing_key": box.current}
                await audit.add(tx, "sealed_anew", actor=operator.actor, detail=detail)
        count += 1
        on_row(1)
    left = {box.key_id_of(sealed.value) for sealed in await _list_sealed(operator)}
    superseded = tuple(
        sorted(box.key_ids - left - {box.current})
    )  # told again by each run: the first may have been cut
    return Rewrapped(current=box.current, rewrapped=count, kept=len(every) - count, superseded=superseded)


async def _list_sealed(operator: Operator) -> tuple[_Sealed, ...]:
    issuer = operator.settings.issuer
    async with operator.engine.read() as tx:
        keys, secrets, now = await signing_keys.list_all(tx), await masters.list_all(tx), await tx.now()
    found = [
        _Sealed(
            name=f"signing key {key.kid}",
            value=key.sealed_private,
            purpose=purpose_of(issuer, key),
            replace=lambda tx, anew, key=key: signing_keys.reseal(tx, key, anew),  # type: ignore[misc]  # bound now
        )
        for key in keys
        if state_of(key, now) in LISTED  # nobody needs to open the others, and most are erased
    ]
    found += [
        _Sealed(
            name=f"master {master.key_id}",
            value=master.sealed,
            purpose=purpose_of_master(master.key_id),
            replace=lambda tx, anew, master=master: masters.reseal(tx, master, anew),  # type: ignore[misc]  # bound now
        )
        for master in secrets
    ]
    return tuple(found)
