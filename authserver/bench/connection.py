"""One keep-alive HTTP/1.1 connection that costs the load driver little; one request is under way at a time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

_END_OF_HEAD: Final = b"\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})


class NotHttpError(Exception):
    """The peer said something that is no response, or a kind of response this reader does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole response; ``head`` is the status line and the headers as they came."""

    status: int
    head: bytes
    body: bytes

    def headers(self, name: str) -> list[str]:
        """Return the values of a header in their order."""
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [value.strip().decode("latin-1") for key, _, value in lines if key.lower() == name.encode()]

    def json(self) -> Any:  # noqa: ANN401  # whatever JSON is
        """Return what the body says; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def build_request(
    method: str, path: str, *, host: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """Return a request (RFC 9112 §3). A body is a form: the only kind that the issuer's endpoints take."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def parse_response(data: bytes) -> tuple[Response, int] | None:
    """Return the first response in ``data`` and how many bytes it takes, or None while it is not whole.

    Raise NotHttpError for what is no response, and for one without Content-Length: the server always knows its length.
    """
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = data[:end]
    version, _, rest = head.partition(b" ")
    if version != b"HTTP/1.1" or not rest[:3].isdigit():
        raise NotHttpError(f"not a response: {head[:80]!r}")
    status = int(rest[:3])
    start = end + len(_END_OF_HEAD)
    length = 0 if status in _BODILESS else _content_length(head)
    if len(data) < start + length:
        return None
    return Response(status=status, head=head, body=data[start : start + length]), start + length


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        raise NotHttpError(f"a response without content-length: {head[:80]!r}")
    value = lowered[at + len(b"\r\ncontent-length:") :].partition(b"\r\n")[0].strip()
    if not value.isdigit():
        raise NotHttpError(f"content-length {value!r}")
    return int(value)


class Connection(asyncio.Protocol):
    """Made by :func:`connect`."""

    def __init__(self) -> None:
        """Wait for the transport."""
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Response] | None = None
        self._lost: BaseException | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect until the response is whole, then give it to whoever asked."""
        self._received += data
        try:
            parsed = parse_response(self._received)
        except NotHttpError as error:
            self.connection_lost(error)
            return
        if parsed is None:
            return
        response, taken = parsed
        self._received = self._received[taken:]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(response)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell whoever is waiting."""
        self._lost = exc or ConnectionResetError("the server closed the connection")
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._lost)

    async def ask(self, request: bytes) -> Response:
        """Send a request and return its response. Raise OSError or NotHttpError where none comes."""
        if self._lost is not None or self._transport is None:
            raise self._lost or ConnectionResetError("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


async def connect(port: int) -> Connection:
    """Return a connection to a port of this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection
