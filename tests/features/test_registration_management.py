"""GET, PUT and DELETE /register/{client_id}: a client looks after its own registration (RFC 7592 §2)."""

import asyncio

import pytest

from tests.features.test_registration import GOOD, PUBLIC, register
from tests.oauth.examples import WEB
from tests.server import basic


async def manage(server, method, registered, document=None, token=None):
    headers = {"authorization": f"Bearer {token or registered['registration_access_token']}"}
    return await server.http.request(method, registered["registration_client_uri"], json=document, headers=headers)


async def test_a_client_reads_its_registration(anybody):
    registered = (await register(anybody)).json()
    response = await manage(anybody, "GET", registered)
    secrets = {"client_secret", "client_secret_expires_at"}
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {name: value for name, value in registered.items() if name not in secrets}


async def test_an_update_replaces_everything_and_the_token_with_it(anybody):
    registered = (await register(anybody, {**GOOD, "software_id": "reader"})).json()
    document = {**GOOD, "client_id": registered["client_id"], "client_name": "Writer"}
    response = await manage(anybody, "PUT", registered, document)
    updated = response.json()
    assert response.status_code == 200
    assert updated["client_name"] == "Writer"
    assert "software_id" not in updated
    assert "client_secret" not in updated
    assert updated["registration_access_token"] != registered["registration_access_token"]
    assert (await manage(anybody, "GET", registered)).status_code == 401
    assert (await manage(anybody, "GET", updated)).json()["client_name"] == "Writer"
    assert anybody.services.directory.find_client(registered["client_id"]).client_name == "Writer"
    assert "client_updated" in await anybody.audit_events()


async def test_of_two_updates_at_once_one_finds_its_token_replaced(anybody):
    registered = (await register(anybody)).json()
    same = {**GOOD, "client_id": registered["client_id"]}
    documents = [{**same, "client_name": name} for name in ("one", "two", "three")]
    answers = await asyncio.gather(*(manage(anybody, "PUT", registered, document) for document in documents))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]


NOT_THE_CLIENTS_TO_SAY = (
    {"client_id": None},
    {"client_id": "another"},
    {"client_secret": "not-the-secret"},
    {"client_secret": 7},
    {"registration_access_token": "x"},
    {"registration_client_uri": "https://evil.example/"},
    {"client_secret_expires_at": 0},
    {"client_id_issued_at": 0},
)


async def test_an_update_says_who_it_is_for_and_nothing_that_is_the_servers(anybody):
    registered = (await register(anybody)).json()
    for change in NOT_THE_CLIENTS_TO_SAY:
        document = {**GOOD, "client_id": registered["client_id"], **change}
        response = await manage(anybody, "PUT", registered, document)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata"), change
    assert (await manage(anybody, "GET", registered)).status_code == 200, "a refused update keeps the token"


async def test_an_update_may_repeat_the_clients_own_secret(anybody):
    registered = (await register(anybody)).json()
    document = {**GOOD, "client_id": registered["client_id"], "client_secret": registered["client_secret"]}
    assert (await manage(anybody, "PUT", registered, document)).status_code == 200


@pytest.mark.attack(80)
async def test_an_update_reaches_nothing_that_a_registration_could_not(anybody):
    registered = (await register(anybody, PUBLIC)).json()
    same = {"client_id": registered["client_id"], "redirect_uris": GOOD["redirect_uris"]}
    for change in (
        {"grant_types": ["authorization_code", "client_credentials"]},
        {"grant_types": ["client_credentials"], "response_types": []},
        {"redirect_uris": ["http://evil.example/"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
    ):
        response = await manage(anybody, "PUT", registered, {**same, **change})
        assert response.status_code == 400, change


@pytest.mark.attack(80)
async def test_a_public_client_that_becomes_confidential_gets_a_secret_and_needs_it(anybody):
    registered = (await register(anybody, PUBLIC)).json()
    response = await manage(anybody, "PUT", registered, {**GOOD, "client_id": registered["client_id"]})
    secret = response.json()["client_secret"]
    assert response.json()["token_endpoint_auth_method"] == "client_secret_basic"
    form = {"grant_type": "authorization_code", "code": "no-code"}
    bare = await anybody.post("/token", {**form, "client_id": registered["client_id"]})
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    proven = await anybody.post("/token", form, authorization=basic(registered["client_id"], secret))
    assert proven.json()["error"] == "invalid_grant"


async def test_a_confidential_client_that_becomes_public_loses_its_secret(anybody):
    registered = (await register(anybody)).json()
    response = await manage(anybody, "PUT", registered, {**PUBLIC, "client_id": registered["client_id"]})
    assert "client_secret" not in response.json()
    rows = await anybody.rows("SELECT client_id FROM client_secrets")
    assert registered["client_id"] not in {row.client_id for row in rows}


@pytest.mark.attack(81)
async def test_another_clients_token_opens_nothing(anybody):
    one, two = (await register(anybody)).json(), (await register(anybody)).json()
    document = {**GOOD, "client_id": one["client_id"]}
    for method in ("GET", "PUT", "DELETE"):
        for token in (two["registration_access_token"], "asg_wrong", one["client_secret"]):
            response = await manage(anybody, method, one, document, token=token)
            assert (response.status_code, response.json()["error"]) == (401, "invalid_token"), (method, token)
            assert "www-authenticate" in response.headers
        bare = await anybody.http.request(method, one["registration_client_uri"], json=document)
        assert (bare.status_code, bare.headers["www-authenticate"]) == (401, "Bearer")
    assert (await manage(anybody, "GET", one)).status_code == 200


@pytest.mark.attack(81)
async def test_an_operators_client_has_no_registration_token(anybody):
    registered = {"registration_client_uri": f"{anybody.issuer}/register/{WEB.client_id}"}
    response = await manage(anybody, "GET", registered, token="asg_" + "a" * 43)
    assert (response.status_code, anybody.refusal) == (401, "registration_token_wrong")


@pytest.mark.attack(58, 81)
async def test_a_client_deletes_itself_with_all_it_was_given(anybody):
    registered = (await register(anybody, {**PUBLIC, "grant_types": ["authorization_code", "refresh_token"]})).json()
    browser = anybody.browser()
    redirect_uri = GOOD["redirect_uris"][0]
    code = await anybody.get_code(WEB, browser, client_id=registered["client_id"], redirect_uri=redirect_uri)
    client = anybody.services.directory.find_client(registered["client_id"])
    tokens = (await anybody.redeem(code, client)).json()
    response = await manage(anybody, "DELETE", registered)
    assert (response.status_code, response.content) == (204, b"")
    assert (await manage(anybody, "GET", registered)).status_code == 401
    assert (await anybody.refresh(tokens["refresh_token"], client)).status_code == 401
    assert (await anybody.introspect(tokens["access_token"])) == {"active": False}
    rows = await anybody.rows("SELECT client_id, reason FROM grants")
    assert [(row.client_id, row.reason) for row in rows] == [(registered["client_id"], "client_deleted")]
    assert "client_deleted" in await anybody.audit_events()


async def test_a_disabled_client_cannot_change_itself(anybody):
    registered = (await register(anybody)).json()
    await anybody.execute("UPDATE clients SET disabled_at = created_at")
    assert (await manage(anybody, "GET", registered)).status_code == 401
