"""Ways to other providers and links: used once, by one browser, and gone with what they belong to."""

import asyncio
from dataclasses import replace

import pytest

from authserver.oauth.upstream import Profile
from authserver.store import upstream_identities, upstream_providers, upstream_sign_ins, users
from authserver.store.engine import ConflictError
from tests.store.samples import IDENTITY, PAST, UPSTREAM_PROVIDER, UPSTREAM_SIGN_IN, USER

WAY = UPSTREAM_SIGN_IN
OTHER = replace(UPSTREAM_PROVIDER, slug="other")


@pytest.fixture
async def stored(engine):
    """Give an engine with a user, two providers and a way to one of them."""
    async with engine.begin() as tx:
        await users.add(tx, USER)
        await upstream_providers.add(tx, UPSTREAM_PROVIDER)
        await upstream_providers.add(tx, OTHER)
        await upstream_sign_ins.add(tx, WAY)
    return engine


async def test_a_provider_is_kept_as_it_was_given(stored):
    async with stored.read() as tx:
        assert await upstream_providers.get(tx, "hub") == UPSTREAM_PROVIDER
        assert await upstream_providers.get(tx, "nobody") is None
    with pytest.raises(ConflictError):
        async with stored.begin() as tx:
            await upstream_providers.add(tx, UPSTREAM_PROVIDER)


async def test_a_way_is_claimed_once_and_only_by_its_own_browser_and_provider(stored):
    async with stored.begin() as tx:
        assert await upstream_sign_ins.claim(tx, WAY.state_hash, "other", WAY.browser_hash) is None
        assert await upstream_sign_ins.claim(tx, WAY.state_hash, "hub", b"another") is None
        claimed = await upstream_sign_ins.claim(tx, WAY.state_hash, "hub", WAY.browser_hash)
        assert claimed == replace(WAY, used_at=claimed.used_at)
        assert await upstream_sign_ins.claim(tx, WAY.state_hash, "hub", WAY.browser_hash) is None
        assert await upstream_sign_ins.find_by_state(tx, WAY.state_hash, WAY.browser_hash) == claimed
        assert await upstream_sign_ins.find_by_state(tx, WAY.state_hash, b"another") is None


async def test_a_way_that_took_too_long_is_not_claimed(stored):
    async with stored.begin() as tx:
        await upstream_sign_ins.add(tx, replace(WAY, id=IDENTITY.user_id, state_hash=b"late", expires_at=PAST))
        assert await upstream_sign_ins.claim(tx, b"late", "hub", WAY.browser_hash) is None


async def test_the_second_of_two_overlapping_claims_gets_nothing(postgresql):
    async with postgresql.begin() as tx:
        await upstream_providers.add(tx, UPSTREAM_PROVIDER)
        await upstream_sign_ins.add(tx, WAY)

    async def claim():
        async with postgresql.begin() as tx:
            return await upstream_sign_ins.claim(tx, WAY.state_hash, "hub", WAY.browser_hash)

    async with postgresql.begin() as tx:
        first = await upstream_sign_ins.claim(tx, WAY.state_hash, "hub", WAY.browser_hash)
        second = asyncio.create_task(claim())
        await asyncio.sleep(0.1)
        assert not second.done(), "the second claim must wait for the first transaction"
    assert first is not None
    assert await second is None


async def test_a_newcomer_s_profile_is_taken_once(stored):
    profile = Profile(subject="583231", account_name="octocat", name="Mona", email="mona@example.org")
    async with stored.begin() as tx:
        assert await upstream_sign_ins.find_unfinished(tx, WAY.id, WAY.browser_hash) is None  # nobody came back yet
        assert await upstream_sign_ins.claim_unfinished(tx, WAY.id) is None
        await upstream_sign_ins.keep_profile(tx, WAY, profile)
        found = await upstream_sign_ins.find_unfinished(tx, WAY.id, WAY.browser_hash)
        assert (found.subject, found.account_name, found.name, found.email) == (
            "583231",
            "octocat",
            "Mona",
            "mona@example.org",
        )
        assert await upstream_sign_ins.find_unfinished(tx, WAY.id, b"another") is None
        assert (await upstream_sign_ins.claim_unfinished(tx, WAY.id)).subject == "583231"
    async with stored.begin() as tx:
        assert await upstream_sign_ins.claim_unfinished(tx, WAY.id) is None


async def test_an_account_there_belongs_to_one_account_here(stored):
    bob = replace(USER, id=WAY.id, username="bob", email="bob@example.org")
    async with stored.begin() as tx:
        await users.add(tx, bob)
        await upstream_identities.add(tx, IDENTITY)
    with pytest.raises(ConflictError):
        async with stored.begin() as tx:
            await upstream_identities.add(tx, replace(IDENTITY, user_id=bob.id))
    async with stored.begin() as tx:
        await upstream_identities.add(tx, replace(IDENTITY, provider="other", user_id=bob.id))
        assert await upstream_identities.find(tx, "hub", IDENTITY.subject) == IDENTITY
        assert not await upstream_identities.use(tx, replace(IDENTITY, user_id=bob.id))
        assert await upstream_identities.use(tx, IDENTITY)
        assert not await upstream_identities.remove(tx, bob.id, "hub", IDENTITY.subject)
        assert await upstream_identities.remove(tx, USER.id, "hub", IDENTITY.subject)
        assert await upstream_identities.list_of_user(tx, USER.id) == ()


async def test_removing_a_provider_takes_its_links_and_ways_along_and_no_other_s(stored):
    async with stored.begin() as tx:
        await users.add(tx, replace(USER, id=WAY.id, username="bob", email="bob@example.org", password_hash=None))
        await upstream_identities.add(tx, IDENTITY)
        await upstream_identities.add(tx, replace(IDENTITY, subject="2", user_id=WAY.id))
        await upstream_identities.add(tx, replace(IDENTITY, provider="other"))
    async with stored.begin() as tx:
        assert await upstream_identities.count_of_provider(tx, "hub") == (2, 1)
        assert await upstream_identities.count_of_provider(tx, "other") == (1, 0)
        assert await upstream_providers.delete(tx, "hub")
        assert not await upstream_providers.delete(tx, "hub")
    async with stored.begin() as tx:
        assert await upstream_identities.find(tx, "hub", "2") is None
        assert await upstream_sign_ins.find_by_state(tx, WAY.state_hash, WAY.browser_hash) is None
        assert await upstream_identities.find(tx, "other", IDENTITY.subject) is not None
