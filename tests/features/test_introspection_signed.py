"""POST /introspect with a signed answer, as RFC 9701 has it."""

import base64
import json
from dataclasses import replace

import jwt
import pytest

from authserver.store import clients
from tests.oauth.examples import MAIL, SECRET, USER, WEB
from tests.server import NOTES_API, SPA, basic

SIGNED = "application/token-introspection+jwt"


async def ask(server, token, client=NOTES_API, accept=SIGNED):
    headers = {"authorization": basic(client.client_id, SECRET), "accept": accept}
    return await server.post("/introspect", {"token": token}, **headers)


async def read(server, response, client=NOTES_API, alg="RS256"):
    """Verify the answer as a resource server does, with a library that is not ours."""
    assert response.headers["content-type"] == SIGNED
    header = jwt.get_unverified_header(response.text)
    assert (header["typ"], header["alg"]) == ("token-introspection+jwt", alg)
    keys = {key["kid"]: key for key in (await server.get("/jwks")).json()["keys"]}
    key = jwt.PyJWK(keys[header["kid"]])
    return jwt.decode(response.text, key, algorithms=[alg], audience=client.client_id, issuer=server.issuer)


async def test_who_asks_for_a_jwt_gets_the_same_signed_for_itself(server):
    token = (await server.code_flow())["access_token"]
    response = await ask(server, token)
    claims = await read(server, response)
    assert claims["token_introspection"] == await server.introspect(token)
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}, "neither sub nor exp: it is no access token"
    assert response.headers["cache-control"] == "no-store"


async def test_a_refresh_token_is_told_in_a_jwt_to_its_client(server):
    tokens = await server.code_flow()
    claims = await read(server, await ask(server, tokens["refresh_token"], WEB), WEB)
    assert (claims["token_introspection"]["active"], claims["token_introspection"]["sub"]) == (True, USER.sub)


@pytest.mark.parametrize(
    ("accept", "signed"),
    [
        (SIGNED, True),
        (f"application/json;q=0.5, {SIGNED}", True),
        (f"{SIGNED}, application/json", True),
        (f"{SIGNED};q=0.5, application/json", False),
        (f"{SIGNED};q=0", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("text/html", False),
        ("", False),
    ],
)
async def test_the_answer_is_signed_only_where_that_is_asked_for_by_name(server, accept, signed):
    response = await ask(server, "x", accept=accept)
    assert response.status_code == 200
    assert (response.headers["content-type"] == SIGNED) is signed


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
async def test_the_client_chooses_the_algorithm(server, alg):
    async with server.services.engine.begin() as tx:
        current = await clients.get(tx, NOTES_API.client_id)
        assert await clients.update(tx, replace(current, introspection_signed_response_alg=alg))
    await server.services.directory.refresh()
    claims = await read(server, await ask(server, "x"), alg=alg)
    assert claims["token_introspection"] == {"active": False}


async def test_without_rsa_keys_the_default_is_what_there_is(server):
    server.services.live.keyring.algorithms = ("ES256",)
    await read(server, await ask(server, "x"), alg="ES256")


@pytest.mark.attack(48)
async def test_a_token_that_is_not_the_callers_business_is_one_word_in_a_jwt_too(server):
    mail = await server.code_flow(scope="mail:send")
    expected = {"active": False}
    for token in (mail["access_token"], mail["refresh_token"], mail["access_token"][:-3] + "abc", "unknown"):
        assert (await read(server, await ask(server, token)))["token_introspection"] == expected
        assert await server.introspect(token) == expected
    mail_api = replace(NOTES_API, client_id="mail-api", introspects=(MAIL.identifier,))
    await server.add_clients(mail_api)
    told = await read(server, await ask(server, mail["access_token"], mail_api), mail_api)
    assert told["token_introspection"]["active"] is True


@pytest.mark.attack(48)
async def test_whoever_does_not_authenticate_gets_no_signature(server):
    token = (await server.code_flow(SPA))["access_token"]
    for response in (
        await server.post("/introspect", {"token": token}, accept=SIGNED),
        await server.post("/introspect", {"token": token, "client_id": SPA.client_id}, accept=SIGNED),
    ):
        assert (response.status_code, response.headers["content-type"]) == (401, "application/json")


@pytest.mark.attack(34)
async def test_a_signed_answer_is_no_token(server):
    """RFC 9701 §8.1: our own endpoints refuse it wherever a token is read."""
    token = (await server.code_flow())["access_token"]
    signed = (await ask(server, token)).text
    assert (await server.get("/userinfo", authorization=f"Bearer {signed}")).status_code == 401
    assert await server.introspect(signed, WEB) == {"active": False}
    padded = signed.split(".")[1] + "=="
    assert "sub" not in json.loads(base64.urlsafe_b64decode(padded))


async def test_discovery_says_what_it_may_be_signed_with(server):
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["introspection_signing_alg_values_supported"] == ["ES256", "RS256"]
    assert not [name for name in metadata if name.startswith("introspection_encryption")], "not offered, so not said"
