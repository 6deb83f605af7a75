"""Accounts: what may be in one, and what happens to sessions and grants when something is taken from it."""

import asyncio
import unicodedata

import pytest

from authserver.operations import users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.user_rules import parse_email, parse_username
from authserver.operations.users import UserChanges
from tests.operations.rows import add_grant, add_session, audited, live_grants, live_sessions

PASSWORD = "correct horse ann"


async def make(operator, username="ann", **more):
    return await users.create(operator, **{"username": username, "email": f"{username}@example.org", **more})


@pytest.mark.parametrize(
    "username",
    [
        pytest.param("", id="empty"),
        pytest.param("x" * 151, id="too long"),
        pytest.param("ann lee", id="a blank"),
        pytest.param("ann\u00a0lee", id="a blank that is another character"),
        pytest.param("ann\u200b", id="a character nobody sees"),
        pytest.param("ann\n", id="a line break"),
        pytest.param("\x1b[31mann", id="a terminal's escape"),
        pytest.param("ann\x00", id="NUL"),
        pytest.param("ann\ud800", id="half a surrogate pair"),
        pytest.param("eve@example.org", id="another one's e-mail address"),
        pytest.param("ann@example.org.evil", id="nearly one's own e-mail address"),
        pytest.param("0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", id="an id"),
        pytest.param("0193A5C27C1E7B64A1F06A3A9F0C2B11", id="an id in another spelling"),
    ],
)
def test_a_username_that_could_be_taken_for_something_else_is_refused(username):
    with pytest.raises(OperationError) as refused:
        parse_username(username, email="ann@example.org")
    assert refused.value.field == "username"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        pytest.param("ann", "ann", id="plain"),
        pytest.param("Ａnn", "Ann", id="full width"),
        pytest.param(unicodedata.normalize("NFD", "zoë"), "zoë", id="decomposed"),
        pytest.param("ann@example.org", "ann@example.org", id="one's own e-mail address"),
        pytest.param("x" * 150, "x" * 150, id="as long as may be"),
    ],
)
def test_a_username_is_kept_in_one_spelling(written, kept):
    assert parse_username(written, email="ann@example.org") == kept


@pytest.mark.parametrize(
    "text", ["", "ann", "ann@", "@example.org", "a b@example.org", "ann@exa mple", "a@b@c.org", "x" * 300]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(OperationError) as refused:
        parse_email(text)
    assert refused.value.field == "email"


def test_an_address_of_a_private_domain_is_an_address():
    assert parse_email("ann@corp.internal") == "ann@corp.internal"


async def test_a_new_account_is_found_by_name_address_and_id_and_its_password_is_a_hash(operator):
    made = await make(operator, email_verified=True, is_admin=True, name="Ann", password=PASSWORD)
    for who in ("ann", "ANN", "ann@example.org", str(made.id)):
        found = await users.get(operator, who)
        assert found.id == made.id
    assert found.is_admin
    assert found.email_verified
    assert found.password_hash.startswith("$argon2id$")
    assert (await operator.hasher.verify(found.password_hash, PASSWORD)).ok
    assert await audited(operator) == ["user_created"]


@pytest.mark.parametrize("length", [0, 7, 1025])
async def test_a_password_too_short_or_too_long_makes_no_account(operator, length):
    with pytest.raises(OperationError) as refused:
        await make(operator, password="x" * length)
    assert refused.value.field == "password"
    assert await users.find_all(operator) == ()


@pytest.mark.parametrize("length", [8, 1024])
async def test_a_password_just_long_enough_is_taken(operator, length):
    made = await make(operator, password="x" * length)
    assert made.password_hash is not None


async def test_an_address_that_is_not_there_cannot_be_verified(operator):
    with pytest.raises(OperationError) as refused:
        await make(operator, email=None, email_verified=True)
    assert refused.value.field == "email_verified"


@pytest.mark.parametrize("username", ["ann", "ANN", "Ａnn"])
async def test_a_username_is_taken_in_every_spelling(operator, username):
    await make(operator)
    with pytest.raises(OperationError) as refused:
        await make(operator, username, email=None)
    assert refused.value.problem is Problem.CONFLICT


async def test_an_address_is_unique_among_those_who_verified_it_only(operator):
    await make(operator, "ann", email="a@example.org", email_verified=True)
    await make(operator, "eve", email="A@example.org")
    with pytest.raises(OperationError) as refused:
        await users.update(operator, "eve", UserChanges(email_verified=True))
    assert refused.value.problem is Problem.CONFLICT
    assert not (await users.get(operator, "eve")).email_verified


@pytest.mark.attack(126)
async def test_of_two_who_want_one_name_at_once_one_is_told_that_it_is_taken(operator):
    results = await asyncio.gather(make(operator), make(operator, email=None), return_exceptions=True)
    refused = [result for result in results if isinstance(result, OperationError)]
    assert len(refused) == 1
    assert refused[0].problem is Problem.CONFLICT
    assert len(await users.find_all(operator)) == 1


async def test_another_address_counts_as_unverified_unless_the_operator_knows_better(operator):
    await make(operator, email_verified=True)
    assert not (await users.update(operator, "ann", UserChanges(email="ann@example.net"))).email_verified
    known = await users.update(operator, "ann", UserChanges(email="ann@example.com", email_verified=True))
    assert known.email_verified


async def test_a_change_that_changes_nothing_is_not_audited(operator):
    made = await make(operator)
    assert await users.update(operator, "ann", UserChanges(username="ann", is_admin=False)) == made
    assert await audited(operator) == ["user_created"]


async def test_a_name_given_empty_is_removed(operator):
    await make(operator, name="Ann")
    assert (await users.update(operator, "ann", UserChanges(name=""))).name is None


@pytest.mark.parametrize(
    ("cut", "event"),
    [
        pytest.param(lambda operator: users.disable(operator, "ann"), "user_disabled", id="disable"),
        pytest.param(lambda operator: users.delete(operator, "ann"), "user_deleted", id="delete"),
        pytest.param(
            lambda operator: users.set_password(operator, "ann", "another horse"), "password_set", id="password"
        ),
    ],
)
async def test_whoever_loses_the_account_loses_sessions_and_grants_with_it(operator, cut, event):
    ann, eve = await make(operator), await make(operator, "eve")
    for user in (ann, ann, eve):
        session = await add_session(operator, user)
        await add_grant(operator, user, session)
    rehearsed = await cut(operator.rehearsing())
    assert (rehearsed.sessions, rehearsed.grants) == (2, 2)
    assert len(await live_sessions(operator, ann)) == 2, "a rehearsal changes nothing"
    assert await audited(operator) == ["user_created", "user_created"]
    done = await cut(operator)
    assert (done.sessions, done.grants) == (2, 2)
    assert await live_sessions(operator, ann) == await live_grants(operator, ann) == []
    assert len(await live_sessions(operator, eve)) == len(await live_grants(operator, eve)) == 1
    assert (await audited(operator))[-1] == event


async def test_a_disabled_account_that_is_enabled_gets_nothing_back(operator):
    ann = await make(operator)
    await add_session(operator, ann)
    await users.disable(operator, "ann")
    assert (await users.get(operator, "ann")).disabled_at is not None
    assert (await users.enable(operator, "ann")).disabled_at is None
    assert await live_sessions(operator, ann) == []


@pytest.mark.attack(117)
async def test_a_deleted_account_s_name_is_free_and_its_sub_is_not_given_again(operator):
    before = await make(operator, email_verified=True)
    await users.delete(operator, "ann")
    for who in ("ann", "ann@example.org", str(before.id)):
        with pytest.raises(OperationError) as refused:
            await users.get(operator, who)
        assert refused.value.problem is Problem.NOT_FOUND
    after = await make(operator, email_verified=True)
    assert after.sub != before.sub
    assert [user.id for user in await users.find_all(operator)] == [after.id]


async def test_accounts_are_listed_page_by_page_and_found_by_a_part(operator):
    for username in ("ann", "bob", "bobby"):
        await make(operator, username)
    first = await users.find_all(operator, limit=2)
    rest = await users.find_all(operator, after=str(first[-1].id), limit=2)
    assert {user.username for user in (*first, *rest)} == {"ann", "bob", "bobby"}
    assert [user.username for user in await users.find_all(operator, search="BOB")] == ["bob", "bobby"]
    with pytest.raises(OperationError):
        await users.find_all(operator, after="not an id")
