"""Serving: what is refused before the first request, and an end that loses none."""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.command_line import run_command
from tests.ports import free_ports
from tests.processes import wait_until_it_answers


def environment(run_folder, database_url, **more):
    return {
        "AUTHSERVER_ISSUER": "http://localhost:9000",
        "AUTHSERVER_DATABASE_URL": database_url,
        "AUTHSERVER_SEALING_KEY_FILE": str(run_folder / "keys" / "sealing.key"),
        "AUTHSERVER_DRAIN_SECONDS": "0",
        **more,
    }


def ask(port, path="/readyz"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def wait_until_ready(process, port):
    wait_until_it_answers(process, f"http://127.0.0.1:{port}/readyz", status=200, log=process.communicate)


def install(here, database_url, **more):
    values = environment(here, database_url, **more)
    run_command("init", environment=values, folder=here)
    return values


@pytest.mark.parametrize(
    ("database", "number"),
    [("sqlite_url", signal.SIGINT), ("sqlite_url", signal.SIGTERM), ("postgresql_url", signal.SIGTERM)],
)
def test_a_server_becomes_ready_and_ends_in_order(start, here, request, database, number):
    settings = install(here, request.getfixturevalue(database))
    port = free_ports(1)[0]
    server = start("serve", "--port", str(port), **settings)
    wait_until_ready(server, port)
    checked = start("healthcheck", "--port", str(port))
    assert checked.wait(timeout=10) == 0
    answer = ask(port, "/.well-known/openid-configuration")
    assert answer.status == 200
    assert answer.getheader("Server") is None
    server.send_signal(number)
    assert server.wait(timeout=10) == (0 if number == signal.SIGTERM else 130)
    assert start("healthcheck", "--port", str(port)).wait(timeout=10) == 1


def test_a_server_that_is_told_to_stop_first_says_that_it_is_not_ready(start, here, sqlite_url):
    settings = install(here, sqlite_url, AUTHSERVER_DRAIN_SECONDS="2")
    port = free_ports(1)[0]
    server = start("serve", "--port", str(port), **settings)
    wait_until_ready(server, port)
    server.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline and ask(port).status != 503:
        time.sleep(0.02)
    assert ask(port).status == 503
    assert ask(port, "/jwks").status == 200, "requests are answered until the door closes"
    assert server.wait(timeout=10) == 0


def test_more_workers_than_one_are_refused_on_sqlite_with_the_way_to_postgresql(installed):
    refused = installed("serve", "--workers", "2", "--port", "0")
    assert refused.code == 2
    assert "postgresql://" in refused.err


def test_workers_share_the_port_and_one_that_dies_is_replaced(start, here, postgresql_url):
    """And all of them end with the process that watches over them, even where it had no time to tell them."""
    values = install(here, postgresql_url)
    port = free_ports(1)[0]
    server = start("serve", "--workers", "2", "--port", str(port), **values)
    wait_until_ready(server, port)
    before = children_of(server.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 10
    after = before
    while (len(after) < 2 or before[0] in after) and time.monotonic() < deadline:
        time.sleep(0.05)
        after = children_of(server.pid)
    assert len(after) == 2
    assert before[0] not in after
    wait_until_ready(server, port)
    server.kill()
    assert_gone(after)


def test_workers_stop_when_they_are_told_to(start, here, postgresql_url):
    values = install(here, postgresql_url)
    port = free_ports(1)[0]
    server = start("serve", "--workers", "2", "--port", str(port), **values)
    wait_until_ready(server, port)
    workers = children_of(server.pid)
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=15) == 0
    assert_gone(workers)


def assert_gone(pids):
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def test_a_taken_port_is_named_with_its_process_and_the_way_out(installed):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = installed("serve", "--port", str(port))
    assert refused.code == 1
    assert f"Port {port} is taken by process {os.getpid()} (" in refused.err
    assert f"Try: authserver serve --port {port + 100}" in refused.err


def test_a_second_server_of_one_sqlite_file_is_refused(start, here, sqlite_url):
    values = install(here, sqlite_url)
    first_port = free_ports(1)[0]
    first = start("serve", "--port", str(first_port), **values)
    wait_until_ready(first, first_port)
    second = start("serve", "--port", str(free_ports(1)[0]), **values)
    _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "PostgreSQL" in err
    assert start("users", "list", **values).wait(timeout=20) == 0, "the command line works beside it"
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=10) == 0


def test_a_silent_port_and_an_unready_server_are_no_health(run):
    assert run("healthcheck", "--port", str(free_ports(1)[0])).code == 1
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(
            target=answer_once, args=(listener, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
        )
        answering.start()
        ran = run("healthcheck", "--port", str(listener.getsockname()[1]), "--json")
        answering.join()
    assert ran.code == 1
    assert "503" in ran.problem["detail"]


def answer_once(listener, answer):
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


def children_of(pid):
    listed = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True, check=False)
    return sorted(int(line) for line in listed.stdout.split())


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
