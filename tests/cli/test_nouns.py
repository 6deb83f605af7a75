"""Clients, resources, users and the rest by command line: the shapes that scripts rely on."""

import json

import pytest

USER_MEMBERS = {
    "id",
    "username",
    "email",
    "email_verified",
    "is_admin",
    "name",
    "has_password",
    "status",
    "created_at",
    "updated_at",
    "disabled_at",
    "deleted_at",
    "delete_at",
}
CALLBACK = "https://notes.example/callback"


def make_user(run, username="ann", *options):
    return run(
        *("users", "create", username, "--email", f"{username}@example.org", "--password-stdin", "--json", *options),
        stdin="correct horse\n",
    )


def make_client(run, *options):
    return run("clients", "create", "--name", "Notes", "--type", "web", "--redirect-uri", CALLBACK, *options)


@pytest.mark.parametrize(
    "command",
    [
        ["users"],
        ["clients"],
        ["resources"],
        ["providers"],
        ["invitations"],
        ["registration-tokens"],
        ["grants"],
        ["sessions"],
        ["logout-notices"],
        ["mail"],
    ],
)
def test_an_empty_list_is_an_empty_list(installed, command):
    assert installed(*command, "list", "--json").json == []
    assert installed(*command, "list").out == ""


def test_a_user_s_life(installed):
    made = make_user(installed, "ann", "--email-verified", "--admin")
    assert (made.code, set(made.json)) == (0, USER_MEMBERS)
    user = made.json
    assert (user["username"], user["email"], user["email_verified"]) == ("ann", "ann@example.org", True)
    assert (user["is_admin"], user["has_password"], user["status"]) == (True, True, "active")
    assert installed("users", "show", "ANN@example.org", "--json").json == user | {
        "second_factor": False,
        "passkeys": 0,
    }
    none = installed("users", "reset-factors", "ann", "--yes", "--json")
    assert (none.code, none.problem["detail"]) == (1, "ann has no second factor and no passkey.")
    [line] = installed("users", "list").out.splitlines()
    assert line.split("\t")[:6] == [user["id"], "ann", "ann@example.org", "true", "true", "active"]
    assert installed("users", "list", "--quiet").out == f"{user['id']}\n"
    assert installed("users", "update", "ann", "--no-admin", "--json").json["is_admin"] is False
    cut = installed("users", "disable", "ann", "--yes", "--json").json
    assert cut == {
        "id": user["id"],
        "username": "ann",
        "status": "disabled",
        "sessions_ended": 0,
        "grants_revoked": 0,
    }
    assert installed("users", "enable", "ann", "--json").json["status"] == "active"
    assert installed("users", "set-password", "ann", "--password-stdin", stdin="another horse\n").code == 0
    assert installed("users", "delete", "ann", "--yes", "--json").json["status"] == "deleted"
    gone = installed("users", "show", "ann", "--json")
    assert (gone.code, gone.out) == (1, "")
    assert gone.problem["detail"] == "There is no user 'ann'."


def test_destructive_verbs_want_a_yes_and_can_be_rehearsed(installed, monkeypatch):
    make_user(installed)
    client_id = make_client(installed, "--json").json["client_id"]
    installed("resources", "create", "https://api.example.org", "--name", "API", "--scope", "api:read")
    token_id = installed("registration-tokens", "create", "--json").json["id"]
    monkeypatch.setenv("AUTHSERVER_SIGN_UP", "invite")
    installed("invitations", "create", "new@example.org")
    for command in (
        ["users", "disable", "ann"],
        ["users", "delete", "ann"],
        ["clients", "disable", client_id],
        ["clients", "delete", client_id],
        ["resources", "delete", "https://api.example.org"],
        ["registration-tokens", "revoke", token_id],
        ["invitations", "revoke", "new@example.org"],
        ["restored"],
    ):
        refused = installed(*command)
        assert refused.code == 2, command
        assert "--yes is needed when not on a terminal" in refused.err
        assert installed(*command, "--dry-run").code == 0
    assert installed("users", "show", "ann", "--json").json["status"] == "active"
    assert installed("clients", "show", client_id, "--json").json["status"] == "active"
    assert len(installed("resources", "list", "--json").json) == 1
    assert [one["status"] for one in installed("invitations", "list", "--json").json] == ["open"]


@pytest.mark.parametrize("password", ["short", "", "x" * 1025])
def test_a_password_that_is_refused_makes_no_user(installed, password):
    refused = installed(
        *("users", "create", "ann", "--email", "ann@example.org", "--password-stdin", "--json"), stdin=f"{password}\n"
    )
    assert refused.code == 1
    assert refused.problem["field"] == "password"
    assert installed("users", "list", "--json").json == []


def test_a_password_is_asked_for_on_terminals_only(installed):
    refused = installed("users", "create", "ann", "--email", "ann@example.org")
    assert refused.code == 2
    assert "--password-stdin" in refused.err
    assert installed("users", "create", "ann", "--no-password", "--json").json["has_password"] is False


def test_a_client_s_secret_is_shown_once(installed):
    made = make_client(installed, "--json")
    client = made.json
    assert made.code == 0
    assert client["type"] == "web"
    assert client["redirect_uris"] == [CALLBACK]
    assert client["token_endpoint_auth_method"] == "client_secret_basic"
    assert client["grant_types"] == ["authorization_code", "refresh_token"]
    shown = installed("clients", "show", client["client_id"], "--json")
    assert "client_secret" not in shown.json
    assert client["client_secret"] not in shown.out
    assert shown.json == {name: value for name, value in client.items() if name != "client_secret"}
    [secret] = shown.json["secrets"]
    assert set(secret) == {"created_at", "expires_at"}


@pytest.mark.attack(123)
def test_no_hash_and_no_secret_is_ever_printed(installed):
    client = make_client(installed, "--json").json
    token = installed("registration-tokens", "create", "--json").json["token"]
    make_user(installed)
    everything = "".join(
        installed(*command, *form).out
        for command in (
            ["clients", "list"],
            ["clients", "show", client["client_id"]],
            ["users", "list"],
            ["users", "show", "ann"],
            ["registration-tokens", "list"],
            ["keys", "list"],
            ["keys", "export"],
        )
        for form in ((), ("--json",))
    )
    assert everything
    for canary in (client["client_secret"], token, "correct horse", "argon2", "secret_hash", "token_hash", "sealed"):
        assert canary not in everything


def test_in_a_pipe_a_new_client_is_lines_of_name_and_value_with_the_secret_last(installed):
    lines = make_client(installed).out.splitlines()
    assert lines[0].startswith("client_id\t")
    assert lines[-1].startswith("client_secret\t")
    client_id, secret = make_client(installed, "--quiet").out.splitlines()
    assert installed("clients", "list", "--quiet").out.splitlines()[-1] == client_id
    assert len(secret) >= 43


def test_metadata_from_a_file_gives_way_to_options(installed, here):
    (here / "notes.json").write_text(
        json.dumps({"client_name": "From the file", "redirect_uris": [CALLBACK], "refresh_token_mode": "keep"})
    )
    made = installed(
        *(
            "clients",
            "create",
            "--name",
            "Notes",
            "--type",
            "web",
            "--metadata",
            "notes.json",
            "--first-party",
            "--json",
        )
    ).json
    assert (made["client_name"], made["refresh_token_mode"], made["first_party"]) == ("Notes", "keep", True)
    (here / "more.json").write_text(json.dumps({"access_token_lifetime": 60}))
    updated = installed("clients", "update", made["client_id"], "--metadata", "more.json", "--json").json
    assert updated["access_token_lifetime"] == 60
    assert updated["refresh_token_mode"] == "keep"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        pytest.param(None, "metadata", id="no file"),
        ("", "metadata"),
        ("[]", "metadata"),
        ("{", "metadata"),
        ('"x"', "metadata"),
        pytest.param('{"contacts": 1}', "contacts", id="a wrong type"),
    ],
)
def test_a_metadata_file_that_cannot_be_used_is_an_error_and_no_traceback(installed, here, content, field):
    if content is not None:
        (here / "notes.json").write_text(content)
    refused = installed(
        *("clients", "create", "--name", "N", "--type", "service", "--metadata", "notes.json", "--json")
    )
    assert (refused.code, refused.problem["field"]) == (1, field)


def test_a_client_is_updated_rotated_turned_off_and_on_and_deleted(installed):
    client_id = make_client(installed, "--json").json["client_id"]
    updated = installed(
        *("clients", "update", client_id, "--name", "Mine", "--json"),
        *("--add-redirect-uri", "http://localhost:3001/callback", "--remove-redirect-uri", CALLBACK),
    ).json
    assert (updated["client_name"], updated["redirect_uris"]) == ("Mine", ["http://localhost:3001/callback"])
    rotated = installed("clients", "rotate-secret", client_id, "--overlap", "60", "--json").json
    assert len(rotated["secrets"]) == 2
    assert len(installed("clients", "rotate-secret", client_id, "--now", "--json").json["secrets"]) == 1
    assert installed("clients", "rotate-secret", client_id, "--now", "--overlap", "5").code == 2
    assert installed("clients", "disable", client_id, "--yes", "--json").json == {
        "client_id": client_id,
        "status": "disabled",
        "grants_revoked": 0,
    }
    assert installed("clients", "show", client_id, "--json").json["status"] == "disabled"
    assert installed("clients", "enable", client_id, "--json").json["status"] == "active"
    assert installed("clients", "delete", client_id, "--yes", "--json").json == {
        "client_id": client_id,
        "status": "deleted",
        "grants_revoked": 0,
    }
    assert installed("clients", "show", client_id).code == 1


def test_a_resource_s_life(installed):
    uri = "https://api.example.org"
    made = installed(
        *("resources", "create", uri, "--name", "API", "--scope", "api:read", "--scope", "api:write", "--json"),
        *("--verified-scope", "api:write", "--access-token-lifetime", "120"),
    ).json
    assert made == {
        "identifier": uri,
        "name": "API",
        "scope": "api:read api:write",
        "verified_scope": "api:write",
        "access_token_lifetime": 120,
    }
    assert installed("resources", "list", "--json").json == [made]
    assert installed("resources", "list").out == f"{uri}\tAPI\tapi:read api:write\tapi:write\t120\n"
    updated = installed("resources", "update", uri, "--remove-scope", "api:write", "--default-lifetime", "--json").json
    assert (updated["scope"], updated["verified_scope"], updated["access_token_lifetime"]) == ("api:read", "", None)
    assert installed("resources", "delete", uri, "--yes").code == 0
    assert installed("resources", "show", uri, "--json").problem["detail"] == f"There is no resource {uri}."


def test_a_registration_token_s_life(installed):
    made = installed("registration-tokens", "create", "--uses", "3", "--expires-in", "60", "--json").json
    assert set(made) == {"id", "uses_left", "created_at", "expires_at", "revoked_at", "token"}
    assert made["uses_left"] == 3
    [listed] = installed("registration-tokens", "list", "--json").json
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert installed("registration-tokens", "revoke", made["id"], "--yes").code == 0
    assert installed("registration-tokens", "list", "--json").json[0]["revoked_at"] is not None
    for arguments in (["--uses", "0"], ["--expires-in", "0"], ["--expires-in", "999999999"]):
        assert installed("registration-tokens", "create", *arguments).code == 1


@pytest.mark.parametrize("sign_up", ["invite", "open"])
def test_an_invitation_s_life(installed, monkeypatch, sign_up):
    monkeypatch.setenv("AUTHSERVER_SIGN_UP", sign_up)
    ran = installed("invitations", "create", "New@example.org", "--locale", "de", "--json")
    made = ran.json
    assert set(made) == {"email", "id", "status", "created_at", "expires_at", "accepted_at"}
    assert (made["email"], made["status"]) == ("New@example.org", "open")
    assert f"Invited until {made['expires_at'][:10]}" in ran.err
    assert ("who was not invited can sign up too" in ran.err) is (sign_up == "open")
    assert installed("invitations", "list", "--json").json == [made]
    [mail] = installed("mail", "list", "--json").json
    assert (mail["kind"], mail["recipient"], mail["locale"]) == ("invitation", "New@example.org", "de")
    renewed = installed("invitations", "create", "new@example.org", "--expires-in", "3600", "--json")
    assert (renewed.json["id"], "Renewed until" in renewed.err) == (made["id"], True)
    assert installed("invitations", "list", "--quiet").out == "new@example.org\n"
    assert installed("invitations", "revoke", "new@example.org", "--yes").code == 0
    assert installed("invitations", "list", "--json").json == []
    again = installed("invitations", "revoke", "new@example.org", "--yes", "--json")
    assert (again.code, again.problem["detail"]) == (1, "There is no open invitation for new@example.org.")


def test_nobody_is_invited_where_sign_up_is_off(installed):
    refused = installed("invitations", "create", "new@example.org", "--json")
    assert refused.code == 1
    assert refused.problem["detail"] == "Nobody can sign up here: AUTHSERVER_SIGN_UP is off."
    assert refused.problem["fix"] == "Set AUTHSERVER_SIGN_UP=invite and restart the server."
    assert installed("mail", "list", "--json").json == []


def test_signing_keys_are_listed_rotated_and_exported(installed):
    keys = installed("keys", "list", "--json").json
    assert {(key["alg"], key["state"]) for key in keys} == {
        ("ES256", "signing"),
        ("ES256", "published"),
        ("RS256", "signing"),
        ("RS256", "published"),
    }
    jwks = installed("keys", "export").out
    assert {key["kid"] for key in json.loads(jwks)["keys"]} == {key["kid"] for key in keys}
    assert not {"d", "p", "q"} & {member for key in json.loads(jwks)["keys"] for member in key}
    pem = installed("keys", "export", "--kid", keys[0]["kid"], "--format", "pem").out
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert installed("keys", "export", "--format", "pem").code == 2
    rotated = installed("keys", "rotate", "--json")
    assert rotated.code == 0
    assert {rotation["alg"] for rotation in rotated.json} == {"ES256", "RS256"}
    assert not any(rotation["is_signing"] for rotation in rotated.json), "the next key was published a moment ago"


@pytest.mark.parametrize(
    "arguments",
    [
        ["grants", "revoke"],
        ["sessions", "revoke"],
        ["registration-tokens", "revoke"],
        ["invitations", "revoke"],
    ],
)
@pytest.mark.parametrize("given", ["0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11", "nonsense", "x" * 500])
def test_what_is_not_there_cannot_be_revoked(installed, arguments, given):
    refused = installed(*arguments, given, "--yes", "--json")
    assert refused.code == 1
    assert refused.problem["detail"]


def test_purging_an_empty_house_deletes_nothing(installed):
    purged = installed("purge", "--json")
    assert (purged.code, purged.json["rows"]) == (0, 0)
