"""A key that leaked is revoked on both databases: its successor signs at once, and it never comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.jose.keyring import Keyring
from authserver.jose.schedule import KeyState
from authserver.operations import key_revocation, keys
from authserver.operations.errors import OperationError, Problem
from authserver.operations.key_revocation import bury_again, find_risen, revoke
from authserver.sealing.epoch import EpochError, EpochFile
from authserver.store import audit, signing_keys, state
from tests.operations.key_rows import BOX, age, make_rsa_quick, rows, states

pytestmark = pytest.mark.fault("B17")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def quick_rsa(monkeypatch):
    make_rsa_quick(monkeypatch)


@pytest.fixture
async def made(operator):
    """The four first keys, an hour old."""
    await keys.create_first(operator, BOX)
    await age(operator, HOUR)
    return await keys.find_all(operator)


async def epoch_of(operator):
    async with operator.engine.read() as tx:
        return (await state.load(tx)).epoch


async def test_the_next_key_signs_at_once_and_another_is_published(operator, made):
    leaked, upcoming = made[0].key, made[1].key
    done = await revoke(operator, BOX, leaked.kid, emergency=True)
    assert (done.was, done.is_changed) == (KeyState.SIGNING, True)
    assert done.successor.kid == upcoming.kid
    assert done.tokens_may_live_until == done.key.revoked_at + timedelta(seconds=300)
    assert states(await keys.find_all(operator))[:3] == [
        ("ES256", 1, KeyState.REVOKED),
        ("ES256", 2, KeyState.SIGNING),
        ("ES256", 3, KeyState.PUBLISHED),
    ]
    assert states(await keys.find_all(operator))[3:] == states(made)[2:], "the other algorithm is left alone"
    ring = Keyring.load(
        await rows(operator),
        BOX,
        issuer=operator.settings.issuer,
        jwks_max_age=HOUR,
        now=done.key.revoked_at,
    )
    assert ring.find(leaked.kid, done.key.revoked_at) is None
    assert ring.signing_key("ES256", done.key.revoked_at).kid == upcoming.kid


async def test_a_revocation_moves_version_and_epoch_and_is_in_the_audit(operator, made, tmp_path):
    async with operator.engine.read() as tx:
        before = await state.load(tx)
    done = await revoke(operator, BOX, made[0].key.kid, emergency=True, reason="found in a repository" + "!" * 900)
    async with operator.engine.read() as tx:
        after = await state.load(tx)
        events = [row for row in await audit.list_all(tx) if row.event == "signing_key_revoked"]
    assert after.version > before.version
    assert after.epoch == before.epoch + 1
    (event,) = events
    published = {key.kid for key in await new(operator)}
    assert event.actor == "cli:tester"
    assert event.detail["revoked"] == done.key.kid
    assert event.detail["emergency"] is True
    assert event.detail["reason"].startswith("found in a repository")
    assert len(event.detail["reason"]) == 500
    assert event.detail.keys() >= {done.key.kid, done.successor.kid} | published
    epoch_file = EpochFile(tmp_path / "epoch")
    epoch_file.raise_to(after.epoch)
    with pytest.raises(EpochError, match="authserver restored"):
        epoch_file.check(before.epoch)


async def new(operator):
    return [row for row in await rows(operator) if row.generation == 3]


async def test_a_second_revocation_of_a_key_changes_nothing(operator, made):
    first = await revoke(operator, BOX, made[0].key.kid, emergency=True)
    before = (await rows(operator), await epoch_of(operator))
    again = await revoke(operator, BOX, made[0].key.kid, emergency=True)
    assert (again.is_changed, again.key) == (False, first.key)
    assert (await rows(operator), await epoch_of(operator)) == before


@pytest.mark.fault("B14")
async def test_of_ten_revocations_at_once_one_changes_something(operator, made):
    every = await asyncio.gather(*(revoke(operator, BOX, made[0].key.kid, emergency=True) for _ in range(10)))
    assert sum(done.is_changed for done in every) == 1
    assert [kind for _, _, kind in states(await keys.find_all(operator))][:3] == [
        KeyState.REVOKED,
        KeyState.SIGNING,
        KeyState.PUBLISHED,
    ]


@pytest.mark.fault("B14")
async def test_revocations_and_rotations_at_once_leave_one_key_that_signs_and_one_to_follow(operator, made):
    await age(operator, 24 * HOUR)
    outcomes = await asyncio.gather(
        revoke(operator, BOX, made[0].key.kid, emergency=True),
        *(keys.rotate(operator, BOX, hurry=True) for _ in range(3)),
        revoke(operator, BOX, made[1].key.kid, emergency=True),
        keys.ensure_next(operator, BOX),
        return_exceptions=True,
    )
    assert all(not isinstance(outcome, Exception) or isinstance(outcome, OperationError) for outcome in outcomes)
    await keys.ensure_next(operator, BOX)
    for alg in ("ES256", "RS256"):
        ring = [kind for found, _, kind in states(await keys.find_all(operator)) if found == alg]
        assert ring.count(KeyState.SIGNING) == 1
        assert ring.count(KeyState.PUBLISHED) == 1


async def test_a_ring_that_moved_meanwhile_is_looked_at_again(operator, made, monkeypatch):
    original, moved = key_revocation.generate, []

    async def generate_while_another_node_revokes(*args, **kwargs):
        if not moved:
            moved.append(True)
            await revoke(operator, BOX, made[1].key.kid, emergency=True)
        return await original(*args, **kwargs)

    monkeypatch.setattr(key_revocation, "generate", generate_while_another_node_revokes)
    done = await revoke(operator, BOX, made[0].key.kid, emergency=True)
    assert (done.is_changed, done.successor.generation) == (True, 3)


async def test_without_an_emergency_a_signing_key_waits_for_caches_to_have_its_successor(operator):
    made = await keys.create_first(operator, BOX)
    with pytest.raises(OperationError) as caught:
        await revoke(operator, BOX, made[0].key.kid, emergency=False)
    assert caught.value.problem is Problem.CONFLICT
    moment = made[1].key.publish_at + timedelta(seconds=360)
    assert f"{moment:%H:%M:%S}" in caught.value.message
    assert "--emergency" in caught.value.fix
    assert await keys.find_all(operator) == made
    await age(operator, timedelta(seconds=361))
    assert (await revoke(operator, BOX, made[0].key.kid, emergency=False)).is_changed


async def test_an_unknown_kid_is_told(operator, made):
    with pytest.raises(OperationError) as caught:
        await revoke(operator, BOX, "unknown", emergency=True)
    assert (caught.value.problem, caught.value.field) == (Problem.NOT_FOUND, "kid")


async def test_a_rehearsal_says_what_would_happen_and_does_nothing(operator, made):
    before = (await rows(operator), await epoch_of(operator))
    done = await revoke(operator.rehearsing(), BOX, made[0].key.kid, emergency=True)
    assert (done.is_changed, done.successor.kid) == (True, made[1].key.kid)
    assert (await rows(operator), await epoch_of(operator)) == before


@pytest.mark.fault("B21")
async def test_a_key_that_a_backup_has_brought_back_is_revoked_again(operator, made):
    """The row is put back as the backup has it; a signing key's successor signs, as in the emergency before."""
    leaked = made[0].key
    await revoke(operator, BOX, leaked.kid, emergency=True)
    async with operator.engine.begin() as tx:
        for row in await signing_keys.list_all(tx):
            old = next((listing.key for listing in made if listing.key.kid == row.kid), None)
            await signing_keys.update(tx, old if old is not None else replace(row, drop_at=row.publish_at))
    assert (await keys.find_all(operator))[0].state is KeyState.SIGNING
    known = frozenset({leaked.kid, "of another installation"})
    assert await find_risen(operator, known) == (leaked.kid,)
    (again,) = await bury_again(operator, BOX, known)
    assert (again.key.kid, again.was) == (leaked.kid, KeyState.SIGNING)
    assert (await keys.find_all(operator))[0].state is KeyState.REVOKED
    assert await bury_again(operator, BOX, known) == ()
