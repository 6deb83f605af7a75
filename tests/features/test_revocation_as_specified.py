"""POST /revoke as RFC 7009 has it."""

import pytest

from tests.server import NATIVE, NOTES_API, SERVICE, SPA, WEB


async def is_refused(server, refresh_token, client=WEB):
    response = await server.refresh(refresh_token, client)
    return response.status_code == 400 and response.json()["error"] == "invalid_grant"


async def is_active(server, access_token):
    return (await server.introspect(access_token))["active"]


@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token", "unknown_kind"])
async def test_a_revoked_refresh_token_ends_with_all_it_gave(server, hint):
    tokens = await server.code_flow()
    assert await is_active(server, tokens["access_token"])
    response = await server.call("/revoke", WEB, token=tokens["refresh_token"], token_type_hint=hint)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["cache-control"] == "no-store"
    assert await is_refused(server, tokens["refresh_token"])
    assert server.refusal == "grant_revoked"
    assert not await is_active(server, tokens["access_token"])


@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token"])
async def test_a_revoked_access_token_takes_its_grant_with_it(server, hint):
    tokens = await server.code_flow()
    response = await server.call("/revoke", WEB, token=tokens["access_token"], token_type_hint=hint)
    assert response.status_code == 200
    assert not await is_active(server, tokens["access_token"])
    assert await is_refused(server, tokens["refresh_token"])


async def test_other_grants_of_the_same_user_and_client_live_on(server):
    browser = server.browser()
    kept = await server.code_flow(browser=browser)
    given_back = await server.code_flow(browser=browser)
    await server.call("/revoke", WEB, token=given_back["refresh_token"])
    assert await is_active(server, kept["access_token"])
    assert (await server.refresh(kept["refresh_token"])).status_code == 200


@pytest.mark.attack(46)
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
async def test_another_clients_token_stays_alive(server, kind):
    tokens = await server.code_flow()
    for other in (SPA, SERVICE):
        response = await server.call("/revoke", other, token=tokens[kind])
        assert response.status_code == 200, "it does not learn whether there is such a token"
    assert await is_active(server, tokens["access_token"])
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.attack(46)
async def test_a_confidential_client_must_authenticate(server):
    tokens = await server.code_flow()
    response = await server.post("/revoke", {"token": tokens["refresh_token"], "client_id": WEB.client_id})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    response = await server.post("/revoke", {"token": tokens["refresh_token"]})
    assert (response.status_code, server.refusal) == (400, "client_not_identified")
    assert await is_active(server, tokens["access_token"])


async def test_a_public_client_gives_its_own_token_back(server):
    tokens = await server.code_flow(SPA)
    assert (await server.call("/revoke", SPA, token=tokens["refresh_token"])).status_code == 200
    assert await is_refused(server, tokens["refresh_token"], SPA)


@pytest.mark.attack(46)
@pytest.mark.parametrize("token", ["unknown", "a.b.c", "asr_" + "A" * 100, "é", "x" * 5000])
async def test_a_token_that_is_none_of_ours_is_answered_alike(server, token):
    response = await server.call("/revoke", WEB, token=token)
    assert (response.status_code, response.content) == (200, b"")


async def test_giving_back_twice_is_no_error(server):
    tokens = await server.code_flow()
    for _ in range(2):
        assert (await server.call("/revoke", WEB, token=tokens["refresh_token"])).status_code == 200
    assert (await server.audit_events()).count("grant_revoked") == 1


async def test_a_clients_own_access_token_cannot_be_revoked(server):
    tokens = (await server.token(SERVICE, grant_type="client_credentials", scope="notes:read")).json()
    response = await server.call("/revoke", SERVICE, token=tokens["access_token"])
    assert (response.status_code, response.json()["error"]) == (400, "unsupported_token_type")
    assert await is_active(server, tokens["access_token"])


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        pytest.param([], "parameter_missing", id="no token"),
        pytest.param([("token", "")], "parameter_missing", id="an empty token"),
        pytest.param([("token", "a"), ("token", "b")], "parameter_repeated", id="two tokens"),
    ],
)
async def test_a_request_that_names_no_token_is_invalid(server, form, refusal):
    response = await server.post("/revoke", [("client_id", NATIVE.client_id), *form])
    assert (response.status_code, response.json()["error"], server.refusal) == (400, "invalid_request", refusal)


async def test_only_a_posted_form_is_read(server):
    response = await server.get("/revoke?token=x")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await server.http.post("/revoke", json={"token": "x", "client_id": SPA.client_id})
    assert response.status_code == 415


async def test_discovery_says_where_and_how_to_revoke(server):
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["revocation_endpoint"] == f"{server.issuer}/revoke"
    assert "none" in metadata["revocation_endpoint_auth_methods_supported"]


async def test_a_resource_server_cannot_revoke_what_it_may_ask_about(server):
    tokens = await server.code_flow()
    assert (await server.call("/revoke", NOTES_API, token=tokens["access_token"])).status_code == 200
    assert await is_active(server, tokens["access_token"])
