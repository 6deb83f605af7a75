"""Mail by command line."""

import json

import pytest

from authserver.cli.desk import read_dev_settings

MEMBERS = {
    "id",
    "kind",
    "state",
    "recipient",
    "user_id",
    "locale",
    "attempts",
    "created_at",
    "next_attempt_at",
    "expires_at",
    "settled_at",
    "last_answer",
}


def test_a_mail_s_life(installed):
    assert installed("mail", "list", "--json").json == []
    made = installed("mail", "test", "ann@example.org", "--json")
    assert (made.code, set(made.json)) == (0, MEMBERS)
    assert (made.json["state"], made.json["kind"], made.json["recipient"]) == ("waiting", "test", "ann@example.org")
    assert installed("mail", "list", "--json").json == [made.json]
    assert installed("mail", "list", "--state", "waiting", "--quiet").out == f"{made.json['id']}\n"
    assert installed("mail", "list", "--state", "trying-again", "--json").json == []
    [line] = installed("mail", "list").out.splitlines()
    assert line.split("\t")[:4] == [made.json["id"], "waiting", "test", "ann@example.org"]
    assert installed("mail", "retry", made.json["id"], "--json").json["state"] == "waiting"
    assert installed("mail", "retry", "--all-failed", "--json").json == {"retried": 0}


def test_a_user_s_mail(installed):
    installed(
        *("users", "create", "ann", "--email", "ann@example.org", "--email-verified", "--password-stdin"),
        stdin="correct horse\n",
    )
    assert installed("users", "set-password", "ann", "--password-stdin", stdin="another horse\n").code == 0
    installed("mail", "test", "bob@example.org")
    (notice,) = installed("mail", "list", "--user", "ann", "--json").json
    assert (notice["kind"], notice["recipient"]) == ("password_changed", "ann@example.org")


def test_wrong_usage_says_what_is_wanted(installed):
    for arguments in ([], ["0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", "--all-failed"]):
        refused = installed("mail", "retry", *arguments)
        assert refused.code == 2
        assert "--all-failed" in refused.err
    missing = installed("mail", "retry", "0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", "--json")
    assert (missing.code, json.loads(missing.err)["fix"]) == (1, "See: authserver mail list")
    assert installed("mail", "list", "--state", "lost").code == 2
    assert installed("mail", "test", "nobody").code == 1


@pytest.mark.parametrize("where", ["environment", "file"])
def test_dev_never_sends_mail_whatever_mail_server_is_named(here, monkeypatch, where):
    if where == "environment":
        monkeypatch.setenv("AUTHSERVER_SMTP_URL", "smtp://mail.example.org")
    else:
        (here / "var").mkdir()
        (here / "var" / "authserver.toml").write_text('smtp_url = "smtp://mail.example.org"')
    settings = read_dev_settings(port=9000, api_port=9001, web_port=9002)
    assert settings.keeps_mail
    assert settings.smtp is None
