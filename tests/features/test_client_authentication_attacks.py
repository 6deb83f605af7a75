"""SECURITY list A4 over HTTP: proofs of a client that are confused, combined, replayed or guessed.

What each refusal means is held in tests/oauth; here every endpoint that asks for a client is asked.
"""

import time
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe

import pytest
from joserfc import jwt

from authserver.oauth.client_auth import JWT_BEARER
from authserver.oauth.values import AuthMethod, RefreshPolicy
from authserver.operations import clients as client_operations
from authserver.store import clients
from authserver.store.directory import Directory
from authserver.store.tables import ClientSecrets
from tests.jose.keys import client_key, public
from tests.oauth.examples import SECRET, VERIFIER, WEB
from tests.server import ISSUER, SERVICE, SPA, basic

KEY = client_key("ES256")
SIGNER = replace(
    SERVICE,
    client_id="signing-client",
    token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
    jwks={"keys": [public(KEY)]},
    secrets=(),
)
SIGNING_WEB = replace(
    WEB,
    client_id="signing-web-client",
    token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
    jwks={"keys": [public(KEY)]},
    secrets=(),
    refresh_token_policy=RefreshPolicy.STRICT,
)
POSTER = replace(SERVICE, client_id="posting-client", token_endpoint_auth_method=AuthMethod.POST)
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def server(server):
    await server.add_clients(SIGNER, SIGNING_WEB, POSTER)
    return server


def assertion(header=None, key=KEY, **changes):
    now = int(time.time())
    claims = {
        "iss": SIGNER.client_id,
        "sub": SIGNER.client_id,
        "aud": ISSUER,
        "jti": token_urlsafe(12),
        "iat": now,
        "exp": now + 60,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    text = jwt.encode({"alg": "ES256", "kid": KEY.kid} | (header or {}), claims, key, algorithms=["ES256"])
    return {"client_assertion": text, "client_assertion_type": JWT_BEARER}


async def assert_refused(server, response, refusal, status=401, error="invalid_client"):
    assert (response.status_code, response.json()["error"], server.refusal) == (status, error, refusal)
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Basic ")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.attack(49)
async def test_no_method_stands_in_for_another(server):
    body = {"client_secret": SECRET}
    for client, form, header in (
        (SIGNER, body, {}),
        (SIGNER, {}, {"authorization": basic(SIGNER.client_id, SECRET)}),
        (SIGNER, {}, {}),
        (POSTER, {}, {"authorization": basic(POSTER.client_id, SECRET)}),
        (POSTER, {}, {}),
        (SERVICE, body, {}),
        (SERVICE, {}, {}),
        (SPA, body, {}),
        (SPA, {}, {"authorization": basic(SPA.client_id, "")}),
    ):
        named = {} if header else {"client_id": client.client_id}
        response = await server.post("/token", GRANT | named | form, **header)
        await assert_refused(server, response, "client_method_mismatch")
    for client in (SERVICE, POSTER, SPA):
        forged = assertion(iss=client.client_id, sub=client.client_id)
        await assert_refused(server, await server.post("/token", GRANT | forged), "client_method_mismatch")
    assert (await server.post("/token", GRANT | assertion())).status_code == 200


@pytest.mark.attack(50, 52)
async def test_two_proofs_at_once_are_refused(server):
    header = {"authorization": basic(SERVICE.client_id, SECRET)}
    body = {"client_id": SERVICE.client_id, "client_secret": SECRET}
    for form, headers in ((body, header), (assertion(), header), (body | assertion(), {})):
        response = await server.post("/token", GRANT | form, **headers)
        await assert_refused(server, response, "client_methods_combined", 400, "invalid_request")
    response = await server.post("/token", GRANT | {"client_id": WEB.client_id}, **header)
    await assert_refused(server, response, "client_id_mismatch", 400, "invalid_request")


@pytest.mark.attack(51)
async def test_a_basic_header_that_cannot_be_read_is_challenged(server):
    for value in (
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic Zm9v",
        "Basic /////w==",
        "Basic AGE6AGI=",
        "Basic OnNlY3JldA==",
    ):
        response = await server.post("/token", GRANT, authorization=value)
        await assert_refused(server, response, "basic_malformed")
    response = await server.post("/token", GRANT, authorization="Bearer x")
    await assert_refused(server, response, "authorization_scheme_unknown")


@pytest.mark.attack(37, 52)
async def test_an_unknown_client_and_a_wrong_secret_answer_alike(server):
    wrong = await server.post("/token", GRANT, authorization=basic(SERVICE.client_id, "wrong"))
    unknown = await server.post("/token", GRANT, authorization=basic("nobody", "wrong"))
    empty = await server.post("/token", GRANT | {"client_id": POSTER.client_id, "client_secret": ""})
    for response in (unknown, empty):
        assert response.status_code == wrong.status_code == 401
        assert response.json() | {"request_id": ""} == wrong.json() | {"request_id": ""}
        assert response.headers["www-authenticate"] == wrong.headers["www-authenticate"]


@pytest.mark.attack(37)
@pytest.mark.parametrize("client_id", ["nobody", SERVICE.client_id, POSTER.client_id, SPA.client_id])
async def test_an_unknown_client_and_a_wrong_secret_take_the_same_way(server, monkeypatch, client_id):
    polls = []
    poll = Directory._poll
    monkeypatch.setattr(Directory, "_poll", lambda self: polls.append(1) or poll(self))
    await server.services.directory.catch_up()  # nobody finds out by being the first to ask
    polls.clear()
    await server.post("/token", GRANT, authorization=basic(client_id, "wrong"))
    assert len(polls) >= 1, "one is looked for, the other's secret may have changed"
    polls.clear()
    assert (await server.call("/token", SERVICE, **GRANT)).status_code == 200
    assert polls == [], "who is right does not wait"


async def test_a_secret_that_was_changed_on_another_node_works_at_once(server):
    for job in server.app._jobs._tasks:
        job.cancel()  # nothing else asks what changed
    secret = replace(SERVICE.secrets[0], secret_hash=sha256(b"changed").digest())
    async with server.services.engine.begin() as tx:
        await clients.update(tx, replace(SERVICE, secrets=(secret,)))
    changed = await server.post("/token", GRANT, authorization=basic(SERVICE.client_id, "changed"))
    assert changed.status_code == 200
    assert (await server.call("/token", SERVICE, **GRANT)).status_code == 401


@pytest.mark.attack(41, 53)
async def test_an_assertion_is_spent_in_the_transaction_that_decides_on_the_grant(server):
    def prove():
        return assertion(iss=SIGNING_WEB.client_id, sub=SIGNING_WEB.client_id)

    async def refresh(token, proof):
        return await server.post("/token", {"grant_type": "refresh_token", "refresh_token": token} | proof)

    code = {
        "grant_type": "authorization_code",
        "code": await server.get_code(SIGNING_WEB),
        "redirect_uri": SIGNING_WEB.redirect_uris[0],
        "code_verifier": VERIFIER,
    }
    first = (await server.post("/token", code | prove())).json()["refresh_token"]
    used = prove()
    second = (await refresh(first, used)).json()["refresh_token"]
    await assert_refused(server, await refresh(second, used), "assertion_replayed")
    await assert_refused(server, await server.post("/revoke", {"token": second} | used), "assertion_replayed")
    third = (await refresh(second, prove())).json()["refresh_token"]
    assert (await server.rows("SELECT generation, revoked_at FROM grants"))[0] == (2, None), "a replay touched nothing"

    used = prove()
    reused = await refresh(first, used)
    await assert_refused(server, reused, "refresh_token_reused", status=400, error="invalid_grant")
    assert (await server.rows("SELECT reason FROM grants"))[0].reason == "refresh_token_reused", "a refusal commits"
    await assert_refused(server, await refresh(third, used), "assertion_replayed")


@pytest.mark.attack(53)
async def test_an_assertion_works_once_at_whichever_endpoint_and_whether_or_not_the_server_was_restarted(server):
    proof = assertion()
    assert (await server.post("/token", GRANT | proof)).status_code == 200
    for path, form in (("/token", GRANT), ("/introspect", {"token": "x"}), ("/revoke", {"token": "x"})):
        await assert_refused(server, await server.post(path, form | proof), "assertion_replayed")
    await server.app.stop()
    await server.app.start()
    await assert_refused(server, await server.post("/token", GRANT | proof), "assertion_replayed")


@pytest.mark.attack(54)
async def test_an_assertion_is_for_this_server_only(server):
    for audience in (ISSUER, f"{ISSUER}/token", [ISSUER], [ISSUER, f"{ISSUER}/token"]):
        assert (await server.post("/token", GRANT | assertion(aud=audience))).status_code == 200, audience
    for audience in (
        "https://other.example",
        f"{ISSUER}/",
        f"{ISSUER}/authorize",
        f"{ISSUER}.evil.example",
        [ISSUER, "https://other.example"],
        [],
        {"a": ISSUER},
        None,
    ):
        await assert_refused(server, await server.post("/token", GRANT | assertion(aud=audience)), "assertion_audience")
    assert (await server.post("/introspect", {"token": "x"} | assertion(aud=f"{ISSUER}/introspect"))).status_code == 200


@pytest.mark.attack(55)
async def test_an_assertion_lives_for_minutes(server):
    now = int(time.time())
    for change, refusal in (
        ({"exp": None}, "assertion_claims"),
        ({"exp": now - 120}, "assertion_expired"),
        ({"exp": now + 315_360_000}, "assertion_too_long_lived"),
        ({"iat": now + 3600, "exp": now + 3660}, "assertion_expired"),
        ({"nbf": now + 3600}, "assertion_expired"),
        ({"exp": "soon"}, "assertion_claims"),
        ({"exp": True}, "assertion_claims"),
        ({"jti": None}, "assertion_claims"),
        ({"jti": ""}, "assertion_claims"),
        ({"iss": "somebody"}, "assertion_claims"),
        ({"sub": WEB.client_id}, "client_method_mismatch"),
    ):
        await assert_refused(server, await server.post("/token", GRANT | assertion(**change)), refusal)


@pytest.mark.attack(49, 59, 60)
async def test_a_header_chooses_neither_algorithm_nor_key(server):
    stranger = client_key("ES256").__class__.generate_key("P-256", {"kid": KEY.kid})
    forged = assertion(key=stranger)
    await assert_refused(server, await server.post("/token", GRANT | forged), "assertion_signature")
    embedded = assertion({"jwk": stranger.as_dict(private=False)}, key=stranger)
    await assert_refused(server, await server.post("/token", GRANT | embedded), "assertion_signature")
    named = GRANT | {"client_id": SIGNER.client_id}
    for kid, refusal in (
        ("../../dev/null", "assertion_key_unknown"),
        ("' or 1=1 --", "assertion_key_unknown"),
        ("", "assertion_key_unknown"),
        ("k" * 300, "assertion_malformed"),
    ):
        await assert_refused(server, await server.post("/token", named | assertion({"kid": kid})), refusal)
    unsigned = "eyJhbGciOiJub25lIn0." + assertion()["client_assertion"].split(".")[1] + "."
    response = await server.post("/token", named | assertion() | {"client_assertion": unsigned})
    await assert_refused(server, response, "assertion_malformed")


@pytest.mark.attack(83)
async def test_keys_that_cannot_be_fetched_look_alike_whatever_the_cause(server):
    answers = []
    for number, uri in enumerate(
        (
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://0.0.0.0/",
            "https://localhost/jwks",
            "https://127.0.0.1:22/jwks",
            "https://2852039166/jwks",
            "https://0x7f.1/jwks",
            "https://10.0.0.1/jwks",
        )
    ):
        client = replace(SIGNER, client_id=f"fetching-{number}", jwks=None, jwks_uri=uri)
        await server.add_clients(client)
        proof = assertion(iss=client.client_id, sub=client.client_id)
        response = await server.post("/token", GRANT | proof)
        await assert_refused(server, response, "client_keys_unavailable")
        answers.append(response.json()["error_description"])
    assert len(set(answers)) == 1


@pytest.mark.attack(56)
async def test_guessing_a_secret_is_slowed_down_and_the_owner_is_not_locked_out(server):
    guesses = [await server.post("/token", GRANT, authorization=basic(SERVICE.client_id, f"{n}")) for n in range(40)]
    assert guesses[0].status_code == 401
    assert guesses[-1].status_code == 429
    assert 1 <= int(guesses[-1].headers["retry-after"]) <= 60
    assert (await server.token(SERVICE, **GRANT)).status_code == 200


@pytest.mark.attack(56, 58)
async def test_secrets_are_long_and_die_on_time(server):
    made = await client_operations.rotate_secret(server.operator, SERVICE.client_id, overlap=timedelta(hours=1))
    await server.services.directory.refresh()
    assert len(made.client_secret) >= 43
    new = basic(SERVICE.client_id, made.client_secret)
    assert (await server.token(SERVICE, **GRANT)).status_code == 200, "the old one, within the overlap"
    assert (await server.post("/token", GRANT, authorization=new)).status_code == 200
    again = await client_operations.rotate_secret(server.operator, SERVICE.client_id, overlap=timedelta(hours=1))
    await server.services.directory.refresh()
    assert len([row for row in await secrets_of(server) if row.client_id == SERVICE.client_id]) == 2
    assert (await server.token(SERVICE, **GRANT)).status_code == 401, "two at most are alive"
    await server.set_back(ClientSecrets, expires_at=timedelta(seconds=1))
    server.services.directory._version = -1  # as a start would
    await server.services.directory.refresh()
    for secret in (made.client_secret, again.client_secret):
        response = await server.post("/token", GRANT, authorization=basic(SERVICE.client_id, secret))
        assert response.status_code == 401


async def secrets_of(server):
    return await server.rows("SELECT client_id FROM client_secrets")


@pytest.mark.attack(58)
async def test_the_old_secret_ends_with_its_overlap_though_nothing_is_read_anew(server):
    made = await client_operations.rotate_secret(server.operator, SERVICE.client_id, overlap=timedelta(hours=1))
    await server.services.directory.refresh()
    new = basic(SERVICE.client_id, made.client_secret)
    for minutes, status in ((59, 200), (61, 401)):
        server.ahead = timedelta(minutes=minutes)
        assert (await server.token(SERVICE, **GRANT)).status_code == status
        assert (await server.post("/token", GRANT, authorization=new)).status_code == 200
    assert server.refusal == "client_secret_expired"
