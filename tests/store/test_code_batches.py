"""Codes made and redeemed in batches: what is locked, what is left alone, and what happens once (DESIGN §6)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextvars import Context
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import pytest

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.values import Grant
from authserver.store import clients, code_rows, codes, consents, grants, sessions, users
from authserver.store.code_batches import CodeBatches, Issued, Redeemed, redeem_in
from authserver.store.code_rows import Foundation, Presented
from authserver.store.engine import ConflictError, Engine
from tests.store.conftest import add_people
from tests.store.samples import CLIENT, CODE, GRANT, GRANT_ID, NOW, SESSION, SESSION_ID, USER, USER_ID
from tests.store.test_races import CUTS, assert_waits, cut_off, in_transaction

T = TypeVar("T")

COOKIE = b"cookie"
CODES = tuple(replace(CODE, code_hash=bytes([number]) * 32, grant_id=UUID(int=number)) for number in range(1, 21))


def make_code(on: Foundation) -> Issued[Foundation]:
    return Issued(answer=on, code=replace(CODE, session_id=on.session.id, created_at=on.now))


def make_grant(presented: Presented) -> Redeemed[Presented]:
    """Redeem as the grant type does: where everything stands, and no second time."""
    on, code = presented.on, presented.code
    if code is None or code.uses > 1:
        error = OAuthError(ErrorCode.INVALID_GRANT, "no", Refusal.CODE_REPLAYED)
        return Redeemed(answer=error, revoke_reason="code_replayed" if code is not None else None)
    stands = on.user.is_active and on.session.ended_at is None and on.client.is_active
    if not stands or (on.consent is not None and on.consent.withdrawn_at is not None):
        return Redeemed(answer=OAuthError(ErrorCode.INVALID_GRANT, "cut", Refusal.SESSION_ENDED))
    return Redeemed(answer=presented, grant=replace(GRANT, id=code.grant_id, status_index=None))


def another_request(work: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """Do work as a request of its own, while this test holds a transaction open."""
    return asyncio.create_task(work, context=Context())


async def stored_code(engine: Engine, code_hash: bytes = CODE.code_hash) -> int | None:
    """Return how often a code was used, None where there is none."""
    async with engine.read() as tx:
        rows = await tx.fetch("SELECT code_hash, uses FROM authorization_codes")
    return {bytes(row[0]): row[1] for row in rows}.get(code_hash)


async def stored_grant(engine: Engine, grant_id: UUID = GRANT_ID) -> Grant | None:
    return await in_transaction(engine, grants.get, grant_id)


async def redeem(batches: CodeBatches, engine: Engine, code=CODE) -> Presented:
    """Redeem as a request does: with others, else alone."""
    redeemed = await batches.redeem(code.code_hash, CLIENT, make_grant)
    if redeemed is None:
        redeemed = await in_transaction(engine, redeem_in, code.code_hash, CLIENT.client_id, make_grant)
    return redeemed.get_answer()


@pytest.fixture
async def people(engine) -> Engine:
    await add_people(engine)
    async with engine.begin() as tx:
        await consents.merge(tx, USER_ID, CLIENT.client_id, {"openid"}, {"urn:x"})
    return engine


@pytest.fixture
async def batches(people) -> AsyncIterator[CodeBatches]:
    """Give batches on a database with a client, a user, a session and a consent, on SQLite and on PostgreSQL."""
    batches = CodeBatches(people)
    yield batches
    await batches.close()


async def test_what_a_code_is_made_from_is_read_as_core_reads_it(engine, batches):
    on = (await batches.issue(COOKIE, CLIENT, make_code)).answer
    assert (on.user, on.session, on.client) == (USER, SESSION, CLIENT)
    assert on.consent == await in_transaction(engine, consents.find, USER_ID, CLIENT.client_id)
    async with engine.read() as tx:
        assert abs(on.now - await tx.now()) < timedelta(seconds=60)


async def test_a_code_is_stored_as_core_stores_it(engine, batches):
    await batches.issue(COOKIE, CLIENT, lambda on: Issued(answer=None, code=CODE))
    claimed = await in_transaction(engine, codes.claim, CODE.code_hash, CLIENT.client_id)
    assert claimed == replace(CODE, uses=1)


async def test_a_code_and_its_grant_are_read_and_stored_as_core_does(engine, batches):
    await in_transaction(engine, codes.add, CODE)
    presented = await redeem(batches, engine)
    assert presented.code == replace(CODE, uses=1)
    assert (presented.on.user, presented.on.session, presented.on.client) == (USER, SESSION, CLIENT)
    assert presented.on.consent == await in_transaction(engine, consents.find, USER_ID, CLIENT.client_id)
    assert await stored_grant(engine) == replace(GRANT, status_index=None)
    assert await stored_code(engine) == 1


async def test_a_row_that_is_there_already_is_a_conflict_past_sqlalchemy_too(engine):
    await in_transaction(engine, code_rows.add_codes, [CODE])
    with pytest.raises(ConflictError):
        await in_transaction(engine, code_rows.add_codes, [CODE])


async def test_a_client_that_was_cut_says_so(engine, batches):
    await in_transaction(engine, clients.set_disabled, CLIENT.client_id, NOW)
    await in_transaction(engine, codes.add, CODE)
    assert (await batches.issue(COOKIE, CLIENT, lambda on: Issued(answer=on))).answer.client.disabled_at == NOW
    presented = await batches.redeem(CODE.code_hash, CLIENT, lambda presented: Redeemed(answer=presented))
    assert presented.get_answer().on.client.disabled_at == NOW


async def test_requests_that_come_together_are_one_transaction(engine, batches, monkeypatch):
    async with engine.begin() as tx:
        for code in CODES:
            await codes.add(tx, code)
    sizes = []

    async def hold(tx, asked):
        sizes.append(len(asked))
        return await original(tx, asked)

    original = code_rows.hold_codes
    monkeypatch.setattr(code_rows, "hold_codes", hold)
    await asyncio.gather(*(redeem(batches, engine, code) for code in CODES))
    assert sizes == [len(CODES)]
    assert {(await stored_grant(engine, code.grant_id)).revoked_at for code in CODES} == {None}


async def test_nothing_is_stored_where_no_code_is_made(engine, batches):
    assert (await batches.issue(COOKIE, CLIENT, lambda on: Issued(answer="a login is needed"))).answer
    assert await stored_code(engine) is None


async def test_who_is_not_signed_in_is_left_to_others(batches):
    assert await batches.issue(b"another cookie", CLIENT, make_code) is None
    assert await batches.issue(COOKIE, replace(CLIENT, client_id="nobody"), make_code) is None


@pytest.mark.attack(23)
async def test_of_two_uses_in_one_batch_the_second_is_a_replay(engine, batches):
    await in_transaction(engine, codes.add, CODE)
    outcomes = await asyncio.gather(*(redeem(batches, engine) for _ in range(2)), return_exceptions=True)
    assert outcomes[0].code.uses == 1
    assert outcomes[1].refusal is Refusal.CODE_REPLAYED
    assert (await stored_grant(engine)).reason == "code_replayed"
    assert await stored_code(engine) == 2


@pytest.mark.attack(24)
async def test_another_clients_code_stays_untouched(engine, batches):
    await in_transaction(engine, codes.add, replace(CODE, client_id="another"))
    assert await batches.redeem(CODE.code_hash, CLIENT, make_grant) is None
    assert await stored_code(engine) == 0


async def test_a_refusal_spends_the_code(engine, batches):
    await in_transaction(engine, codes.add, CODE)
    error = OAuthError(ErrorCode.INVALID_GRANT, "no", Refusal.VERIFIER_WRONG)
    redeemed = await batches.redeem(CODE.code_hash, CLIENT, lambda presented: Redeemed(answer=error))
    with pytest.raises(OAuthError):
        redeemed.get_answer()
    assert await stored_code(engine) == 1
    assert await stored_grant(engine) is None


async def test_a_bug_in_one_decision_is_its_own_and_spends_nothing(engine, batches):
    for code in CODES[:2]:
        await in_transaction(engine, codes.add, code)

    def break_down(found):
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        batches.redeem(CODES[0].code_hash, CLIENT, break_down),
        batches.redeem(CODES[1].code_hash, CLIENT, make_grant),
        batches.issue(COOKIE, CLIENT, break_down),
        return_exceptions=True,
    )
    assert [type(outcomes[place]) for place in (0, 2)] == [ZeroDivisionError] * 2
    assert outcomes[1].get_answer().code.uses == 1
    assert [await stored_code(engine, code.code_hash) for code in CODES[:2]] == [0, 1]


async def test_a_session_that_was_not_seen_for_a_minute_is_noted(engine, batches):
    before = await in_transaction(engine, sessions.get, SESSION_ID)
    await asyncio.gather(*(batches.issue(COOKIE, CLIENT, one) for one in (make_code, lambda on: Issued(answer=None))))
    after = await in_transaction(engine, sessions.get, SESSION_ID)
    async with engine.read() as tx:
        assert abs(after.last_seen_at - await tx.now()) < timedelta(seconds=60)
    assert replace(after, last_seen_at=before.last_seen_at) == before


async def test_a_session_that_was_just_seen_is_not_written(engine, batches):
    async with engine.begin() as tx:
        seen = replace(SESSION, last_seen_at=await tx.now())
        await sessions.renew(tx, seen, COOKIE)
    await batches.issue(COOKIE, CLIENT, make_code)
    assert (await in_transaction(engine, sessions.get, SESSION_ID)).last_seen_at == seen.last_seen_at


@pytest.mark.fault("B29")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_a_cut_that_meets_a_batch_revokes_what_it_made(people, cut):
    await in_transaction(people, codes.add, CODE)
    async with people.begin() as tx:
        held = await code_rows.hold_codes(tx, {(CODE.code_hash, CLIENT.client_id): CLIENT})
        assert make_grant(*held.values()).grant is not None
        cutting = await assert_waits(cut_off(people, cut))
        await code_rows.add_grants(tx, [GRANT])
    assert await cutting == 1
    assert (await stored_grant(people)).revoked_at is not None


@pytest.mark.fault("B29")
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
async def test_a_batch_that_meets_a_cut_leaves_the_code_to_whoever_waits_and_that_one_sees_the_cut(postgresql, cut):
    await add_people(postgresql)
    async with postgresql.begin() as tx:
        await consents.merge(tx, USER_ID, CLIENT.client_id, {"openid"}, ())
        await codes.add(tx, CODE)
    batches = CodeBatches(postgresql)
    async with postgresql.begin() as tx:
        await cut(tx)
        async with asyncio.timeout(1):
            seen = await another_request(batches.redeem(CODE.code_hash, CLIENT, make_grant))
        assert seen is None, "a batch waits for no row"
        redeeming = another_request(redeem(batches, postgresql))
        await asyncio.sleep(0.1)
        assert not redeeming.done(), "alone it waits for the cut"
        await grants.revoke_of_user(tx, USER_ID, "cut")
    with pytest.raises(OAuthError):
        await redeeming
    assert await stored_grant(postgresql) is None
    await batches.close()


@pytest.mark.fault("B29")
@pytest.mark.parametrize("name", ["user disabled", "session ended", "client disabled"])
async def test_a_batch_makes_no_code_on_what_somebody_is_cutting(postgresql, name):
    await add_people(postgresql)
    batches = CodeBatches(postgresql)
    async with postgresql.begin() as tx:
        await CUTS[name](tx)
        async with asyncio.timeout(1):
            assert await another_request(batches.issue(COOKIE, CLIENT, make_code)) is None
    on = (await batches.issue(COOKIE, CLIENT, lambda on: Issued(answer=on))).answer
    assert [on.user.is_active, on.session.ended_at is None, on.client.is_active].count(False) == 1
    await batches.close()


async def test_one_locked_code_delays_no_other(postgresql):
    await add_people(postgresql)
    async with postgresql.begin() as tx:
        for code in CODES:
            await codes.add(tx, code)
    batches = CodeBatches(postgresql)
    async with postgresql.begin() as tx:
        await codes.claim(tx, CODES[0].code_hash, CLIENT.client_id)
        async with asyncio.timeout(1):
            outcomes = await asyncio.gather(
                *(another_request(batches.redeem(code.code_hash, CLIENT, make_grant)) for code in CODES)
            )
    assert [outcome is None for outcome in outcomes] == [True] + [False] * (len(CODES) - 1)
    await batches.close()


async def test_batches_of_several_nodes_that_share_every_row_wait_for_nobody(postgresql):
    await add_people(postgresql)
    async with postgresql.begin() as tx:
        for code in CODES:
            await codes.add(tx, code)
    async with postgresql.begin() as one, asyncio.timeout(1), postgresql.begin() as two:
        pairs = [{(code.code_hash, CLIENT.client_id): CLIENT for code in half} for half in (CODES[:12], CODES[8:])]
        first = await code_rows.hold_codes(one, pairs[0])
        second = await code_rows.hold_codes(two, pairs[1])
        signed_in = await code_rows.hold_signed_in(two, {(COOKIE, CLIENT.client_id): CLIENT})
        await code_rows.touch_sessions(two, [SESSION_ID])
    assert (len(first), len(second), len(signed_in)) == (12, 8, 1)
    assert await in_transaction(postgresql, users.get, USER_ID) == USER
