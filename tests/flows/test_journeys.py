"""Journeys from a browser's login to the last token's end, driven by libraries that know nothing of this server."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import jwt
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey, KeySet
from joserfc.jwt import decode, encode

from tests.browser_client import Browser
from tests.flows.fleet import ANSWER_SECONDS, API, CALLBACK, SIGNED_OUT, USERNAME, Fleet, sign_in

SCOPE = "openid profile email offline_access notes:read"
WEB = {
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [SIGNED_OUT],
    "scope": "openid profile email offline_access notes:read notes:write",
}


@pytest.fixture
async def http(fleet: Fleet) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client that makes a new connection for each request, so that requests visit every node in turn."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=fleet.issuer, limits=limits, timeout=ANSWER_SECONDS) as client:
        yield client


def app_client(fleet: Fleet, created: dict[str, str], method: Any = "client_secret_basic") -> AsyncOAuth2Client:
    """Return Authlib's client, as an app would set it up from discovery."""
    metadata = httpx2.get(f"{fleet.issuer}/.well-known/openid-configuration").json()
    return AsyncOAuth2Client(
        created["client_id"],
        created.get("client_secret"),
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
        metadata=metadata,
        token_endpoint=metadata["token_endpoint"],
        revocation_endpoint_auth_method="client_secret_basic",
    )


async def fetch_tokens(
    fleet: Fleet, http: httpx2.AsyncClient, app: AsyncOAuth2Client
) -> tuple[Browser, dict[str, Any]]:
    """Run the code flow and return the browser and the token response."""
    verifier, nonce = generate_token(64), generate_token(20)
    url, state = app.create_authorization_url(
        f"{fleet.issuer}/authorize", code_verifier=verifier, nonce=nonce, resource=API
    )
    browser = Browser(http, fleet.issuer)
    location = await sign_in(browser, url)
    answer = parse_qs(urlsplit(location).query)
    assert answer["state"] == [state]
    assert answer["iss"] == [fleet.issuer]
    token = await app.fetch_token(f"{fleet.issuer}/token", authorization_response=location, code_verifier=verifier)
    assert read_id_token(fleet, token["id_token"], app.client_id)["nonce"] == nonce
    return browser, dict(token)


def read_id_token(fleet: Fleet, id_token: str, client_id: str) -> dict[str, Any]:
    """Verify an ID token with joserfc."""
    keys = KeySet.import_key_set(httpx2.get(f"{fleet.issuer}/jwks").json())
    claims = decode(id_token, keys, algorithms=["ES256", "RS256"]).claims
    assert claims["iss"] == fleet.issuer
    assert claims["aud"] == client_id
    assert claims["exp"] > time.time()
    return dict(claims)


def read_access_token(fleet: Fleet, access_token: str, audience: str = API) -> dict[str, Any]:
    """Verify an access token as a resource server with PyJWT does."""
    key = jwt.PyJWKClient(f"{fleet.issuer}/jwks").get_signing_key_from_jwt(access_token)
    claims: dict[str, Any] = jwt.decode(
        access_token, key.key, algorithms=["ES256"], audience=audience, issuer=fleet.issuer
    )
    assert jwt.get_unverified_header(access_token)["typ"] == "at+jwt"
    return claims


async def test_a_web_app_signs_in_renews_and_signs_out(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    created = fleet.create_client("Notes", "web", WEB)
    async with app_client(fleet, created) as app:
        browser, token = await fetch_tokens(fleet, http, app)
        claims = read_access_token(fleet, token["access_token"])
        assert set(claims["scope"].split()) == set(SCOPE.split())

        profile = (await app.get(f"{fleet.issuer}/userinfo")).json()
        assert profile["sub"] == claims["sub"]
        assert profile["email"] == "ann@example.org"

        renewed = await app.refresh_token(f"{fleet.issuer}/token", refresh_token=token["refresh_token"])
        assert renewed["refresh_token"] != token["refresh_token"]
        assert read_access_token(fleet, renewed["access_token"])["sid"] == claims["sid"]

        revoked = await app.revoke_token(f"{fleet.issuer}/revoke", token=renewed["refresh_token"])
        assert revoked.status_code == 200
        asked = await app.introspect_token(f"{fleet.issuer}/introspect", token=renewed["access_token"])
        assert asked.json() == {"active": False}

    query = {"id_token_hint": token["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "bye"}
    left = await browser.get(f"{fleet.issuer}/end_session?{httpx2.QueryParams(query)}")
    assert left.headers["location"] == f"{SIGNED_OUT}?state=bye"


@pytest.mark.attack(53)
async def test_a_client_that_signs_its_assertions_gets_a_token_once(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    metadata = {
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": {"keys": [key.as_dict(private=False)]},
        "scope": "notes:read",
    }
    created = fleet.create_client("Robot", "service", metadata)
    # Authlib asks for an hour; five minutes are the most that is accepted here (SECURITY row 55)
    claims = {"exp": int(time.time()) + 120}
    method = PrivateKeyJWT(f"{fleet.issuer}/token", claims, {"kid": key.kid}, alg="ES256")
    created["client_secret"] = key
    async with app_client(fleet, created, method) as app:
        token = await app.fetch_token(f"{fleet.issuer}/token", grant_type="client_credentials", scope="notes:read")
    assert read_access_token(fleet, token["access_token"])["sub"] == created["client_id"]

    said = {"iss": created["client_id"], "sub": created["client_id"], "aud": fleet.issuer, "jti": generate_token(20)}
    assertion = encode({"alg": "ES256", "kid": key.kid}, {**said, "exp": int(time.time()) + 60}, key)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    answers = [(await http.post("/token", data=form)).status_code for _ in range(4)]
    assert answers == [200, 401, 401, 401]  # on whichever node it comes again


async def test_an_app_registers_itself_and_signs_a_user_in(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    invitation = fleet.run("registration-tokens", "create")
    metadata = {"client_name": "Self", "redirect_uris": ["https://self.example/callback"], "scope": SCOPE,
                "grant_types": ["authorization_code", "refresh_token"]}  # fmt: skip
    registered = await http.post("/register", json=metadata, headers={"authorization": f"Bearer {invitation['token']}"})
    assert registered.status_code == 201, registered.text
    client = registered.json()
    async with app_client(fleet, client) as app:
        app.redirect_uri = "https://self.example/callback"
        _, token = await fetch_tokens(fleet, http, app)
    assert jwt.get_unverified_header(token["id_token"])["alg"] == "RS256"  # OIDC Registration §2: the default


@pytest.mark.attack(23)
async def test_fifty_redemptions_of_one_code_make_one_grant(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    created = fleet.create_client("Racer", "web", WEB)
    verifier = generate_token(64)
    async with app_client(fleet, created) as app:
        url, _ = app.create_authorization_url(f"{fleet.issuer}/authorize", code_verifier=verifier, resource=API)
    location = await sign_in(Browser(http, fleet.issuer), url)
    form = {
        "grant_type": "authorization_code",
        "code": parse_qs(urlsplit(location).query)["code"][0],
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
    }
    credentials = (created["client_id"], created["client_secret"])
    answers = await asyncio.gather(*(http.post("/token", data=form, auth=credentials) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    asked = await http.post("/introspect", data={"token": won["refresh_token"]}, auth=credentials)
    assert asked.json() == {"active": False}  # the second redemption was a replay: the family falls
    assert [grant for grant in fleet.run("grants", "list") if grant["client_id"] == created["client_id"]] == []


@pytest.mark.attack(40)
async def test_a_hundred_parallel_refreshes_give_one_successor(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    created = fleet.create_client("Tabs", "web", WEB)
    async with app_client(fleet, created) as app:
        _, token = await fetch_tokens(fleet, http, app)
    form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    credentials = (created["client_id"], created["client_secret"])
    answers = await asyncio.gather(*(http.post("/token", data=form, auth=credentials) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_what_an_operator_cuts_is_cut_on_every_node(fleet: Fleet, http: httpx2.AsyncClient) -> None:
    created = fleet.create_client("Cut", "web", WEB)
    async with app_client(fleet, created) as app:
        _, token = await fetch_tokens(fleet, http, app)
    fleet.run("users", "disable", USERNAME, "--yes")
    try:
        form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        credentials = (created["client_id"], created["client_secret"])
        for _ in fleet.nodes:
            answer = await http.post("/token", data=form, auth=credentials)
            assert answer.json()["error"] == "invalid_grant"
            bearer = {"authorization": f"Bearer {token['access_token']}"}
            assert (await http.get("/userinfo", headers=bearer)).status_code == 401
    finally:
        fleet.run("users", "enable", USERNAME)
