"""How long the guard waits, for whom it makes room, and in what order it answers (SECURITY facts 1 and 5, row 124)."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from authserver.cli.serving import KEEP_ALIVE_SECONDS, build_config
from authserver.web.guard import PIPELINE_LIMIT, Guard
from tests.web.raw_server import (
    GET,
    PATIENCE,
    POST,
    Echo,
    connect,
    exchange,
    read_answer,
    read_to_end,
    serving,
    statuses,
)

pytestmark = pytest.mark.attack(124)


@pytest.fixture(scope="module")
def echo():
    return Echo()


@pytest.fixture(scope="module")
def port(echo):
    with serving(echo) as running:
        yield running.port


def test_the_patience_of_a_real_server_is_five_seconds_and_its_rest_longer_than_a_proxys():
    config = build_config(Echo())
    assert (config.http, Guard.patience) == (Guard, 5)
    assert config.timeout_keep_alive == KEEP_ALIVE_SECONDS == 75


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        pytest.param([], [], id="silence"),
        pytest.param([b"\r\n"], [], id="a line end"),
        pytest.param([b"GE"], [408], id="half a method"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: id.exam"], [408], id="half a header"),
        pytest.param([GET[:-2]], [408], id="a head without its end"),
        pytest.param([POST + b"Content-Length: 9\r\n\r\nhalf"], [408], id="half a body"),
        pytest.param(
            [POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"], [408], id="a chunk that is not the last"
        ),
        pytest.param([GET, b"GET / HT"], [200, 408], id="a second request's half head"),
    ],
)
def test_a_peer_that_stops_in_the_middle_is_left_after_the_patience(port, sent, answered):
    began = time.monotonic()
    received = exchange(port, *sent, pause=0.05)
    assert statuses(received) == answered
    assert PATIENCE * 0.9 < time.monotonic() - began < 4


@pytest.mark.parametrize("first", [GET[:20], POST + b"Content-Length: 99\r\n\r\n", b"\r\n"])
def test_a_byte_now_and_then_buys_no_time(port, first):
    began = time.monotonic()
    with connect(port) as peer:
        peer.sendall(first)
        peer.settimeout(PATIENCE / 8)
        ended = False
        while not ended and time.monotonic() - began < 5:
            try:
                peer.sendall(b"\r\n" if first == b"\r\n" else b"x")
                ended = not peer.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                ended = True
    assert ended
    assert time.monotonic() - began < 4


def test_line_ends_between_requests_do_not_keep_a_connection(port):
    with connect(port) as peer:
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200
        peer.sendall(b"\r\n")
        assert read_to_end(peer) == b""


SLOW = {
    "without a body": b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n",
    "with a body": b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok",
    "with a body that the server has stopped reading": b"POST /slow HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000,
    "with a body not yet asked for": b"POST /slow HTTP/1.1\r\nHost: x\r\n"
    b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
}


def ask_slow(port, request):
    """Return the answer's status and how long it took; where the server asks for the body, give it."""
    began = time.monotonic()
    with connect(port) as peer:
        peer.sendall(request)
        if b"Expect" in request:
            assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
            peer.sendall(b"ok")
        return read_answer(peer)[0], time.monotonic() - began


def test_a_slow_handler_is_left_alone():
    """All at once, so that the patience can be long enough for what a peer in a crowd of processes sends late."""

    class Patient(Guard):
        patience = 4 * PATIENCE

    with serving(Echo(pause=10 * PATIENCE), protocol=Patient) as running, ThreadPoolExecutor(len(SLOW)) as peers:
        answers = dict(zip(SLOW, peers.map(partial(ask_slow, running.port), SLOW.values()), strict=True))
    assert {name: status for name, (status, _) in answers.items()} == dict.fromkeys(SLOW, 200)
    assert min(took for _, took in answers.values()) > 2 * Patient.patience


def test_a_half_second_request_does_not_take_the_first_ones_answer(port):
    received = exchange(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
    assert statuses(received) == [200, 408]


def test_a_handler_learns_that_the_peer_of_a_stuck_body_is_gone(port, echo):
    exchange(port, b"POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    time.sleep(0.1)
    assert echo.ended.count("/stuck") == echo.paths.count("/stuck") == 1


def test_what_is_missing_of_a_body_after_its_answer_gets_no_second_answer(port):
    received = exchange(port, b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
    assert statuses(received) == [200]


def test_a_body_that_comes_after_its_answer_leaves_the_connection_in_order(port):
    with connect(port) as peer:
        peer.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
        assert read_answer(peer)[0] == 200
        peer.sendall(b"more" + GET[:20])
        assert statuses(read_to_end(peer)) == [408]


@pytest.mark.fault("B23")
def test_a_connection_rests_longer_than_the_patience_and_is_used_again(echo):
    with serving(echo, timeout_keep_alive=6 * PATIENCE) as running, connect(running.port) as peer:
        for _ in range(2):
            peer.sendall(GET)
            assert read_answer(peer)[0] == 200
            time.sleep(2 * PATIENCE)
        peer.sendall(GET)
        assert read_answer(peer)[0] == 200
        assert read_to_end(peer) == b"", "and it ends after its own time, without an answer to nothing"


@pytest.mark.fault("B23")
def test_a_request_sent_as_the_rest_ends_is_answered_whole_or_not_begun(echo):
    echo.paths.clear()
    answered = 0
    with serving(echo, timeout_keep_alive=0.1) as running:
        for step in range(-4, 5):
            with connect(running.port) as peer:
                peer.sendall(GET)
                assert read_answer(peer)[0] == 200
                time.sleep(0.1 + step * 0.0025)
                try:
                    peer.sendall(b"GET /again HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    received = read_to_end(peer)
                except BrokenPipeError:
                    continue
                assert received == b"" or received.endswith(b"}")
                answered += bool(received)
    assert echo.paths.count("/again") == answered


def test_requests_in_one_packet_are_answered_in_order_and_a_bad_one_ends_them(port, echo):
    with connect(port) as peer:
        peer.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(PIPELINE_LIMIT)))
        received = b""
        while b'"/99"' not in received:
            received += peer.recv(65536)
    positions = [received.index(b'"/%d"' % number) for number in range(PIPELINE_LIMIT)]
    assert positions == sorted(positions)
    assert exchange(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n") == b"", (
        "a 400 now would be read as the answer to the first request"
    )


def test_a_flood_of_requests_in_one_packet_is_not_kept(port, echo):
    echo.paths.clear()
    assert exchange(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + GET * (PIPELINE_LIMIT + 2)) == b""
    assert echo.paths == ["/slow"]


def test_idle_sockets_do_not_stop_others(echo):
    """uvicorn by itself counts them against `limit_concurrency` and answers 503 to everybody (fact 1)."""
    with serving(echo, protocol=Guard, limit_concurrency=20) as running, ExitStack() as crowd:
        for number in range(100):
            peer = crowd.enter_context(connect(running.port))
            peer.sendall(
                (b"", b"GET / HT", GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nh")[number % 4]
            )
        for _ in range(20):
            assert statuses(exchange(running.port, GET[:-2] + b"Connection: close\r\n\r\n")) == [200]
        assert len(running.server.server_state.connections) <= 20


def test_a_newcomer_is_turned_away_only_where_all_are_at_work(echo):
    with serving(echo, limit_concurrency=2) as running, connect(running.port) as one, connect(running.port) as two:
        for peer in (one, two):
            peer.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(PATIENCE / 2)
        assert statuses(exchange(running.port)) == [503]
        assert [read_answer(peer)[0] for peer in (one, two)] == [200, 200]
        assert statuses(exchange(running.port, GET[:-2] + b"Connection: close\r\n\r\n")) == [200]


def test_a_peer_that_takes_no_answers_makes_room_too(echo):
    with serving(echo, limit_concurrency=1) as running, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", running.port))
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2 * PATIENCE)
        assert statuses(exchange(running.port, GET[:-2] + b"Connection: close\r\n\r\n")) == [200]
