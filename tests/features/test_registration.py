"""POST /register: what apps may make of themselves, and what is asked of strangers (RFC 7591 §3, §5)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from authserver.operations import registration_tokens
from authserver.sealing.opaque import hash_secret
from authserver.steps.limiter import REGISTRATIONS_PER_ADDRESS
from tests.jose.keys import client_key, public
from tests.oauth.examples import NOTES
from tests.server import WEB, answer_of, basic

GOOD = {"client_name": "Reader", "redirect_uris": ["https://reader.example/callback"]}
PUBLIC = {**GOOD, "token_endpoint_auth_method": "none"}


async def register(server, document=GOOD, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    return await server.http.post("/register", content=json.dumps(document), headers=headers)


async def stored(server, client_id):
    rows = await server.rows("SELECT * FROM clients")
    return next(row for row in rows if row.client_id == client_id)


async def test_a_registration_answers_with_everything_that_was_registered(anybody):
    document = {**GOOD, "contacts": ["ann@example.com"], "software_id": "reader", "unknown_member": {"a": 1}}
    response = await register(anybody, document)
    answer = response.json()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    for name in ("client_name", "redirect_uris", "contacts", "software_id"):
        assert answer[name] == document[name]
    assert "unknown_member" not in answer
    assert answer["token_endpoint_auth_method"] == "client_secret_basic"
    assert answer["grant_types"] == ["authorization_code"]
    assert answer["response_types"] == ["code"]
    assert answer["id_token_signed_response_alg"] == "RS256"
    assert answer["registration_client_uri"] == f"{anybody.issuer}/register/{answer['client_id']}"
    assert abs(answer["client_id_issued_at"] - datetime.now(UTC).timestamp()) < 60
    year = timedelta(days=365).total_seconds()
    assert answer["client_secret_expires_at"] > datetime.now(UTC).timestamp() + year
    assert "client_registered" in await anybody.audit_events()


async def test_a_registered_client_works_at_once(anybody):
    registered = (await register(anybody)).json()
    wrong = {"grant_type": "authorization_code", "code": "no-code"}
    header = basic(registered["client_id"], registered["client_secret"])
    response = await anybody.post("/token", wrong, authorization=header)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


async def test_secrets_are_stored_as_hashes_only(anybody):
    registered = (await register(anybody)).json()
    row = await stored(anybody, registered["client_id"])
    assert bytes(row.registration_token_hash) == hash_secret(registered["registration_access_token"])
    secrets = await anybody.rows("SELECT client_id, secret_hash FROM client_secrets")
    assert hash_secret(registered["client_secret"]) in {bytes(row.secret_hash) for row in secrets}


async def test_a_public_client_gets_no_secret_and_must_use_pkce(anybody):
    answer = (await register(anybody, PUBLIC)).json()
    assert "client_secret" not in answer
    assert "client_secret_expires_at" not in answer
    assert (await stored(anybody, answer["client_id"])).require_pkce


@pytest.mark.attack(79)
async def test_registration_is_off_unless_it_is_turned_on(server):
    unknown = await server.http.post("/no-such-path", json=GOOD)
    for method, path in (("POST", "/register"), ("GET", "/register/x"), ("PUT", "/register/x")):
        response = await server.http.request(method, path, json=GOOD)
        assert response.status_code == 404
        assert response.json() | {"request_id": ""} == unknown.json() | {"request_id": ""}
    assert "registration_endpoint" not in (await server.get("/.well-known/openid-configuration")).json()


async def test_discovery_names_the_endpoint_where_registration_is_on(anybody):
    metadata = (await anybody.get("/.well-known/openid-configuration")).json()
    assert metadata["registration_endpoint"] == f"{anybody.issuer}/register"


@pytest.mark.attack(79)
async def test_without_an_initial_access_token_there_is_a_challenge(vouched):
    response = await register(vouched)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    response = await register(vouched, token="asi_" + "a" * 43)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert vouched.refusal == "registration_token_wrong"


async def test_an_initial_access_token_is_spent_use_by_use(vouched):
    token = (await registration_tokens.create(vouched.operator, uses=2)).token
    answers = [(await register(vouched, token=token)).status_code for _ in range(3)]
    assert answers == [201, 201, 401]


async def test_an_initial_access_token_for_one_is_not_good_for_two_at_once(vouched):
    token = (await registration_tokens.create(vouched.operator)).token
    answers = await asyncio.gather(*(register(vouched, token=token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7


async def test_a_refused_document_does_not_spend_the_token(vouched):
    token = (await registration_tokens.create(vouched.operator)).token
    assert (await register(vouched, {"redirect_uris": ["http://evil.example/"]}, token)).status_code == 400
    assert (await register(vouched, token=token)).status_code == 201


async def test_an_expired_initial_access_token_is_refused(vouched):
    token = (await registration_tokens.create(vouched.operator)).token
    await vouched.execute("UPDATE registration_tokens SET expires_at = created_at")
    assert (await register(vouched, token=token)).status_code == 401


async def test_an_initial_access_token_vouches_for_client_credentials(anybody):
    document = {"grant_types": ["client_credentials"], "response_types": [], "scope": "notes:read"}
    refused = await register(anybody, document)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    token = (await registration_tokens.create(anybody.operator)).token
    registered = (await register(anybody, document, token)).json()
    header = basic(registered["client_id"], registered["client_secret"])
    response = await anybody.post("/token", {"grant_type": "client_credentials"}, authorization=header)
    assert response.json()["scope"] == "notes:read"


@pytest.mark.attack(79)
async def test_one_address_may_register_so_many_an_hour(anybody):
    answers = [await register(anybody, PUBLIC) for _ in range(REGISTRATIONS_PER_ADDRESS + 1)]
    assert [answer.status_code for answer in answers] == [201] * REGISTRATIONS_PER_ADDRESS + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
    assert anybody.refusal == "registration_quota"
    elsewhere = anybody.browser("198.51.100.9")
    response = await elsewhere._http.post("/register", json=PUBLIC)
    assert response.status_code == 201


MANY = b",".join(b'"https://a.example/%d"' % number for number in range(21))
UNREADABLE = {
    "more than 64 KiB": b"x" * 65_537,
    "21 addresses": b'{"redirect_uris": [%s]}' % MANY,
    "a name twice": b'{"redirect_uris": ["https://a.example/"], "redirect_uris": ["https://b.example/"]}',
    "deep nesting": b"[" * 30_000,
    "no UTF-8": b"\xff\xfe",
    "no object": b"[]",
    "nothing": b"",
    "a huge number": b'{"default_max_age": 1' + b"0" * 5000 + b"}",
    "text instead of an array": b'{"redirect_uris": "https://a.example/"}',
    "an object instead of text": b'{"redirect_uris": [{"a": 1}]}',
    "a number for a name": b'{"redirect_uris": ["https://a.example/"], "client_name": 7}',
    "an array for scope": b'{"redirect_uris": ["https://a.example/"], "scope": ["a"]}',
}


@pytest.mark.attack(79)
async def test_a_document_that_cannot_be_read_registers_nothing(anybody):
    before = len(await anybody.rows("SELECT client_id FROM clients"))
    for name, body in UNREADABLE.items():
        response = await anybody.http.post("/register", content=body, headers={"content-type": "application/json"})
        assert response.status_code == (413 if len(body) > 65_536 else 400), name
        assert response.headers["cache-control"] == "no-store"
    assert len(await anybody.rows("SELECT client_id FROM clients")) == before


async def test_a_form_is_no_registration(anybody):
    response = await anybody.post("/register", {"redirect_uris": "https://a.example/"})
    assert response.status_code == 415


DANGEROUS_ADDRESSES = (
    "https://good.example@evil.example/cb",
    "https://a@b@evil.example/",
    "http://localhost:80@evil.example/",
    "https://evil.example\\@good.example/",
    "https://good.example/\tcb",
    "https://good.example/\x00",
    "https://bücher.example/",
    "https://good.example/#fragment",
    "https://good.example/../cb",
    "http://good.example/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "blob:https://good.example/1",
    "vbscript:x",
    "mailto:a@example.com",
    "//good.example/cb",
    "/cb",
    "",
)


@pytest.mark.attack(2, 5)
async def test_a_dangerous_address_is_refused(anybody):
    for uri in DANGEROUS_ADDRESSES:
        for member in ("redirect_uris", "post_logout_redirect_uris"):
            document = {**GOOD, "application_type": "native", member: [uri]}
            response = await register(anybody, document)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri"), (member, uri)
            assert anybody.refusal == "metadata_redirect_uri"


NOT_OFFERED = (
    {"token_endpoint_auth_method": "client_secret_jwt"},
    {"token_endpoint_auth_method": "private_key_jwt"},
    {"grant_types": ["implicit"]},
    {"grant_types": ["password"]},
    {"response_types": ["token"]},
    {"response_types": []},
    {"subject_type": "pairwise"},
    {"id_token_signed_response_alg": "none"},
    {"id_token_signed_response_alg": "HS256"},
    {"jwks_uri": "http://reader.example/jwks"},
    {"jwks_uri": "file:///etc/passwd"},
    {"logo_uri": "javascript:alert(1)"},
    {"client_uri": "http://reader.example/"},
    {"scope": "no:such:scope"},
    {"grant_types": ["authorization_code", "client_credentials"]},
)


async def test_what_is_not_offered_is_refused(anybody):
    for change in NOT_OFFERED:
        response = await register(anybody, {**GOOD, **change})
        assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata"), change
        assert anybody.refusal == "metadata_invalid"


def untrusted_keys():
    curve, rsa = public(client_key("ES256")), public(client_key("RS256"))
    return {
        "a private key": client_key("ES256").as_dict(private=True),
        "a shared secret": {"kty": "oct", "k": "c2VjcmV0"},
        "no point of the curve": {**curve, "y": curve["x"]},
        "another curve": {**curve, "crv": "P-384"},
        "a short RSA key": {**rsa, "n": rsa["n"][:171]},
        "an exponent of 1": {**rsa, "e": "AQ"},
        "a member without a name": {**curve, "\x00": "x"},
        "a member that cannot be seen": {**curve, "x5t": "\ud800"},
    }


@pytest.mark.attack(65, 67)
async def test_a_key_nobody_should_trust_is_refused(anybody):
    for name, key in untrusted_keys().items():
        document = {**GOOD, "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}}
        response = await register(anybody, document)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata"), name


async def test_a_client_registers_its_keys(anybody):
    jwks = {"keys": [public(client_key("ES256")), public(client_key("RS256"))]}
    answer = (await register(anybody, {**GOOD, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks})).json()
    assert answer["jwks"] == jwks
    assert "client_secret" not in answer


@pytest.mark.attack(83)
async def test_a_jwks_uri_is_not_asked_when_it_is_registered(start_server):
    server = await start_server(client_registration="open", outbound_allow="127.0.0.1:9")
    document = {**GOOD, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://127.0.0.1:9/jwks"}
    assert (await register(server, document)).status_code == 201
    assert not [event for event in server.log if event["event"] == "outbound_failed"]


async def test_what_only_operators_may_say_is_ignored(anybody):
    theirs = {"first_party": True, "api_register": True, "require_pkce": False, "introspects": [NOTES.identifier]}
    answer = (await register(anybody, GOOD | theirs)).json()
    row = await stored(anybody, answer["client_id"])
    assert (bool(row.first_party), bool(row.api_register), row.introspects) == (False, False, "")
    assert not theirs.keys() & answer.keys()


@pytest.mark.attack(82)
async def test_a_name_is_cleaned_of_what_cannot_be_seen_and_marked_as_unverified(anybody):
    document = {**PUBLIC, "client_name": "Goo\u200bgle\u202e \r\n\x1b[31m"}
    answer = (await register(anybody, document)).json()
    assert answer["client_name"] == "Google [31m"
    browser = anybody.browser()
    url = anybody.authorization_url(WEB, client_id=answer["client_id"], redirect_uri=GOOD["redirect_uris"][0])
    page = await browser.follow(await anybody.login(browser, await browser.open(url)))
    assert page.url.path.startswith("/consent/")
    assert "reader.example" in page.text
    assert "This app registered itself." in page.text


@pytest.mark.attack(15)
async def test_a_client_that_registered_itself_asks_for_consent_every_time(anybody):
    answer = (await register(anybody, PUBLIC)).json()
    browser = anybody.browser()
    url = anybody.authorization_url(WEB, client_id=answer["client_id"], redirect_uri=GOOD["redirect_uris"][0])
    page = await browser.follow(await anybody.login(browser, await browser.open(url)))
    back = await browser.follow(await browser.submit(page, decision="allow"))
    assert answer_of(back)["code"]
    assert (await browser.open(url)).url.path.startswith("/consent/")
