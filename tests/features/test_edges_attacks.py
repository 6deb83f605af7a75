"""What holds for every endpoint: paths, origins, log lines, hostile text, and what happens to a request that is a bug.

SECURITY rows 121, 123, 125 and 126.
"""

import io
import json
import logging
from contextlib import redirect_stdout
from urllib.parse import quote, urlencode

import pytest
import structlog

from authserver.logs import configure_logs
from tests.browser_client import FORM
from tests.features.test_registration import GOOD
from tests.oauth.examples import SECRET, USER, VERIFIER, WEB
from tests.server import PASSWORD, SERVICE, SPA, basic

HOSTILE = (
    "'",
    "' or 1=1 --",
    '"; DROP TABLE users; --',
    "%27%20or%201=1",
    "\\'; SELECT pg_sleep(5); --",
    "${7*7}{{7*7}}",
    "\r\nSet-Cookie: a=b",
    "\x1b[31m\u202e\u2028",
    "a" * 4000,
    "ä\U0001f511",
    "../../etc/passwd",
    "\x00",
    "\ud800",
)


def endpoints_of(server):
    return [endpoint for feature in server.services.features for endpoint in feature.endpoints]


@pytest.mark.attack(121, 126)
async def test_hostile_text_is_only_text_at_every_endpoint(start_server):
    server = await start_server(client_registration="open")
    names = ("client_id", "code", "token", "refresh_token", "grant_type", "scope", "state", "username", "redirect_uri")
    tables = ("users", "clients", "signing_keys")
    before = {table: len(await server.rows(f"SELECT * FROM {table}")) for table in tables}
    browser = server.browser()
    await browser.get(f"{server.issuer}/login")
    for text in HOSTILE:
        form = dict.fromkeys(names, text) | {"password": text, "id_token_hint": text, "resource": text}
        for endpoint in endpoints_of(server):
            path = endpoint.path.replace("*", quote(text, safe="", errors="surrogatepass"))
            for method in endpoint.methods:
                response = await send(server, browser, method, path, form)
                assert response.status_code < 500, (method, path, text)
                assert "\n" not in "".join(response.headers.values())
                assert "a=b" not in response.headers.get("set-cookie", "")
    after = {table: len(await server.rows(f"SELECT * FROM {table}")) for table in tables}
    assert after == before
    assert not [event for event in server.log if event["event"] == "bug"]


async def send(server, browser, method, path, form):
    query = urlencode(form, errors="surrogatepass")
    if path.startswith("/register"):
        headers = {"authorization": "Bearer x", "content-type": "application/json"}
        return await server.http.request(method, path, content=json.dumps(form), headers=headers)
    if method == "GET":
        return await server.http.get(f"{path}?{query}")
    return await browser.post(server.issuer + path, query)


@pytest.mark.attack(125)
async def test_a_path_has_one_spelling(server):
    for path in (
        "/token/",
        "//token",
        "/Token",
        "/TOKEN",
        "/token;a=b",
        "/token/x",
        "/%2ftoken",
    ):
        response = await server.post(server.issuer + path, {"grant_type": "client_credentials"})
        assert response.status_code == 404, path
        assert "access_token" not in response.text


@pytest.mark.attack(125)
async def test_scripts_of_other_origins_read_what_is_meant_for_them(server):
    spa, evil = "https://spa.example", "https://evil.example"
    for path, origin, allowed in (
        ("/jwks", evil, "*"),
        ("/.well-known/openid-configuration", evil, "*"),
        ("/token", spa, spa),
        ("/userinfo", spa, spa),
        ("/token", evil, None),
        ("/token", "null", None),
        ("/token", "https://app.example", None),  # a confidential client has no script that calls us
        ("/token", f"{spa}.evil.example", None),
        ("/token", "http://spa.example", None),
        ("/userinfo", "null", None),
        ("/jwks", "null", None),
        ("/introspect", spa, None),
        ("/login", spa, None),
        ("/authorize", spa, None),
        ("/", spa, None),
    ):
        for method in ("OPTIONS", "GET", "POST"):
            headers = {"origin": origin, "access-control-request-method": "POST", "content-type": FORM}
            response = await server.http.request(method, path, headers=headers)
            assert response.headers.get("access-control-allow-origin") == allowed, (method, path, origin)
            assert "access-control-allow-credentials" not in response.headers


@pytest.mark.attack(126)
async def test_what_strangers_send_cannot_forge_a_line_of_the_log(server, monkeypatch):
    text = io.StringIO()
    before, root = structlog.get_config(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])  # what is set up for a process would outlive this test
    monkeypatch.setattr(root, "level", root.level)
    evil = '{"event":"answered"}\r\n{"event":"forged"}\x1b[2J\u2028'
    with redirect_stdout(text):
        configure_logs("INFO")
        try:
            log = structlog.get_logger("test")
            log.info("refused", path=evil, client=evil)
        finally:
            structlog.configure(**before)
    lines = text.getvalue().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["path"] == evil
    assert "\x1b" not in text.getvalue()
    response = await server.get("/jwks", request_id='x"\x1b[31m' + "y" * 100)
    assert "\x1b" not in response.headers["request-id"]
    assert len(response.headers["request-id"]) == 36
    kept = await server.get("/jwks", request_id="trace-0123456789")
    assert kept.headers["request-id"] == "trace-0123456789"


@pytest.mark.attack(123)
async def test_no_secret_is_written_anywhere_but_into_the_answer_that_brings_it(start_server):
    server = await start_server(client_registration="open")
    registered = (await server.http.post("/register", json=GOOD)).json()
    browser = server.browser()
    code = await server.get_code(browser=browser)
    tokens = (await server.redeem(code)).json()
    again = (await server.refresh(tokens["refresh_token"])).json()
    await server.introspect(tokens["access_token"])
    await server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}")
    await server.redeem(code)
    await server.refresh(tokens["refresh_token"] + "x")
    page = await browser.get(f"{server.issuer}/login")
    wrong = await browser.submit(page, username=USER.username, password="canary-password")
    await server.post("/token", {"grant_type": "x"}, authorization=basic(WEB.client_id, "canary-secret"))
    secrets = {
        "client secret": SECRET,
        "password": PASSWORD,
        "mistyped password": "canary-password",
        "mistyped secret": "canary-secret",
        "verifier": VERIFIER,
        "code": code,
        "access token": tokens["access_token"].rpartition(".")[2],
        "id token": tokens["id_token"].rpartition(".")[2],
        "refresh token": tokens["refresh_token"],
        "next refresh token": again["refresh_token"],
        "registration token": registered["registration_access_token"],
        "registered secret": registered["client_secret"],
        **browser.cookies,
    }
    log = repr(server.log)
    tables = ("audit_events", "clients", "client_secrets", "users", "sessions", "devices", "transactions", "grants")
    stored = "".join([repr(await server.rows(f"SELECT * FROM {table}")) for table in tables])
    codes = repr(await server.rows("SELECT * FROM authorization_codes"))
    for name, secret in secrets.items():
        assert secret not in log, f"{name} is in the log"
        assert secret not in stored + codes, f"{name} is in the database"
        assert name == "password" or secret not in wrong.text
    shown = (await server.http.get(registered["registration_client_uri"], headers=bearer(registered))).json()
    assert "client_secret" not in shown


def bearer(registered):
    return {"authorization": f"Bearer {registered['registration_access_token']}"}


@pytest.mark.parametrize(
    ("attempt", "statement"),
    [
        ("redeem", "code_rows.add_grants"),
        ("refresh", "grant_rows.store_changes"),
        ("revoke", "grant_rows.store_changes"),
    ],
)
async def test_a_bug_is_answered_as_one_and_rolled_back(server, monkeypatch, attempt, statement):
    """Each statement of /token and /revoke that writes a grant fails once: nothing stays, and the next try works."""
    code, tokens = await server.get_code(), await server.code_flow(SPA)
    attempts = {
        "redeem": lambda: server.redeem(code),
        "refresh": lambda: server.refresh(tokens["refresh_token"], SPA),
        "revoke": lambda: server.call("/revoke", SPA, token=tokens["refresh_token"]),
    }

    async def fail(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(f"authserver.store.{statement}", fail)
        response = await attempts[attempt]()
    assert (response.status_code, response.json()["error"]) == (500, "server_error")
    assert response.headers["cache-control"] == "no-store"
    assert "ZeroDivision" not in response.text
    bug = next(event for event in server.log if event["event"] == "bug")
    assert bug["request_id"] == response.json()["request_id"] == response.headers["request-id"]
    assert (await attempts[attempt]()).status_code == 200


async def test_a_page_that_is_a_bug_says_so_with_the_requests_id(server, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("authserver.features.authorize.endpoint.check_request", fail)
    response = await server.browser().get(server.authorization_url())
    assert response.status_code == 500
    assert response.headers["request-id"] in response.text
    assert "ZeroDivision" not in response.text


async def test_a_stale_server_issues_nothing_and_still_shows_its_keys(server):
    server.services.directory._confirmed_at = float("-inf")
    response = await server.token(SERVICE, grant_type="client_credentials")
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert (await server.get("/readyz")).status_code == 503
    for path in ("/jwks", "/.well-known/openid-configuration", "/livez"):
        assert (await server.get(path)).status_code == 200
