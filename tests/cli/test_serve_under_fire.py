"""A real serving process: whom it believes, what a crowd of sockets does to it, and a restart that loses no request."""

import http.client
import json
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.cli.test_serve import ask, install, wait_until_ready
from tests.ports import free_ports

PROXY, STRANGER = "127.0.0.1", "127.0.0.2"  # loopback has many addresses; only the first is trusted below


@pytest.fixture
def initialized(here, sqlite_url):
    return install(here, sqlite_url)


@pytest.mark.attack(106)
def test_forwarded_headers_are_believed_of_trusted_proxies_only_and_never_change_the_issuer(start, initialized):
    port = free_ports(1)[0]
    server = start("serve", "--port", str(port), **initialized | {"AUTHSERVER_TRUSTED_PROXIES": PROXY})
    wait_until_ready(server, port)
    headers = {
        "Host": "evil.example",
        "X-Forwarded-For": "198.51.100.7",
        "X_Forwarded_For": "198.51.100.8",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=198.51.100.9;host=evil.example",
    }
    for number, source in enumerate((PROXY, STRANGER)):
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5, source_address=(source, 0))
        asked.request("GET", "/.well-known/openid-configuration", headers=headers | {"Request-Id": f"request-{number}"})
        answer = asked.getresponse().read()
        assert json.loads(answer)["issuer"] == initialized["AUTHSERVER_ISSUER"]
        assert b"evil.example" not in answer
        asked.close()
    server.send_signal(signal.SIGTERM)
    out, _ = server.communicate(timeout=20)
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    addresses = {event["request_id"]: event["address"] for event in events if "request_id" in event}
    assert (addresses["request-0"], addresses["request-1"]) == ("198.51.100.7", STRANGER)


@pytest.mark.attack(124)
@pytest.mark.fault("B24")
def test_more_sockets_than_a_process_may_open_do_not_stop_it(start, initialized):
    port = free_ports(1)[0]
    with soft_limit(resource.RLIMIT_NOFILE, 256):
        server = start("serve", "--port", str(port), **initialized)
    wait_until_ready(server, port)
    with ExitStack() as crowd:
        for number in range(400):
            peer = crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            if number % 2:
                peer.sendall(b"GET /jwks HTTP/1.1\r\nHost: id.example\r\n\r\n")
        for path in ("/livez", "/readyz", "/jwks"):
            assert ask(port, path).status == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0


@contextmanager
def soft_limit(kind, value):
    """Let processes that are started inside inherit a lower limit."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


class Balancer:
    """Does what a proxy with readiness checks does: asks every node again and again, and uses those that are ready."""

    def __init__(self, ports):
        self.ports = ports
        self.ready = set()
        self.failures = []
        self.answered = dict.fromkeys(ports, 0)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._check, self._send, self._send)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=20)

    def wait_for(self, ready, seconds=30):
        deadline = time.monotonic() + seconds
        while self.ready != ready:
            assert time.monotonic() < deadline, (self.ready, ready)
            time.sleep(0.02)

    def _check(self):
        while not self._stopped.wait(0.05):
            for port in self.ports:
                try:
                    is_ready = ask(port).status == 200
                except OSError:
                    is_ready = False
                (self.ready.add if is_ready else self.ready.discard)(port)

    def _send(self):
        """Send requests over kept connections, as a proxy does, and forget those of nodes that are not ready."""
        kept: dict[int, http.client.HTTPConnection] = {}
        while not self._stopped.wait(0.005):
            ready = set(self.ready)
            for port in set(kept) - ready:
                kept.pop(port).close()
            for port in ready:
                peer = kept.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=5))
                try:
                    peer.request("GET", "/jwks")
                    answer = peer.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                    kept.pop(port).close()
                else:
                    self.failures += [answer.status] if answer.status != 200 else []
                    self.answered[port] += 1
        for peer in kept.values():
            peer.close()


@pytest.mark.fault("B22")
def test_a_rolling_restart_behind_readiness_checks_loses_no_request(start, here, postgresql_url):
    values = install(here, postgresql_url, AUTHSERVER_DRAIN_SECONDS="2", AUTHSERVER_LOG_LEVEL="WARNING")
    ports = free_ports(2)
    nodes = {port: start("serve", "--port", str(port), **values) for port in ports}
    with Balancer(ports) as balancer:
        balancer.wait_for(set(ports))
        for port in ports:
            nodes[port].send_signal(signal.SIGTERM)
            balancer.wait_for(set(ports) - {port})
            assert ask(port, "/jwks").status == 200, "who did not hear it yet is still answered"
            assert ask(port).status == 503
            assert nodes[port].wait(timeout=20) == 0
            nodes[port] = start("serve", "--port", str(port), **values)
            balancer.wait_for(set(ports))
    assert balancer.failures == []
    assert min(balancer.answered.values()) > 20


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream issuer {{ server 127.0.0.1:{one} fail_timeout=1s; server 127.0.0.1:{two} fail_timeout=1s; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://issuer; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


@pytest.fixture
def nginx(here):
    """Give `nginx(one, two)`: the port of an nginx before two nodes, as a packaged one is: without readiness checks."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with ExitStack() as started:

        def start_nginx(one, two):
            port = free_ports(1)[0]
            (here / "nginx.conf").write_text(NGINX.format(folder=here, port=port, one=one, two=two))
            process = subprocess.Popen([program, "-p", here, "-e", here / "error.log", "-c", here / "nginx.conf"])
            started.callback(process.wait, timeout=10)
            started.callback(process.terminate)
            return process, port

        yield start_nginx


@pytest.mark.fault("B22")
def test_a_rolling_restart_behind_nginx_loses_no_request(start, here, postgresql_url, nginx):
    values = install(here, postgresql_url, AUTHSERVER_DRAIN_SECONDS="1", AUTHSERVER_LOG_LEVEL="WARNING")
    ports = free_ports(2)
    nodes = {port: start("serve", "--port", str(port), **values) for port in ports}
    for port, node in nodes.items():
        wait_until_ready(node, port)
    process, front = nginx(*ports)
    wait_until_ready(process, front)
    with Balancer([front]) as load:
        load.wait_for({front})
        for port in ports:
            nodes[port].send_signal(signal.SIGTERM)
            assert nodes[port].wait(timeout=20) == 0
            nodes[port] = start("serve", "--port", str(port), **values)
            wait_until_ready(nodes[port], port)
    assert load.failures == []
    assert load.answered[front] > 20
