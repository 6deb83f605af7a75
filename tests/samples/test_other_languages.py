"""The sample APIs in other languages, as their READMEs start them: against an issuer that says anything, and ours."""

import shutil
import subprocess

import httpx2
import pytest

from authserver_verifier.testing import FakeIssuer, generate_key
from tests.flows.fleet import running_fleet
from tests.samples.process import CLIENTS, Sample

BUILD_SECONDS = 300


def build_node(folder):
    run_or_skip("npm", ["npm", "ci", "--ignore-scripts", "--no-progress"], folder)
    return ["node", str(folder / "server.js")]


def build_go(folder):
    """Build it, and hold it to the Go that go.mod names: a newer one would build what that one cannot."""
    run_or_skip("go", ["go", "build", "-mod=readonly", "-o", "server", "."], folder)  # a Go too old to vet ends here
    run_or_skip("go", ["go", "vet", "-stdversion", "."], folder)
    return [str(folder / "server")]


def run_or_skip(tool, command, folder):
    """Build the sample; where the tool is missing, or may not fetch what the sample needs, say so and skip."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode and is_about_the_machine(done.stderr):
        pytest.skip(f"{tool} cannot build the sample here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def is_about_the_machine(text):
    """Tell whether it is the network that is missing, or the tool that is older than the sample says it needs."""
    network = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "dial tcp", "no such host", "connection refused")
    version = ("go.mod requires go", "invalid go version", "toolchain not available")
    return any(sign in text for sign in network + version)


@pytest.mark.parametrize(
    ("said", "is_skipped"),
    [
        pytest.param("go: errors parsing go.mod:\ngo.mod:3: invalid go version '1.24.0'", True, id="Go 1.19"),
        pytest.param("go: go.mod requires go >= 1.24.0 (running go 1.22.2; GOTOOLCHAIN=local)", True, id="Go 1.22"),
        pytest.param("go: example.org/x@v1 requires go >= 1.25.0 (running go 1.24.4)", False, id="a library of ours"),
        pytest.param("./main.go:3:1: syntax error", False, id="a mistake of ours"),
        pytest.param("npm error code EAI_AGAIN", True, id="no network"),
    ],
)
def test_a_sample_is_skipped_for_what_the_machine_lacks_and_for_nothing_else(said, is_skipped):
    assert is_about_the_machine(said) == is_skipped


@pytest.fixture(scope="module", params=[("api_node", build_node), ("api_go", build_go)], ids=["node", "go"])
def program(request, tmp_path_factory):
    """The command that starts a sample, built in a copy of its folder."""
    name, build = request.param
    folder = tmp_path_factory.mktemp(name) / name
    shutil.copytree(CLIENTS / name, folder, ignore=shutil.ignore_patterns("node_modules"))
    return build(folder)


@pytest.fixture
def start(program):
    started = []

    def start_beside(issuer):
        started.append(Sample(program, issuer))
        started[-1].wait()
        return started[-1]

    yield start_beside
    for sample in started:
        sample.stop()


@pytest.fixture
def issuer():
    with FakeIssuer() as running:
        yield running


@pytest.fixture
def api(start, issuer):
    return start(issuer.url)


def test_a_request_without_a_token_is_challenged_and_told_nothing_else(api):
    answer = api.get("/whoami")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="{api.url}"'


def test_the_credentials_of_another_scheme_are_no_token_and_a_malformed_header_is_400(api):
    other = api.get("/whoami", "YTpi", "Basic")
    assert (other.status_code, other.headers["www-authenticate"]) == (401, f'Bearer realm="{api.url}"')
    malformed = api.get("/whoami", "a b")
    assert malformed.status_code == 400
    assert 'error="invalid_request"' in malformed.headers["www-authenticate"]


def test_a_good_token_opens_what_its_scope_opens(api, issuer):
    token = issuer.token(api.url, scope="api:read")
    said = api.get("/whoami", token).json()
    assert (said["subject"], said["client_id"], said["scope"]) == ("alice", "notes-app", "api:read")
    assert api.get("/notes", token, scheme="bearer").json() == {"notes": ["for alice only"]}
    assert api.get("/experiment", token).json() == {"access": "limited", "missing_scope": "api:write"}


def test_too_little_scope_is_403_and_names_what_is_missing(api, issuer):
    answer = api.get("/notes", issuer.token(api.url, scope="api:write"))
    assert answer.status_code == 403
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="api:read"' in challenge


@pytest.mark.attack(34)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"aud": "https://other.example"}, id="another audience"),
        pytest.param({"iss": "https://other.example"}, id="another issuer"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"header": {"typ": "JWT"}}, id="an ID token"),
        pytest.param({"header": {"alg": "none"}}, id="no signature's algorithm"),
        pytest.param({"header": {"kid": "unknown"}}, id="an unknown key"),
        pytest.param({"cnf": {"jkt": "thumbprint"}}, id="bound to a key"),
        pytest.param({"sub": None}, id="no subject"),
    ],
)
def test_a_token_that_is_not_for_this_api_is_refused(api, issuer, change):
    answer = api.get("/whoami", issuer.token(**({"audience": api.url} | change)))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_of_a_stranger_with_the_right_key_id_is_refused(api, issuer):
    good = issuer.token(api.url)
    assert api.get("/whoami", good).status_code == 200
    with FakeIssuer(generate_key()) as stranger:
        forged = stranger.token(api.url, iss=issuer.url, header={"kid": issuer.keys[-1].kid})
    assert api.get("/whoami", forged).status_code == 401
    head, body, signature = good.split(".")
    assert api.get("/whoami", f"{head}.{body}.{signature[::-1]}").status_code == 401


def test_made_up_key_ids_do_not_become_requests_to_the_issuer(api, issuer):
    for number in range(20):
        assert api.get("/whoami", issuer.token(api.url, header={"kid": f"unknown-{number}"})).status_code == 401
    assert issuer.requests["/jwks"] <= 2


def test_tokens_are_verified_while_the_issuer_is_down(api, issuer):
    token = issuer.token(api.url)
    assert api.get("/whoami", token).status_code == 200
    issuer.stop()
    try:
        assert api.get("/whoami", token).status_code == 200
    finally:
        issuer.start()


def test_without_any_keys_the_api_says_try_again_and_not_that_the_token_is_wrong(start, issuer):
    issuer.status = 500
    api = start(issuer.url)
    answer = api.get("/whoami", issuer.token(api.url))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_the_sample_takes_a_token_of_this_server(start, tmp_path):
    with running_fleet(f"sqlite:///{tmp_path / 'issuer.sqlite3'}", tmp_path, 1) as fleet:
        api = start(fleet.issuer)
        fleet.run("resources", "create", api.url, "--name", "Sample", "--scope", "api:read", "--scope", "api:write")
        machine = fleet.create_client("machine", "service", {"scope": "api:read api:write"})
        form = {"grant_type": "client_credentials", "resource": api.url}
        answer = httpx2.post(
            f"{fleet.issuer}/token", data=form, auth=(machine["client_id"], machine["client_secret"]), trust_env=False
        )
        token = answer.json()["access_token"]
        assert api.get("/experiment", token).json() == {"access": "full", "missing_scope": ""}
        assert api.get("/whoami", token).json()["client_id"] == machine["client_id"]
