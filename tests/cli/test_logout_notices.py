"""Logout notices, and where apps hear, by command line."""

import sqlite3
from contextlib import closing

CALLBACK = "https://notes.example/callback"
HEAR = "https://notes.example/out"
TIME = "2026-11-21 12:00:00.000000"
MEMBERS = {
    "id",
    "state",
    "client_id",
    "session_id",
    "user_id",
    "attempts",
    "created_at",
    "next_attempt_at",
    "settled_at",
    "last_answer",
}


def test_where_an_app_hears_is_said_changed_and_taken_back(installed):
    options = ("--type", "web", "--redirect-uri", CALLBACK, "--backchannel-logout-uri", HEAR)
    made = installed("clients", "create", "--name", "Notes", *options, "--json").json
    assert (made["backchannel_logout_uri"], made["backchannel_logout_session_required"]) == (HEAR, False)
    client_id = made["client_id"]
    assert HEAR in installed("clients", "show", client_id).out

    def update(*options):
        return installed("clients", "update", client_id, *options, "--json")

    assert update("--backchannel-logout-uri", f"{HEAR}/2").json["backchannel_logout_uri"] == f"{HEAR}/2"
    assert update("--name", "Other").json["backchannel_logout_uri"] == f"{HEAR}/2"
    refused = update("--backchannel-logout-uri", "http://notes.example/out")
    assert (refused.code, "must be an https address" in refused.problem["detail"]) == (1, True)
    assert "backchannel_logout_uri" not in update("--backchannel-logout-uri", "").json


def test_a_notice_s_life(installed, sqlite_url):
    values = ["0" * 32, "demo", "1" * 32, "2" * 32, "failed", 11, TIME, None, TIME, TIME, "503"]
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(f"INSERT INTO logout_notices VALUES ({', '.join('?' * len(values))})", values)
    (notice,) = installed("logout-notices", "list", "--state", "failed", "--client", "demo", "--json").json
    assert set(notice) == MEMBERS
    assert (notice["state"], notice["attempts"], notice["last_answer"]) == ("failed", 11, "503")
    assert installed("logout-notices", "list", "--state", "waiting", "--json").json == []
    retried = installed("logout-notices", "retry", notice["id"], "--json")
    assert (retried.code, retried.json["state"], retried.json["attempts"]) == (0, "trying_again", 0)
    assert installed("logout-notices", "retry", "--all-failed", "--json").json == {"retried": 0}


def test_wrong_usage_says_what_is_wanted(installed):
    for arguments in ([], ["0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", "--all-failed"]):
        refused = installed("logout-notices", "retry", *arguments)
        assert (refused.code, "--all-failed" in refused.err) == (2, True)
    missing = installed("logout-notices", "retry", "0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", "--json")
    assert (missing.code, missing.problem["fix"]) == (1, "See: authserver logout-notices list")
    assert installed("logout-notices", "list", "--state", "lost").code == 2
