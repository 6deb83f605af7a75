"""Grants: one row each, revoked once, by whatever it rests on (DESIGN §5)."""

from dataclasses import replace
from uuid import UUID

import pytest

from authserver.oauth.values import LogoutScope
from authserver.store import clients, grants, sessions, users
from tests.store.conftest import add_people
from tests.store.samples import CLIENT, FUTURE, GRANT, GRANT_ID, NOW, PAST, SESSION_ID, USER, USER_ID

OFFLINE = replace(GRANT, id=UUID(int=2), status_index=8, scope=frozenset({"openid", "offline_access"}))
ELSEWHERE = replace(GRANT, id=UUID(int=3), status_index=None, session_id=None)
STANDALONE = replace(GRANT, id=UUID(int=4), status_index=9, client_id="standalone")


@pytest.fixture
async def several(engine):
    """Give an engine with four grants of one user, of two clients, two sessions and two scopes."""
    await add_people(engine)
    async with engine.begin() as tx:
        await clients.add(tx, replace(CLIENT, client_id="standalone", logout_scope=LogoutScope.STANDALONE))
        for grant in (GRANT, OFFLINE, ELSEWHERE, STANDALONE):
            await grants.add(tx, grant)
    return engine


async def live(engine):
    async with engine.read() as tx:
        return {grant.id for grant in await grants.list_all(tx)}


async def test_a_grant_comes_back_as_it_was_with_its_user_and_the_clock(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        await grants.add(tx, GRANT)
        assert await grants.get(tx, GRANT_ID) == GRANT
        found = await grants.lock(tx, GRANT_ID)
        assert (found.grant, found.user) == (GRANT, USER)
        assert abs(found.now - await tx.now()).total_seconds() < 60
        assert await grants.lock(tx, UUID(int=9)) is None


async def test_a_grant_whose_user_is_gone_has_none(engine):
    async with engine.begin() as tx:
        await grants.add(tx, GRANT)
        assert (await grants.lock(tx, GRANT_ID)).user is None


async def test_a_grant_is_revoked_once(engine):
    async with engine.begin() as tx:
        await grants.add(tx, GRANT)
        assert await grants.revoke(tx, GRANT_ID, "first")
        assert not await grants.revoke(tx, GRANT_ID, "second")
        assert not await grants.revoke(tx, UUID(int=9), "none")
        revoked = await grants.get(tx, GRANT_ID)
        assert (revoked.reason, revoked.revoked_at) == ("first", await tx.now())


async def test_logout_ends_the_sessions_grants_but_for_offline_access_and_clients_that_stand_alone(several):
    async with several.begin() as tx:
        assert await grants.client_ids_of_session(tx, SESSION_ID) == (CLIENT.client_id,)
        assert await grants.revoke_of_session(tx, SESSION_ID, "logout") == 1
        assert await grants.client_ids_of_session(tx, SESSION_ID) == ()
    assert await live(several) == {OFFLINE.id, ELSEWHERE.id, STANDALONE.id}


async def test_a_session_is_ended_with_its_grants_and_only_once(several):
    async with several.begin() as tx:
        ended = await sessions.end_with_grants(tx, SESSION_ID, NOW, "logout")
        assert (ended.was_live, ended.grants) == (True, 1)
        again = await sessions.end_with_grants(tx, SESSION_ID, FUTURE, "again")
        assert (again.was_live, again.grants) == (False, 0)
        assert (await sessions.get(tx, SESSION_ID)).ended_at == NOW
    assert await live(several) == {OFFLINE.id, ELSEWHERE.id, STANDALONE.id}


@pytest.mark.attack(45)
async def test_withdrawing_a_consent_ends_what_the_user_gave_that_client(several):
    async with several.begin() as tx:
        assert await grants.revoke_of_consent(tx, USER_ID, CLIENT.client_id, "withdrawn") == 3
    assert await live(several) == {STANDALONE.id}


async def test_deleting_a_client_ends_its_grants(several):
    async with several.begin() as tx:
        assert await grants.revoke_of_client(tx, "standalone", "client_deleted") == 1
    assert await live(several) == {GRANT.id, OFFLINE.id, ELSEWHERE.id}


async def test_disabling_a_user_ends_all_of_the_users_grants_and_nobody_elses(several):
    async with several.begin() as tx:
        await grants.add(tx, replace(GRANT, id=UUID(int=5), status_index=10, user_id=UUID(int=50)))
        await users.set_disabled(tx, USER_ID, NOW)
        assert await grants.revoke_of_user(tx, USER_ID, "disabled") == 4
    assert await live(several) == {UUID(int=5)}


async def test_lists_name_live_grants_of_a_user_or_a_client_the_youngest_first(several):
    async with several.begin() as tx:
        await grants.add(tx, replace(GRANT, id=UUID(int=6), status_index=11, expires_at=PAST))
        assert await grants.list_all(tx, client_id="standalone") == (STANDALONE,)
        assert await grants.list_all(tx, user_id=USER_ID, limit=2) == (GRANT, STANDALONE)
        assert await grants.list_all(tx, user_id=UUID(int=50)) == ()
