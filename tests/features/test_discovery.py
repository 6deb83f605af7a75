"""What the discovery document says is what the server does (OIDC Discovery §3, RFC 8414 §2)."""

from urllib.parse import urlsplit

import pytest

from authserver.jose.jwk import CLIENT_ALGORITHMS
from tests.features.test_authorize_as_specified import read_id_token
from tests.oauth.examples import ISSUER


async def read_metadata(server):
    return (await server.get("/.well-known/openid-configuration")).json()


@pytest.mark.parametrize("endpoint", ["token", "revocation", "introspection"])
async def test_clients_may_sign_with_what_is_announced_and_nothing_else(server, endpoint):
    announced = (await read_metadata(server))[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
    assert sorted(announced) == sorted(CLIENT_ALGORITHMS)


async def test_every_claim_of_an_id_token_and_of_userinfo_is_announced(server):
    tokens = await server.code_flow(scope="openid profile email notes:read")
    claims = await read_id_token(server, tokens["id_token"])
    userinfo = (await server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}")).json()
    announced = (await read_metadata(server))["claims_supported"]
    assert {*claims, *userinfo} <= set(announced)
    assert len(set(announced)) == len(announced)


async def test_both_addresses_give_the_same_document(server):
    one = await server.get("/.well-known/openid-configuration")
    other = await server.get("/.well-known/oauth-authorization-server")
    assert one.json() == other.json()
    assert one.headers["content-type"] == "application/json"
    again = await server.get("/.well-known/openid-configuration", if_none_match=one.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_every_endpoint_that_is_announced_answers(start_server):
    server = await start_server(client_registration="open")
    metadata = await read_metadata(server)
    announced = {name: url for name, url in metadata.items() if name.endswith(("_endpoint", "_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"} <= announced.keys()
    for name, url in announced.items():
        assert url.startswith(f"{ISSUER}/"), name
        response = await server.http.request("OPTIONS", urlsplit(url).path)
        assert response.status_code in {204, 405}, name


async def test_what_is_turned_off_is_not_announced(server):
    assert "registration_endpoint" not in await read_metadata(server)
    assert (await server.http.post("/register", json={})).status_code == 404
