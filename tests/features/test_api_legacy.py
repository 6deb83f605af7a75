"""A Django project moves over: people are imported, and their old refresh tokens are good for one new grant each."""

import asyncio
import json
import time
from dataclasses import replace
from uuid import UUID

import jwt
import pytest

from authserver.oauth.values import AuthMethod
from authserver.operations import users
from authserver.operations.django_users import ReadingRules, read_file
from authserver.operations.user_import import import_users, spend_tokens
from authserver.store import imported_ids
from tests.server import SPA

KEY = "django-insecure-0123456789abcdef0123456789abcdef0123456789abcdef"
OWN = replace(SPA, client_id="own-app", first_party=True, token_endpoint_auth_method=AuthMethod.NONE)
DUMP = [
    {"model": "auth.user", "pk": 7, "fields": {"username": "djan", "email": "djan@example.org", "password": "!"}},
    {
        "model": "token_blacklist.outstandingtoken",
        "pk": 3,
        "fields": {"user": 7, "jti": "blacklisted", "expires_at": "2126-01-01T00:00:00Z"},
    },
    {"model": "token_blacklist.blacklistedtoken", "pk": 1, "fields": {"token": 3}},
]


def old_token(**changes):
    now = int(time.time())
    claims = {"token_type": "refresh", "exp": now + 3600, "iat": now - 60, "jti": "j1", "user_id": 7} | changes
    return jwt.encode(claims, KEY, algorithm="HS256")


@pytest.fixture
async def moved(start_server):
    """A server to which the project of DUMP has moved."""
    server = await start_server(legacy_jwt_key=KEY, legacy_jwt_until="2126-01-01T00:00:00Z")
    await server.add_clients(OWN)
    found = read_file(json.dumps(DUMP), ReadingRules())
    result = await import_users(server.operator, found.users, keep_ids=True)
    assert (result.created, len(result.faults)) == (1, 0)
    assert await spend_tokens(server.operator, found.spent_tokens) == 1
    return server


async def refresh(server, token):
    body = {"client_id": "own-app", "refresh_token": token, "scope": "notes:read"}
    return await server.http.post("/api/refresh", json=body)


async def test_an_old_token_becomes_a_pair_of_ours_that_goes_on_as_any_other(moved):
    answer = await refresh(moved, old_token())
    assert answer.status_code == 200, answer.text
    pair = answer.json()
    assert pair["refresh_token"].startswith("asr_")
    told = await moved.introspect(pair["access_token"])
    (row,) = await moved.rows("SELECT id FROM users WHERE username = 'djan'")
    assert UUID(told["sub"]) == UUID(str(row.id))
    assert (await refresh(moved, pair["refresh_token"])).status_code == 200
    assert "legacy_token_exchanged" in await moved.audit_events()


async def test_an_old_token_is_good_once(moved):
    assert (await refresh(moved, old_token())).status_code == 200
    again = await refresh(moved, old_token())
    assert (again.status_code, again.json()["code"], moved.refusal) == (400, "invalid_grant", "legacy_token_used")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"jti": "blacklisted"}, "legacy_token_used"),
        ({"user_id": 8}, "legacy_token_invalid"),
        ({"token_type": "access"}, "legacy_token_invalid"),
        ({"exp": 1}, "legacy_token_expired"),
    ],
)
async def test_what_the_old_project_would_refuse_is_refused(moved, changes, refusal):
    answer = await refresh(moved, old_token(**changes))
    assert (answer.status_code, answer.json()["code"], moved.refusal) == (400, "invalid_grant", refusal)


async def test_a_token_of_another_key_and_one_that_is_none_are_refused(moved):
    forged = jwt.encode({"token_type": "refresh"}, KEY + "x", algorithm="HS256")
    for token in (forged, "asr_nothing", "nothing at all"):
        assert (await refresh(moved, token)).json()["code"] == "invalid_grant"
        assert moved.refusal == "legacy_token_invalid"


@pytest.mark.attack(36)
async def test_a_disabled_user_gets_nothing_for_an_old_token(moved):
    await moved.execute("UPDATE users SET disabled_at = created_at WHERE username = 'djan'")
    answer = await refresh(moved, old_token())
    assert (answer.status_code, moved.refusal) == (400, "user_disabled")


async def test_after_the_window_an_old_token_is_no_token(start_server):
    server = await start_server(legacy_jwt_key=KEY, legacy_jwt_until="2026-01-01T00:00:00Z")
    await server.add_clients(OWN)
    assert (await refresh(server, old_token())).status_code == 400
    assert server.refusal == "refresh_token_malformed"


async def set_password(server):
    await users.set_password(server.operator, "djan", "another long phrase")


async def turn_off_and_on(server):
    await users.disable(server.operator, "djan")
    await users.enable(server.operator, "djan")


@pytest.mark.attack(113)
@pytest.mark.parametrize("cut", [set_password, turn_off_and_on])
async def test_an_old_token_dies_with_the_password_and_with_whatever_else_ends_all_grants(moved, cut):
    await cut(moved)
    assert (await refresh(moved, old_token())).status_code == 400
    assert moved.refusal == "legacy_token_invalid"


@pytest.mark.fault("B29")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_old_token_exchanged_while_the_user_is_cut_off_leaves_no_grant(moved, monkeypatch):
    original, cutting = imported_ids.find, []

    async def find(tx, source_id):
        found = await original(tx, source_id)
        if not cutting:
            cutting.append(asyncio.create_task(turn_off_and_on(moved)))
            await asyncio.wait_for(cutting[0], 5)
        return found

    monkeypatch.setattr(imported_ids, "find", find)
    assert (await refresh(moved, old_token())).status_code == 400
    assert await moved.rows("SELECT id FROM grants") == []
