"""Everything is sealed anew under another sealing key, in steps that may be interrupted, and nothing else changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authserver.jose.keyring import Keyring
from authserver.operations import keys
from authserver.operations.errors import OperationError
from authserver.operations.key_revocation import revoke
from authserver.operations.rewrap import check_opens, count_superseded, rewrap
from authserver.sealing.box import Box
from authserver.sealing.records import SealedMaster
from authserver.sealing.subkeys import Label, Subkeys
from authserver.store import audit, masters, signing_keys, state
from tests.operations.key_rows import BOX, age, make_rsa_quick, rows

NEW = Box({"k2": b"n" * 32, "k1": b"k" * 32}, current="k2")
NEW_ALONE = Box({"k2": b"n" * 32}, current="k2")
OTHER = Box({"k3": b"o" * 32}, current="k3")


@pytest.fixture(autouse=True)
def quick_rsa(monkeypatch):
    make_rsa_quick(monkeypatch)


@pytest.fixture
async def made(operator):
    return await keys.create_first(operator, BOX)


async def open_with(operator, box):
    """Open what the database holds; return what it is: private keys' public numbers and a subkey."""
    async with operator.engine.read() as tx:
        found, secrets, now = await signing_keys.list_all(tx), await masters.list_all(tx), await tx.now()
    ring = Keyring.load(found, box, issuer=operator.settings.issuer, jwks_max_age=timedelta(minutes=5), now=now)
    return ring.jwks(now).body, Subkeys(secrets, box).current(Label.REFRESH_TOKEN)


async def test_afterwards_the_new_key_alone_opens_everything_that_the_old_one_did(operator, made):
    before = await open_with(operator, BOX)
    seen = []
    done = await rewrap(operator, NEW, on_row=seen.append)
    assert (done.current, done.rewrapped, done.kept, done.superseded) == ("k2", 5, 0, ("k1",))
    assert seen == [1] * 5
    assert await open_with(operator, NEW_ALONE) == before
    assert await count_superseded(operator, NEW) == 0


async def test_a_second_run_has_nothing_to_do(operator, made):
    await rewrap(operator, NEW)
    sealed = await rows(operator)
    done = await rewrap(operator, NEW)
    assert (done.rewrapped, done.kept, done.superseded) == (0, 5, ("k1",))
    assert await rows(operator) == sealed


async def test_a_run_that_is_interrupted_is_taken_up(operator, made):
    def stop_after_two(_):
        stopped.append(True)
        if len(stopped) == 2:
            raise KeyboardInterrupt

    stopped: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        await rewrap(operator, NEW, on_row=stop_after_two)
    assert await count_superseded(operator, NEW) == 3
    await open_with(operator, NEW)
    assert (await rewrap(operator, NEW)).rewrapped == 3
    await open_with(operator, NEW_ALONE)


async def test_nothing_is_changed_where_a_row_does_not_open(operator, made):
    before = await rows(operator)
    with pytest.raises(OperationError, match="k1") as caught:
        await rewrap(operator, OTHER)
    assert "sealing key" in caught.value.fix
    assert await rows(operator) == before


async def test_what_somebody_else_has_sealed_anew_meanwhile_is_left_as_it_is(operator, made):
    stale = (await rows(operator))[0]
    await rewrap(operator, NEW)
    async with operator.engine.begin() as tx:
        assert not await signing_keys.reseal(tx, stale, b"late")
        other = SealedMaster(key_id=0, sealed=b"not this", created_at=stale.publish_at)
        assert not await masters.reseal(tx, other, b"late")
    await open_with(operator, NEW_ALONE)


async def test_it_is_in_the_audit_and_makes_no_process_read_its_keys_again(operator, made):
    async with operator.engine.read() as tx:
        before = await state.load(tx)
    await rewrap(operator, NEW)
    async with operator.engine.read() as tx:
        after = await state.load(tx)
        events = [row.event for row in await audit.list_all(tx)]
    assert events.count("sealed_anew") == 5
    assert (after.version, after.epoch) == (before.version, before.epoch)


async def test_a_dropped_key_that_nobody_can_open_any_more_is_in_nobody_s_way(operator, made):
    await age(operator, timedelta(days=91))
    async with operator.engine.begin() as tx:
        await signing_keys.reseal(tx, (await signing_keys.list_all(tx))[0], OTHER.seal(b"key", purpose="lost"))
    with pytest.raises(OperationError, match="k3"):
        await check_opens(operator, BOX)
    await age(operator, timedelta(days=2))
    await check_opens(operator, BOX)
    assert (await rewrap(operator, NEW)).rewrapped == 3, "two keys that sign, and the master"


async def test_a_tombstone_holds_nothing_to_seal(operator, made):
    await revoke(operator, BOX, made[0].key.kid, emergency=True)
    assert (await rewrap(operator, NEW)).rewrapped == 5, "three and two keys less one tombstone, and the master"
    await open_with(operator, NEW_ALONE)
