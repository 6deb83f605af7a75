"""Decisions on grants in batches, and in the lane for those that somebody else has locked (DESIGN §6)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from contextvars import Context
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.values import Grant
from authserver.phases import UnavailableError
from authserver.store import audit, batcher, grant_rows, grants, postgresql
from authserver.store.audit import AuditEntry
from authserver.store.engine import Engine
from authserver.store.grant_batches import WAITING_AT_ONCE, GrantBatches, Verdict, decide_in
from authserver.store.grants import GrantAndUser
from tests.faults.overlap import rotate, rotate_on_four_nodes
from tests.faults.proxy import Proxy, proxy_to
from tests.store.conftest import add_people, doubtful_commits
from tests.store.samples import FUTURE, GRANT, GRANT_ID, NOW, USER

IDS = tuple(UUID(int=number) for number in range(1, 41))
NOBODY = UUID(int=999)
REVOKED = AuditEntry(event="grant_revoked", detail={"reason": "test"}, grant_id=GRANT_ID)


def revoke(found: GrantAndUser | None) -> Verdict[bool]:
    if found is None or found.grant.revoked_at is not None:
        return Verdict(answer=False)
    return Verdict(answer=True, revoke_reason="test", audit=(REVOKED,))


def refuse(found: GrantAndUser | None) -> Verdict[int]:
    error = OAuthError(ErrorCode.INVALID_GRANT, "no", Refusal.REFRESH_TOKEN_REUSED)
    return Verdict(answer=error, revoke_reason="test" if found else None, audit=(REVOKED,))


def break_down(found: GrantAndUser | None) -> Verdict[int]:
    raise ZeroDivisionError


async def add_grants(engine: Engine, grant_ids: Iterable[UUID]) -> None:
    async with engine.begin() as tx:
        for grant_id in grant_ids:
            await grants.add(tx, replace(GRANT, id=grant_id, status_index=None))


async def stored(engine: Engine, grant_id: UUID = GRANT_ID) -> Grant:
    async with engine.read() as tx:
        grant = await grants.get(tx, grant_id)
    assert grant is not None
    return grant


@pytest.fixture
async def batches(engine) -> AsyncIterator[GrantBatches]:
    """Give batches on a database that holds GRANT and its user, once on SQLite and once on PostgreSQL."""
    await add_people(engine)
    async with engine.begin() as tx:
        await grants.add(tx, GRANT)
    batches = GrantBatches(engine)
    yield batches
    await batches.close()


@pytest.fixture
async def many(postgresql) -> AsyncIterator[GrantBatches]:
    """Give batches on PostgreSQL with forty grants."""
    await add_grants(postgresql, IDS)
    batches = GrantBatches(postgresql)
    yield batches
    await batches.close()


async def test_a_grant_is_read_past_sqlalchemy_as_core_reads_it(engine, batches):
    changed = replace(GRANT, generation=2**40, rotated_at=FUTURE, late=3, revoked_at=NOW, reason='it\'s "over" ✎')
    alone = replace(GRANT, id=UUID(int=7), user_id=NOBODY, session_id=None, status_index=None, scope=frozenset())
    async with engine.begin() as tx:
        await grants.add(tx, alone)
        await grant_rows.store_changes(tx, [changed, alone])
        for load in (grant_rows.lock_free, grant_rows.load):
            found = await load(tx, {GRANT_ID, alone.id, NOBODY})
            assert {key: (one.grant, one.user) for key, one in found.items()} == {
                GRANT_ID: (changed, USER),
                alone.id: (alone, None),
            }
            assert abs(found[GRANT_ID].now - await tx.now()) < timedelta(seconds=60)
        assert await grants.get(tx, GRANT_ID) == changed
        assert await grants.get(tx, alone.id) == alone
    assert (await batches.find(GRANT_ID)).grant == changed
    assert await batches.find(NOBODY) is None


async def test_reads_that_come_together_are_one_statement(engine, batches, monkeypatch):
    sizes = []

    async def load(tx, grant_ids):
        sizes.append(len(grant_ids))
        return await original(tx, grant_ids)

    original = grant_rows.load
    monkeypatch.setattr(grant_rows, "load", load)
    found = await asyncio.gather(*(batches.find(one) for one in (GRANT_ID, NOBODY, GRANT_ID)))
    assert [one and one.grant for one in found] == [GRANT, None, GRANT]
    assert sizes == [2]


@pytest.mark.attack(40)
async def test_several_decisions_on_one_grant_happen_in_their_order(engine, batches):
    outcomes = await asyncio.gather(
        *(batches.decide(GRANT_ID, decide) for decide in (rotate, rotate, revoke, rotate, revoke))
    )
    assert outcomes == [1, 2, True, 3, False], "each sees the row as the one before has left it"
    after = await stored(engine)
    assert (after.generation, after.reason) == (3, "test")
    assert after.revoked_at == after.rotated_at


async def test_a_refusal_is_committed_with_what_it_writes(engine, batches):
    with pytest.raises(OAuthError) as caught:
        await batches.decide(GRANT_ID, refuse)
    assert caught.value.refusal is Refusal.REFRESH_TOKEN_REUSED
    assert (await stored(engine)).reason == "test"
    async with engine.read() as tx:
        (event,) = await audit.list_all(tx)
        now = await tx.now()
    assert (event.event, event.grant_id, event.detail) == ("grant_revoked", GRANT_ID, {"reason": "test"})
    assert abs(event.at - now) < timedelta(seconds=60)


async def test_a_decision_that_changes_nothing_leaves_the_row_alone(engine, batches):
    assert await batches.decide(GRANT_ID, lambda found: Verdict(answer=found.grant.id)) == GRANT_ID
    assert await stored(engine) == GRANT


async def test_an_exception_in_one_decision_is_its_own_and_stores_nothing_of_it(engine, batches):
    def change_what_is_absent(found):
        return Verdict(answer=0, revoke_reason="test", change="no row change")

    outcomes = await asyncio.gather(
        *(batches.decide(GRANT_ID, decide) for decide in (rotate, break_down, change_what_is_absent, rotate)),
        return_exceptions=True,
    )
    assert [outcomes[0], outcomes[3]] == [1, 2]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert isinstance(outcomes[2], AttributeError)
    after = await stored(engine)
    assert (after.generation, after.revoked_at) == (2, None)


async def test_a_grant_that_is_not_there_is_decided_too(engine, batches):
    seen = []

    def decide(found):
        seen.append(found)
        return Verdict(answer="unknown", audit=(AuditEntry(event="refused", detail={}),))

    assert await batches.decide(NOBODY, decide) == "unknown"
    assert seen == [None]
    async with engine.read() as tx:
        assert [event.event for event in await audit.list_all(tx)] == ["refused"]
    with pytest.raises(ValueError, match="not there"):
        await batches.decide(NOBODY, lambda found: Verdict(answer=0, revoke_reason="test"))


async def test_what_comes_too_late_is_not_decided(engine, batches, monkeypatch):
    """Its caller has been told that nothing was: as after a wait for a lock that was longer than its patience."""

    async def lock_free(tx, grant_ids):
        await asyncio.sleep(0.1)
        return await original(tx, grant_ids)

    original = grant_rows.lock_free
    monkeypatch.setattr(grant_rows, "lock_free", lock_free)
    monkeypatch.setattr(batcher, "DEADLINE_SECONDS", 0.05)
    with pytest.raises(UnavailableError):
        await batches.decide(GRANT_ID, revoke)
    await batches.close()
    assert await stored(engine) == GRANT


async def test_a_caller_that_goes_leaves_the_batch_to_the_others(engine, batches):
    begun = asyncio.Event()

    def begin(found):
        begun.set()
        return rotate(found)

    gone = asyncio.create_task(batches.decide(GRANT_ID, begin))
    stays = asyncio.create_task(batches.decide(GRANT_ID, rotate))
    await begun.wait()
    gone.cancel()
    assert await stays == 2
    assert (await stored(engine)).generation == 2, "what has begun is carried out"


async def test_a_decision_in_the_callers_own_transaction_follows_the_same_path(engine, batches):
    async with engine.begin() as tx:
        verdict = await decide_in(tx, GRANT_ID, rotate)
        assert verdict.get_answer() == 1
    with pytest.raises(ZeroDivisionError):
        async with engine.begin() as tx:
            await decide_in(tx, GRANT_ID, rotate)
            await decide_in(tx, GRANT_ID, break_down)
    assert (await stored(engine)).generation == 1


async def test_the_largest_batch_is_one_transaction_of_64(many, monkeypatch):
    sizes = []

    async def lock_free(tx, grant_ids):
        sizes.append(len(grant_ids))
        return await original(tx, grant_ids)

    original = grant_rows.lock_free
    monkeypatch.setattr(grant_rows, "lock_free", lock_free)
    answers = await asyncio.gather(*(many.decide(grant_id, rotate) for grant_id in IDS * 4))
    assert sorted(answers) == sorted([1, 2, 3, 4] * len(IDS))
    assert len(sizes) == 3
    assert max(sizes) == len(IDS)


async def test_a_batch_of_rotations_is_hot_updates(postgresql, many):
    query = "SELECT n_tup_upd AS every, n_tup_hot_upd AS hot FROM pg_stat_xact_user_tables WHERE relname = 'grants'"
    async with postgresql.begin() as tx:
        before = (await tx.raw(query)).one()
        found = await grant_rows.lock_free(tx, IDS[-2:])
        for generation in range(3):
            await grant_rows.store_changes(tx, [replace(one.grant, generation=generation) for one in found.values()])
        after = (await tx.raw(query)).one()
    assert (after.every - before.every, after.hot - before.hot) == (6, 6)


@pytest.mark.fault("B8", "B31")
async def test_a_locked_grant_delays_only_itself(postgresql_url, many):
    with psycopg.connect(postgresql_url) as stranger:
        stranger.execute("SELECT FROM grants WHERE id = %s FOR UPDATE", [IDS[0]])
        began = time.monotonic()
        waiting = [asyncio.create_task(many.decide(IDS[0], rotate)) for _ in range(3)]
        for _ in range(20):
            assert set(await asyncio.gather(*(many.decide(grant_id, revoke) for grant_id in IDS[1:]))) <= {True, False}
        assert time.monotonic() - began < 2, "no batch has waited for the lock"
        assert not any(task.done() for task in waiting)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in outcomes] == [UnavailableError] * 3
        assert 1.5 < time.monotonic() - began < 4
    assert await many.decide(IDS[0], rotate) == 1


@pytest.mark.fault("B31")
async def test_whoever_waited_for_a_locked_grant_decides_on_what_was_left(postgresql, many):
    async with postgresql.begin() as tx:
        await grants.lock(tx, IDS[0])
        others = Context()  # other requests: in this one a transaction is open
        waiting = [asyncio.create_task(many.decide(IDS[0], rotate), context=others) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        await decide_in(tx, IDS[0], rotate)
    assert await asyncio.gather(*waiting) == [2, 3, 4]


@pytest.mark.fault("B8")
async def test_more_locked_grants_than_there_are_connections_block_no_batch(postgresql_url, many):
    locked = IDS[:20]
    with psycopg.connect(postgresql_url) as stranger:
        stranger.execute("SELECT FROM grants WHERE id = ANY(%s) FOR UPDATE", [list(locked)])
        began = time.monotonic()
        waiting = [asyncio.create_task(many.decide(grant_id, rotate)) for grant_id in locked]
        await asyncio.sleep(0.2)
        assert len(locked) > WAITING_AT_ONCE
        assert await asyncio.gather(*(many.decide(grant_id, rotate) for grant_id in IDS[20:])) == [1] * 20
        assert time.monotonic() - began < 2
        stranger.rollback()
        assert await asyncio.gather(*waiting) == [1] * 20, "all had their turn when the locks were gone"


@pytest.mark.fault("B6")
async def test_a_database_that_says_nothing_is_given_up_at_the_deadline(postgresql_url, monkeypatch):
    monkeypatch.setattr(batcher, "DEADLINE_SECONDS", 0.5)
    monkeypatch.setattr(postgresql, "DEADLINE_SECONDS", 0.5)
    async with AsyncExitStack() as stack:
        proxy, far = await open_far(stack, postgresql_url)
        await add_grants(far, IDS[:2])
        batches = GrantBatches(far)
        assert await batches.decide(IDS[0], rotate) == 1
        proxy.freeze()
        began = time.monotonic()
        stuck = [batches.decide(grant_id, rotate) for grant_id in IDS[:2]]
        outcomes = await asyncio.gather(*stuck, return_exceptions=True)
        assert [type(one) for one in outcomes] == [UnavailableError] * 2
        assert time.monotonic() - began < 2
        await batches.close()  # the connection was closed, so the lane has ended
        proxy.thaw()
        assert await batches.decide(IDS[0], rotate) in {2, 3}, "what became of the first is unknown"


@pytest.mark.fault("B5")
async def test_a_restart_between_two_batches_is_not_even_noticed(postgresql_url):
    async with AsyncExitStack() as stack:
        proxy, far = await open_far(stack, postgresql_url)
        await add_grants(far, IDS[:1])
        batches = GrantBatches(far)
        assert await batches.decide(IDS[0], rotate) == 1
        proxy.drop()
        await asyncio.sleep(0.05)
        assert await batches.decide(IDS[0], rotate) == 2
        proxy.drop()
        await asyncio.sleep(0.05)
        assert (await batches.find(IDS[0])).grant.generation == 2


async def open_far(stack: AsyncExitStack, postgresql_url: str) -> tuple[Proxy, Engine]:
    """Open an engine on PostgreSQL behind a proxy."""
    proxy = await stack.enter_async_context(proxy_to(postgresql_url))
    far = Engine.open(proxy.url)
    stack.push_async_callback(far.close)
    return proxy, far


@pytest.mark.fault("B4")
async def test_a_batch_that_the_standby_may_not_have_is_no_success(postgresql_url, many):
    with doubtful_commits(postgresql_url, "UPDATE ON grants"):
        outcomes = await asyncio.gather(*(many.decide(one, rotate) for one in IDS[:2]), return_exceptions=True)
    assert [type(one) for one in outcomes] == [UnavailableError] * 2
    assert all("standby" in str(one) for one in outcomes)
    assert await many.decide(IDS[0], rotate) >= 1


@pytest.mark.fault("B28", "B31")
async def test_four_nodes_with_overlapping_batches_in_opposite_order_do_not_deadlock(postgresql_url, many):
    times = await rotate_on_four_nodes(postgresql_url, IDS, seconds=1.5)
    assert (await stored(many._engine, IDS[-1])).generation == times, "every decision is stored, none twice"
