"""The forms of output: a table for a person, values for a pipe, a document for a program."""

import contextlib
import io
import json
import os
import pty
import sys
from datetime import UTC, datetime, timedelta

import pytest

from authserver.cli.failure import CommandFailedError
from authserver.cli.terminal import Colour, Terminal, tell_age

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROWS = [
    {"id": "k1", "name": "Notes", "scope": frozenset({"b", "a"}), "on": True, "at": NOW - timedelta(minutes=3)},
    {"id": "k2", "name": "Evil\x1b[2J\tApp\n", "scope": (), "on": False, "at": None},
]
COLUMNS = ("id", "name", "scope", "on", "at")


@pytest.fixture
def on_screen(monkeypatch):
    """Give a function that returns what an action writes to a stdout that is a terminal."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    def watch(action):
        controller, terminal = pty.openpty()
        with os.fdopen(terminal, "w") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            action()
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while chunk := os.read(controller, 4096):
                shown += chunk
        os.close(controller)
        return shown.decode().replace("\r\n", "\n")

    return watch


def test_a_pipe_gets_whole_values_between_tabs(capsys):
    Terminal().show_all(ROWS, COLUMNS, now=NOW)
    assert capsys.readouterr().out == ("k1\tNotes\ta b\ttrue\t2026-11-21T11:57:00Z\nk2\tEvil\x1b[2J App \t\tfalse\t\n")


def test_an_empty_list_is_no_line_in_a_pipe_and_a_list_in_json(capsys):
    Terminal().show_all([], COLUMNS, now=NOW)
    assert capsys.readouterr().out == ""
    Terminal(as_json=True).show_all([], COLUMNS, now=NOW)
    assert capsys.readouterr().out == "[]\n"


def test_json_has_every_member_with_its_type(capsys):
    Terminal(as_json=True).show({**ROWS[0], "life": timedelta(minutes=5), "more": {"x": None}}, secrets={"token": "t"})
    assert json.loads(capsys.readouterr().out) == {
        "id": "k1",
        "name": "Notes",
        "scope": ["a", "b"],
        "on": True,
        "at": "2026-11-21T11:57:00Z",
        "life": 300,
        "more": {"x": None},
        "token": "t",
    }


def test_quiet_prints_ids_and_a_new_secret(capsys):
    quiet = Terminal(quiet=True)
    quiet.show_all(ROWS, COLUMNS, now=NOW)
    quiet.show(ROWS[0], secrets={"client_secret": "s3cret"})
    quiet.say("a note")
    captured = capsys.readouterr()
    assert captured.out == "k1\nk2\nk1\ns3cret\n"
    assert captured.err == ""


def test_one_record_in_a_pipe_is_a_line_for_each_member_with_the_secret_last(capsys):
    Terminal().show({"client_id": "abc", "redirect_uris": ["https://a/", "https://b/"]}, secrets={"client_secret": "s"})
    assert capsys.readouterr().out == "client_id\tabc\nredirect_uris\thttps://a/ https://b/\nclient_secret\ts\n"


@pytest.mark.attack(126)
def test_a_terminal_gets_an_aligned_table_and_nothing_that_steers_it(on_screen):
    assert on_screen(lambda: Terminal(no_color=True).show_all(ROWS, COLUMNS, now=NOW)) == (
        "id  name           scope  on   at\nk1  Notes          a b    yes  3 minutes ago\nk2  Evil\ufffd[2J App\n"
    )


def test_a_terminal_gets_colour_and_the_secret_alone_on_the_last_line(on_screen):
    shown = on_screen(lambda: Terminal().show({"client_id": "abc", "none": None}, secrets={"client_secret": "s3cret"}))
    assert "\x1b[1mclient_id" in shown
    assert "none" not in shown.replace("client_id", "").splitlines()
    assert shown.splitlines()[-1] == "s3cret"


@pytest.mark.parametrize(
    ("environment", "refused", "on"),
    [
        ({}, False, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, True, False),
    ],
)
def test_colour_follows_the_environment(monkeypatch, capsys, environment, refused, on):
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Colour.for_stream(sys.stdout, refused=refused).on is on


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW, "now"),
        (NOW - timedelta(seconds=1), "1 second ago"),
        (NOW - timedelta(seconds=119), "1 minute ago"),
        (NOW - timedelta(days=90, hours=3), "90 days ago"),
        (NOW + timedelta(hours=24, seconds=-1), "in 23 hours"),
        (NOW + timedelta(days=2), "in 2 days"),
    ],
)
def test_an_age_is_told_in_the_largest_unit_that_fits(moment, words):
    assert tell_age(moment, NOW) == words


def test_nobody_is_asked_where_nobody_can_answer(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(CommandFailedError) as refused:
        Terminal().may_go_on("All of it goes.", yes=False, dry_run=False)
    assert refused.value.exit_code == 2
    assert "--yes is needed when not on a terminal" in refused.value.message
    assert Terminal().may_go_on("All of it goes.", yes=True, dry_run=False)
    assert not Terminal().may_go_on("All of it goes.", yes=True, dry_run=True), "a dry run never goes on"
    assert "All of it goes." in capsys.readouterr().err
