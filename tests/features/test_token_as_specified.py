"""What RFC 6749 §2.3, §3.2 and §4 to §6, RFC 7636, RFC 8707 and OpenID Connect Core §3.1.3 ask of /token over HTTP.

The tables in tests/specifications name these tests; the rest of the rules is held in tests/oauth.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest

from tests.features.test_authorize_as_specified import read_id_token
from tests.oauth.examples import CHALLENGE, ISSUER, MAIL, NOTES, SECRET, USER, WEB
from tests.relying_party import read_part
from tests.server import NATIVE, SERVICE, SPA, answer_of, basic


def assert_never_kept(response):
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"


async def test_a_code_becomes_tokens(server):
    response = await server.redeem(await server.get_code())
    tokens = response.json()
    assert response.status_code == 200
    assert_never_kept(response)
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "notes:read openid")
    claims = await read_id_token(server, tokens["id_token"])
    digest = hashlib.sha256(tokens["access_token"].encode()).digest()
    assert claims["at_hash"] == urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, USER.sub, WEB.client_id)


async def test_a_code_without_openid_brings_no_id_token(server):
    assert "id_token" not in await server.code_flow(scope="notes:read", nonce="")


@pytest.mark.attack(7, 27)
async def test_a_code_is_worth_nothing_without_its_verifier(server):
    browser = server.browser()
    for verifier, refusal in (
        ("", "verifier_missing"),
        (CHALLENGE, "verifier_wrong"),
        ("x" * 43, "verifier_wrong"),
        ("x" * 42, "verifier_malformed"),
    ):
        code = await server.get_code(browser=browser)
        response = await server.redeem(code, code_verifier=verifier)
        assert (response.status_code, response.json()["error"], server.refusal) == (400, "invalid_grant", refusal)
        assert (await server.redeem(code)).json()["error"] == "invalid_grant"  # its own client has spent it


@pytest.mark.attack(22)
async def test_a_code_works_once_and_its_replay_revokes_the_tokens(server):
    code = await server.get_code()
    tokens = (await server.redeem(code)).json()
    assert (await server.introspect(tokens["access_token"]))["active"] is True
    replay = await server.redeem(code)
    assert (replay.status_code, replay.json()["error"], server.refusal) == (400, "invalid_grant", "code_replayed")
    assert (await server.introspect(tokens["access_token"])) == {"active": False}
    refresh = await server.refresh(tokens["refresh_token"])
    assert (refresh.status_code, refresh.json()["error"]) == (400, "invalid_grant")


@pytest.mark.attack(24)
async def test_another_clients_code_is_refused_and_stays_good(server):
    code = await server.get_code()
    stolen = await server.redeem(code, SPA, redirect_uri=WEB.redirect_uris[0])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert server.refusal == "code_of_another_client"
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.attack(25)
async def test_another_redirect_uri_than_before_is_refused(server):
    code = await server.get_code()
    response = await server.redeem(code, redirect_uri="https://app.example/callback/")
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "redirect_uri_differs")


BAD_CREDENTIALS = {
    "no credentials": ("", {"client_id": WEB.client_id}),
    "not the registered method": ("", {"client_id": WEB.client_id, "client_secret": SECRET}),
    "a wrong secret": (basic(WEB.client_id, "wrong"), {}),
    "an empty secret": (basic(WEB.client_id, ""), {}),
    "an unknown client": (basic("nobody", SECRET), {}),
    "no base64": ("Basic !!!", {}),
    "another scheme": ("Bearer abc", {}),
}


@pytest.mark.attack(37, 49, 51)
async def test_a_confidential_client_must_authenticate(server):
    for grant_type in ("authorization_code", "refresh_token", "client_credentials"):
        for what, (authorization, credentials) in BAD_CREDENTIALS.items():
            headers = {"authorization": authorization} if authorization else {}
            form = {**credentials, "grant_type": grant_type, "code": "x", "refresh_token": "x"}
            response = await server.post("/token", form, **headers)
            assert (response.status_code, response.json()["error"]) == (401, "invalid_client"), what
            assert response.headers["www-authenticate"].startswith("Basic ")
            assert_never_kept(response)


async def test_a_failed_authentication_does_not_spend_the_code(server):
    code = await server.get_code()
    form = {"grant_type": "authorization_code", "code": code}
    response = await server.post("/token", form, authorization=basic(WEB.client_id, "wrong"))
    assert response.status_code == 401
    assert (await server.redeem(code)).status_code == 200


async def test_a_public_client_must_say_who_it_is(server):
    response = await server.post("/token", {"grant_type": "authorization_code", "code": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert server.refusal == "client_not_identified"


@pytest.mark.attack(28)
async def test_only_post_is_answered(server):
    response = await server.get("/token?grant_type=client_credentials")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    for media_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        response = await server.post(
            "/token",
            {"grant_type": "client_credentials"},
            content_type=media_type,
            authorization=basic(SERVICE.client_id, SECRET),
        )
        assert (response.status_code, response.json()["error"]) == (415, "invalid_request")


@pytest.mark.attack(28)
async def test_credentials_in_the_url_are_refused(server):
    form = {"grant_type": "client_credentials"}
    response = await server.post(f"/token?client_id={SERVICE.client_id}&client_secret={SECRET}", form)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.attack(8)
async def test_a_parameter_sent_twice_is_refused(server):
    for name in ("grant_type", "scope", "client_id", "unknown"):
        form = [("grant_type", "client_credentials"), ("scope", "notes:read"), (name, "a"), (name, "a")]
        response = await server.post("/token", form, authorization=basic(SERVICE.client_id, SECRET))
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
        assert server.refusal == "parameter_repeated"


async def test_unknown_and_empty_parameters_are_ignored(server):
    response = await server.token(SERVICE, grant_type="client_credentials", unknown="x", scope="", audience="")
    assert (response.status_code, response.json()["scope"]) == (200, "notes:read notes:write")


async def test_a_missing_parameter_is_named(server):
    for form, name in (({}, "grant_type"), ({"grant_type": "authorization_code"}, "code")):
        response = await server.token(WEB, **form)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
        assert name in response.json()["error_description"]


@pytest.mark.attack(29)
async def test_a_grant_type_that_is_not_offered_is_refused(server):
    for grant_type in ("password", "implicit", "urn:example:unheard-of", 'x"\\'):
        response = await server.token(WEB, grant_type=grant_type, username=USER.username, password="x")
        assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.attack(29)
async def test_a_grant_type_the_client_did_not_register_is_refused(server):
    for client, grant_type in (
        (SERVICE, "authorization_code"),
        (SERVICE, "refresh_token"),
        (WEB, "client_credentials"),
    ):
        response = await server.token(client, grant_type=grant_type, code="x", refresh_token="x")
        assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


async def test_a_client_gets_a_token_for_itself(server):
    form = {"grant_type": "client_credentials", "scope": "notes:read", "resource": NOTES.identifier}
    response = await server.token(SERVICE, **form)
    tokens = response.json()
    assert response.status_code == 200
    assert_never_kept(response)
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}
    claims = read_part(tokens["access_token"], 1)
    assert (claims["sub"], claims["client_id"], claims["aud"]) == (SERVICE.client_id,) * 2 + (NOTES.identifier,)


@pytest.mark.attack(30)
async def test_a_client_gets_no_other_scope_for_itself(server):
    for scope in ("openid", "no:such", "mail:send", 'a"b'):
        response = await server.token(SERVICE, grant_type="client_credentials", scope=scope)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


async def test_a_public_client_gets_nothing_for_itself(server):
    await server.update_client(replace(SPA, grant_types=SPA.grant_types | {"client_credentials"}))
    response = await server.token(SPA, grant_type="client_credentials", scope="notes:read")
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.attack(32)
async def test_a_refusal_is_json_that_nobody_keeps(server):
    response = await server.redeem("no-such-code")
    assert response.status_code == 400
    assert_never_kept(response)
    answer = response.json()
    assert answer["error"] == "invalid_grant"
    assert answer["error_description"].isascii()


@pytest.mark.attack(56)
async def test_guessing_a_secret_is_slowed_down(server):
    statuses = []
    for number in range(200):
        form = {"grant_type": "client_credentials"}
        response = await server.post("/token", form, authorization=basic(SERVICE.client_id, f"guess-{number}"))
        statuses.append(response.status_code)
        if response.status_code == 429:
            break
    assert statuses[-1] == 429
    assert int(response.headers["retry-after"]) > 0
    assert set(statuses[:-1]) == {401}
    owner = await server.token(SERVICE, grant_type="client_credentials")
    assert owner.status_code == 200  # whoever knows the secret is not locked out


async def test_a_refresh_token_becomes_new_tokens(server):
    tokens = await server.code_flow()
    response = await server.refresh(tokens["refresh_token"])
    renewed = response.json()
    assert response.status_code == 200
    assert_never_kept(response)
    assert renewed["scope"] == tokens["scope"]
    assert renewed["access_token"] != tokens["access_token"]
    assert renewed["refresh_token"] != tokens["refresh_token"]


@pytest.mark.attack(30)
async def test_a_refresh_gets_no_more_scope_than_was_granted(server):
    tokens = await server.code_flow()
    for scope in ("notes:read notes:write", "openid notes:read email"):
        response = await server.refresh(tokens["refresh_token"], scope=scope)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")
        assert server.refusal == "scope_not_granted"
    less = (await server.refresh(tokens["refresh_token"], scope="notes:read")).json()
    assert less["scope"] == "notes:read"
    again = (await server.refresh(less["refresh_token"])).json()
    assert again["scope"] == tokens["scope"]


@pytest.mark.attack(44)
async def test_another_clients_refresh_token_is_refused(server):
    tokens = await server.code_flow()
    response = await server.refresh(tokens["refresh_token"], SPA)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert server.refusal == "refresh_token_of_another_client"
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.attack(31)
async def test_a_refresh_token_that_is_not_ours_is_refused(server):
    token = (await server.code_flow())["refresh_token"]
    for changed in (token[:-1], token + "A", token.swapcase(), token.replace("asr_", ""), "asr_", "x", " " + token):
        response = await server.refresh(changed)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert (await server.refresh(token)).status_code == 200


async def test_a_token_is_for_the_resource_asked(server):
    tokens = await server.code_flow(resource=NOTES.identifier)
    assert read_part(tokens["access_token"], 1)["aud"] == NOTES.identifier
    tokens = await server.code_flow(scope="openid")
    assert read_part(tokens["access_token"], 1)["aud"] == ISSUER


async def test_a_refresh_can_ask_for_one_of_the_grants_resources(server):
    browser = server.browser()
    url = server.authorization_url(scope="openid notes:read mail:send", resource=NOTES.identifier)
    page = await browser.open(f"{url}&resource={MAIL.identifier}")
    page = await browser.follow(await server.login(browser, page))
    response = await browser.follow(await browser.submit(page, decision="allow"))
    tokens = (await server.redeem(answer_of(response)["code"])).json()
    assert set(read_part(tokens["access_token"], 1)["aud"]) == {NOTES.identifier, MAIL.identifier}
    for resource, scope in ((NOTES, "notes:read openid"), (MAIL, "mail:send openid")):
        tokens = (await server.refresh(tokens["refresh_token"], resource=resource.identifier)).json()
        assert read_part(tokens["access_token"], 1)["aud"] == resource.identifier
        assert tokens["scope"] == scope
    response = await server.refresh(tokens["refresh_token"], resource="urn:example:files")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_target")


async def test_a_native_client_redeems_its_code_at_the_port_it_used(server):
    code = await server.get_code(NATIVE, redirect_uri="http://127.0.0.1:50001/callback")
    response = await server.redeem(code, NATIVE, redirect_uri="http://127.0.0.1:50002/callback")
    assert (response.status_code, server.refusal) == (400, "redirect_uri_differs")
    code = await server.get_code(NATIVE, redirect_uri="http://127.0.0.1:50001/callback")
    response = await server.redeem(code, NATIVE, redirect_uri="http://127.0.0.1:50001/callback")
    assert response.status_code == 200
