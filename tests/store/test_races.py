"""Races, interleaved by hand: whatever may happen once happens once, and a cut leaves nothing alive behind it.

SQLite has one writer, so there the second transaction of each pair waits at its first statement.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import select

from authserver.store import (
    attempts,
    clients,
    codes,
    consents,
    grant_rows,
    grants,
    invitations,
    registration_tokens,
    replays,
    sessions,
    signing_keys,
    transactions,
    users,
)
from authserver.store.attempts import AttemptKey, Attempts
from authserver.store.engine import ConflictError, Engine
from authserver.store.registration_tokens import RegistrationToken
from authserver.store.tables import Attempts as AttemptsTable
from tests.store.conftest import add_people
from tests.store.samples import (
    CLIENT,
    CODE,
    FUTURE,
    GRANT,
    GRANT_ID,
    INVITATION,
    KEY,
    NOW,
    SESSION_ID,
    TRANSACTION,
    TRANSACTION_ID,
    USER_ID,
)

T = TypeVar("T")


async def assert_waits(work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """Start work that must wait for the open transaction; await the task after that one's end."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.1)
    assert not task.done(), "the second transaction must wait for the first"
    return task


async def in_transaction(engine: Engine, statement, *arguments, **named):
    async with engine.begin() as tx:
        return await statement(tx, *arguments, **named)


@pytest.mark.attack(23)
async def test_the_second_of_two_overlapping_claims_is_not_the_first_use(engine):
    await in_transaction(engine, codes.add, CODE)
    async with engine.begin() as tx:
        first = await codes.claim(tx, CODE.code_hash, CODE.client_id)
        second = await assert_waits(in_transaction(engine, codes.claim, CODE.code_hash, CODE.client_id))
    assert [first.uses, (await second).uses] == [1, 2]


@pytest.mark.attack(24)
async def test_another_clients_claim_leaves_a_code_untouched(engine):
    await in_transaction(engine, codes.add, CODE)
    assert await in_transaction(engine, codes.claim, CODE.code_hash, "another") is None
    assert await in_transaction(engine, codes.is_of_another_client, CODE.code_hash, "another")
    assert not await in_transaction(engine, codes.is_of_another_client, CODE.code_hash, CODE.client_id)
    assert (await in_transaction(engine, codes.claim, CODE.code_hash, CODE.client_id)) == replace(CODE, uses=1)


async def test_a_claim_that_was_rolled_back_was_none(engine):
    await in_transaction(engine, codes.add, CODE)
    with pytest.raises(ZeroDivisionError):
        async with engine.begin() as tx:
            await codes.claim(tx, CODE.code_hash, CODE.client_id)
            raise ZeroDivisionError
    assert (await in_transaction(engine, codes.claim, CODE.code_hash, CODE.client_id)).uses == 1


@pytest.mark.attack(40)
async def test_two_rotations_of_one_grant_happen_one_after_the_other(engine):
    await in_transaction(engine, grants.add, GRANT)
    async with engine.begin() as tx:
        first = await grants.lock(tx, GRANT_ID)
        second = await assert_waits(in_transaction(engine, grants.lock, GRANT_ID))
        await grant_rows.store_changes(tx, [replace(GRANT, generation=1, rotated_at=first.now)])
    seen = await second
    assert (first.grant.generation, seen.grant.generation) == (0, 1)
    assert seen.grant.rotated_at == first.now


async def test_the_clock_that_comes_with_a_grant_is_read_after_the_wait_for_it(engine):
    await in_transaction(engine, grants.add, GRANT)
    async with engine.begin() as tx:
        await grants.lock(tx, GRANT_ID)
        second = await assert_waits(in_transaction(engine, grants.lock, GRANT_ID))
        await asyncio.sleep(0.1)
        async with engine.read() as reader:
            rotated_at = await reader.now()
        await grant_rows.store_changes(tx, [replace(GRANT, generation=1, rotated_at=rotated_at)])
    assert (await second).now >= rotated_at


async def test_a_reuse_that_waited_for_a_revocation_sees_it(engine):
    await in_transaction(engine, grants.add, GRANT)
    async with engine.begin() as tx:
        assert await grants.revoke(tx, GRANT_ID, "first")
        second = await assert_waits(in_transaction(engine, grants.revoke, GRANT_ID, "second"))
    assert not await second
    assert (await in_transaction(engine, grants.get, GRANT_ID)).reason == "first"


async def test_of_two_spends_of_the_last_use_one_succeeds(engine):
    token = RegistrationToken(id=UUID(int=1), token_hash=b"t", uses_left=1, created_at=NOW, expires_at=FUTURE)
    await in_transaction(engine, registration_tokens.add, token)
    async with engine.begin() as tx:
        first = await registration_tokens.spend(tx, b"t")
        second = await assert_waits(in_transaction(engine, registration_tokens.spend, b"t"))
    assert [first, await second] == [True, False]


async def test_of_an_acceptance_and_a_revocation_of_an_invitation_one_succeeds(engine):
    await in_transaction(engine, invitations.put, INVITATION)
    async with engine.begin() as tx:
        accepted = await invitations.accept(tx, INVITATION.email)
        revoked = await assert_waits(in_transaction(engine, invitations.revoke, INVITATION.email))
        again = await assert_waits(in_transaction(engine, invitations.accept, INVITATION.email))
    assert [accepted, await revoked, await again] == [INVITATION.id, None, None]


@pytest.mark.attack(53)
async def test_of_two_uses_of_one_proof_one_is_the_first(engine):
    async with engine.begin() as tx:
        first = await replays.claim(tx, b"jti", FUTURE)
        second = await assert_waits(in_transaction(engine, replays.claim, b"jti", FUTURE))
    assert [first, await second] == [True, False]


@pytest.mark.fault("B14")
async def test_of_two_nodes_that_make_the_next_key_one_succeeds(engine):
    async with engine.begin() as tx:
        await signing_keys.add(tx, KEY)
        second = await assert_waits(in_transaction(engine, signing_keys.add, replace(KEY, kid="another")))
    with pytest.raises(ConflictError):
        await second
    assert await in_transaction(engine, signing_keys.list_all) == (KEY,)


async def test_one_sign_in_gives_one_code(engine):
    await in_transaction(engine, transactions.add, TRANSACTION)
    async with engine.begin() as tx:
        first = await transactions.finish(tx, TRANSACTION_ID, NOW)
        second = await assert_waits(in_transaction(engine, transactions.finish, TRANSACTION_ID, NOW))
    assert [first, await second] == [True, False]


async def test_parallel_tries_are_counted_one_after_the_other(engine):
    key = AttemptKey(kind="pair", key_hash=b"k")
    async with engine.begin() as tx:
        (before,) = await attempts.lock(tx, [key])
        second = await assert_waits(in_transaction(engine, attempts.lock, [key]))
        await attempts.store(tx, [Attempts(key=key, count=before.count + 1, first_at=NOW, last_at=NOW)])
    assert [before.count, (await second)[0].count] == [0, 1]


async def test_counts_are_stored_as_core_reads_them(engine):
    keys = [AttemptKey(kind=kind, key_hash=b"\x00k") for kind in ("pair", "account")]
    counted = [Attempts(key=key, count=70_000, first_at=NOW, last_at=FUTURE) for key in keys]
    async with engine.begin() as tx:
        assert {row.count for row in await attempts.lock(tx, keys)} == {0}
        await attempts.store(tx, counted)
        rows = (await tx.execute(select(AttemptsTable))).all()
        assert {(row.kind, row.key_hash, row[2], row.first_at, row.last_at) for row in rows} == {
            (one.key.kind, one.key.key_hash, one.count, one.first_at, one.last_at) for one in counted
        }
        assert sorted(await attempts.lock(tx, keys), key=lambda row: row.key) == sorted(
            counted, key=lambda row: row.key
        )


async def test_tries_that_share_several_counts_never_wait_for_each_other_in_a_circle(engine):
    keys = [AttemptKey(kind=kind, key_hash=b"k") for kind in ("pair", "account", "address")]
    orders = [keys, keys[::-1]] * 20

    async def count(order: list[AttemptKey]) -> None:
        async with engine.begin() as tx:
            rows = await attempts.lock(tx, order)
            await attempts.store(tx, [replace(row, count=row.count + 1) for row in rows])

    await asyncio.gather(*(count(order) for order in orders))
    assert [row.count for row in await in_transaction(engine, attempts.lock, keys)] == [40, 40, 40]


async def test_two_tabs_that_consent_at_once_lose_nothing(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        await consents.merge(tx, USER_ID, CLIENT.client_id, {"a"}, {"urn:x"})
        second = await assert_waits(in_transaction(engine, consents.merge, USER_ID, CLIENT.client_id, {"b"}, ()))
    await second
    assert (await in_transaction(engine, consents.find, USER_ID, CLIENT.client_id)).scope == {"a", "b"}


CUTS = {
    "user disabled": lambda tx: users.set_disabled(tx, USER_ID, NOW),
    "user deleted": lambda tx: users.mark_deleted(tx, USER_ID, NOW),
    "session ended": lambda tx: sessions.end(tx, SESSION_ID, NOW, "logout"),
    "consent withdrawn": lambda tx: consents.withdraw(tx, USER_ID, CLIENT.client_id),
    "client disabled": lambda tx: clients.set_disabled(tx, CLIENT.client_id, NOW),
    "client deleted": lambda tx: clients.mark_deleted(tx, CLIENT.client_id, NOW),
}


async def lock_what_a_grant_rests_on(tx) -> bool:
    """Lock user, session, consent and client as every grant type does; tell whether all of them still stand."""
    user = await users.lock_for_share(tx, USER_ID)
    session = await sessions.lock_for_share(tx, SESSION_ID)
    consent = await consents.lock_for_share(tx, USER_ID, CLIENT.client_id)
    client = await clients.lock_for_share(tx, CLIENT.client_id)
    return user.is_active and session.ended_at is None and consent.withdrawn_at is None and client.is_active


async def cut_off(engine: Engine, cut) -> int:
    async with engine.begin() as tx:
        await cut(tx)
        return await grants.revoke_of_user(tx, USER_ID, "cut")


async def redeem(engine: Engine) -> bool:
    async with engine.begin() as tx:
        stands = await lock_what_a_grant_rests_on(tx)
        if stands:
            await grants.add(tx, GRANT)
        return stands


@pytest.fixture
async def people(engine) -> Engine:
    await add_people(engine)
    async with engine.begin() as tx:
        await consents.merge(tx, USER_ID, CLIENT.client_id, {"openid"}, ())
    return engine


@pytest.mark.fault("B29")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_a_cut_that_meets_a_redemption_revokes_what_it_made(people, cut):
    async with people.begin() as tx:
        assert await lock_what_a_grant_rests_on(tx)
        cutting = await assert_waits(cut_off(people, cut))
        await grants.add(tx, GRANT)
    assert await cutting == 1
    assert (await in_transaction(people, grants.get, GRANT_ID)).revoked_at is not None


@pytest.mark.fault("B29")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_a_redemption_that_meets_a_cut_sees_it(people, cut):
    async with people.begin() as tx:
        await cut(tx)
        redeeming = await assert_waits(redeem(people))
        await grants.revoke_of_user(tx, USER_ID, "cut")
    assert not await redeeming
    assert await in_transaction(people, grants.get, GRANT_ID) is None


@pytest.mark.fault("B29")
@pytest.mark.attack(43)
async def test_a_cut_that_meets_a_refresh_waits_for_it_and_then_ends_the_grant(people):
    await in_transaction(people, grants.add, GRANT)
    async with people.begin() as tx:
        loaded = await grants.lock(tx, GRANT_ID)
        cutting = await assert_waits(cut_off(people, CUTS["user disabled"]))
        await grant_rows.store_changes(tx, [replace(GRANT, generation=1, rotated_at=loaded.now)])
    assert await cutting == 1
    after = await in_transaction(people, grants.lock, GRANT_ID)
    assert after.grant.revoked_at is not None
    assert not after.user.is_active


async def test_two_redemptions_for_one_user_do_not_wait_for_each_other(postgresql):
    await add_people(postgresql)
    async with postgresql.begin() as one, asyncio.timeout(1), postgresql.begin() as two:
        assert await users.lock_for_share(one, USER_ID) == await users.lock_for_share(two, USER_ID)
        assert await clients.lock_for_share(one, CLIENT.client_id) == await clients.lock_for_share(
            two, CLIENT.client_id
        )


async def test_a_version_becomes_visible_in_its_order(postgresql):
    """A poll that has seen version n has seen every change up to n: the next bump waits for this one's commit."""
    other = replace(CLIENT, client_id="other", created_at=NOW + timedelta(seconds=1))
    async with postgresql.begin() as tx:
        await clients.add(tx, CLIENT)
        second = await assert_waits(in_transaction(postgresql, clients.add, other))
    await second
    rows, _ = await in_transaction(postgresql, clients.load_changed, 1)
    assert [(row.client_id, row.version) for row in sorted(rows, key=lambda row: row.version)] == [
        (CLIENT.client_id, 2),
        ("other", 3),
    ]
