"""Which requests the guard does not let in: too much of them, or what two readers might read differently.

SECURITY facts 2 and 3, row 124.
"""

import json
import time

import pytest

from authserver.web.guard import FRAMING_LIMIT, HEADERS_LIMIT, URL_LIMIT
from tests.web.raw_server import GET, POST, Echo, connect, exchange, read_answer, read_to_end, serving, statuses

pytestmark = pytest.mark.attack(124)


@pytest.fixture(scope="module")
def echo():
    return Echo()


@pytest.fixture(scope="module")
def port(echo):
    with serving(echo) as running:
        yield running.port


def lines(count):
    return b"".join(b"x-%d: 1\r\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"GET /" + b"a" * (URL_LIMIT - 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 200, id="the longest URL"),
        pytest.param(b"GET /" + b"a" * URL_LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, id="a URL a byte longer"),
        pytest.param(b"GET /?" + b"a" * FRAMING_LIMIT, 414, id="a URL that does not end"),
        pytest.param(GET[:-2] + lines(HEADERS_LIMIT - 1) + b"\r\n", 200, id="the most headers"),
        pytest.param(GET[:-2] + lines(HEADERS_LIMIT) + b"\r\n", 431, id="a header more"),
        pytest.param(GET[:-2] + b"x: " + b"a" * (FRAMING_LIMIT - 100) + b"\r\n\r\n", 200, id="a long header"),
        pytest.param(GET[:-2] + b"x: " + b"a" * FRAMING_LIMIT + b"\r\n\r\n", 431, id="a header too long"),
        pytest.param(GET[:-2] + b"x: " + b"a" * FRAMING_LIMIT, 431, id="a header that does not end"),
        pytest.param(GET[:-2] + b"x" * FRAMING_LIMIT, 431, id="a name that does not end"),
    ],
)
def test_the_head_of_a_request_has_its_limits(port, request_bytes, status):
    with connect(port) as peer:
        peer.sendall(request_bytes)
        assert read_answer(peer)[0] == status
        if status != 200:
            assert read_to_end(peer) == b""


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"4;" + b"a" * FRAMING_LIMIT, id="a chunk's extension"),
        pytest.param(b"0\r\nx: " + b"a" * FRAMING_LIMIT, id="a trailer"),
        pytest.param(b"1\r\na\r\n" * (FRAMING_LIMIT // 5), id="a great many small chunks"),
    ],
)
def test_what_surrounds_a_body_counts_as_head(port, endless):
    received = exchange(port, POST + b"Transfer-Encoding: chunked\r\n\r\n" + endless)
    assert statuses(received) == [431]


def test_the_body_itself_does_not_count_as_head(port):
    body = b"%x\r\n" % 60_000 + b"b" * 60_000 + b"\r\n0\r\n\r\n"
    with connect(port) as peer:
        for _ in range(2):
            peer.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + body)
            status, answer = read_answer(peer)
            assert (status, len(json.loads(answer)["body"])) == (200, 60_000)


def test_a_trailer_does_not_become_a_header(port):
    first = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
    received = exchange(port, first + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert statuses(received) == [200, 200]
    assert b"forwarded" not in received


TE = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="no Host in HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", id="two Hosts"),
        pytest.param(POST + b"Content-Length: 5\r\n" + TE + b"\r\n", id="CL and TE"),
        pytest.param(POST + TE + b"Content-Length: 5\r\n\r\n", id="TE and CL"),
        pytest.param(POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", id="two lengths"),
        pytest.param(POST + b"Content-Length: 5, 5\r\n\r\n", id="a list of lengths"),
        pytest.param(POST + b"Content-Length: +5\r\n\r\n", id="a length with a sign"),
        pytest.param(POST + b"Content-Length: 0x5\r\n\r\n", id="a length in hexadecimal"),
        pytest.param(POST + b"Content-Length : 5\r\n\r\n", id="a space before the colon"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n", id="TE with a space before the colon"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n", id="TE xchunked"),
        pytest.param(POST + b"Transfer-Encoding: identity\r\n\r\n", id="TE identity"),
        pytest.param(POST + b"Transfer-Encoding: identity, chunked\r\n\r\n", id="TE with two codings"),
        pytest.param(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", id="TE not chunked at last"),
        pytest.param(POST + b'Transfer-Encoding: "chunked"\r\n\r\n', id="TE in quotes"),
        pytest.param(POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n", id="TE with a parameter"),
        pytest.param(POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", id="TE with a vertical tab"),
        pytest.param(POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n", id="TE on a folded line"),
        pytest.param(POST + TE + TE + b"\r\n", id="TE twice"),
        pytest.param(POST + TE + b"Transfer-Encoding: x\r\n\r\n", id="TE and another"),
        pytest.param(POST.replace(b"1.1", b"1.0") + TE + b"\r\n", id="TE in HTTP/1.0"),
        pytest.param(GET[:-2] + b"x: a\rb\r\n\r\n", id="a bare CR in a value"),
        pytest.param(GET[:-2] + b"x: a\nb: c\r\n\r\n", id="a bare LF in a value"),
        pytest.param(GET[:-2] + b"x: a\x00b\r\n\r\n", id="a NUL in a value"),
        pytest.param(GET[:-2] + b"x\x00: a\r\n\r\n", id="a NUL in a name"),
        pytest.param(GET[:-2] + b"x y: a\r\n\r\n", id="a space in a name"),
        pytest.param(GET[:-2] + b": a\r\n\r\n", id="no name"),
        pytest.param(GET[:-2] + b" x: a\r\n\r\n", id="a fold"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", id="bare LF as line ends"),
        pytest.param(b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", id="a NUL in the URL"),
        pytest.param(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", id="a version that does not exist"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 by prior knowledge"),
        pytest.param(b"CONNECT id.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", id="TLS"),
    ],
)
def test_a_head_that_two_readers_might_read_differently_is_refused(port, echo, head):
    echo.paths.clear()
    assert statuses(exchange(port, head + SMUGGLED)) == [400]
    time.sleep(0.01)
    assert echo.paths == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"x\r\n", id="no number"),
        pytest.param(b"-1\r\n", id="a negative size"),
        pytest.param(b"1 \r\na\r\n", id="a space after the size"),
        pytest.param(b"1\na\n", id="bare LF"),
        pytest.param(b"1\r\naa\r\n", id="a chunk longer than it says"),
        pytest.param(b"f" * 17 + b"\r\n", id="a size beyond any number"),
        pytest.param(b"1;a\nb\r\na\r\n", id="a line break in an extension"),
    ],
)
def test_a_chunk_that_two_readers_might_read_differently_is_refused(port, echo, body):
    echo.paths.clear()
    assert statuses(exchange(port, POST + TE + b"\r\n" + body + SMUGGLED)) == [400]
    assert "/smuggled" not in echo.paths


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"


def test_an_offer_to_upgrade_is_declined_and_the_body_read_as_javas_client_sends_it(port, echo):
    echo.paths.clear()
    with connect(port) as peer:
        peer.sendall(POST + H2C + b"Content-Length: 5\r\n\r\na=b&c")
        status, body = read_answer(peer)
        assert status == 200
        assert json.loads(body)["body"] == "a=b&c"
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200  # the connection goes on
    assert echo.paths == ["/", "/"]


def test_a_body_that_says_upgrade_stays_as_it_is(port):
    with connect(port) as peer:
        peer.sendall(POST + b"Content-Length: 19\r\n\r\nx\r\nupgrade: h2c\r\n\r\n"[:-1])
        peer.sendall(b"\n")
        assert json.loads(read_answer(peer)[1])["body"] == "x\r\nupgrade: h2c\r\n\r\n"


@pytest.mark.parametrize(("length", "expected"), [(b"", [200]), (b"Content-Length: 9\r\n", [400])])
def test_an_offer_that_comes_in_pieces_is_the_last_request_and_refused_with_a_body(port, echo, length, expected):
    echo.paths.clear()
    with connect(port) as peer:
        peer.sendall(POST[:20])
        time.sleep(0.05)
        peer.sendall(POST[20:] + H2C + length + b"\r\n" + SMUGGLED)
        assert statuses(read_to_end(peer)) == expected
    assert "/smuggled" not in echo.paths
