"""Clients, resources, keys, initial access tokens, counts, the audit, and the version row they move."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from authserver.oauth.values import ClientSecret
from authserver.sealing.records import SealedMaster
from authserver.store import attempts, audit, clients, masters, registration_tokens, resources, signing_keys, state
from authserver.store.attempts import AttemptKey, Attempts
from authserver.store.engine import ConflictError
from authserver.store.registration_tokens import RegistrationToken
from tests.store.samples import CLIENT, FUTURE, GRANT_ID, KEY, NOW, PAST, RESOURCE, SESSION_ID, USER_ID

NEW_SECRET = ClientSecret(secret_hash=b"2" * 32, created_at=NOW + timedelta(seconds=1), expires_at=None)
OLD_SECRET = ClientSecret(secret_hash=b"0" * 32, created_at=PAST, expires_at=PAST)
TOKEN = RegistrationToken(id=UUID(int=1), token_hash=b"t", uses_left=2, created_at=NOW, expires_at=FUTURE)


async def version(tx):
    return (await state.load(tx)).version


async def test_everything_about_a_client_comes_back_as_it_was(engine):
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        stored = await clients.get(tx, CLIENT.client_id)
        assert stored == CLIENT
        assert stored.status_index is not None
        assert await clients.lock_for_share(tx, CLIENT.client_id) == replace(stored, secrets=())
        assert await clients.get(tx, "another") is None
        assert await clients.lock_for_share(tx, "another") is None


async def test_an_update_replaces_everything_secrets_too(engine):
    changed = replace(CLIENT, client_name="New", jwks=None, contacts=(), secrets=(CLIENT.secrets[0], NEW_SECRET))
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        place = (await clients.get(tx, CLIENT.client_id)).status_index
        assert await clients.update(tx, changed)
        stored = await clients.get(tx, CLIENT.client_id)
        assert stored == changed
        assert stored.status_index == place, "its place in the status lists stays: tokens name it"
        assert not await clients.update(tx, replace(CLIENT, client_id="another"))
        assert await clients.list_all(tx) == (stored,)


@pytest.mark.attack(58)
async def test_a_secret_past_its_end_is_not_loaded(engine):
    async with engine.begin() as tx:
        await clients.add(tx, replace(CLIENT, secrets=(OLD_SECRET, NEW_SECRET)))
        assert (await clients.get(tx, CLIENT.client_id)).secrets == (NEW_SECRET,)


@pytest.mark.attack(58)
async def test_a_third_secret_is_a_bug(engine):
    with pytest.raises(ValueError, match="two secrets"):
        async with engine.begin() as tx:
            await clients.add(tx, replace(CLIENT, secrets=(OLD_SECRET, CLIENT.secrets[0], NEW_SECRET)))


@pytest.mark.attack(58)
async def test_a_deleted_client_keeps_its_id_and_no_secret(engine):
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        await clients.mark_deleted(tx, CLIENT.client_id, NOW)
        deleted = await clients.get(tx, CLIENT.client_id)
        assert (deleted.deleted_at, deleted.secrets) == (NOW, ())
        assert await clients.list_all(tx) == ()
    with pytest.raises(ConflictError):
        async with engine.begin() as tx:
            await clients.add(tx, CLIENT)


async def test_a_client_is_turned_off_and_on_again(engine):
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        await clients.set_disabled(tx, CLIENT.client_id, NOW)
        assert (await clients.get(tx, CLIENT.client_id)).disabled_at == NOW
        await clients.set_disabled(tx, CLIENT.client_id, None)
        assert (await clients.get(tx, CLIENT.client_id)).is_active


async def test_resources_come_and_go(engine):
    async with engine.begin() as tx:
        await resources.add(tx, RESOURCE)
        assert await resources.get(tx, RESOURCE.identifier) == RESOURCE
        changed = replace(RESOURCE, name="New", access_token_lifetime=None)
        assert await resources.update(tx, changed)
        assert await resources.list_all(tx) == (changed,)
        assert await resources.delete(tx, RESOURCE.identifier)
        assert not await resources.delete(tx, RESOURCE.identifier)
        assert not await resources.update(tx, changed)
        assert await resources.get(tx, RESOURCE.identifier) is None


async def test_every_change_that_processes_cache_moves_the_version(engine):
    changes = (
        lambda tx: clients.add(tx, CLIENT),
        lambda tx: clients.update(tx, CLIENT),
        lambda tx: clients.set_disabled(tx, CLIENT.client_id, NOW),
        lambda tx: clients.mark_deleted(tx, CLIENT.client_id, NOW),
        lambda tx: resources.add(tx, RESOURCE),
        lambda tx: resources.update(tx, RESOURCE),
        lambda tx: resources.delete(tx, RESOURCE.identifier),
        lambda tx: signing_keys.add(tx, KEY),
        lambda tx: signing_keys.update(tx, KEY),
        lambda tx: masters.add(tx, SealedMaster(key_id=0, sealed=b"sealed", created_at=NOW)),
    )
    for change in changes:
        async with engine.begin() as tx:
            before = await version(tx)
            await change(tx)
            assert await version(tx) > before


async def test_the_epoch_never_goes_back(engine):
    async with engine.begin() as tx:
        await state.raise_epoch(tx, 7)
        await state.raise_epoch(tx, 3)
        assert (await state.load(tx)).epoch == 7


async def test_keys_and_masters_come_back_in_their_order(engine):
    second = replace(KEY, kid="second", generation=2)
    async with engine.begin() as tx:
        await signing_keys.add(tx, second)
        await signing_keys.add(tx, KEY)
        retired = replace(KEY, sign_until=NOW, drop_at=FUTURE, revoked_at=NOW)
        assert await signing_keys.update(tx, retired)
        assert await signing_keys.list_all(tx) == (retired, second)
        assert not await signing_keys.update(tx, replace(KEY, kid="none", generation=9))
        made = [SealedMaster(key_id=number, sealed=b"sealed", created_at=NOW) for number in (1, 0)]
        for master in made:
            await masters.add(tx, master)
        assert await masters.list_all(tx) == (made[1], made[0])


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(replace(TOKEN, uses_left=0), id="used up"),
        pytest.param(replace(TOKEN, expires_at=PAST), id="expired"),
        pytest.param(replace(TOKEN, revoked_at=NOW), id="revoked"),
        pytest.param(replace(TOKEN, token_hash=b"another"), id="unknown"),
    ],
)
async def test_a_token_that_is_over_is_not_spent(engine, token):
    async with engine.begin() as tx:
        await registration_tokens.add(tx, token)
        assert not await registration_tokens.spend(tx, TOKEN.token_hash)
        assert await registration_tokens.list_all(tx) == (token,)


async def test_a_token_is_spent_as_often_as_it_was_made_for(engine):
    async with engine.begin() as tx:
        await registration_tokens.add(tx, replace(TOKEN, expires_at=None))
        assert [await registration_tokens.spend(tx, b"t") for _ in range(3)] == [True, True, False]
        assert not await registration_tokens.revoke(tx, TOKEN.id, NOW), "it could not be used any more"


async def test_a_revoked_token_is_worth_nothing(engine):
    async with engine.begin() as tx:
        await registration_tokens.add(tx, TOKEN)
        assert await registration_tokens.revoke(tx, TOKEN.id, NOW)
        assert not await registration_tokens.revoke(tx, TOKEN.id, NOW)
        assert not await registration_tokens.spend(tx, b"t")


async def test_counts_begin_at_zero_are_stored_and_forgotten(engine):
    one, other = AttemptKey(kind="pair", key_hash=b"1"), AttemptKey(kind="account", key_hash=b"2")
    async with engine.begin() as tx:
        assert {row.key: row.count for row in await attempts.lock(tx, [one, other, one])} == {one: 0, other: 0}
        counted = Attempts(key=one, count=4, first_at=NOW, last_at=FUTURE)
        await attempts.store(tx, [counted])
        assert counted in await attempts.lock(tx, [one, other])
        await attempts.forget(tx, [one])
        assert [row.count for row in await attempts.lock(tx, [one])] == [0]
        assert await attempts.lock(tx, []) == ()
        await attempts.store(tx, [])
        await attempts.forget(tx, [])


async def test_the_audit_says_who_what_and_when(engine):
    async with engine.begin() as tx:
        await audit.add(tx, "first", detail={})
        await audit.add(
            tx,
            "second",
            actor="cli:ann",
            user_id=USER_ID,
            client_id=CLIENT.client_id,
            grant_id=GRANT_ID,
            session_id=SESSION_ID,
            request_id="01a1",
            address="192.0.2.1",
            detail={"reason": "x", "count": 2, "words": ["ü"]},
        )
        now = await tx.now()
        (event,) = await audit.list_all(tx, user_id=USER_ID, client_id=CLIENT.client_id, event="second")
        assert len(await audit.list_all(tx)) == 2
    assert (event.at, event.actor, event.grant_id, event.session_id) == (now, "cli:ann", GRANT_ID, SESSION_ID)
    assert (event.request_id, event.address) == ("01a1", "192.0.2.1")
    assert event.detail == {"reason": "x", "count": 2, "words": ["ü"]}


async def test_the_audit_of_a_transaction_that_failed_is_not_there(engine):
    with pytest.raises(ZeroDivisionError):
        async with engine.begin() as tx:
            await audit.add(tx, "lost", detail={})
            raise ZeroDivisionError
    async with engine.read() as tx:
        assert await audit.list_all(tx) == ()
