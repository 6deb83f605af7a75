"""A small load balancer: each new connection goes to the next server, so that one journey visits every node."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def balancing(port: int, backends: Sequence[int]) -> Iterator[None]:
    """Listen on a loopback port and pass each connection to the next of the backends' ports, in turn."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, itertools.cycle(backends)), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)


def _accept(listener: socket.socket, turn: Iterator[int]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # the listener was shut down: the journeys are over
            return
        server = socket.create_connection(("127.0.0.1", next(turn)))
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
