"""Questions on a terminal, and progress beside the result."""

import time

import pytest

from authserver.cli.progress import Progress
from authserver.cli.terminal import Terminal
from tests.cli.conftest import converse


@pytest.fixture
def ann(installed):
    assert installed("users", "create", "ann", "--email", "ann@example.org", "--no-password").code == 0
    return installed


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [("y\n", 0, "deleted"), ("n\n", 1, "active"), ("\n", 1, "active"), ("\x03", 130, "active")],
)
def test_a_destructive_verb_says_what_will_happen_and_asks(ann, answer, code, status):
    ended, shown = converse([("Go on?", answer)], "users", "delete", "ann")
    assert ended == code, shown
    assert "ann is deleted; 0 sessions end, 0 grants are revoked." in shown
    left = ann("users", "list", "--json").json
    assert ("deleted" if not left else left[0]["status"]) == status


def test_a_password_is_asked_for_twice_and_never_shown(installed):
    answers = [("Password", "correct horse\n"), ("The same again", "correct horse\n")]
    code, shown = converse(answers, "users", "create", "eve", "--email", "eve@example.org")
    assert code == 0, shown
    assert "correct horse" not in shown
    assert installed("users", "show", "eve", "--json").json["has_password"] is True


def test_progress_counts_and_elsewhere_than_on_a_terminal_speaks_every_ten_seconds(capsys, monkeypatch):
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = Progress(Terminal(), "rows deleted")
    for seconds in (1, 8, 1.5, 1):
        clock[0] += seconds
        progress.advance(1000)
    progress.end()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "3000 rows deleted\n")
    assert progress.done == 4000


def test_progress_is_silent_where_quiet_was_asked(capsys, monkeypatch):
    monkeypatch.setattr(time, "monotonic", iter(range(0, 1000, 100)).__next__)
    progress = Progress(Terminal(quiet=True), "rows deleted")
    progress.advance(5)
    progress.end()
    assert capsys.readouterr().err == ""
