"""The parts of the bench count right; nothing here looks at a clock's figure."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from authserver.bench.connection import Connection, NotHttpError, build_request, connect, parse_response
from authserver.bench.driver import Measured, WrongAnswerError, drive, percentile
from authserver.bench.floor import Floor
from authserver.bench.installation import Credentials
from authserver.bench.probes import Storm, project
from authserver.bench.processes import Meter, Spent, family_seconds, parse_rss, parse_stat, read_rss, read_stat
from authserver.bench.visitors import Repeater
from authserver.bench.workloads import WORKLOADS

MEASURED = Measured(
    requests=10, errors=0, rps=5.0, p50=1.0, p95=2.0, p99=3.0, server_us=100.0, database_us=20.0, first_error=None
)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1), (0.001, 1)],
)
def test_a_percentile_is_a_value_of_the_sample_by_nearest_rank(share: float, value: int) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.99) == 0


def test_stat_is_read_behind_a_name_with_spaces_and_parentheses() -> None:
    line = "42 (a (very) odd) S 7 42 42 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 1 0 5000 1000 10"
    stat = parse_stat(line)
    assert (stat.name, stat.parent, stat.own, stat.reaped) == ("a (very) odd", 7, 33, 77)


def test_rss_is_bytes() -> None:
    assert parse_rss("Name:\tx\nVmRSS:\t  2048 kB\nThreads:\t1\n") == 2 * 1024 * 1024
    assert parse_rss("Name:\tkthreadd\n") == 0


def test_this_process_can_be_read_and_one_that_has_ended_cannot() -> None:
    stat = read_stat(os.getpid())
    assert stat is not None
    assert stat.parent == os.getppid()
    assert read_rss(os.getpid()) > 0
    beyond = 2**22 + 1  # above the kernel's largest process id
    assert (read_stat(beyond), read_rss(beyond), family_seconds(beyond)) == (None, 0, None)
    with pytest.raises(ProcessLookupError):
        Meter(server=beyond).read()


PIN_BOTH = """
import os, subprocess, sys
from authserver.bench.processes import allowed_cores, pin
if len(allowed_cores()) < 2:
    sys.exit("one core")
assert pin(os.getpid(), 0)
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
assert pin(child.pid, 1)
print(os.sched_getaffinity(0) & os.sched_getaffinity(child.pid))
child.communicate()
"""


def test_the_server_gets_another_core_than_the_load_that_was_pinned_before() -> None:
    found = subprocess.run(  # our own program
        [sys.executable, "-c", PIN_BOTH], capture_output=True, text=True, check=False, timeout=60
    )
    if found.stderr.strip() == "one core":
        pytest.skip("this machine has one core")
    assert found.stdout.strip() == "set()", found.stderr


def test_an_embedded_database_has_no_cpu_of_its_own_and_a_remote_one_an_unknown() -> None:
    assert Meter(server=os.getpid()).read().database == 0
    assert Meter(server=os.getpid(), is_embedded=False).read().database is None


def test_what_was_spent_between_two_readings_is_their_difference() -> None:
    before, after = Spent(server=1.0, database=2.0), Spent(server=1.5, database=2.25)
    assert after.since(before) == Spent(server=0.5, database=0.25)
    assert after.since(Spent(server=1.0, database=None)).database is None


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_response_is_none_until_its_last_byte(length: int) -> None:
    assert parse_response(WHOLE[:length]) is None


def test_a_response_ends_where_the_next_begins() -> None:
    parsed = parse_response(WHOLE + WHOLE[:20])
    assert parsed is not None
    response, taken = parsed
    assert (response.status, response.json(), taken) == (200, {}, len(WHOLE))


def test_a_header_is_found_in_any_case_and_as_often_as_it_came() -> None:
    data = b"HTTP/1.1 303 See Other\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n"
    parsed = parse_response(data)
    assert parsed is not None
    assert parsed[0].headers("set-cookie") == ["a=1; Path=/", "b=2"]


def test_a_response_without_a_body_needs_no_length() -> None:
    parsed = parse_response(b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n")
    assert parsed is not None
    assert parsed[0].body == b""


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ],
)
def test_what_is_no_response_with_a_length_is_told(data: bytes) -> None:
    with pytest.raises(NotHttpError):
        parse_response(data)


def test_a_request_says_how_long_its_form_is() -> None:
    request = build_request("POST", "/token", host="localhost:1", headers={"authorization": "Basic x"}, body=b"a=b")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token HTTP/1.1\r\nhost: localhost:1\r\nauthorization: Basic x\r\n")
    assert head.endswith(b"content-length: 3")
    assert body == b"a=b"


def test_basic_credentials_are_form_encoded_before_they_are_joined() -> None:
    assert Credentials(client_id="a:b", client_secret="c d").authorization == "Basic YSUzQWI6YyUyMGQ="  # a%3Ab:c%20d


async def _answering(answers: list[bytes]) -> tuple[asyncio.Server, int]:
    """Serve one connection after another: to each request the next answer, and none when they are used up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers and await reader.readuntil(b"\r\n\r\n"):
            writer.write(answers.pop(0))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_a_connection_tells_that_the_server_has_closed_it() -> None:
    server, port = await _answering([WHOLE])
    async with server:
        connection = await connect(port)
        request = build_request("GET", "/", host="localhost")
        assert (await connection.ask(request)).status == 200
        with pytest.raises(OSError, match=r"closed|reset"):
            await connection.ask(request)
        with pytest.raises(OSError, match=r"closed|reset"):
            await connection.ask(request)
        connection.close()


async def test_every_wrong_answer_is_an_error_and_no_request() -> None:
    server, port = await _answering([WHOLE] * 3 + [WHOLE.replace(b"{}", b"[]")] * 2)

    class FiveTimes(Repeater):
        left = 5

        def has_more(self) -> bool:
            return self.left > 0

        async def visit(self, connection: Connection) -> None:
            self.left -= 1
            await super().visit(connection)

    visitor = FiveTimes(build_request("GET", "/", host="localhost"), lambda response: response.body == b"{}")
    async with server:
        measured = await drive(port, [visitor], 60.0, Meter(server=os.getpid()))
    assert measured.errors == 2
    assert measured.first_error == "HTTP 200: []"


def test_a_wrong_answer_is_told_with_its_beginning_only() -> None:
    parsed = parse_response(b"HTTP/1.1 500 Oops\r\ncontent-length: 300\r\n\r\n" + b"x" * 300)
    assert parsed is not None
    assert str(WrongAnswerError.of(parsed[0])) == "HTTP 500: " + "x" * 200


def test_the_floor_counts_each_part_as_often_as_the_workload_needs_it() -> None:
    floor = Floor(
        http={32: replace(MEASURED, server_us=20.0)}, signature_us=10.0, statement_us=5.0, statement_database_us=3.0
    )
    assert floor.under(WORKLOADS["jwks"], 32) == 20
    assert floor.under(WORKLOADS["refresh"], 32) == 20 + 10 + 8
    assert floor.under(WORKLOADS["code_flow"], 32) == 2 * 20 + 2 * 10 + 2 * 8


def test_the_projection_follows_from_the_databases_cpu_and_is_silent_without() -> None:
    sentence = project(MEASURED)
    assert sentence is not None
    assert sentence.startswith("1,600,000 refreshes a second")  # 32 cores, 20 us each
    assert "480,000,000 sessions" in sentence
    assert "160 cores of this server" in sentence
    assert project(replace(MEASURED, database_us=0.0)) is None
    assert project(replace(MEASURED, database_us=None)) is None


def test_the_storms_ratio_is_that_of_the_slowest_hundredth() -> None:
    storm = Storm(alone=MEASURED, beside=replace(MEASURED, p99=4.5), logins=3, login_errors=0)
    assert storm.p99_ratio == 1.5
