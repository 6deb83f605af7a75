"""The sample APIs on FastAPI and Django REST framework, against an issuer that says anything, and ours."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from authserver_verifier.testing import FakeIssuer, ProofKey
from tests.browser_client import Browser
from tests.flows.fleet import CALLBACK, PASSWORD, running_fleet, sign_in
from tests.oauth.examples import CHALLENGE, VERIFIER
from tests.samples.process import Sample, python

pytestmark = pytest.mark.timeout(300)  # programs start one after the other
PROGRAMS = {"fastapi": "api_fastapi/app.py", "django": "api_django/app.py"}


@pytest.fixture(scope="module", params=PROGRAMS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def command(name):
    return python(PROGRAMS[name])


@pytest.fixture(scope="module")
def scopes(name):
    """The sample's own words: a scope belongs to one API, and several samples run beside one issuer."""
    return f"{name}:read", f"{name}:write"


@pytest.fixture(scope="module")
def issuer():
    with FakeIssuer() as running:
        yield running


@pytest.fixture(scope="module")
def api(command, issuer):
    sample = Sample(command, issuer.url)
    try:
        sample.wait()
        yield sample
    finally:
        sample.stop()


def test_a_request_without_a_token_is_challenged_and_pointed_to_the_metadata(api, issuer):
    answer = api.get("/whoami")
    metadata = f"{api.url}/.well-known/oauth-protected-resource"
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith(f'Bearer realm="{api.url}"')
    assert f'resource_metadata="{metadata}"' in answer.headers["www-authenticate"]
    said = api.get(metadata).json()
    assert (said["resource"], said["authorization_servers"]) == (api.url, [issuer.url])


def test_a_good_token_opens_what_its_scope_opens(api, issuer, scopes):
    both = issuer.token(api.url, scope=" ".join(scopes))
    said = api.get("/whoami", both).json()
    assert (said["subject"], said["client_id"], said["scope"]) == ("alice", "notes-app", " ".join(scopes))
    bearer = {"authorization": f"Bearer {both}"}
    assert api.http.post("/notes", json={"text": "hello"}, headers=bearer).status_code == 201
    assert api.get("/notes", both).json() == {"notes": ["hello"]}
    assert api.get("/notes", issuer.token(api.url, scope=scopes[0], sub="bob")).json() == {"notes": []}
    assert api.http.post("/notes", json={"text": 7 * ["x"]}, headers=bearer).status_code in {400, 422}


def test_too_little_scope_is_403_and_names_what_is_missing(api, issuer, scopes):
    answer = api.get("/notes", issuer.token(api.url, scope=scopes[1]))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert f'scope="{scopes[0]}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("change", [{"aud": "https://other.example"}, {"exp": 1}, {"header": {"typ": "JWT"}}])
def test_a_token_that_is_not_for_this_api_is_refused(api, issuer, change):
    answer = api.get("/whoami", issuer.token(**({"audience": api.url} | change)))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_bound_to_a_key_needs_its_proof(api, issuer):
    key = ProofKey()
    token = issuer.token(api.url, cnf={"jkt": key.thumbprint})
    assert api.get("/whoami", token).headers["www-authenticate"].startswith("DPoP ")
    headers = key.headers("GET", f"{api.url}/whoami", token)
    assert api.http.get("/whoami", headers=headers).status_code == 200
    assert api.http.get("/whoami", headers=headers).status_code == 401


def test_what_cannot_be_right_is_said_at_the_start(command):
    sample = Sample(command, "http://issuer.example")
    output, _ = sample.process.communicate(timeout=60)
    sample.stop()
    assert sample.process.returncode != 0
    assert b"http is for this machine only" in output


# --- with our issuer --------------------------------------------------------------------------------------------------


async def fetch_tokens(issuer, client_id, audience, scope, user):
    """Run the code flow of a public client."""
    request = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": scope,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": audience,
    }
    async with httpx2.AsyncClient(base_url=issuer, trust_env=False) as http:
        location = await sign_in(Browser(http, issuer), str(httpx2.URL(f"{issuer}/authorize", params=request)), user)
        (code,) = parse_qs(urlsplit(location).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK}
        answer = await http.post("/token", data=form | {"client_id": client_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with running_fleet(f"sqlite:///{folder / 'issuer.sqlite3'}", folder, 1) as running:
        yield running


@pytest.fixture
def registered(command, scopes, fleet):
    """The sample, registered at our issuer with a scope that needs a verified address."""
    api = Sample(command, fleet.issuer)
    read, write = scopes
    words = ["--scope", read, "--scope", write, "--verified-scope", write]
    try:
        api.wait()
        fleet.run("resources", "create", api.url, "--name", "Sample", *words)
        yield api
        fleet.run("resources", "delete", api.url, "--yes")
    finally:
        api.stop()


@pytest.mark.product("S3")
def test_the_experiment_answers_otherwise_before_and_after_the_address_is_verified(registered, scopes, fleet):
    user = f"eve{registered.url.rpartition(':')[2]}"
    fleet.run("users", "create", user, "--email", f"{user}@example.org", "--password-stdin", stdin=f"{PASSWORD}\n")
    metadata = {"redirect_uris": [CALLBACK], "scope": " ".join(scopes)}
    client_id = fleet.create_client(f"App of {user}", "native", metadata)["client_id"]
    tokens = asyncio.run(fetch_tokens(fleet.issuer, client_id, registered.url, " ".join(scopes), user))
    before = registered.get("/experiment", tokens["access_token"]).json()
    fleet.run("users", "update", user, "--email-verified")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
    renewed = httpx2.post(f"{fleet.issuer}/token", data=form, trust_env=False).json()
    after = registered.get("/experiment", renewed["access_token"]).json()
    assert before == {"access": "limited", "missing_scope": scopes[1]}
    assert after == {"access": "full", "missing_scope": ""}


def test_a_token_dies_at_the_sample_within_seconds_of_its_revocation(registered, scopes, fleet):
    client = fleet.create_client("Machine", "service", {"scope": scopes[0]})
    form = {"grant_type": "client_credentials", "resource": registered.url}
    credentials = client["client_id"], client["client_secret"]
    token = httpx2.post(f"{fleet.issuer}/token", data=form, auth=credentials, trust_env=False).json()["access_token"]
    assert registered.get("/whoami", token).json()["client_id"] == client["client_id"]
    fleet.run("clients", "delete", client["client_id"], "--yes")
    end = time.monotonic() + 60  # a hang, not a speed: fifteen seconds are promised
    while (answer := registered.get("/whoami", token)).status_code == 200:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert answer.status_code == 401
    assert "revoked" in answer.headers["www-authenticate"]
