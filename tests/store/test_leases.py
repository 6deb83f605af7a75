"""A lease has one owner at a time, by the database's clock (SECURITY B25)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from authserver.store import leases
from authserver.store.tables import Leases
from tests.store.test_races import assert_waits, in_transaction

pytestmark = pytest.mark.fault("B25")

ONE = UUID("01890000-0000-7000-8000-0000000000e1")
OTHER = UUID("01890000-0000-7000-8000-0000000000e2")
LONG = timedelta(minutes=5)
OVER = timedelta(milliseconds=-1)  # over before anybody looks


async def claim(engine, owner, lifetime=LONG, name="purge"):
    return await in_transaction(engine, leases.claim, name, owner, lifetime)


async def test_of_two_owners_the_first_has_the_lease_and_may_renew_it(engine):
    assert await claim(engine, ONE)
    assert not await claim(engine, OTHER)
    assert await claim(engine, ONE)
    assert not await claim(engine, OTHER)


async def test_each_job_has_a_lease_of_its_own(engine):
    assert await claim(engine, ONE, name="purge")
    assert await claim(engine, OTHER, name="keys")


async def test_a_lease_that_is_over_goes_to_whoever_claims_it_and_not_back(engine):
    assert await claim(engine, ONE, OVER)
    assert await claim(engine, OTHER)
    assert not await claim(engine, ONE)


async def test_renewing_moves_the_end(engine):
    assert await claim(engine, ONE, OVER)
    assert await claim(engine, ONE, LONG)
    assert not await claim(engine, OTHER)


@pytest.mark.parametrize("lifetime", [timedelta(seconds=90), timedelta(milliseconds=1500), timedelta(hours=2)])
async def test_a_lease_ends_its_lifetime_after_the_databases_now(engine, lifetime):
    async with engine.begin() as tx:
        before = await tx.now()
    await claim(engine, ONE, lifetime)
    async with engine.begin() as tx:
        ends = (await tx.execute(select(col(Leases.expires_at)))).scalar_one()
        after = await tx.now()
    assert before + lifetime <= ends <= after + lifetime


async def test_a_released_lease_is_anybodys_at_once(engine):
    assert await claim(engine, ONE)
    await in_transaction(engine, leases.release, "purge", ONE)
    assert await claim(engine, OTHER)


async def test_only_the_owner_can_release_a_lease(engine):
    assert await claim(engine, ONE)
    await in_transaction(engine, leases.release, "purge", OTHER)
    assert not await claim(engine, OTHER)


async def test_of_two_first_claims_at_once_the_second_waits_and_loses(postgresql):
    async with postgresql.begin() as tx:
        assert await leases.claim(tx, "purge", ONE, LONG)
        second = await assert_waits(claim(postgresql, OTHER))
    assert not await second


async def test_of_two_takeovers_at_once_the_second_waits_and_loses(postgresql):
    assert await claim(postgresql, UUID(int=0), OVER)
    async with postgresql.begin() as tx:
        assert await leases.claim(tx, "purge", ONE, LONG)
        second = await assert_waits(claim(postgresql, OTHER))
    assert not await second


async def test_a_claim_that_waited_for_one_that_was_rolled_back_wins(postgresql):
    with pytest.raises(ZeroDivisionError):
        async with postgresql.begin() as tx:
            assert await leases.claim(tx, "purge", ONE, LONG)
            second = await assert_waits(claim(postgresql, OTHER))
            raise ZeroDivisionError
    assert await second


async def test_a_claim_that_waited_for_a_release_wins(postgresql):
    assert await claim(postgresql, ONE)
    async with postgresql.begin() as tx:
        await leases.release(tx, "purge", ONE)
        second = await assert_waits(claim(postgresql, OTHER))
    assert await second


async def test_a_claim_is_judged_by_the_time_after_its_wait(postgresql):
    assert await claim(postgresql, ONE)
    async with postgresql.begin() as tx:
        assert await leases.claim(tx, "purge", ONE, timedelta(milliseconds=50))
        second = await assert_waits(claim(postgresql, OTHER))  # waits longer than that
    assert await second
