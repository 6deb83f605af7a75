"""GET and POST /userinfo as OpenID Connect Core §5.3 has it."""

import pytest

from authserver.store import users
from tests.oauth.examples import USER
from tests.server import SERVICE, SPA


def bearer(token):
    return f"Bearer {token}"


async def test_get_and_post_are_answered_alike(server):
    token = (await server.code_flow(scope="openid profile email"))["access_token"]
    by_get = await server.get("/userinfo", authorization=bearer(token))
    by_post = await server.post("/userinfo", {}, authorization=bearer(token))
    in_body = await server.post("/userinfo", {"access_token": token})
    assert by_get.status_code == by_post.status_code == in_body.status_code == 200
    assert by_get.json() == by_post.json() == in_body.json()


async def test_the_answer_is_json_about_the_same_subject_as_the_id_token(server):
    tokens = await server.code_flow(scope="openid profile email")
    response = await server.get("/userinfo", authorization=bearer(tokens["access_token"]))
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    claims = response.json()
    assert claims["sub"] == USER.sub
    assert (claims["email"], claims["email_verified"], claims["preferred_username"]) == (USER.email, True, "ada")
    assert "name" not in claims, "what is not known is left out"


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("openid", {"sub"}),
        ("openid email", {"sub", "email", "email_verified"}),
        ("openid profile", {"sub", "preferred_username", "updated_at"}),
        ("openid notes:read", {"sub"}),
    ],
)
async def test_scopes_decide_what_is_told(server, scope, names):
    token = (await server.code_flow(scope=scope))["access_token"]
    assert set((await server.get("/userinfo", authorization=bearer(token))).json()) == names


async def test_a_token_without_openid_is_not_enough(server):
    token = (await server.code_flow(scope="notes:read"))["access_token"]
    response = await server.get("/userinfo", authorization=bearer(token))
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert 'scope="openid"' in response.headers["www-authenticate"]


async def test_a_clients_own_token_has_no_user_to_tell_of(server):
    token = (await server.token(SERVICE, grant_type="client_credentials", scope="notes:read")).json()["access_token"]
    assert (await server.get("/userinfo", authorization=bearer(token))).status_code == 403


async def test_without_a_token_there_is_a_bare_challenge(server):
    response = await server.get("/userinfo")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.attack(34)
@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
async def test_another_kind_of_token_is_refused(server, kind):
    tokens = await server.code_flow()
    response = await server.get("/userinfo", authorization=bearer(tokens[kind]))
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("token", ["unknown", "a.b.c", "é", ""])
async def test_what_is_no_token_is_refused(server, token):
    response = await server.http.get("/userinfo", headers=[(b"authorization", f"Bearer {token}".encode())])
    assert response.status_code == 401


async def test_a_token_in_the_url_is_not_read(server):
    token = (await server.code_flow())["access_token"]
    answer = await server.get(f"/userinfo?access_token={token}")
    assert (answer.status_code, server.refusal) == (401, "token_missing")


async def test_two_tokens_in_one_request_are_refused(server):
    token = (await server.code_flow())["access_token"]
    response = await server.post("/userinfo", {"access_token": token}, authorization=bearer(token))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.attack(36)
async def test_a_revoked_token_and_a_disabled_user_are_told_nothing_of(server):
    given_back = await server.code_flow(SPA)
    await server.call("/revoke", SPA, token=given_back["refresh_token"])
    response = await server.get("/userinfo", authorization=bearer(given_back["access_token"]))
    assert (response.status_code, server.refusal) == (401, "token_revoked")
    token = (await server.code_flow())["access_token"]
    async with server.services.engine.begin() as tx:
        await users.set_disabled(tx, USER.id, await tx.now())
    assert (await server.get("/userinfo", authorization=bearer(token))).status_code == 401


async def test_a_page_of_a_registered_app_may_read_it(server):
    token = (await server.code_flow(SPA))["access_token"]
    headers = {"authorization": bearer(token), "origin": "https://spa.example"}
    response = await server.get("/userinfo", **headers)
    assert response.headers["access-control-allow-origin"] == "https://spa.example"
    response = await server.get("/userinfo", **(headers | {"origin": "https://evil.example"}))
    assert "access-control-allow-origin" not in response.headers


async def test_discovery_says_what_can_be_asked_for(server):
    metadata = (await server.get("/.well-known/openid-configuration")).json()
    assert metadata["userinfo_endpoint"] == f"{server.issuer}/userinfo"
    assert {"sub", "email", "email_verified", "name"} <= set(metadata["claims_supported"])
    assert metadata["claims_parameter_supported"] is False
    assert metadata["claim_types_supported"] == ["normal"]
