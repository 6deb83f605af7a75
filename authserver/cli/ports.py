"""Listening sockets, and the name of whoever has a port already."""

import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from authserver.cli.failure import CommandFailedError

BACKLOG: Final = 2048
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING: Final = "0A"  # the state's number in those tables


def listen(host: str, port: int, *, fix: str) -> list[socket.socket]:
    """Return sockets that listen on every address of the host: ``localhost`` is 127.0.0.1 and, where there is one, ::1.

    Raises :class:`CommandFailedError` that names who has the port; ``fix`` is the command to try instead.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CommandFailedError(f"{host} is no address of this machine: {error.strerror}.", field="host") from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listener = _bind(family, address)
            if listener is not None:
                sockets.append(listener)
    except OSError as error:
        for listener in sockets:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CommandFailedError(f"Port {port} is taken{_by_whom(port)}. Try: {fix}") from error
        raise CommandFailedError(f"Port {port} of {host} cannot be used: {error.strerror}.", field="port") from error
    if not sockets:
        raise CommandFailedError(f"{host} is no address of this machine.", field="host")
    return sockets


def check_free(port: int, *, fix: str) -> None:
    """Raise where something listens on the port on loopback already."""
    for listener in listen("localhost", port, fix=fix):
        listener.close()


def _bind(family: int, address: Any) -> socket.socket | None:  # noqa: ANN401  # as getaddrinfo gives it
    """Return a listening socket, or None where the machine does not have this family of addresses."""
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # the library's signature
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return listener


def _by_whom(port: int) -> str:
    """Name the process that listens on a port: " by process 4711 (python)", or nothing where it cannot be seen."""
    inodes = {inode for table in _TABLES for inode in _find_listeners(table, port)}
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # another user's process, or one that has just ended
            if (link := str(entry.readlink())).startswith("socket:") and link[len("socket:[") : -1] in inodes:
                process = entry.parent.parent
                return f" by process {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _find_listeners(table: Path, port: int) -> list[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # not Linux
        return []
    rows = [line.split() for line in lines]
    return [row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port]
