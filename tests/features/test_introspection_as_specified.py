"""POST /introspect as RFC 7662 has it."""

from datetime import UTC, datetime

import pytest

from authserver.jose.jwt import sign_access_token
from authserver.store import clients, users
from tests.oauth.examples import NOTES, SECRET, USER
from tests.server import NOTES_API, SERVICE, SPA, WEB, basic

INACTIVE = {"active": False}


async def test_a_live_access_token_is_told_with_its_claims(server):
    tokens = await server.code_flow()
    response = await server.call("/introspect", NOTES_API, token=tokens["access_token"])
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    told = response.json()
    assert told["active"] is True
    assert told["token_type"] == "Bearer"
    assert (told["iss"], told["aud"]) == (server.issuer, NOTES.identifier)
    assert (told["sub"], told["client_id"], told["scope"]) == (USER.sub, WEB.client_id, "notes:read openid")
    assert told["exp"] - told["iat"] == tokens["expires_in"]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unknown_kind"])
async def test_a_wrong_hint_makes_no_difference(server, hint):
    tokens = await server.code_flow()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        told = (await server.call("/introspect", WEB, token=token, token_type_hint=hint)).json()
        assert told["active"] is True


async def test_a_client_may_ask_about_its_own_refresh_token_and_nobody_else(server):
    tokens = await server.code_flow()
    told = await server.introspect(tokens["refresh_token"], WEB)
    assert (told["active"], told["sub"], told["client_id"]) == (True, USER.sub, WEB.client_id)
    assert told["exp"] > told["iat"]
    assert await server.introspect(tokens["refresh_token"], NOTES_API) == INACTIVE


async def test_asking_about_a_refresh_token_does_not_use_it(server):
    tokens = await server.code_flow()
    before = await server.rows("SELECT generation, rotated_at, late FROM grants")
    for _ in range(3):
        await server.introspect(tokens["refresh_token"], WEB)
    assert await server.rows("SELECT generation, rotated_at, late FROM grants") == before


@pytest.mark.attack(48)
async def test_a_token_for_another_audience_is_as_good_as_none(server):
    mail = await server.code_flow(scope="mail:send")
    assert await server.introspect(mail["access_token"]) == INACTIVE
    assert (await server.introspect(mail["access_token"], WEB))["active"] is True
    assert await server.introspect(mail["access_token"], SERVICE) == INACTIVE


@pytest.mark.attack(48)
async def test_whoever_does_not_authenticate_learns_nothing(server):
    tokens = await server.code_flow(SPA)
    response = await server.post("/introspect", {"token": tokens["access_token"]})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    response = await server.call("/introspect", SPA, token=tokens["access_token"])
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    response = await server.post("/introspect", {"token": "x"}, authorization=f"Bearer {tokens['access_token']}")
    assert response.status_code == 401


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "asr_" + "A" * 100, "é", "x" * 5000])
async def test_what_is_no_token_of_ours_is_inactive_and_no_error(server, token):
    response = await server.call("/introspect", NOTES_API, token=token)
    assert (response.status_code, response.json()) == (200, INACTIVE)


@pytest.mark.attack(34)
async def test_an_id_token_is_no_access_token(server):
    tokens = await server.code_flow()
    assert await server.introspect(tokens["id_token"], WEB) == INACTIVE


@pytest.mark.attack(60)
async def test_a_token_with_a_changed_signature_is_inactive(server):
    header, claims, signature = (await server.code_flow())["access_token"].split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    assert await server.introspect(f"{header}.{claims}.{changed}") == INACTIVE


@pytest.mark.attack(36)
async def test_a_token_ends_with_its_user_and_with_its_client(server):
    tokens = await server.code_flow()
    async with server.services.engine.begin() as tx:
        await users.set_disabled(tx, USER.id, await tx.now())
    assert await server.introspect(tokens["access_token"]) == INACTIVE
    assert await server.introspect(tokens["refresh_token"], WEB) == INACTIVE
    async with server.services.engine.begin() as tx:
        await users.set_disabled(tx, USER.id, None)
        await clients.set_disabled(tx, WEB.client_id, await tx.now())
    await server.services.directory.refresh()
    assert await server.introspect(tokens["access_token"]) == INACTIVE


async def test_an_expired_token_is_inactive(server):
    told = await server.introspect((await server.code_flow())["access_token"])
    claims = {name: value for name, value in told.items() if name not in {"active", "token_type"}}
    now = datetime.now(UTC)
    for seconds, active in ((5, True), (0, False)):
        token = sign_access_token(
            server.services.live.keyring, claims | {"exp": int(now.timestamp()) + seconds}, now=now
        )
        assert (await server.introspect(token))["active"] is active


async def test_a_clients_own_token_is_told_without_a_user(server):
    tokens = (await server.token(SERVICE, grant_type="client_credentials", scope="notes:read")).json()
    told = await server.introspect(tokens["access_token"])
    assert (told["active"], told["sub"], told["client_id"]) == (True, SERVICE.client_id, SERVICE.client_id)
    assert "sid" not in told


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        pytest.param([], "parameter_missing", id="no token"),
        pytest.param([("token", "a"), ("token", "b")], "parameter_repeated", id="two tokens"),
    ],
)
async def test_a_request_that_names_no_token_is_invalid(server, form, refusal):
    response = await server.post("/introspect", form, authorization=basic(NOTES_API.client_id, SECRET))
    assert (response.status_code, response.json()["error"], server.refusal) == (400, "invalid_request", refusal)


async def test_only_post_is_answered(server):
    response = await server.get("/introspect?token=x", authorization=basic(NOTES_API.client_id, SECRET))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_discovery_says_where_and_how_to_ask(server):
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["introspection_endpoint"] == f"{server.issuer}/introspect"
    assert "none" not in metadata["introspection_endpoint_auth_methods_supported"]
