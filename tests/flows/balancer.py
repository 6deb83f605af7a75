"""A small load balancer: each new connection goes to the next server, so that one journey visits every node."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator, Sequence

SECONDS = 60  # longer than any answer takes; a bound for a copy whose other end is gone


@contextlib.contextmanager
def balancing(port: int, backends: Sequence[int]) -> Iterator[None]:
    """Listen on a loopback port and pass each connection to the next of the backends' ports, in turn."""
    with socket.create_server(("127.0.0.1", port), backlog=256) as listener:
        thread = threading.Thread(target=_accept, args=(listener, itertools.cycle(backends)), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=SECONDS)


def _accept(listener: socket.socket, turn: Iterator[int]) -> None:
    connections = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # the listener was shut down: the journeys are over
            break
        connections.append(threading.Thread(target=_pass, args=(client, next(turn)), daemon=True))
        connections[-1].start()
    for connection in connections:
        connection.join(timeout=SECONDS)


def _pass(client: socket.socket, port: int) -> None:
    """Copy both ways until both sides have ended."""
    with client, socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as server:
        client.settimeout(SECONDS)
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join(timeout=SECONDS)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
