"""The operations on signing keys, on both databases: first keys, rotation, a *next* key always, and only one change."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from authserver.jose import keyring
from authserver.jose.schedule import KeyState
from authserver.operations import keys
from authserver.operations.errors import OperationError, Problem
from authserver.sealing.subkeys import Label, Subkeys
from authserver.store import audit, masters
from tests.operations.key_rows import BOX, age, make_rsa_quick, rows, states

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def quick_rsa(monkeypatch):
    make_rsa_quick(monkeypatch)


async def test_the_first_keys_sign_at_once_and_a_next_of_each_is_published(operator):
    made = await keys.create_first(operator, BOX)
    assert states(made) == [
        ("ES256", 1, KeyState.SIGNING),
        ("ES256", 2, KeyState.PUBLISHED),
        ("RS256", 1, KeyState.SIGNING),
        ("RS256", 2, KeyState.PUBLISHED),
    ]
    assert await keys.find_all(operator) == made
    first, upcoming = made[0].key, made[1].key
    assert upcoming.sign_from == first.sign_until == first.sign_from + timedelta(days=90)
    ring = keyring.Keyring.load(
        await rows(operator), BOX, issuer=operator.settings.issuer, jwks_max_age=DAY, now=first.sign_from
    )
    assert ring.signing_key("RS256", first.sign_from).kid == made[2].key.kid
    async with operator.engine.read() as tx:
        assert len(Subkeys(await masters.list_all(tx), BOX).current(Label.CSRF)) == 32


@pytest.mark.fault("B13")
async def test_first_keys_are_never_made_twice(operator):
    assert not await keys.has_sealed_rows(operator)
    made = await keys.create_first(operator, BOX)
    assert await keys.has_sealed_rows(operator)
    with pytest.raises(OperationError) as caught:
        await keys.create_first(operator, BOX)
    assert caught.value.problem is Problem.CONFLICT
    assert await keys.find_all(operator) == made


@pytest.mark.fault("B14")
async def test_of_two_nodes_that_start_at_once_one_makes_the_first_keys(operator):
    outcomes = await asyncio.gather(*(keys.create_first(operator, BOX) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(outcome, OperationError) for outcome in outcomes) == 2
    assert len(await rows(operator)) == 4


async def test_a_rotation_soon_after_is_planned_for_when_every_cache_has_the_key(operator):
    made = await keys.create_first(operator, BOX)
    planned = await keys.rotate(operator, BOX)
    assert [(rotation.alg, rotation.is_changed) for rotation in planned] == [("ES256", True), ("RS256", True)]
    assert planned[0].upcoming.kid == made[1].key.kid
    assert planned[0].upcoming.sign_from == made[1].key.publish_at + DAY
    hurried = await keys.rotate(operator, BOX, hurry=True)
    assert hurried[0].upcoming.sign_from == made[1].key.publish_at + timedelta(seconds=360)
    assert hurried[0].current.drop_at == hurried[0].upcoming.sign_from + DAY + timedelta(seconds=60)
    assert hurried[0].last_token_expires_at == hurried[0].upcoming.sign_from + timedelta(seconds=300)
    again = await keys.rotate(operator, BOX, hurry=True)
    assert [rotation.is_changed for rotation in again] == [False, False]
    assert again[0].upcoming == hurried[0].upcoming
    assert len(await rows(operator)) == 4


async def test_a_rotation_that_may_be_now_is_now_and_publishes_another_next_key(operator):
    made = await keys.create_first(operator, BOX)
    await age(operator, timedelta(hours=25))
    rotations = await keys.rotate(operator, BOX)
    assert [rotation.upcoming.kid for rotation in rotations] == [made[1].key.kid, made[3].key.kid]
    assert states(await keys.find_all(operator)) == [
        (alg, generation, state)
        for alg in ("ES256", "RS256")
        for generation, state in enumerate((KeyState.RETIRED, KeyState.SIGNING, KeyState.PUBLISHED), start=1)
    ]


@pytest.mark.fault("B14")
async def test_of_twenty_rotations_that_begin_before_the_first_has_finished_one_changes_something(
    operator, monkeypatch
):
    await keys.create_first(operator, BOX)
    await age(operator, timedelta(hours=25))
    all_have_looked, generate = asyncio.Barrier(20), keys.generate

    async def generate_when_all_have_looked(*args, **kwargs):
        await all_have_looked.wait()
        return await generate(*args, **kwargs)

    monkeypatch.setattr(keys, "generate", generate_when_all_have_looked)
    every = await asyncio.gather(*(keys.rotate(operator, BOX, hurry=True) for _ in range(20)))
    stored = await keys.find_all(operator)
    assert [state for _, _, state in states(stored)] == [KeyState.RETIRED, KeyState.SIGNING, KeyState.PUBLISHED] * 2
    changed = [outcome for outcome in every if any(rotation.is_changed for rotation in outcome)]
    assert len(changed) == 1
    async with operator.engine.read() as tx:
        events = [row.event for row in await audit.list_all(tx) if row.event == "signing_keys_rotated"]
    assert len(events) == 1


@pytest.mark.fault("B14")
async def test_no_key_signs_that_was_not_published_for_as_long_as_caches_last(operator):
    await keys.create_first(operator, BOX)
    for _ in range(3):
        await age(operator, timedelta(seconds=400))
        await keys.rotate(operator, BOX, hurry=True)
    for row in await rows(operator):
        assert row.generation == 1 or row.sign_from - row.publish_at >= timedelta(seconds=360)


async def test_a_next_key_is_published_where_there_is_none_and_once_only(operator):
    await keys.create_first(operator, BOX)
    assert await keys.ensure_next(operator, BOX) == ()
    await age(operator, timedelta(days=91))
    published = await asyncio.gather(*(keys.ensure_next(operator, BOX) for _ in range(5)))
    assert sorted((key.alg, key.generation) for some in published for key in some) == [("ES256", 3), ("RS256", 3)]
    assert await keys.ensure_next(operator, BOX) == ()


async def test_a_rotation_without_a_next_key_publishes_one_and_plans_it(operator):
    await keys.create_first(operator, BOX)
    await age(operator, timedelta(days=91))
    rotations = await keys.rotate(operator, BOX, hurry=True)
    for rotation in rotations:
        assert rotation.is_changed
        assert rotation.upcoming.generation == 3
        assert rotation.upcoming.sign_from == rotation.upcoming.publish_at + timedelta(seconds=360)


async def test_a_rehearsal_says_what_would_happen_and_does_nothing(operator):
    await keys.create_first(operator, BOX)
    before = await rows(operator)
    (rotation, _) = await keys.rotate(operator.rehearsing(), BOX)
    assert rotation.is_changed
    assert await rows(operator) == before


async def test_every_change_is_in_the_audit_with_who_did_it(operator):
    await keys.create_first(operator, BOX)
    await keys.rotate(operator, BOX)
    async with operator.engine.read() as tx:
        found = [(row.event, row.actor) for row in await audit.list_all(tx)]
    assert sorted(found) == [("signing_keys_created", operator.actor), ("signing_keys_rotated", operator.actor)]


async def test_nothing_rotates_before_init(operator):
    with pytest.raises(OperationError) as caught:
        await keys.rotate(operator, BOX)
    assert caught.value.problem is Problem.NOT_FOUND


@pytest.mark.attack(67)
async def test_exports_hold_public_keys_only(operator):
    made = await keys.create_first(operator, BOX)
    document = json.loads(await keys.export_jwks(operator))
    assert [key["kid"] for key in document["keys"]] == [listing.key.kid for listing in made]
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {name for key in document["keys"] for name in key}
    assert (await keys.export_pem(operator, made[0].key.kid)).startswith("-----BEGIN PUBLIC KEY-----")
    with pytest.raises(OperationError) as caught:
        await keys.export_pem(operator, "unknown")
    assert caught.value.problem is Problem.NOT_FOUND


async def test_another_algorithm_is_published_first_and_gets_a_next_key_when_it_signs(operator):
    await keys.create_first(operator, BOX)
    begun = await keys.begin_algorithm(operator, BOX, "EdDSA")
    assert begun.state is KeyState.PUBLISHED
    assert begun.key.sign_from - begun.key.publish_at == DAY
    assert begun.next_change_at == begun.key.sign_from
    assert await keys.ensure_next(operator, BOX) == ()
    await age(operator, DAY)
    (upcoming,) = await keys.ensure_next(operator, BOX)
    assert (upcoming.alg, upcoming.generation) == ("EdDSA", 2)
    rotations = await keys.rotate(operator, BOX, hurry=True)
    assert [rotation.alg for rotation in rotations] == ["ES256", "RS256", "EdDSA"]


async def test_an_algorithm_that_was_begun_keeps_no_other_from_rotating_and_signs_sooner_in_a_hurry(operator):
    await keys.create_first(operator, BOX)
    begun = (await keys.begin_algorithm(operator, BOX, "EdDSA")).key
    patient = (await keys.rotate(operator, BOX))[2]
    assert (patient.current, patient.upcoming, patient.is_changed) == (None, begun, False)
    assert patient.last_token_expires_at is None
    hurried = await keys.rotate(operator, BOX, hurry=True)
    assert [rotation.alg for rotation in hurried if rotation.is_changed] == ["ES256", "RS256", "EdDSA"]
    assert hurried[2].upcoming.kid == begun.kid
    assert hurried[2].upcoming.sign_from - begun.publish_at == keys.rotation_rules(operator.settings).shortest_ahead
    assert {(key.kid, key.sign_from) for key in await rows(operator) if key.alg == "EdDSA"} == {
        (begun.kid, hurried[2].upcoming.sign_from)
    }
    assert not any(rotation.is_changed for rotation in await keys.rotate(operator, BOX))


@pytest.mark.parametrize(
    ("alg", "problem"), [("HS256", Problem.INVALID), ("none", Problem.INVALID), ("ES256", Problem.CONFLICT)]
)
async def test_an_algorithm_is_not_begun_where_it_cannot_be_or_is_there(operator, alg, problem):
    await keys.create_first(operator, BOX)
    before = await rows(operator)
    with pytest.raises(OperationError) as caught:
        await keys.begin_algorithm(operator, BOX, alg)
    assert caught.value.problem is problem
    assert await rows(operator) == before


async def test_no_algorithm_is_begun_before_init(operator):
    with pytest.raises(OperationError) as caught:
        await keys.begin_algorithm(operator, BOX, "PS256")
    assert caught.value.problem is Problem.NOT_FOUND
    assert await rows(operator) == ()


async def test_a_listing_says_when_a_key_changes_next(operator):
    made = await keys.create_first(operator, BOX)
    assert made[0].next_change_at == made[1].key.sign_from == made[1].next_change_at
    await age(operator, timedelta(days=90, hours=1))
    await keys.ensure_next(operator, BOX)
    retired, signing, upcoming = (await keys.find_all(operator))[:3]
    assert retired.next_change_at == retired.key.drop_at
    assert signing.next_change_at == upcoming.key.sign_from


async def test_a_dropped_key_loses_its_private_part_and_stays_known(operator):
    await keys.create_first(operator, BOX)
    await age(operator, timedelta(days=91))
    await keys.ensure_next(operator, BOX)
    assert await keys.erase_dropped(operator) == (), "it is retired, and the others are in use"
    await age(operator, timedelta(days=2))
    dropped = [row.kid for row in await rows(operator) if row.generation == 1]
    assert sorted(await keys.erase_dropped(operator)) == sorted(dropped)
    assert [row.kid for row in await rows(operator) if not row.sealed_private] == dropped
    assert await keys.erase_dropped(operator) == ()
    assert (await keys.export_pem(operator, dropped[0])).startswith("-----BEGIN PUBLIC KEY-----")
