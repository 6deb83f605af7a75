"""A new installation: made whole, never over another one, taken up where it was interrupted."""

import stat
from pathlib import Path

import pytest

KEY = Path("keys/sealing.key")


@pytest.fixture
def blank(run, blank_database_url, monkeypatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://id.example.org")
    monkeypatch.setenv("AUTHSERVER_DATABASE_URL", blank_database_url)
    return run


@pytest.mark.attack(126)
def test_init_makes_the_sealing_key_the_schema_and_the_first_keys(blank, here):
    made = blank("init", "--json")
    assert made.code == 0
    assert made.json["issuer"] == "https://id.example.org"
    assert {key["alg"] for key in made.json["signing_keys"]} == {"ES256", "RS256"}
    assert stat.S_IMODE((here / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((here / KEY).parent.stat().st_mode) & 0o077 == 0
    assert "Next:" in made.err
    assert blank("keys", "list", "--json").json == made.json["signing_keys"]


def test_init_tells_people_the_keys_in_words(blank):
    told = blank("init")
    for key in blank("keys", "list", "--json").json:
        assert f"{key['kid']} ({key['alg']}, {key['state']})" in told.out
    assert "{" not in told.out


def test_init_never_overwrites(blank, here):
    assert blank("init").code == 0
    key, keys = (here / KEY).read_bytes(), blank("keys", "list", "--json").json
    again = blank("init", "--json")
    assert again.code == 1
    assert "exists already" in again.problem["detail"]
    assert (here / KEY).read_bytes() == key
    assert blank("keys", "list", "--json").json == keys


@pytest.mark.fault("B13")
def test_init_makes_no_new_sealing_key_where_sealed_keys_exist(blank, here):
    assert blank("init").code == 0
    (here / KEY).unlink()
    refused = blank("init", "--json")
    assert refused.code == 1
    assert "backup" in refused.problem["detail"]
    assert not (here / KEY).exists()


def test_an_init_that_was_interrupted_is_taken_up(blank, here):
    assert blank("migrate").code == 0
    assert blank("init").code == 0
    assert len(blank("keys", "list", "--json").json) == 4


def test_migrate_can_be_repeated(blank):
    first, second = blank("migrate", "--json"), blank("migrate", "--json")
    assert first.code == second.code == 0
    assert first.json == second.json


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda path: path.unlink(), "authserver init", id="missing"),
        pytest.param(lambda path: path.chmod(0o644), "chmod 600", id="open to others"),
        pytest.param(lambda path: path.write_text("a:b\n"), "backup", id="broken"),
    ],
)
def test_serve_refuses_a_sealing_key_that_cannot_be_used(installed, here, spoil, words):
    spoil(here / KEY)
    refused = installed("serve", "--port", "0")
    assert (refused.code, refused.out) == (1, "")
    assert words in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["users", "list"], ["keys", "list"], ["purge"]])
def test_a_database_without_a_schema_is_answered_with_what_to_do(run, blank_sqlite_url, monkeypatch, here, command):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://id.example.org")
    monkeypatch.setenv("AUTHSERVER_DATABASE_URL", blank_sqlite_url)
    (here / "keys").mkdir()
    (here / KEY).write_text(f"k:{'A' * 43}=\n")
    (here / KEY).chmod(0o600)
    refused = run(*command)
    assert refused.code == 1
    assert "authserver init" in refused.err


@pytest.mark.fault("B21")
def test_a_database_older_than_its_epoch_is_served_after_restored_only(installed, here):
    epoch_file = here / "keys" / "sealing.key.epoch"
    epoch_file.write_text("1000000\n")
    refused = installed("serve", "--port", "0")
    assert refused.code == 1
    assert "authserver restored" in refused.err
    rehearsed = installed("restored", "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["epoch"]) == (0, 1000001)
    assert epoch_file.read_text() == "1000000\n"
    done = installed("restored", "--yes", "--json")
    assert (done.code, done.json["epoch"]) == (0, 1000001)
    assert epoch_file.read_text() == "1000001\n"


def test_commands_use_the_database_of_dev_where_no_setting_names_another(run, here, monkeypatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "http://localhost:9000")
    monkeypatch.setenv("AUTHSERVER_DATABASE_URL", "sqlite:///var/dev.sqlite3")
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY_FILE", "var/dev-sealing.key")
    assert run("init").code == 0
    for name in ("ISSUER", "DATABASE_URL", "SEALING_KEY_FILE"):
        monkeypatch.delenv(f"AUTHSERVER_{name}")
    listed = run("keys", "list", "--json")
    assert listed.code == 0
    assert len(listed.json) == 4
    assert "var/dev.sqlite3" in listed.err
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://id.example.org")
    assert run("keys", "list").code == 1, "another issuer means another installation"
