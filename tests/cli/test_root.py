"""The tree of commands: help that costs nothing, typos that are answered, errors in both forms."""

import json
import subprocess
import sys

import pytest

from authserver.cli.root import NOUNS
from authserver.settings import describe

VERBS = {
    "keys": {"list", "rotate", "revoke", "rewrap", "export"},
    "clients": {"create", "list", "show", "update", "rotate-secret", "disable", "enable", "delete"},
    "resources": {"create", "list", "show", "update", "delete"},
    "providers": {"add", "list", "show", "check", "update", "remove"},
    "users": {
        "create",
        "list",
        "show",
        "update",
        "disable",
        "enable",
        "set-password",
        "reset-factors",
        "delete",
        "import",
    },
    "invitations": {"create", "list", "revoke"},
    "registration-tokens": {"create", "list", "revoke"},
    "grants": {"list", "revoke"},
    "sessions": {"list", "revoke"},
    "logout-notices": {"list", "retry"},
    "mail": {"list", "retry", "test"},
    "help": {"exit-codes", "environment", "formatting"},
}
SINGLE = {"serve", "dev", "init", "migrate", "purge", "restored", "healthcheck", "bench"}


def test_help_imports_none_of_the_server():
    program = (
        "import sys; from authserver.cli import main; main(['--help']);"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"sqlalchemy", "sqlmodel", "pydantic", "uvicorn", "starlette", "authlib", "joserfc", "cryptography", "rich"}
    assert not heavy & set(done.stderr.split())
    assert all(noun in done.stdout for noun in NOUNS)


def test_the_commands_are_these_and_no_others(run):
    assert set(VERBS) | SINGLE == set(NOUNS)
    for noun, verbs in VERBS.items():
        shown = run(noun, "--help")
        assert shown.code == 0
        assert verbs == {line.split()[0] for line in shown.out.partition("Commands:\n")[2].splitlines() if line.strip()}


@pytest.mark.parametrize(
    "command", [*([noun] for noun in sorted(SINGLE)), *([n, v] for n in VERBS for v in sorted(VERBS[n]))]
)
def test_every_command_s_help_begins_with_one_line_and_an_example(run, command):
    shown = run(*command, "--help")
    assert shown.code == 0
    first, blank, heading, example, *_ = shown.out.splitlines()
    assert first.endswith(".")
    assert (blank, heading) == ("", "Examples:")
    assert f"authserver {' '.join(command)}" in example
    if command != ["serve"]:
        assert "--json" in shown.out


def test_the_version_is_printed(run):
    ran = run("--version")
    assert ran.code == 0
    assert ran.out.startswith("authserver ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["clinets"], "clients", id="a noun"),
        pytest.param(["clients", "crate"], "create", id="a verb"),
        pytest.param(["users", "list", "--serach", "x"], "--search", id="an option"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_word(run, arguments, words):
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert words in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "arguments", [["clinets"], ["clients", "create"], ["keys", "list", "--nothing"], ["purge", "surplus"], ["users"]]
)
def test_wrong_usage_exits_2_and_is_a_problem_for_a_program(run, arguments):
    assert run(*arguments).code == 2
    ran = run(*arguments, "--json")
    assert (ran.code, ran.out) == (2, "")
    if arguments != ["users"]:
        problem = json.loads(ran.err)
        assert problem["title"] == "Wrong usage"
        assert problem["detail"]


def test_settings_errors_come_all_at_once_with_exit_2(run, monkeypatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "http://id.example.org")
    monkeypatch.setenv("AUTHSERVER_MAX_STALE", "soon")
    monkeypatch.setenv("AUTHSERVER_ISSUR", "x")
    for command in (["users", "list"], ["serve"], ["init"], ["migrate"]):
        ran = run(*command)
        assert (ran.code, ran.out) == (2, "")
        assert all(name in ran.err for name in ("AUTHSERVER_ISSUER:", "AUTHSERVER_MAX_STALE:", "AUTHSERVER_ISSUR:"))
        assert "Traceback" not in ran.err


def test_a_database_that_is_not_there_is_answered_with_what_to_do(run, monkeypatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://id.example.org")
    ran = run("users", "list", "--json")
    assert ran.code == 1
    assert ran.problem["fix"] == "Run: authserver init"


@pytest.mark.parametrize("topic", ["exit-codes", "environment", "formatting"])
def test_help_explains_what_holds_for_every_command(run, topic):
    ran = run("help", topic)
    assert ran.code == 0
    assert len(ran.out.splitlines()) >= 4


def test_help_environment_names_every_setting(run):
    assert set(run("help", "environment", "--json").json) == {setting.name for setting in describe()}
