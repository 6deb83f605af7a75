"""The edge by itself: what it answers before any endpoint is asked, and what becomes of whatever an endpoint raises."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.phases import UnavailableError
from authserver.web.answers import Answer, json_answer
from authserver.web.cors import Cors
from authserver.web.edge import BODY_LIMIT, Edge, Route

FORM = (b"content-type", b"application/x-www-form-urlencoded")


async def echo(facts, form):
    return json_answer({"form": dict(form), "query": facts.query, "parameter": facts.path_parameter})


async def bug(facts, form):
    raise ZeroDivisionError


async def refuse(facts, form):
    raise OAuthError(ErrorCode.INVALID_GRANT, "no", Refusal.CODE_UNKNOWN)


async def away(facts, form):
    raise UnavailableError("the database is away", retry_after=3)


def error_page(facts, error):
    return Answer(status=error.status, body=b"a page")


async def behind(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"behind"})


ROUTES = [
    Route(path="/echo", methods=frozenset({"GET", "POST"}), handler=echo),
    Route(path="/item/*", methods=frozenset({"GET"}), handler=echo),
    Route(path="/json", methods=frozenset({"POST"}), handler=echo, body="json"),
    Route(path="/bug", methods=frozenset({"GET"}), handler=bug),
    Route(path="/refuse", methods=frozenset({"GET"}), handler=refuse),
    Route(path="/page", methods=frozenset({"GET"}), handler=refuse, errors="page"),
    Route(path="/away", methods=frozenset({"GET"}), handler=away),
    Route(path="/open", methods=frozenset({"GET"}), handler=echo, cors="public"),
    Route(path="/app", methods=frozenset({"POST"}), handler=echo, cors="clients"),
]


@pytest.fixture
def edge() -> Edge:
    return Edge(
        ROUTES,
        behind=behind,
        mounted=("/static/",),
        cors=Cors(lambda origin: origin == "https://app.example", lambda _: False),
        error_page=error_page,
        problem=error_page,
        new_request_id=lambda: "a-new-request-id",
        trusted_proxies=(),
    )


class Reply:
    """What the edge sent."""

    def __init__(self, messages) -> None:
        self.status = messages[0]["status"] if messages else None
        self.headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]} if messages else {}
        self.body = b"".join(message.get("body", b"") for message in messages)


async def ask(edge, method, path, *, query=b"", headers=(), body=(b"",)) -> Reply:
    chunks = list(body)
    sent = []

    async def receive():
        if not chunks:
            return {"type": "http.disconnect"}
        chunk = chunks.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
        "client": ("192.0.2.1", 4711),
    }
    await edge(scope, receive, send)
    return Reply(sent)


async def test_a_form_in_several_pieces_is_read_whole(edge):
    reply = await ask(edge, "POST", "/echo", headers=[FORM], body=(b"a=", b"1&b", b"=2"))
    assert b'"form":{"a":"1","b":"2"}' in reply.body


async def test_the_query_of_a_post_is_not_a_parameter(edge):
    reply = await ask(edge, "POST", "/echo", query=b"a=1", headers=[FORM], body=(b"b=2",))
    assert b'"form":{"b":"2"}' in reply.body


async def test_a_route_with_a_star_takes_the_last_segment(edge):
    assert b'"parameter":"17"' in (await ask(edge, "GET", "/item/17")).body
    assert (await ask(edge, "GET", "/item/")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        pytest.param("DELETE", "/echo", (), (b"",), 405, id="another method"),
        pytest.param("POST", "/echo", [(b"content-type", b"application/json")], (b"{}",), 415, id="JSON for a form"),
        pytest.param("POST", "/echo", [(b"content-type", b"multipart/form-data")], (b"x",), 415, id="multipart"),
        pytest.param("POST", "/json", [FORM], (b"a=1",), 415, id="a form for JSON"),
        pytest.param("POST", "/echo", [FORM, (b"content-length", b"70000")], (b"",), 413, id="a long body, declared"),
        pytest.param("POST", "/echo", [FORM, (b"content-length", b"-1")], (b"",), 413, id="a length below nothing"),
        pytest.param("POST", "/echo", [FORM], (b"a=1&", b"x" * BODY_LIMIT), 413, id="a long body, found out"),
        pytest.param("POST", "/echo", [FORM], (b"a=%ff",), 400, id="no UTF-8"),
        pytest.param("POST", "/echo", [FORM], (b"a=%00",), 400, id="a NUL"),
        pytest.param("POST", "/echo", [FORM], (b"&".join(b"a%d=1" % n for n in range(101)),), 400, id="101 fields"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_never_cached(edge, method, path, headers, body, status):
    reply = await ask(edge, method, path, headers=headers, body=body)
    assert reply.status == status
    assert b'"error":"invalid_request"' in reply.body
    assert reply.headers["cache-control"] == "no-store"


async def test_a_long_url_is_refused(edge):
    assert (await ask(edge, "GET", "/echo", query=b"a=" + b"x" * 9000)).status == 414


async def test_a_405_names_the_methods(edge):
    assert (await ask(edge, "PATCH", "/echo")).headers["allow"] == "GET, POST"


async def test_a_head_has_the_headers_of_a_get_and_no_body(edge):
    get, head = await ask(edge, "GET", "/echo"), await ask(edge, "HEAD", "/echo")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.body == b""


async def test_a_bug_is_a_500_that_says_nothing_and_is_logged_under_the_requests_id(edge):
    with capture_logs() as log:
        reply = await ask(edge, "GET", "/bug")
    assert reply.status == 500
    assert b"ZeroDivision" not in reply.body
    assert b'"error":"server_error"' in reply.body
    assert [(event["event"], event["request_id"]) for event in log] == [("bug", "a-new-request-id")]


async def test_a_refusal_is_logged_with_the_rule_that_the_client_does_not_see(edge):
    with capture_logs() as log:
        reply = await ask(edge, "GET", "/refuse")
    assert reply.status == 400
    assert b"code_unknown" not in reply.body
    assert log[0]["refusal"] == "code_unknown"


async def test_a_refusal_of_a_page_is_a_page(edge):
    assert (await ask(edge, "GET", "/page")).body == b"a page"


async def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(edge):
    reply = await ask(edge, "GET", "/away")
    assert (reply.status, reply.headers["retry-after"]) == (503, "3")
    assert b"database" not in reply.body


async def test_nobody_is_answered_who_hung_up(edge):
    assert (await ask(edge, "POST", "/echo", headers=[FORM], body=(b"a=1", None))).status is None


async def test_an_unknown_path_is_a_page_for_people_and_json_for_programs(edge):
    page = await ask(edge, "GET", "/nowhere", headers=[(b"accept", b"text/html,*/*")])
    json = await ask(edge, "POST", "/nowhere", headers=[(b"content-type", b"application/json")], body=(b"{}",))
    assert (page.status, page.body) == (404, b"a page")
    assert json.status == 404
    assert b'"error":"invalid_request"' in json.body


async def test_what_is_mounted_is_handed_on(edge):
    assert (await ask(edge, "GET", "/static/app.css")).body == b"behind"


@pytest.mark.parametrize(
    ("offered", "kept"),
    [(b"my-request-0001", True), (b"short", False), (b"bad\r\nid-bad-id", False), (b"x" * 65, False)],
)
async def test_a_well_formed_request_id_is_kept(edge, offered, kept):
    reply = await ask(edge, "GET", "/echo", headers=[(b"request-id", offered)])
    assert (reply.headers["request-id"] == offered.decode()) is kept


@pytest.mark.attack(125)
@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [
        ("/open", b"https://anybody.example", "*"),
        ("/open", b"null", None),
        ("/app", b"https://app.example", "https://app.example"),
        ("/app", b"https://app.example.evil.example", None),
        ("/app", b"null", None),
        ("/echo", b"https://app.example", None),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_only_registered_origins_may_read_and_never_with_credentials(edge, path, origin, allowed, method):
    reply = await ask(edge, method, path, headers=[(b"origin", origin), FORM])
    assert reply.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-credentials" not in reply.headers


def test_two_routes_of_one_path_are_a_bug():
    with pytest.raises(ValueError, match="/echo"):
        Edge(
            [ROUTES[0], ROUTES[0]],
            behind=behind,
            mounted=(),
            cors=Cors(bool, bool),
            error_page=error_page,
            problem=error_page,
            new_request_id=str,
            trusted_proxies=(),
        )
