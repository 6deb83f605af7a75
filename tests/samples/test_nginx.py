"""nginx with `auth_request` in front of an application that knows nothing of tokens."""

import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx2
import pytest

from authserver_verifier.testing import FakeIssuer, ProofKey
from tests.ports import free_ports
from tests.processes import wait_until_it_answers
from tests.samples.process import CLIENTS, Sample, python

pytestmark = pytest.mark.timeout(300)  # programs start one after the other
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def configuration(front, verifier, application):
    """The sample's own file with other ports."""
    text = (CLIENTS / "nginx" / "nginx.conf").read_text()
    for sample, port in {":9006": front, ":9007": verifier, ":9008": application}.items():
        assert sample in text
        text = text.replace(sample, f":{port}")
    return text


class Application(BaseHTTPRequestHandler):
    """Tells which headers reached it."""

    def do_GET(self):
        names = ("x-subject", "x-client", "authorization")
        body = "\n".join(f"{name}: {self.headers[name]}" for name in names if self.headers[name]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def issuer():
    with FakeIssuer() as running:
        yield running


@pytest.fixture(scope="module")
def application():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def running_nginx(issuer, application, folder):
    """Run the verifying program and nginx before it; give nginx's address and the program."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    (port,) = free_ports(1)
    url = f"http://localhost:{port}"
    verifier = Sample(python("nginx/verify.py"), issuer.url, AUDIENCE=url)
    try:
        verifier.wait("/check")
        file = folder / "nginx.conf"
        file.write_text(configuration(port, verifier.url.rpartition(":")[2], application))
        with subprocess.Popen([NGINX, "-p", folder, "-c", file], stderr=subprocess.PIPE) as nginx:
            try:
                wait_until_it_answers(nginx, url, log=nginx.stderr.read)
                yield url, verifier
                nginx.terminate()
                nginx.wait(timeout=30)
            finally:
                nginx.kill()
    finally:
        verifier.stop()


@pytest.fixture(scope="module")
def front(issuer, application, tmp_path_factory):
    """The address of nginx; with it run the verifying program and the application behind."""
    with running_nginx(issuer, application, tmp_path_factory.mktemp("nginx")) as (url, _):
        yield url


@pytest.fixture
def http(front):
    with httpx2.Client(base_url=front, trust_env=False) as client:
        yield client


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_a_good_token_opens_the_application_which_learns_who_it_is_and_not_the_token(http, issuer, front):
    forged = {"x-subject": "mallory", "x-client": "mallory"}
    answer = http.get("/notes?page=2", headers=bearer(issuer.token(front, scope="nginx:read")) | forged)
    assert answer.status_code == 200
    assert answer.text == "x-subject: alice\nx-client: notes-app"
    assert "www-authenticate" not in answer.headers


def test_no_token_and_a_bad_one_are_challenged_once(http, issuer, front):
    for headers in ({}, bearer(issuer.token("https://other.example", scope="nginx:read"))):
        answer = http.get("/notes", headers=headers)
        assert answer.status_code == 401
        [challenge] = answer.headers.get_list("www-authenticate")
        assert challenge.startswith(f'Bearer realm="{front}"')
        assert f'resource_metadata="{front}/.well-known/oauth-protected-resource"' in challenge


def test_too_little_scope_is_403_with_the_scope_needed(http, issuer, front):
    answer = http.get("/notes", headers=bearer(issuer.token(front, scope="nginx:write")))
    assert answer.status_code == 403
    [challenge] = answer.headers.get_list("www-authenticate")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="nginx:read"' in challenge


def test_a_token_in_the_query_is_400(http, issuer, front):
    token = issuer.token(front, scope="nginx:read")
    assert http.get(f"/notes?access_token={token}").status_code == 400
    assert http.get("/notes?access_token=x", headers=bearer(token)).status_code == 400


def test_a_bound_token_is_proved_against_nginxs_own_url(http, issuer, front):
    key = ProofKey()
    token = issuer.token(front, scope="nginx:read", cnf={"jkt": key.thumbprint})
    headers = key.headers("GET", f"{front}/notes", token)
    assert http.get("/notes?page=2", headers=headers).status_code == 200
    assert http.get("/notes", headers=headers).status_code == 401, "a proof is good once"


@pytest.mark.parametrize("path", ["/caf%C3%A9/n%6Ftes", "//notes.example/notes"])
def test_a_proof_is_compared_with_the_whole_path_however_it_is_spelled(path, front, issuer):
    key = ProofKey()
    token = issuer.token(front, scope="nginx:read", cnf={"jkt": key.thumbprint})
    for proven, status in ((f"{front}{path}", 200), (f"{front}/notes", 401)):
        assert ask(front, path, key.headers("GET", proven, token)) == status


def ask(front, path, headers):
    """Return the status of a request whose path goes out as it is: a client with manners would spell it anew."""
    connection = HTTPConnection(urlsplit(front).netloc)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_anybody_may_read_the_metadata_and_nobody_the_check(http, front):
    assert http.get("/.well-known/oauth-protected-resource").json()["resource"] == front
    assert http.get("/_verify").status_code == 404


def test_the_configuration_names_the_ports_that_the_sample_uses():
    assert ":18006" in configuration(18006, 18007, 18008)
    assert "auth_request /_verify;" in configuration(1, 2, 3)


def test_an_issuer_that_cannot_be_asked_is_503_and_nothing_passes(application, tmp_path):
    with FakeIssuer() as gone:
        gone.status = 500
        with running_nginx(gone, application, tmp_path) as (url, verifier):
            token = bearer(gone.token(url, scope="nginx:read"))
            unavailable = httpx2.get(f"{url}/notes", headers=token, trust_env=False)
            verifier.stop()
            down = httpx2.get(f"{url}/notes", headers=token, trust_env=False)
    assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "5")
    assert down.status_code == 500
