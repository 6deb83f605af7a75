"""Bytes that no HTTP library would send, and a server on a free port to send them to."""

import asyncio
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import uvicorn

from authserver.cli.serving import build_config
from authserver.web.guard import Guard

PATIENCE = 0.25  # seconds; a real guard has twenty times as much
GET = b"GET / HTTP/1.1\r\nHost: id.example\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: id.example\r\n"


class Hasty(Guard):
    patience = PATIENCE


class Echo:
    """Answers with the path, the body and the headers it was asked with; /slow takes a pause first."""

    def __init__(self, pause=3 * PATIENCE):
        self.pause = pause
        self.paths = []
        self.ended = []

    async def __call__(self, scope, receive, send):
        path = scope["path"]
        self.paths.append(path)
        body = b""
        if path == "/slow":
            await asyncio.sleep(self.pause)
        while path != "/early":
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ended.append(path)
                return
            body += message["body"]
            if not message["more_body"]:
                break
        if path == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(2):
                await send({"type": "http.response.body", "body": bytes(2**24), "more_body": True})
        headers = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
        answer = json.dumps({"path": path, "body": body.decode("latin-1"), "headers": headers}).encode()
        length = str(len(answer)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": answer})
        self.ended.append(path)


@contextmanager
def serving(app, *, protocol=Hasty, lifespan="off", **changes):
    """Serve on a free port in a thread of its own, as `authserver serve` does but for the patience."""
    config = build_config(app)
    config.http, config.lifespan = protocol, lifespan
    for name, value in changes.items():
        setattr(config, name, value)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield SimpleNamespace(port=listener.getsockname()[1], server=server)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
    assert not thread.is_alive()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def read_to_end(peer):
    """Return everything until the server hangs up; a reset is an end too."""
    received = b""
    try:
        while piece := peer.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def read_answer(peer):
    """Return status and body of one answer, and leave the connection as it is."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = peer.recv(65536)
        assert piece, received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += peer.recv(65536)
    return int(head.split()[1]), body


def exchange(port, *parts, pause=0.0):
    """Send the parts, and return all that comes until the server hangs up."""
    with connect(port) as peer:
        for part in parts:
            peer.sendall(part)
            time.sleep(pause)
        return read_to_end(peer)


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]
