"""`authserver users import`: what a person, a pipe and a script see of it."""

import json

from tests.operations.test_user_import import ANN, dump

BOB = ANN | {"username": "bob", "email": "bob@example.org", "password": "md5$x$y"}


def test_an_import_says_what_became_of_each_row_and_can_be_run_again(installed, here):
    (here / "people.json").write_text(dump(ANN, BOB, BOB | {"username": "cat", "password": "!"}))
    first = installed("users", "import", "people.json", "--json", "--map", "ids.csv")
    assert (first.code, first.json) == (1, {"created": 2, "known": 0, "failed": 1})
    assert "entry 3: bob: the password cannot be verified here" in first.err
    head, ann, *_ = (here / "ids.csv").read_text().splitlines()
    assert head == "id,sub"
    assert ann == f"1,{installed('users', 'show', 'ann', '--json').json['id']}"
    again = installed("users", "import", "people.json", "--json", "--drop-unreadable-passwords")
    assert (again.code, again.json) == (0, {"created": 1, "known": 2, "failed": 0})


def test_a_rehearsal_makes_nobody_and_writes_no_map(installed, here):
    (here / "people.json").write_text(dump(ANN))
    done = installed("users", "import", "people.json", "--dry-run", "--json", "--map", "ids.csv")
    assert (done.code, done.json["created"]) == (0, 1)
    assert installed("users", "list", "--json").json == []
    assert not (here / "ids.csv").exists()


def test_a_file_that_is_not_there_or_no_text_is_wrong_usage(installed, here):
    (here / "photo.json").write_bytes(b"\xff\xd8\xff")
    for name in ("nowhere.json", "photo.json"):
        assert installed("users", "import", name).code == 2
    (here / "other.json").write_text(json.dumps([{"model": "shop.item", "pk": 1, "fields": {}}]))
    done = installed("users", "import", "other.json", "--json")
    assert (done.code, "--model" in done.problem["fix"]) == (1, True)
