"""People who come from a Django project keep their names, addresses and passwords."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from authserver.operations import users
from authserver.operations.django_users import ReadingRules, read_file
from authserver.operations.errors import OperationError
from authserver.operations.user_import import BATCH, import_users
from authserver.store import imported_ids
from tests.operations.rows import audited
from tests.test_imported_hashes import make_hash

HASH = make_hash("pbkdf2_sha256")
ANN = {
    "username": "ann",
    "email": "Ann@Example.org",
    "password": HASH,
    "first_name": "Ann",
    "last_name": "Example",
    "is_active": True,
    "is_superuser": True,
    "is_staff": True,
    "date_joined": "2019-05-06T07:08:09.123Z",
    "last_login": None,
    "groups": [],
}
RULES = ReadingRules()


def dump(*people, addresses=()):
    entries = [{"model": "auth.user", "pk": number, "fields": fields} for number, fields in enumerate(people, 1)]
    entries += [{"model": "account.emailaddress", "pk": 1, "fields": fields} for fields in addresses]
    return json.dumps([{"model": "auth.group", "pk": 1, "fields": {"name": "staff"}}, *entries])


def table(*people):
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=["id", "username", "email", "password", "is_active", "email_verified"])
    writer.writeheader()
    writer.writerows(people)
    return out.getvalue()


def test_a_user_of_dumpdata_is_read():
    [ann] = read_file(dump(ANN), RULES).users
    assert (ann.place, ann.source_id, ann.username, ann.email) == ("entry 2", "1", "ann", "Ann@example.org")
    assert (ann.given_name, ann.family_name, ann.is_active, ann.email_verified) == ("Ann", "Example", True, False)
    assert ann.joined_at == datetime(2019, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
    assert ann.password_hash == HASH


@pytest.mark.parametrize(
    ("address", "verified"),
    [
        ({"user": 1, "email": "ann@example.org", "verified": True, "primary": True}, True),
        ({"user": 1, "email": "ann@example.org", "verified": False, "primary": True}, False),
        ({"user": 1, "email": "old@example.org", "verified": True, "primary": False}, False),
        ({"user": 2, "email": "ann@example.org", "verified": True, "primary": True}, False),
    ],
)
@pytest.mark.attack(114)
def test_an_address_is_verified_only_where_that_very_one_was(address, verified):
    [ann] = read_file(dump(ANN, addresses=[address]), RULES).users
    assert ann.email_verified is verified


def test_whoever_imports_can_vouch_for_all_addresses():
    [ann] = read_file(dump(ANN), ReadingRules(all_verified=True)).users
    assert ann.email_verified


def test_a_model_of_another_name_is_named():
    text = dump(ANN).replace("auth.user", "shop.customer")
    with pytest.raises(OperationError) as refused:
        read_file(text, RULES)
    assert "--model" in refused.value.fix
    assert len(read_file(text, ReadingRules(model="Shop.Customer")).users) == 1


def test_a_table_is_read():
    row = {"id": "7", "username": "ann", "email": "ann@example.org", "password": HASH, "is_active": "f"}
    [ann] = read_file("\ufeff" + table(row | {"email_verified": "true"}), RULES).users
    assert (ann.place, ann.source_id, ann.is_active, ann.email_verified) == ("line 2", "7", False, True)


def test_without_a_username_the_address_is_one():
    [ann] = read_file(dump({"email": "ann@example.org"}), RULES).users
    assert ann.username == "ann@example.org"


@pytest.mark.parametrize("stored", ["!", "!" + "x" * 40, ""])
def test_djangos_mark_for_no_password_is_no_password(stored):
    [ann] = read_file(dump(ANN | {"password": stored}), RULES).users
    assert ann.password_hash is None


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        pytest.param({"username": "ann lee"}, "blanks", id="a username that cannot be"),
        pytest.param({"username": "bob@example.org"}, "own e-mail", id="a stranger's address as a username"),
        pytest.param({"email": "nowhere"}, "e-mail", id="no address"),
        pytest.param({"password": "md5$x$y"}, "cannot be verified", id="an old hash"),
        pytest.param({"is_active": "perhaps"}, "is_active", id="neither true nor false"),
        pytest.param({"date_joined": "yesterday"}, "date_joined", id="no time"),
        pytest.param({"first_name": "Ann\r\nBcc: x"}, "first_name", id="a line break in a name"),
        pytest.param({"email": ["a@example.org"]}, "email", id="a list for a text"),
        pytest.param({"username": "", "email": ""}, "1 to", id="no name at all"),
    ],
)
def test_each_row_that_cannot_be_imported_is_told_with_its_reason_and_the_others_are_read(wrong, part):
    found = read_file(dump(ANN | wrong, ANN | {"username": "bob", "email": "bob@example.org"}), RULES)
    assert [user.username for user in found.users] == ["bob"]
    [fault] = found.faults
    assert fault.place == "entry 2"
    assert part in fault.reason


def test_two_rows_of_one_name_are_told():
    found = read_file(dump(ANN, ANN | {"username": "ANN"}), RULES)
    assert len(found.users) == 1
    assert "entry 2" in found.faults[0].reason


def test_an_account_whose_password_cannot_be_read_can_come_without():
    [ann] = read_file(dump(ANN | {"password": "md5$x$y"}), ReadingRules(drop_unreadable_passwords=True)).users
    assert ann.password_hash is None


@pytest.mark.parametrize("text", ["[", "{}", "", "name,colour\nann,red\n", "username,shoe_size\nann,42\n", "[1, 2]"])
def test_a_file_that_is_something_else_is_refused_whole(text):
    with pytest.raises(OperationError):
        read_file(text, RULES)


async def bring(operator, text, rules=RULES, **more):
    return await import_users(operator, read_file(text, rules).users, **more)


async def test_an_imported_account_is_here_with_its_hash_and_is_no_admin(operator):
    result = await bring(operator, dump(ANN, addresses=[{"user": 1, "email": "ann@example.org", "verified": True}]))
    assert (result.created, result.known, list(result.faults)) == (1, 0, [])
    ann = await users.get(operator, "ann")
    assert (ann.email, ann.email_verified, ann.password_hash, ann.name) == (
        "Ann@example.org",
        True,
        HASH,
        "Ann Example",
    )
    assert ann.created_at == datetime(2019, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
    assert not ann.is_admin, "an import makes nobody an admin"
    assert result.accounts[0].source_id == "1"
    assert result.accounts[0].user.sub == ann.sub
    assert await audited(operator) == ["users_imported"]


async def test_a_deactivated_account_comes_disabled(operator):
    await bring(operator, dump(ANN | {"is_active": False}))
    assert (await users.get(operator, "ann")).disabled_at is not None


async def test_an_import_goes_on_where_it_was_stopped_and_changes_nobody(operator):
    people = [ANN | {"username": f"u{number}", "email": f"u{number}@example.org"} for number in range(BATCH + 5)]

    class StoppedError(Exception):
        pass

    def stop(_count):
        raise StoppedError

    with pytest.raises(StoppedError):
        await bring(operator, dump(*people), on_batch=stop)
    await users.set_password(operator, "u0", "a password of their own")
    changed = await users.get(operator, "u0")
    batches = []
    result = await bring(operator, dump(*people), on_batch=batches.append)
    assert (result.created, result.known) == (5, BATCH)
    assert batches == [BATCH, 5]
    assert await users.get(operator, "u0") == changed
    assert len(await users.find_all(operator)) == BATCH + 5


@pytest.mark.attack(114)
async def test_whoever_claimed_a_persons_names_before_the_import_does_not_become_that_person(operator):
    await users.create(operator, username="ann", email="ann@example.org")
    address = {"user": 1, "email": "ann@example.org", "verified": True, "primary": True}
    people = read_file(dump(ANN, addresses=[address]), RULES).users
    result = await import_users(operator, people, keep_ids=True)
    assert [fault.reason for fault in result.faults] == ["another account has this username"]
    async with operator.engine.read() as tx:
        assert await imported_ids.find(tx, "1") is None


async def test_a_rehearsal_stores_nothing(operator):
    result = await bring(operator.rehearsing(), dump(ANN))
    assert result.created == 1
    assert await users.find_all(operator) == ()


async def test_names_and_addresses_that_others_have_are_told_and_the_rest_comes(operator):
    await users.create(operator, username="ann", email="other@example.org")
    await users.create(operator, username="owner", email="bob@example.org", email_verified=True)
    people = [
        ANN,
        ANN | {"username": "bob", "email": "bob@example.org"},
        ANN | {"username": "cat", "email": "cat@example.org"},
        ANN | {"username": "dog", "email": "cat@example.org"},
    ]
    result = await bring(operator, dump(*people), ReadingRules(all_verified=True))
    assert [(fault.place, fault.username) for fault in result.faults] == [
        ("entry 2", "ann"),
        ("entry 3", "bob"),
        ("entry 5", "dog"),
    ]
    assert result.created == 1
