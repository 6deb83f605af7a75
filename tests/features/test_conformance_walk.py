"""The OpenID Foundation's basic and dynamic profiles, walked by hand: its suite's clients, and what they ask.

The suite registers with an initial access token: a client that nobody vouches for is asked for consent each time
(SECURITY row 15), so `prompt=none` could never succeed for it.
"""

import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe

import joserfc.jwt
import pytest
from joserfc.jwk import KeySet

from authserver.oauth.client_auth import JWT_BEARER
from authserver.operations import registration_tokens
from authserver.store.tables import AuthorizationCodes, Sessions
from tests.browser_client import FORM
from tests.jose.keys import client_key, public
from tests.oauth.examples import ISSUER
from tests.server import answer_of, basic

CALLBACK = "https://suite.example/test/a/authserver/callback"
KEY = client_key("RS256")
METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


class Client:
    """A relying party with its own registration; it signs in without PKCE, as the basic profile does."""

    def __init__(self, server, registered):
        self.server, self.registered, self.id = server, registered, registered["client_id"]
        self.browser = server.browser()

    async def ask(self, browser=None, **changes):
        """Send an authorization request; a change of "" leaves a parameter out."""
        asked = {"redirect_uri": CALLBACK, "code_challenge": "", "code_challenge_method": "", "scope": "openid profile"}
        url = self.server.authorization_url(client_id=self.id, **(asked | changes))
        return await (browser or self.browser).open(url)

    async def sign_in(self, page=None, **changes):
        """Fill in every page that comes, and return the answer at the callback."""
        page = page or await self.ask(**changes)
        if page.url.path.startswith("/login/"):
            page = await self.browser.follow(await self.server.login(self.browser, page))
        if page.url.path.startswith("/consent/"):
            page = await self.browser.follow(await self.browser.submit(page, decision="allow"))
        return answer_of(page)

    async def post(self, path, **form):
        method = self.registered["token_endpoint_auth_method"]
        if method == "client_secret_basic":
            return await self.server.post(path, form, authorization=basic(self.id, self.registered["client_secret"]))
        if method == "client_secret_post":
            return await self.server.post(
                path, form | {"client_id": self.id, "client_secret": self.registered["client_secret"]}
            )
        return await self.server.post(path, form | self.assertion())

    def assertion(self):
        now = int(time.time())
        claims = {"iss": self.id, "sub": self.id, "aud": f"{ISSUER}/token", "jti": token_urlsafe(9), "exp": now + 60}
        text = joserfc.jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, KEY, algorithms=["RS256"])
        return {"client_assertion_type": JWT_BEARER, "client_assertion": text}

    async def redeem(self, code):
        return await self.post("/token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK)

    async def tokens(self, **changes):
        response = await self.redeem((await self.sign_in(**changes))["code"])
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        return response.json()

    async def claims(self, tokens):
        keys = KeySet.import_key_set((await self.server.get("/jwks")).json())
        return joserfc.jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims


@pytest.fixture
async def register(start_server):
    """Give `await register(**metadata)`: a client as the suite registers it."""
    server = await start_server(client_registration="token")
    token = (await registration_tokens.create(server.operator, uses=20)).token

    async def send(**metadata):
        document = {
            "client_name": "OIDF Conformance Suite",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "contacts": ["certification@oidf.example"],
            "initiate_login_uri": "https://suite.example/initiate",
            "userinfo_signed_response_alg": "none",
        } | metadata
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        response = await server.http.post("/register", content=json.dumps(document), headers=headers)
        assert response.status_code == 201, response.text
        return Client(server, response.json())

    return send


@pytest.mark.parametrize("method", METHODS)
async def test_a_registered_client_gets_what_openid_connect_promises(register, method):
    client = await register(token_endpoint_auth_method=method, jwks={"keys": [public(KEY)]})
    answer = await client.sign_in()
    assert answer.keys() == {"code", "state", "iss"}
    tokens = (await client.redeem(answer["code"])).json()
    claims = await client.claims(tokens)
    digest = sha256(tokens["access_token"].encode()).digest()[:16]
    assert tokens["token_type"] == "Bearer"
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, client.id, "a-nonce")
    assert claims["at_hash"] == urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (
        claims["acr"] in (await client.server.get("/.well-known/openid-configuration")).json()["acr_values_supported"]
    )
    for userinfo in (
        await client.server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}"),
        await client.server.post("/userinfo", {}, authorization=f"Bearer {tokens['access_token']}"),
        await client.server.post("/userinfo", {"access_token": tokens["access_token"]}),
    ):
        assert userinfo.headers["content-type"] == "application/json"
        assert userinfo.json()["sub"] == claims["sub"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_refresh_brings_tokens_of_the_same_sign_in(register, method):
    client = await register(token_endpoint_auth_method=method, jwks={"keys": [public(KEY)]})
    first = await client.tokens(scope="openid profile offline_access", prompt="consent")
    second = await client.post("/token", grant_type="refresh_token", refresh_token=first["refresh_token"])
    before, after = await client.claims(first), await client.claims(second.json())
    for claim in ("iss", "sub", "aud", "auth_time"):
        assert after[claim] == before[claim], claim
    assert after["iat"] >= before["iat"]
    assert "nonce" not in after
    assert second.json()["access_token"] != first["access_token"]
    narrow = await client.post(
        "/token", grant_type="refresh_token", refresh_token=second.json()["refresh_token"], scope="openid"
    )
    assert narrow.json().get("scope") == "openid", narrow.text


@pytest.mark.parametrize(
    "changes",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"login_hint": "buffy@example.com"},
        {"claims": '{"userinfo":{"name":{"essential":true}}}'},
        {"claims": '{"id_token":{"auth_time":{"essential":true}}}'},
        {"foobar": "extra"},
        {"nonce": ""},
        {"state": ""},
        {"scope": "openid profile email address phone"},
    ],
    ids=str,
)
async def test_what_a_request_may_carry_besides_changes_nothing_of_its_success(register, changes):
    client = await register()
    tokens = await client.tokens(**changes)
    assert (await client.claims(tokens))["aud"] == client.id


async def test_a_request_may_be_posted(register):
    client = await register()
    url = client.server.authorization_url(client_id=client.id, redirect_uri=CALLBACK, code_challenge="")
    response = await client.server.http.post(
        "/authorize",
        content=url.partition("?")[2].replace("&code_challenge_method=S256", ""),
        headers={"content-type": FORM, "origin": "https://suite.example", "sec-fetch-site": "cross-site"},
    )
    page = await client.browser.open(ISSUER + response.headers["location"])
    page = await client.browser.follow(await client.server.login(client.browser, page))
    assert page.url.path.startswith("/consent/")


async def test_prompt_none_succeeds_or_says_what_is_missing(register):
    client = await register()
    assert answer_of(await client.ask(prompt="none"))["error"] == "login_required"
    await client.server.login(client.browser)
    assert answer_of(await client.ask(prompt="none"))["error"] == "consent_required"
    tokens = await client.tokens()
    for changes in ({}, {"id_token_hint": tokens["id_token"]}, {"max_age": "15000"}):
        again = await client.tokens(prompt="none", **changes)
        one, two = await client.claims(tokens), await client.claims(again)
        assert (one["sub"], one["auth_time"]) == (two["sub"], two["auth_time"]), changes
    essential = '{"id_token":{"acr":{"essential":true,"values":["urn:none"]}}}'
    refused = answer_of(await client.ask(prompt="none", claims=essential))
    assert refused["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "1"}], ids=str)
async def test_a_second_sign_in_that_is_asked_for_is_told_in_auth_time(register, changes):
    client = await register()
    before = await client.claims(await client.tokens())
    await client.server.set_back(Sessions, auth_time=timedelta(seconds=5))
    page = await client.ask(**changes)
    assert page.url.path.startswith("/login/")
    answer = await client.sign_in(page)
    after = await client.claims((await client.redeem(answer["code"])).json())
    assert after["auth_time"] >= before["auth_time"]
    assert after["auth_time"] > before["iat"] - 5
    assert after["sub"] == before["sub"]


@pytest.mark.attack(22)
@pytest.mark.parametrize("seconds", [0, 30, 3600])
async def test_a_code_used_again_is_refused_and_takes_the_access_token_back(register, seconds):
    client = await register()
    code = (await client.sign_in())["code"]
    tokens = (await client.redeem(code)).json()
    ago = timedelta(seconds=seconds)
    await client.server.set_back(AuthorizationCodes, created_at=ago, expires_at=ago - timedelta(seconds=60))
    again = await client.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    userinfo = await client.server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert userinfo.status_code == 401
    assert userinfo.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://suite.example/requests/1"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
    ids=str,
)
async def test_what_cannot_be_granted_is_told_to_the_client(register, changes, error):
    client = await register()
    answer = answer_of(await client.ask(**changes))
    assert (answer["error"], answer["iss"], answer["state"]) == (error, ISSUER, "a-state")
