"""How an answer leaves: head and body together, and nothing of a header that could begin a line of its own."""

import pytest

from authserver.web.exchange import encode_headers
from tests.web.raw_server import GET, exchange, serving

HEAD = b"HEAD / HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: id.example\r\nConnection: close\r\n\r\n"


def answering(*pieces, headers=(), status=200):
    """Return an application that sends these pieces of a body."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


def ask(app, request=CLOSE):
    with serving(app) as running:
        head, _, body = exchange(running.port, request).partition(b"\r\n\r\n")
    return head.lower().split(b"\r\n"), body


def test_a_body_of_known_length_is_sent_as_it_is():
    head, body = ask(answering(b"ab", b"cd", headers=[(b"content-length", b"4")]))
    assert body == b"abcd"
    assert head[0] == b"http/1.1 200 ok"
    assert head.count(b"content-length: 4") == 1
    assert any(line.startswith(b"date: ") for line in head), "RFC 9110 §6.6.1"


def test_a_body_of_unknown_length_is_chunked():
    head, body = ask(answering(b"ab", b"", b"cd"))
    assert body == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"
    assert b"transfer-encoding: chunked" in head


def test_an_answer_to_head_has_no_body_but_its_length():
    head, body = ask(answering(b"abcd", headers=[(b"content-length", b"4")]), HEAD)
    assert body == b""
    assert b"content-length: 4" in head


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length(status):
    head, body = ask(answering(b"", status=status))
    assert body == b""
    assert not any(line.startswith((b"content-length", b"transfer-encoding")) for line in head)


@pytest.mark.parametrize("body", [b"abcde", b"abc"])
def test_a_body_that_is_not_as_long_as_it_says_is_not_sent(body):
    assert ask(answering(body, headers=[(b"content-length", b"4")])) == ([b""], b"")


def test_an_application_that_says_close_is_the_last_on_its_connection():
    app = answering(b"ab", headers=[(b"content-length", b"2"), (b"connection", b"close")])
    head, body = ask(app, GET + GET)
    assert (head.count(b"connection: close"), body) == (1, b"ab")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param((b"location", b"/\r\nset-cookie: a=b"), id="a line of its own"),
        pytest.param((b"location", b"/\nset-cookie: a=b"), id="as some proxies read it"),
        pytest.param((b"location", b"/\x00"), id="NUL"),
        pytest.param((b"location", b"/\x7f"), id="DEL"),
        pytest.param((b"location\r\nx", b"/"), id="a line end in a name"),
    ],
)
def test_a_header_that_would_be_read_as_something_else_is_a_500(header):
    head, body = ask(answering(b"ab", headers=[(b"content-length", b"2"), header]))
    assert (head[0], body) == (b"http/1.1 500 internal server error", b"Internal Server Error")


def test_headers_are_one_line_each():
    assert encode_headers([(b"a", b"1\t2"), (b"b", b"\xe9")]) == b"a: 1\t2\r\nb: \xe9\r\n\r\n"
