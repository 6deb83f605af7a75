"""The sample API as its README starts it: a process of its own, beside an issuer."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from authserver_verifier.testing import FakeIssuer, generate_key

APP = Path(__file__).parents[1] / "app.py"


def start(*arguments, **environment):
    inherited = {"PATH": os.environ["PATH"]}
    return subprocess.Popen(
        [sys.executable, APP, *arguments],
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until_up(url, process):
    for _ in range(300):
        assert process.poll() is None, process.stdout.read()
        try:
            return httpx2.get(f"{url}/healthz", trust_env=False)
        except httpx2.ConnectError:
            time.sleep(0.1)
    pytest.fail("the API did not come up within 30 s")


@pytest.fixture(scope="module")
def issuer():
    with FakeIssuer(generate_key(), generate_key()) as running:
        yield running


@pytest.fixture(scope="module")
def audience(issuer):
    """Start the API by options, and stop it as a terminal does."""
    port = free_port()
    process = start("--issuer", issuer.url, "--port", str(port))
    try:
        wait_until_up(f"http://localhost:{port}", process)
        yield f"http://localhost:{port}"
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert "Traceback" not in output
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def api(audience):
    with httpx2.Client(base_url=audience, trust_env=False) as client:
        yield client


@pytest.fixture
def bearer(issuer, audience):
    return lambda scope="", **claims: {"authorization": f"Bearer {issuer.token(audience, scope=scope, **claims)}"}


def test_anybody_may_read_what_the_api_is_and_that_it_is_up(api, issuer, audience):
    assert api.get("/").json() == {"api": audience, "issuer": issuer.url, "scopes": ["api:read", "api:write"]}
    assert api.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/whoami"), ("GET", "/notes"), ("POST", "/notes"), ("GET", "/experiment")]
)
def test_everything_else_needs_a_token_for_this_api(method, path, api, bearer, audience):
    challenge = api.request(method, path)
    assert challenge.status_code == 401
    assert challenge.headers["www-authenticate"].startswith(f'Bearer realm="{audience}", DPoP realm="{audience}"')
    foreign = api.request(method, path, headers=bearer("api:read api:write", aud="https://other.example"))
    assert foreign.status_code == 401
    assert "another audience" in foreign.json()["error_description"]


def test_whoami_tells_what_the_token_says(api, bearer, issuer):
    said = api.get("/whoami", headers=bearer("api:write api:read")).json()
    assert said.pop("expires_at").endswith("+00:00")
    assert said == {
        "subject": "alice",
        "client_id": "notes-app",
        "scope": ["api:read", "api:write"],
        "key_id": issuer.keys[-1].kid,
    }


def test_notes_are_read_and_written_by_scope_and_kept_by_subject(api, bearer):
    assert api.post("/notes", json={"text": "hello"}, headers=bearer("api:write", sub="bob")).status_code == 201
    assert api.get("/notes", headers=bearer("api:read", sub="bob")).json() == {"notes": ["hello"]}
    assert api.get("/notes", headers=bearer("api:read", sub="carol")).json() == {"notes": []}
    assert api.get("/notes", headers=bearer("api:write")).status_code == 403
    refused = api.post("/notes", json={"text": "hello"}, headers=bearer("api:read"))
    assert refused.status_code == 403
    assert 'scope="api:write"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"text": 7}', b"\xff", b"[" * 4000, b'{"text": "' + b"a" * 5000 + b'"}']
)
def test_a_note_that_is_none_is_answered_400_and_nothing_is_kept(body, api, bearer):
    headers = bearer("api:read api:write", sub="dave")
    assert api.post("/notes", content=body, headers=headers).status_code == 400
    assert api.get("/notes", headers=headers).json() == {"notes": []}


def test_the_experiment_answers_as_far_as_the_scope_goes(api, bearer):
    answers = [
        api.get("/experiment", headers=bearer(scope, sub="erin")).json()
        for scope in ("", "api:read", "api:write", "api:read api:write")
    ]
    assert [answer["access"] for answer in answers] == ["none", "limited", "limited", "full"]
    assert [answer["notes"] for answer in answers] == [None, 0, None, 0]
    assert [answer["free"] for answer in answers] == [None, None, 100, 100]
    assert [answer["missing_scope"] for answer in answers] == ["api:read api:write", "api:write", "api:read", ""]


def test_a_rotation_of_keys_goes_unnoticed(api, bearer, issuer):
    before = api.get("/whoami", headers=bearer()).json()["key_id"]
    issuer.keys.reverse()  # the other key, published from the start, signs from now on
    after = api.get("/whoami", headers=bearer()).json()["key_id"]
    assert [before, after] == [issuer.keys[0].kid, issuer.keys[1].kid]
    assert issuer.requests["/jwks"] == 1


def test_the_environment_is_enough(issuer):
    port = free_port()
    process = start(ISSUER=issuer.url, PORT=str(port), AUDIENCE="https://notes.example.com")
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process)
        about = httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False).json()
        assert (about["api"], about["issuer"]) == ("https://notes.example.com", issuer.url)
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    assert f"https://notes.example.com takes tokens of {issuer.url}" in output


def test_an_issuer_that_cannot_be_right_is_told_at_the_start():
    process = start("--issuer", "http://issuer.example")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "http is for this machine only" in output
