"""Access tokens as RFC 9068 has them, read by PyJWT as an API would."""

import jwt
import pytest

from tests.oauth.examples import MAIL, NOTES, USER
from tests.server import SERVICE, WEB


async def read(server, token, audience=NOTES.identifier):
    """Verify a token against the published keys, by a library that is not ours."""
    keys = jwt.PyJWKSet.from_dict((await server.get("/jwks")).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["ES256", "RS256"], audience=audience, issuer=server.issuer)


async def test_an_access_token_is_a_signed_jwt_of_its_own_type(server):
    token = (await server.code_flow())["access_token"]
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert await read(server, token)


async def test_an_access_token_has_the_claims_every_api_needs(server):
    tokens = await server.code_flow()
    claims = await read(server, tokens["access_token"])
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= claims.keys()
    assert (claims["sub"], claims["client_id"]) == (USER.sub, WEB.client_id)
    assert claims["exp"] - claims["iat"] == tokens["expires_in"]
    assert claims["scope"] == "notes:read openid"


async def test_two_access_tokens_have_different_identifiers(server):
    tokens = await server.code_flow()
    again = (await server.refresh(tokens["refresh_token"])).json()
    first, second = await read(server, tokens["access_token"]), await read(server, again["access_token"])
    assert first["jti"] != second["jti"]


async def test_how_the_user_signed_in_stays_what_it_was(server):
    """§2.2.1: a refresh is no new authentication."""
    tokens = await server.code_flow()
    again = (await server.refresh(tokens["refresh_token"])).json()
    first, second = await read(server, tokens["access_token"]), await read(server, again["access_token"])
    assert (first["auth_time"], first["acr"]) == (second["auth_time"], second["acr"])


async def test_an_access_token_says_nothing_of_the_user_but_the_subject(server):
    tokens = await server.code_flow(scope="openid profile email notes:read")
    claims = await read(server, tokens["access_token"])
    assert not {"email", "name", "preferred_username"} & claims.keys()


@pytest.mark.attack(35)
async def test_a_clients_own_token_has_the_client_as_its_subject(server):
    token = (await server.token(SERVICE, grant_type="client_credentials", scope="notes:read")).json()["access_token"]
    claims = await read(server, token)
    assert claims["sub"] == claims["client_id"] == SERVICE.client_id
    assert not {"sid", "auth_time", "acr"} & claims.keys()


async def test_the_audience_follows_the_resource_or_the_scope(server):
    for asked, audience in (
        ({"resource": NOTES.identifier}, NOTES.identifier),
        ({"scope": "openid mail:send"}, MAIL.identifier),
        ({"scope": "openid"}, server.issuer),
    ):
        token = (await server.code_flow(**asked))["access_token"]
        assert (await read(server, token, audience))["aud"] == audience


async def test_scopes_of_two_apis_without_a_resource_are_refused(server):
    response = await server.authorize(scope="notes:read mail:send")
    assert "error=invalid_scope" in response.headers["location"]


@pytest.mark.attack(34)
async def test_an_api_does_not_take_an_id_token(server):
    tokens = await server.code_flow()
    assert jwt.get_unverified_header(tokens["id_token"])["typ"] != "at+jwt"
    with pytest.raises(jwt.InvalidAudienceError):
        await read(server, tokens["id_token"])


async def test_rs256_is_among_the_published_keys(server):
    keys = (await server.get("/jwks")).json()["keys"]
    assert {"ES256", "RS256"} <= {key["alg"] for key in keys}
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert (metadata["issuer"], metadata["jwks_uri"]) == (server.issuer, f"{server.issuer}/jwks")
