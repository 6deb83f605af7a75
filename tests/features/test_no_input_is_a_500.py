"""Whatever is sent to any endpoint, by any method, is answered: never with an error of the server's own.

The generators aim past the first checks: live cookies, codes and tokens of one signed-in user stand beside noise, and
names that the endpoints read beside names that they do not. Requests go in as ASGI gives them, so raw bytes reach the
edge that no HTTP client would send; what the HTTP parser refuses (control characters in a header) is left out.
"""

import asyncio
import json
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.browser_client import FORM, read_form
from tests.features.test_registration import GOOD
from tests.oauth.examples import CHALLENGE, ISSUER, SECRET, VERIFIER, WEB
from tests.server import ADDRESS, SERVICE, SPA, basic

bounded = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Words that stand for what the world of a test holds: the generators are older than the server.
LIVE = (b"<access_token>", b"<refresh_token>", b"<id_token>", b"<code>", b"<csrf>", b"<transaction>")
METHODS = ("GET", "POST", "POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")
# fmt: off
NAMES = (
    "access_token", "acr_values", "claims", "client_assertion", "client_assertion_type", "client_id", "client_secret",
    "code", "code_challenge", "code_challenge_method", "code_verifier", "csrf", "decision", "display", "grant_type",
    "id_token_hint", "login_hint", "max_age", "nonce", "password", "post_logout_redirect_uri", "prompt",
    "redirect_uri", "refresh_token", "registration", "request", "request_uri", "resource", "response_mode",
    "response_type", "scope", "shared_computer", "state", "switch", "token", "token_type_hint", "ui_locales", "user",
    "username",
)
# fmt: on
ODD = (
    b"",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",  # a lone surrogate
    b"\r\nSet-Cookie: a=b",
    "ä\U0001f511\u202e\ufdd0".encode(),
    b"%",
    b"%zz",
    b"a.b.c",
    b"e30.e30.e30",
    b"-1",
    b"9" * 30,
    b"[]",
    b'{"id_token":{"acr":{"essential":true,"values":{}}}}',
    b"[" * 3000,
    b"https://[::1",
    b"http://localhost:99999/x",
    b"javascript:alert(1)",
    b"x" * 9000,
)
PLAUSIBLE = (
    *b"code login none form_post query S256 allow deny switch sign_out stay".split(),
    *b"authorization_code refresh_token client_credentials openid offline_access".split(),
    b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    *(text.encode() for text in (CHALLENGE, VERIFIER, SECRET, WEB.client_id, SPA.client_id, WEB.redirect_uris[0])),
)
VALUE = st.sampled_from((*LIVE, *ODD, *PLAUSIBLE)) | st.binary(max_size=30)
NAME = st.sampled_from(NAMES).map(str.encode)
PAIRS = st.lists(st.tuples(NAME | st.binary(max_size=6), VALUE), max_size=9)

VISIBLE = st.binary(max_size=40).map(lambda octets: bytes(octet for octet in octets if octet > 31 and octet != 127))
AUTHORIZATION = st.sampled_from(
    (
        basic(WEB.client_id, SECRET).encode(),
        basic(SERVICE.client_id, SECRET).encode(),
        b"Bearer <access_token>",
        b"Bearer <id_token>",
        b"Basic \xff",
        b"Basic =",
        b"Bearer",
    )
)
HEADER = (
    st.tuples(st.just(b"authorization"), AUTHORIZATION)
    | st.sampled_from(
        (
            (b"cookie", b"<cookies>"),
            (b"content-type", FORM.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"9" * 5000),
            (b"origin", ISSUER.encode()),
            (b"sec-fetch-site", b"same-origin"),
        )
    )
    | st.tuples(
        st.sampled_from(b"authorization cookie origin user-agent if-none-match request-id x-forwarded-for".split()),
        VISIBLE,
    )
)

FORM_HEADERS = (
    (b"content-type", FORM.encode()),
    (b"cookie", b"<cookies>"),
    (b"origin", ISSUER.encode()),
    (b"sec-fetch-site", b"same-origin"),
)
AUTHORIZATION_REQUEST = {
    "response_type": b"code",
    "client_id": WEB.client_id.encode(),
    "redirect_uri": WEB.redirect_uris[0].encode(),
    "scope": b"openid notes:read",
    "code_challenge": CHALLENGE.encode(),
    "code_challenge_method": b"S256",
}
OWN_FORM = {"csrf": b"<csrf>", "username": b"ada", "password": b"x", "decision": b"allow", "user": b"x"}
WORKING = (
    ("GET", "/authorize", AUTHORIZATION_REQUEST),
    ("POST", "/authorize", AUTHORIZATION_REQUEST),
    ("POST", "/token", {"grant_type": b"authorization_code", "code": b"<code>", "code_verifier": VERIFIER.encode()}),
    ("POST", "/token", {"grant_type": b"refresh_token", "refresh_token": b"<refresh_token>"}),
    ("POST", "/token", {"grant_type": b"client_credentials", "scope": b"notes:read"}),
    ("POST", "/revoke", {"token": b"<access_token>"}),
    ("POST", "/introspect", {"token": b"<access_token>"}),
    ("POST", "/userinfo", {"access_token": b"<access_token>"}),
    ("GET", "/end_session", {"id_token_hint": b"<id_token>", "state": b"x"}),
    ("POST", "/end_session", {"csrf": b"<csrf>", "decision": b"sign_out"}),
    ("POST", "/login/<transaction>", OWN_FORM),
    ("POST", "/consent/<transaction>", OWN_FORM),
)

# Members of the documents that /register reads, and JSON that a hostile client sends for them.
MEMBER = st.sampled_from((*GOOD, "jwks", "jwks_uri", "scope", "contacts", "default_max_age", "client_uri", "client_id"))
JSON_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(("openid", "none", "private_key_jwt", "https://[", "http://a/b", "com.example:/x", "AQAB", "EC")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("keys", "kty", "crv", "x", "y", "n", "e", "kid", "alg")), inner, max_size=5)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
P256_KEY = {  # RFC 7515 A.3
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
JWKS = st.dictionaries(st.text(st.characters(), max_size=5), JSON_VALUE, max_size=2).map(
    lambda more: {"keys": [more | P256_KEY]}
)
DOCUMENT = (
    st.binary(max_size=50)
    | st.dictionaries(MEMBER, JSON_VALUE, max_size=3).map(lambda more: json.dumps(GOOD | more).encode())
    | st.text(st.sampled_from("[]:.@/?#%12xa"), max_size=8).map(
        lambda host: json.dumps(GOOD | {"redirect_uris": [f"https://[{host}", f"https://{host}/cb"]}).encode()
    )
    | st.sampled_from(("https://[:::]/cb", "https://[1.2]/cb", "a.b://[x]/cb", "a.b://[::/cb", "https://a:99999/")).map(
        lambda uri: json.dumps(
            GOOD | {"redirect_uris": [uri], "application_type": "native", "token_endpoint_auth_method": "none"}
        ).encode()
    )
    | st.text().map(lambda name: json.dumps(GOOD | {"client_name": name, name: name}).encode())
    | JWKS.map(lambda jwks: json.dumps(GOOD | {"jwks": jwks}).encode())
    | JSON_VALUE.map(lambda value: json.dumps(value).encode())
    | st.sampled_from((b'{"a":' + b"9" * 5000 + b"}", b"[" * 30_000))
)


@dataclass(frozen=True)
class World:
    """A server, and what a hostile sender may hold: all that one signed-in user and their app were ever given."""

    server: object
    paths: tuple[str, ...]
    live: dict[bytes, bytes]

    def bring_to_life(self, text: bytes) -> bytes:
        for word, value in self.live.items():
            text = text.replace(word, value)
        return text


async def build_world(server) -> World:
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    code = await server.get_code(browser=browser)
    page = await browser.open(server.authorization_url(prompt="login"))
    transaction = page.url.path.rpartition("/")[2]
    values = (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], code)
    live = dict(zip(LIVE, (*values, read_form(page.text).fields["csrf"], transaction), strict=True))
    live[b"<cookies>"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    endpoints = [endpoint.path for feature in server.services.features for endpoint in feature.endpoints]
    own = tuple(path.replace("*", last) for path in endpoints for last in (transaction, WEB.client_id, "\x00", "ä"))
    others = ("/static/app.css", "/static/../x", "/nothing", "/authorize/a/b", "//token", "*", "")
    return World(
        server=server,
        paths=tuple(dict.fromkeys((*own, *others))),
        live={word: value.encode() for word, value in live.items()},
    )


_worlds: dict[str, World] = {}


@pytest.fixture
async def find_world(start_server, request):
    """Give `await find_world()`: this test's world, made by its first example; the others find what that one left."""

    async def find():
        if request.node.nodeid not in _worlds:
            server = await start_server(client_registration="open", address_limit_scale=10_000.0)
            _worlds[request.node.nodeid] = await build_world(server)
        return _worlds[request.node.nodeid]

    yield find
    _worlds.pop(request.node.nodeid, None)


async def send(world, method, path, query=b"", headers=(), body=b""):
    """Send one request past all HTTP libraries; return the status and the body."""
    messages = []
    incoming = iter([{"type": "http.request", "body": world.bring_to_life(body), "more_body": False}])

    async def receive():
        message = next(incoming, None)
        return message or await asyncio.Event().wait()  # the sender stays and waits for its answer

    async def keep(message):
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": world.bring_to_life(query),
        "headers": [(b"host", b"id.example"), *((name, world.bring_to_life(value)) for name, value in headers)],
        "client": (ADDRESS, 50_000),
        "server": ("id.example", 443),
    }
    before = len(world.server.log)
    await world.server.app(scope, receive, keep)
    start, *chunks = messages
    assert start["status"] < 500, (method, path, query, headers, body)
    assert not [event for event in world.server.log[before:] if event["event"] in {"bug", "unavailable"}]
    for name, value in start["headers"]:
        assert not set(value) & {0, 10, 13}, (name, value)
    return start["status"], b"".join(chunk.get("body", b"") for chunk in chunks)


def encode(pairs, *, raw=False):
    """Return form-encoded pairs; raw, as bytes that no sender may send so."""
    if raw:
        return b"&".join(name + b"=" + value for name, value in pairs)
    return b"&".join(
        quote_from_bytes(name).encode() + b"=" + (value if value in LIVE else quote_from_bytes(value).encode())
        for name, value in pairs
    )


@pytest.mark.attack(126)
@bounded
@given(
    method=st.sampled_from(METHODS),
    place=st.integers(0, 999),
    query=st.just(b"") | st.binary(max_size=40) | st.builds(encode, PAIRS, raw=st.booleans()),
    headers=st.lists(HEADER, max_size=5),
    body=st.builds(encode, PAIRS, raw=st.booleans()) | st.binary(max_size=40),
)
async def test_no_request_to_any_endpoint_is_answered_with_a_500(find_world, method, place, query, headers, body):
    world = await find_world()
    await send(world, method, world.paths[place % len(world.paths)], query, headers, body)


@pytest.mark.attack(126)
@bounded
@given(
    request=st.sampled_from(WORKING),
    changes=st.lists(st.tuples(NAME, VALUE, st.booleans()), max_size=3),
    authorization=AUTHORIZATION,
)
async def test_no_change_of_a_good_request_is_answered_with_a_500(find_world, request, changes, authorization):
    """A request that would have worked, with a few of its parameters changed or repeated."""
    world = await find_world()
    method, path, form = request
    pairs = [(name.encode(), value) for name, value in form.items()]
    for name, value, is_repeated in changes:
        pairs = [pair for pair in pairs if is_repeated or pair[0] != name] + [(name, value)]
    is_of_client = path in {"/token", "/revoke", "/introspect"}
    headers = (*FORM_HEADERS, (b"authorization", authorization)) if is_of_client else FORM_HEADERS
    path = path.replace("<transaction>", world.live[b"<transaction>"].decode())
    query, body = (encode(pairs), b"") if method == "GET" else (b"", encode(pairs))
    await send(world, method, path, query, headers, body)


@pytest.mark.attack(79)
@bounded
@given(document=DOCUMENT)
async def test_no_document_that_a_client_registers_is_answered_with_a_500(find_world, document):
    world = await find_world()
    headers = [(b"content-type", b"application/json")]
    status, answer = await send(world, "POST", "/register", b"", headers, document)
    if status != 201:
        return
    registered = json.loads(answer)
    path = urlsplit(registered["registration_client_uri"]).path
    headers.append((b"authorization", f"Bearer {registered['registration_access_token']}".encode()))
    assert (await send(world, "GET", path, b"", headers))[0] == 200
    changed = json.dumps(json.loads(document) | {"client_id": registered["client_id"]}).encode()
    assert (await send(world, "PUT", path, b"", headers, changed))[0] in {200, 400}
