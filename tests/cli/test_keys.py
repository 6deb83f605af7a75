"""``authserver keys`` as scripts and people use it: rotate, revoke, seal anew, and the time line."""

import base64
import json
import os
import re
import signal
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authserver.cli.desk import Desk
from authserver.cli.key_timeline import PLAIN, draw_timeline, tell_plan
from authserver.cli.progress import Progress
from authserver.jose.schedule import RotationRules
from authserver.operations.keys import list_key
from authserver.sealing.records import SigningKey
from tests.cli.conftest import converse
from tests.sealing import plug_ins

KEY = Path("keys/sealing.key")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def installed(run, sqlite_url, monkeypatch):
    """Commands at an installation whose keys are of this moment: what is said of them depends on their age."""
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://id.example.org")
    monkeypatch.setenv("AUTHSERVER_DATABASE_URL", sqlite_url)
    assert run("init").code == 0
    return run


@pytest.fixture
def es256(installed):
    """The two first ES256 keys: one signs, one is next."""
    return [key["kid"] for key in installed("keys", "list", "--json").json if key["alg"] == "ES256"]


def states(run):
    return {key["kid"]: key["state"] for key in run("keys", "list", "--json").json}


def published(run):
    return {key["kid"] for key in json.loads(run("keys", "export").out)["keys"]}


@pytest.mark.fault("B17")
def test_an_emergency_takes_one_command(installed, es256, here):
    leaked, upcoming = es256
    done = installed("keys", "revoke", leaked, "--emergency", "--yes", "--json")
    assert done.code == 0
    assert done.json["kid"] == leaked
    assert (done.json["was"], done.json["signs_now"], done.json["changed"]) == ("signing", upcoming, True)
    assert leaked not in published(installed)
    assert upcoming in published(installed)
    assert (states(installed)[leaked], states(installed)[upcoming]) == ("revoked", "signing")
    assert (here / "keys/sealing.key.revoked").read_text() == f"{leaked}\n"
    assert int((here / "keys/sealing.key.epoch").read_text()) == 2
    again = installed("keys", "revoke", leaked, "--emergency", "--yes", "--json")
    assert (again.code, again.json["changed"]) == (0, False)
    assert "was revoked before" in again.err


@pytest.mark.fault("B17")
def test_a_revocation_wants_a_yes_and_says_first_what_it_does(installed, es256):
    before = states(installed)
    refused = installed("keys", "revoke", es256[0], "--emergency")
    assert refused.code == 2
    assert "--yes is needed" in refused.err
    rehearsed = installed("keys", "revoke", es256[0], "--emergency", "--dry-run")
    assert rehearsed.code == 0
    assert f"{es256[1]} signs from now on" in rehearsed.err
    assert states(installed) == before


def test_a_signing_key_whose_successor_is_new_is_revoked_in_an_emergency_only(installed, es256):
    refused = installed("keys", "revoke", es256[0], "--yes", "--json")
    assert refused.code == 1
    assert "--emergency" in refused.problem["fix"]
    assert installed("keys", "revoke", es256[1], "--yes").code == 0, "a key that does not sign harms nobody"
    assert states(installed)[es256[1]] == "revoked"


def test_a_kid_that_is_not_there_is_told(installed):
    refused = installed("keys", "revoke", "unknown", "--yes", "--json")
    assert (refused.code, refused.problem["field"]) == (1, "kid")
    assert installed("keys", "revoke").code == 2


@pytest.mark.fault("B17", "B21")
def test_a_database_from_before_a_revocation_is_refused_until_restored_buries_the_key_again(installed, es256, tmp_path):
    leaked, upcoming = es256
    backup = tmp_path / "backup.sqlite3"
    copy_database(database_file(), backup)
    assert installed("keys", "revoke", leaked, "--emergency", "--yes").code == 0
    copy_database(backup, database_file())
    assert states(installed)[leaked] == "signing", "the backup has forgotten"
    refused = installed("serve", "--port", "0")
    assert refused.code == 1
    assert "authserver restored" in refused.err
    rehearsed = installed("restored", "--dry-run", "--json")
    assert rehearsed.json["signing_keys_revoked"] == [leaked]
    assert states(installed)[leaked] == "signing"
    assert installed("restored", "--keep", "--yes", "--json").json["signing_keys_revoked"] == [leaked]
    assert (states(installed)[leaked], states(installed)[upcoming]) == ("revoked", "signing")
    assert leaked not in published(installed)
    assert installed("restored", "--yes", "--json").json["signing_keys_revoked"] == []


@pytest.mark.fault("B21")
def test_restored_stops_where_the_tombstones_cannot_be_read(installed, here):
    (here / "keys/sealing.key.revoked").mkdir()
    refused = installed("restored", "--yes")
    assert refused.code == 1
    assert "cannot be read" in refused.err


def database_file():
    return os.environ["AUTHSERVER_DATABASE_URL"].removeprefix("sqlite:///")


def copy_database(source, target):
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()


def test_another_algorithm_is_planned_for_when_verifiers_have_it(installed):
    begun = installed("keys", "rotate", "--add", "EdDSA", "--json")
    assert begun.code == 0
    assert (begun.json["alg"], begun.json["state"]) == ("EdDSA", "published")
    assert begun.json["kid"] in published(installed)
    again = installed("keys", "rotate", "--add", "EdDSA", "--json")
    assert again.code == 1
    refused = installed("keys", "rotate", "--add", "HS256", "--json")
    assert (refused.code, refused.problem["field"]) == (1, "add")
    assert "EdDSA" in refused.problem["fix"]
    sooner = installed("keys", "rotate", "--add", "PS256", "--now", "--json").json
    assert moment(sooner["sign_from"]) - moment(sooner["publish_at"]) == timedelta(seconds=360)


def test_keys_rotate_while_another_algorithm_waits_for_its_turn(installed):
    begun = installed("keys", "rotate", "--add", "EdDSA", "--json").json
    done = installed("keys", "rotate", "--now", "--json")
    assert done.code == 0
    waiting = next(rotation for rotation in done.json if rotation["alg"] == "EdDSA")
    assert (waiting["kid"], waiting["replaces"], waiting["last_token_expires_at"]) == (begun["kid"], None, None)
    assert (waiting["changed"], waiting["sign_from"] < begun["sign_from"]) == (True, True)
    assert "nothing signs EdDSA before" in done.err


def test_clients_may_ask_for_an_algorithm_when_a_key_of_it_signs(installed, here):
    (here / "client.json").write_text('{"id_token_signed_response_alg": "PS256"}')
    create = ("clients", "create", "--name", "Notes", "--type", "web", "--redirect-uri", "https://notes.example/cb")
    assert installed(*create, "--metadata", "client.json").code == 1
    installed("keys", "rotate", "--add", "PS256")
    assert installed(*create, "--metadata", "client.json").code == 1, "it is published and does not sign yet"
    with sqlite3.connect(database_file()) as database:
        database.execute("UPDATE signing_keys SET sign_from = publish_at WHERE alg = 'PS256'")
    database.close()
    made = installed(*create, "--metadata", "client.json", "--json")
    assert made.json["id_token_signed_response_alg"] == "PS256"


def moment(text):
    return datetime.fromisoformat(text)


def test_rotate_in_a_hurry_says_when_whom_it_surprises_and_from_when_on_nobody(installed):
    unhurried = installed("keys", "rotate")
    assert "longer than" not in unhurried.err
    hurried = installed("keys", "rotate", "--now")
    assert hurried.code == 0
    assert "signs in 5 minutes, at " in hurried.err
    assert "longer than 6 minutes" in hurried.err
    published_at = max(moment(key["publish_at"]) for key in installed("keys", "list", "--json").json)
    assert f"24 hours has the new key by {published_at + DAY:%d %b %H:%M:%S} UTC." in hurried.err


def test_a_first_key_in_a_hurry_says_so_too(installed):
    assert "longer than" not in installed("keys", "rotate", "--add", "EdDSA").err
    begun = installed("keys", "rotate", "--add", "PS256", "--now", "--json")
    assert "longer than 6 minutes" in begun.err
    assert f"has the new key by {moment(begun.json['publish_at']) + DAY:%d %b %H:%M:%S} UTC." in begun.err


@pytest.mark.parametrize("more", [(), ("--now",)])
def test_the_plan_of_a_rotation_is_shown_and_then_happens(installed, more):
    before = installed("keys", "list", "--json").json
    rehearsed = installed("keys", "rotate", "--dry-run", "--wait", *more, "--json")
    assert rehearsed.code == 0
    assert "dry run" in rehearsed.err
    assert installed("keys", "list", "--json").json == before
    done = installed("keys", "rotate", *more, "--json")
    assert [rotation["kid"] for rotation in done.json] == [rotation["kid"] for rotation in rehearsed.json]
    assert [rotation["sign_from"] for rotation in done.json] == [rotation["sign_from"] for rotation in rehearsed.json]
    listed = {key["kid"]: key for key in installed("keys", "list", "--json").json}
    for rotation in done.json:
        old = listed[rotation["replaces"]]
        assert listed[rotation["kid"]]["sign_from"] == rotation["sign_from"] == old["sign_until"]
        assert f"{old['kid']} is dropped at {moment(old['drop_at']):%d %b %H:%M:%S} UTC." in done.err
        assert (
            f"the last token of {old['kid']} is over at {moment(rotation['last_token_expires_at']):%d %b}" in done.err
        )


def test_the_first_key_of_another_algorithm_is_rehearsed_and_then_made(installed):
    before = installed("keys", "list", "--json").json
    rehearsed = installed("keys", "rotate", "--add", "PS256", "--dry-run", "--wait", "--json")
    assert (rehearsed.code, "dry run" in rehearsed.err) == (0, True)
    assert installed("keys", "list", "--json").json == before
    done = installed("keys", "rotate", "--add", "PS256", "--json")
    assert (done.code, "dry run" in done.err) == (0, False)
    assert rehearsed.json["kid"] not in states(installed)
    assert states(installed)[done.json["kid"]] == rehearsed.json["state"] == "published"


@pytest.mark.parametrize("more", [(), ("--add", "EdDSA")], ids=["the next keys", "another algorithm"])
def test_rotate_can_wait_until_the_keys_sign(installed, monkeypatch, more):
    monkeypatch.setattr(RotationRules, "shortest_ahead", timedelta(seconds=2))
    waited = installed("keys", "rotate", "--now", "--wait", *more, "--json")
    assert waited.code == 0
    if more:
        assert (waited.json["alg"], waited.json["state"]) == ("EdDSA", "signing")
    else:
        assert [rotation["is_signing"] for rotation in waited.json] == [True, True]


def test_whoever_stops_waiting_is_told_that_the_keys_sign_all_the_same(installed, monkeypatch):
    original = Desk.now
    asked = []

    async def now(desk):
        asked.append(desk)
        if len(asked) == 2:  # the first look is the plan's
            os.kill(os.getpid(), signal.SIGINT)
        return await original(desk)

    with monkeypatch.context() as patch:
        patch.setattr(Desk, "now", now)
        stopped = installed("keys", "rotate", "--now", "--wait")
    assert (stopped.code, stopped.out) == (130, "")
    assert "No longer waiting. The keys sign at" in stopped.err
    again = installed("keys", "rotate", "--now", "--json").json
    assert [rotation["changed"] for rotation in again] == [False, False], "it was planned, and still is"


def test_sealing_keys_are_changed_in_two_commands(installed, here):
    before = KEY.read_text()
    rehearsed = installed("keys", "rewrap", "--add", "--dry-run", "--json")
    assert (rehearsed.code, rehearsed.json["added"]) == (0, None)
    assert KEY.read_text() == before
    added = installed("keys", "rewrap", "--add", "--json")
    assert added.code == 0
    assert KEY.read_text() == KEY.read_text().splitlines()[0] + "\n" + before
    assert KEY.read_text().startswith(f"{added.json['added']}:")
    assert installed("keys", "rewrap", "--dry-run", "--json").json == {"current": added.json["added"], "to_rewrap": 5}
    done = installed("keys", "rewrap", "--json")
    old = before.partition(":")[0]
    assert done.json == {"current": added.json["added"], "rewrapped": 5, "kept": 0, "superseded": [old]}
    assert f"{old} any more" in done.err
    KEY.write_text(KEY.read_text().splitlines()[0] + "\n")
    assert installed("keys", "rewrap", "--json").json["rewrapped"] == 0
    assert installed("keys", "rotate").code == 0, "the new key alone does"


@pytest.mark.fault("B13")
def test_no_key_is_made_under_a_sealing_key_that_is_not_the_servers(installed, es256):
    before = states(installed)
    KEY.write_text(f"k1:{base64.b64encode(bytes(32)).decode()}\n")
    for command in (["rotate"], ["rotate", "--add", "EdDSA"], ["revoke", es256[0], "--emergency", "--yes"]):
        refused = installed("keys", *command, "--json")
        assert refused.code == 1
        assert "cannot be opened" in refused.problem["detail"]
        assert "Bring the sealing key back" in refused.problem["fix"]
    assert states(installed) == before


@pytest.mark.fault("B13")
def test_sealing_anew_stops_before_the_first_row_where_a_key_is_missing(installed, here):
    KEY.write_text(f"k9:{base64.b64encode(b'x' * 32).decode()}\n")
    refused = installed("keys", "rewrap", "--json")
    assert refused.code == 1
    assert "Nothing was changed" in refused.problem["detail"]


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        pytest.param(None, 0o600, "Bring", id="missing"),
        pytest.param(f"k9:{base64.b64encode(b'x' * 32).decode()}\n", 0o600, "Bring the sealing key back", id="wrong"),
        pytest.param("same", 0o644, "chmod 600", id="readable by everybody"),
        pytest.param("", 0o600, "holds no key", id="empty"),
    ],
)
def test_a_server_does_not_start_without_its_sealing_key_and_never_makes_another(installed, text, mode, told):
    before = KEY.read_text()
    signing_keys = states(installed)
    if text is None:
        KEY.unlink()
    else:
        KEY.write_text(before if text == "same" else text)
        KEY.chmod(mode)
    refused = installed("serve", "--port", "0")
    assert refused.code == 1
    assert told.lower() in refused.err.lower()
    assert "Traceback" not in refused.err
    assert len(refused.err.strip().splitlines()) <= 3
    assert KEY.exists() == (text is not None)
    assert states(installed) == signing_keys


def test_a_key_from_the_environment_needs_no_file_and_is_changed_there(run, here, sqlite_url, monkeypatch):
    one, two = (f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2"))
    for name, value in (("ISSUER", "https://id.example.org"), ("DATABASE_URL", sqlite_url), ("SEALING_KEY", one)):
        monkeypatch.setenv(f"AUTHSERVER_{name}", value)
    monkeypatch.setenv("AUTHSERVER_EPOCH_FILE", str(here / "epoch"))
    made = run("init", "--json")
    assert (made.code, made.json["sealing_key_made"], made.json["sealing_key_file"]) == (0, False, None)
    assert not KEY.exists()
    assert (here / "epoch").read_text() == "1\n"
    refused = run("keys", "rewrap", "--add", "--json")
    assert refused.code == 1
    assert "AUTHSERVER_SEALING_KEY" in refused.problem["fix"]
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY", f"{two},{one}")
    assert run("keys", "rewrap", "--json").json["superseded"] == ["k1"]
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY", two)
    assert run("keys", "rotate").code == 0


def test_a_systemd_credential_is_a_file_that_the_service_cannot_write(installed, here, monkeypatch):
    """LoadCredential= puts a read-only copy where nothing else may be written; epoch and tombstones live elsewhere."""
    credentials = here / "credentials"
    credentials.mkdir()
    KEY.rename(credentials / "sealing.key")
    (credentials / "sealing.key").chmod(0o440)
    credentials.chmod(0o550)
    (here / "state").mkdir()
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY_FILE", str(credentials / "sealing.key"))
    monkeypatch.setenv("AUTHSERVER_EPOCH_FILE", str(here / "state" / "epoch"))
    refused = installed("keys", "rotate", "--json")
    assert refused.code == 1
    assert "0440" in refused.problem["detail"], "anywhere else a group may not read it"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert installed("keys", "rotate").code == 0
    leaked = next(kid for kid, state in states(installed).items() if state == "signing")
    assert installed("keys", "revoke", leaked, "--emergency", "--yes").code == 0
    assert sorted(path.name for path in (here / "state").iterdir()) == ["epoch", "epoch.revoked"]
    assert [path.name for path in credentials.iterdir()] == ["sealing.key"]
    credentials.chmod(0o700)


def test_a_plug_in_wraps_the_keys_that_init_and_rewrap_make(run, here, sqlite_url, tmp_path, monkeypatch):
    plug_ins.install(tmp_path / "plug-in", monkeypatch)
    for name, value in (("ISSUER", "https://id.example.org"), ("DATABASE_URL", sqlite_url)):
        monkeypatch.setenv(f"AUTHSERVER_{name}", value)
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY_PLUGIN", "mirror")
    assert run("init").code == 0
    assert KEY.read_text().split(":")[1] == "mirror"
    assert run("keys", "rewrap", "--add").code == 0
    assert [line.split(":")[1] for line in KEY.read_text().splitlines()] == ["mirror", "mirror"]
    assert run("keys", "rewrap", "--json").json["rewrapped"] == 5
    monkeypatch.setenv("AUTHSERVER_SEALING_KEY_PLUGIN", "absent")
    refused = run("keys", "rewrap", "--add", "--json")
    assert refused.code == 1
    assert "not installed" in refused.problem["detail"]
    assert len(KEY.read_text().splitlines()) == 2


def test_ctrl_c_says_how_to_go_on(installed, monkeypatch):
    """Two rows are done when it comes; the others are the next run's."""
    installed("keys", "rewrap", "--add")
    original = Progress.advance

    def advance(progress, count):
        original(progress, count)
        if progress.done == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", advance)
        stopped = installed("keys", "rewrap")
    assert (stopped.code, stopped.out) == (130, "")
    assert "Stopped after 2 rows. To go on: authserver keys rewrap" in stopped.err
    assert installed("keys", "rewrap", "--json").json["rewrapped"] == 3


def test_the_time_line_is_drawn_on_a_terminal_and_nowhere_else(installed, monkeypatch):
    assert "next change" not in installed("keys", "list").out.lower()
    assert all(len(line.split("\t")) == 8 for line in installed("keys", "list").out.splitlines())
    monkeypatch.setenv("LANG", "C.UTF-8")
    code, drawn = converse((), "keys", "list")
    assert code == 0
    assert "Next change: " in drawn
    assert "ES256: " in drawn
    assert "━" in drawn


def key(number, publish, sign, **times):
    row = SigningKey(
        kid=f"K{number}-thumbprint",
        alg="ES256",
        generation=number,
        public_jwk={},
        sealed_private=b"",
        publish_at=NOW + publish * DAY,
        sign_from=NOW + sign * DAY,
    )
    return replace(row, **{name: NOW + days * DAY for name, days in times.items()})


RETIRED = key(6, -100, -60, sign_until=-20, drop_at=20)
CURRENT = key(7, -60, -20, sign_until=59, drop_at=75)
UPCOMING = key(8, -20, 59)


def test_a_line_shows_each_part_of_a_key_s_life_in_its_place():
    listings = [list_key(row, NOW) for row in (RETIRED, CURRENT, UPCOMING)]
    head, *bars, scale, legend = draw_timeline(listings, NOW, width=100, strokes=PLAIN)
    assert head == "ES256"
    assert [bar.split()[:2] for bar in bars] == [
        ["K6-thumb", "retired"],
        ["K7-thumb", "signing"],
        ["K8-thumb", "published"],
    ]
    lines = [bar[21:] for bar in bars]
    assert all(line.index("|") == lines[0].index("|") for line in lines), "now is one column"
    assert [re.sub(r"(.)\1+", r"\1", line.strip()) for line in lines] == [".=-|-", ".=|=-", ".|.="]
    assert lines[1].count("=") > lines[1].count("-") > 0
    assert "15 Aug 2026" in scale
    assert "published" in legend


@pytest.mark.parametrize("width", [10, 60, 80, 300])
def test_it_fits_the_terminal_or_is_as_narrow_as_can_be(width):
    listings = [list_key(row, NOW) for row in (RETIRED, CURRENT, UPCOMING)]
    drawn = draw_timeline(listings, NOW, width=width, strokes=PLAIN)
    assert max(map(len, drawn[:-1])) <= max(width, 46)


def test_what_will_happen_is_told_in_sentences():
    listings = [list_key(row, NOW) for row in (RETIRED, CURRENT, UPCOMING)]
    assert tell_plan(listings, NOW) == [
        "ES256: K7-thumb signs until 21 Jan 2027 12:00 UTC; K8-thumb is published and takes over.",
        "Next change: 13 Dec 2026 12:00 UTC.",
    ]
    assert "next key is published" in tell_plan([list_key(CURRENT, NOW)], NOW)[0]
    assert "nothing does before" in tell_plan([list_key(UPCOMING, NOW)], NOW)[0]


def test_nothing_is_drawn_of_keys_that_are_gone():
    gone = replace(RETIRED, revoked_at=NOW)
    assert draw_timeline([list_key(gone, NOW)], NOW, width=80, strokes=PLAIN) == []
    assert tell_plan([list_key(gone, NOW)], NOW) == []
