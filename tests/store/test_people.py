"""Users, sessions, devices, sign-ins and consents."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from authserver.store import consents, sessions, transactions, users
from authserver.store.engine import ConflictError
from tests.store.conftest import add_people
from tests.store.samples import (
    CLIENT,
    FUTURE,
    NOW,
    PAST,
    SESSION,
    SESSION_ID,
    TRANSACTION,
    TRANSACTION_ID,
    USER,
    USER_ID,
)

OTHER_ID = UUID("01a1fd00-0000-7000-8000-00000000000f")
OTHER = replace(USER, id=OTHER_ID, username="bob", email="bob@example.org", email_verified=False)
ONE_SESSION = sessions.SignedOut(sessions=1, grants=0)


async def test_every_claim_of_a_user_comes_back_as_it_was(engine):
    full = replace(
        USER,
        is_admin=True,
        given_name="Ann",
        family_name="O'Nymous",
        middle_name="-",
        nickname="ünni",
        profile="https://example.org/ann",
        picture="https://example.org/ann.png",
        website="https://ann.example",
        gender="female",
        birthdate=date(1990, 2, 28),
        zoneinfo="Europe/Berlin",
        locale="de-DE",
        phone_number="+49 30 1234",
        phone_number_verified=True,
        address="Street 1\nBerlin",
        disabled_at=NOW,
    )
    async with engine.begin() as tx:
        await users.add(tx, full)
        assert await users.get(tx, USER_ID) == full
        assert await users.update(tx, USER)
        assert await users.get(tx, USER_ID) == USER
        assert not await users.update(tx, OTHER)


@pytest.mark.parametrize("login", ["Ann", "ann", "ＡＮＮ", " ann ", "ann@example.org", "ANN@EXAMPLE.ORG"])
async def test_a_user_is_found_by_any_spelling_of_name_or_verified_address(engine, login):
    async with engine.begin() as tx:
        await users.add(tx, USER)
        assert await users.find_by_login(tx, login) == USER


@pytest.mark.parametrize("login", ["", "an", "ann@", "bob", "ann\x00", "\ud800", "%", "ann' OR 1=1 --"])
async def test_nothing_else_finds_a_user_and_no_text_is_an_error(engine, login):
    async with engine.begin() as tx:
        await users.add(tx, USER)
        assert await users.find_by_login(tx, login) is None


async def test_an_unverified_address_finds_its_account_only_while_it_is_the_only_one(engine):
    async with engine.begin() as tx:
        await users.add(tx, OTHER)
        assert await users.find_by_login(tx, "bob@example.org") == OTHER
        await users.add(tx, replace(OTHER, id=USER_ID, username="mallory"))
        assert await users.find_by_login(tx, "bob@example.org") is None


async def test_whoever_verified_an_address_is_found_by_it_whatever_others_claim(engine):
    async with engine.begin() as tx:
        await users.add(tx, replace(OTHER, email=USER.email))
        await users.add(tx, USER)
        assert await users.find_by_login(tx, "ann@example.org") == USER


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OTHER, username="ＡNN"), id="a name in another spelling"),
        pytest.param(replace(OTHER, email="ann@EXAMPLE.org", email_verified=True), id="a verified address"),
    ],
)
async def test_a_name_and_a_verified_address_belong_to_one_account(engine, other):
    async with engine.begin() as tx:
        await users.add(tx, USER)
    with pytest.raises(ConflictError):
        async with engine.begin() as tx:
            await users.add(tx, other)


@pytest.mark.attack(117)
async def test_the_name_of_a_deleted_user_is_free_and_the_id_is_not_theirs(engine):
    async with engine.begin() as tx:
        await users.add(tx, USER)
        await users.mark_deleted(tx, USER_ID, NOW)
        assert await users.find_by_login(tx, "ann") is None
        again = replace(USER, id=OTHER_ID)
        await users.add(tx, again)
        assert await users.find_by_login(tx, "ann") == again
        deleted = await users.get(tx, USER_ID)
    assert deleted is not None
    assert deleted.deleted_at == NOW
    with pytest.raises(ConflictError):
        async with engine.begin() as tx:
            await users.add(tx, replace(again, id=USER_ID, username="someone else"))


@pytest.mark.attack(121)
@pytest.mark.parametrize(
    ("search", "found"), [("nn", True), ("ONYM", True), ("@example", True), ("%", False), ("_nn", False)]
)
async def test_a_search_takes_its_text_literally(engine, search, found):
    async with engine.begin() as tx:
        await users.add(tx, USER)
        assert await users.list_all(tx, search=search) == ((USER,) if found else ())


async def test_pages_of_users_follow_each_other_and_leave_deleted_ones_out(engine):
    async with engine.begin() as tx:
        await users.add(tx, OTHER)
        await users.add(tx, USER)
        assert await users.list_all(tx, limit=1) == (USER,)
        assert await users.list_all(tx, after=USER_ID) == (OTHER,)
        await users.mark_deleted(tx, OTHER_ID, NOW)
        assert await users.list_all(tx) == (USER,)


async def test_a_session_is_found_by_its_cookie_with_its_user(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        assert await sessions.find_by_cookie(tx, b"cookie") == (SESSION, USER)
        assert await sessions.find_by_cookie(tx, b"another") is None
        assert await sessions.get(tx, SESSION_ID) == SESSION


@pytest.mark.attack(98)
async def test_a_renewed_session_answers_to_its_new_cookie_only(engine):
    await add_people(engine)
    renewed = replace(SESSION, auth_time=FUTURE, amr=("pwd", "otp"))
    async with engine.begin() as tx:
        await sessions.renew(tx, renewed, b"new")
        assert await sessions.find_by_cookie(tx, b"cookie") is None
        assert await sessions.find_by_cookie(tx, b"new") == (renewed, USER)


async def test_a_session_is_touched_once_a_minute(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        now = await tx.now()
        just_seen = replace(SESSION, last_seen_at=now - timedelta(seconds=59))
        await sessions.touch(tx, just_seen)
        assert (await sessions.get(tx, SESSION_ID)).last_seen_at == NOW, "written too often"
        await sessions.touch(tx, replace(SESSION, last_seen_at=now - timedelta(seconds=60)))
        assert (await sessions.get(tx, SESSION_ID)).last_seen_at == now


async def test_a_session_ends_once_and_keeps_its_first_reason(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        assert await sessions.end(tx, SESSION_ID, NOW, "logout")
        assert not await sessions.end(tx, SESSION_ID, FUTURE, "again")
        assert (await sessions.get(tx, SESSION_ID)).ended_at == NOW
        assert await sessions.list_all(tx) == ()


@pytest.mark.attack(100)
async def test_all_sessions_of_a_user_end_but_the_one_that_asks(engine):
    await add_people(engine)
    kept = replace(SESSION, id=OTHER_ID)
    async with engine.begin() as tx:
        await sessions.add(tx, kept, b"kept", user_agent="", address="")
        assert await sessions.list_all(tx, user_id=USER_ID) == (kept, SESSION)
        assert await sessions.end_all_of_user(tx, USER_ID, reason="password", keep_session=OTHER_ID) == ONE_SESSION
        assert await sessions.list_all(tx, user_id=USER_ID) == (kept,)
        assert await sessions.end_all_of_user(tx, USER_ID, reason="disabled") == ONE_SESSION


async def test_sessions_past_their_end_are_not_listed(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        await sessions.renew(tx, replace(SESSION, expires_at=PAST), b"cookie")
        assert await sessions.list_all(tx) == ()


@pytest.mark.attack(107)
async def test_a_device_is_known_for_the_user_who_signed_in_on_it(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        await users.add(tx, OTHER)
        await sessions.remember_device(tx, b"device", USER_ID)
        assert await sessions.is_known_device(tx, b"device", USER_ID)
        assert not await sessions.is_known_device(tx, b"device", OTHER_ID)
        assert not await sessions.is_known_device(tx, b"another", USER_ID)


@pytest.mark.attack(11)
async def test_a_sign_in_is_found_by_the_browser_that_began_it_only(engine):
    async with engine.begin() as tx:
        await transactions.add(tx, TRANSACTION)
        assert await transactions.find(tx, TRANSACTION_ID, TRANSACTION.browser_hash) == TRANSACTION
        assert await transactions.find(tx, TRANSACTION_ID, b"another browser") is None


async def test_a_sign_in_remembers_consent_and_denial_until_it_is_finished(engine):
    async with engine.begin() as tx:
        await transactions.add(tx, TRANSACTION)
        assert await transactions.deny(tx, TRANSACTION_ID)
        assert await transactions.consent(tx, TRANSACTION_ID, USER_ID, {"openid"}, ["urn:x"])
        found = await transactions.find(tx, TRANSACTION_ID, TRANSACTION.browser_hash)
        assert found == replace(
            TRANSACTION,
            consented_by=USER_ID,
            consented_scope=frozenset({"openid"}),
            consented_resources=frozenset({"urn:x"}),
        )
        assert await transactions.finish(tx, TRANSACTION_ID, NOW)
        assert not await transactions.consent(tx, TRANSACTION_ID, USER_ID, {"more"}, ())
        assert not await transactions.deny(tx, TRANSACTION_ID)


async def test_a_consent_grows_is_withdrawn_and_begins_anew(engine):
    await add_people(engine)
    pair = (USER_ID, CLIENT.client_id)
    async with engine.begin() as tx:
        assert await consents.find(tx, *pair) is None
        await consents.merge(tx, *pair, {"a"}, {"urn:x"})
        await consents.merge(tx, *pair, {"b"}, ())
        found = await consents.find(tx, *pair)
        assert (found.scope, found.resources, found.withdrawn_at) == ({"a", "b"}, {"urn:x"}, None)
        assert await consents.withdraw(tx, *pair)
        assert not await consents.withdraw(tx, *pair)
        assert (await consents.find(tx, *pair)).withdrawn_at == await tx.now()
        await consents.merge(tx, *pair, {"c"}, ())
        found = await consents.find(tx, *pair)
    assert (found.scope, found.resources, found.withdrawn_at) == ({"c"}, frozenset(), None)
