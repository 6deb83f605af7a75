"""The deadlines and limits of a socket, from before there is a request (SECURITY facts 1 to 3, row 124).

Neither uvicorn nor httptools has them; what a request may say is the edge's matter.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from authserver.logs import get_logger
from authserver.web.exchange import Exchange

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope
    from uvicorn.config import Config
    from uvicorn.server import ServerState

FRAMING_LIMIT: Final = 32 * 1024  # bytes of a request that are not its body: head, sizes of chunks, trailers
URL_LIMIT: Final = 8 * 1024
HEADERS_LIMIT: Final = 100
PIPELINE_LIMIT: Final = 100  # requests that one connection may have waiting; uvicorn would keep any number
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_PIECE: Final = 4 * 1024  # bytes; so finely is the framing counted
_URL_TOO_LONG: Final = HTTPStatus.REQUEST_URI_TOO_LONG
_HEADERS_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

log = get_logger("authserver.request")


def decline_upgrade(data: bytes) -> bytes:
    """Return the bytes with which a request begins, its head without the offer to upgrade (RFC 9110 §7.8: we may).

    Java's HTTP client offers h2c with every request over plain http, bodies included, and httptools would take the body
    for something in another protocol. A head that comes in pieces keeps its offer, and is refused if it has a body.
    """
    end = data.find(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-declined-upgrade:", data[:end]) + data[end:] if end > 0 else data


class RefusedError(Exception):
    """Stop the parser: this head is refused; :attr:`Guard.refusal` says how."""


class Guard(HttpToolsProtocol):
    """uvicorn's protocol for connections that may be hostile; hand it to uvicorn as ``http=``.

    A peer has ``patience`` seconds to send its first request, and as long from the first byte of any request to its
    last. The time that the application takes, and the rest between two requests (``timeout_keep_alive``), are not
    counted. ``limit_concurrency`` is how many sockets may be open: from then on one that waits for its peer makes room.
    """

    patience: ClassVar[float] = 5.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Be one connection's protocol; uvicorn calls this with its own state."""
        super().__init__(config, server_state, app_state, _loop)
        self._most_connections = config.limit_concurrency
        self.limit_concurrency = None  # uvicorn would answer 503 to everybody for sockets that do nothing
        self.refusal = HTTPStatus.BAD_REQUEST
        self._is_receiving = False  # between the first byte of a request and its last
        self._framing = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._resting_since = 0.0
        self._rest: asyncio.TimerHandle | None = None

    # What the loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for a request; in a full house, instead of another socket that waits."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.patience, self._time_out)
        if self._most_connections is not None and len(self.connections) > self._most_connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines with the connection."""
        self._stop_clock()
        if self._rest is not None:
            self._rest.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, count what is not body, and start or stop the clock.

        The parser keeps an unfinished header to itself, however long. So its food is counted, in pieces so small that
        it does not matter what else is in the piece where a request begins.
        """
        if not self._is_receiving and b"pgrade:" in data:
            data = decline_upgrade(data)
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self._is_receiving:
                self._framing += len(piece)
                if self._framing >= FRAMING_LIMIT:
                    is_url = not self.headers and len(self.url) > URL_LIMIT
                    self._refuse(_URL_TOO_LONG if is_url else _HEADERS_TOO_LARGE)
                    return
        if not self._is_receiving and not self.awaits_peer():
            self._stop_clock()
        elif self._deadline is None:  # not anew with each byte; also for line ends between requests
            self._deadline = self.loop.call_later(self.patience, self._time_out)

    # What the parser calls

    def on_message_begin(self) -> None:
        """A request's first byte is here."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._is_receiving = True
        self._framing = 0

    def on_headers_complete(self) -> None:
        """Hand the request on, if its head is in order."""
        refusal = self._check_head()
        if refusal is not None:
            self.refusal = refusal
            raise RefusedError
        parser, before = self.parser, self.cycle
        is_turn = True
        if before is not None:
            is_turn = before.response_complete
        version = parser.get_http_version()
        self.cycle = Exchange(
            scope=self._build_scope(version),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            # An upgrade is to nothing that we speak: what follows is no request.
            keep_alive=version != "1.0" and parser.should_keep_alive() and not parser.should_upgrade(),
            on_response=self.on_response_complete,
        )
        self.headers = []  # trailers go nowhere: uvicorn would add them to the head (RFC 9110 §6.5.1)
        if is_turn:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """Let the body through: it has its own limit, in the edge."""
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request's last byte is here."""
        super().on_message_complete()
        self.cycle.more_body = False  # also where the answer was earlier
        self._is_receiving = False

    def on_response_complete(self) -> None:
        """An answer is on its way: begin with the next request, or let the connection rest."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._resting_since = self.loop.time()
        if self._rest is None:  # one timer a connection, not one a request: uvicorn's cost 2 us each
            self._rest = self.loop.call_later(self.timeout_keep_alive, self._end_rest)

    def _build_scope(self, version: str) -> HTTPScope:
        """Return what the application is told of the request (ASGI)."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "scheme": self.scheme or "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": self.headers,
            "client": self.client,
            "server": self.server,
        }

    def _check_head(self) -> HTTPStatus | None:
        """Return what a head is refused with, beyond what the parser itself refuses (RFC 9112 §3.2, §6.1)."""
        if len(self.url) > URL_LIMIT:
            return _URL_TOO_LONG
        if len(self.headers) > HEADERS_LIMIT:
            return _HEADERS_TOO_LARGE
        if len(self.pipeline) > PIPELINE_LIMIT:
            return HTTPStatus.TOO_MANY_REQUESTS
        names = [name for name, _ in self.headers]
        has_length, has_encoding = b"content-length" in names, b"transfer-encoding" in names
        if has_encoding:
            encodings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
            if has_length or encodings != [b"chunked"] or self.parser.get_http_version() != "1.1":
                return HTTPStatus.BAD_REQUEST
        # httptools takes the body of a request that asks for an upgrade for the next request.
        if names.count(b"host") != 1 or (b"upgrade" in names and (has_length or has_encoding)):
            return HTTPStatus.BAD_REQUEST
        return None

    # How it ends

    def awaits_peer(self) -> bool:
        """Tell whether nothing will happen here until the peer sends more, or takes what we send."""
        cycle = self.cycle
        if cycle is None:
            return True
        if self.flow.write_paused or self.flow.read_paused:
            return self.flow.write_paused
        return cycle.response_complete or (cycle.more_body and not cycle.waiting_for_100_continue)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's signature
        """Refuse what the parser did not take, or the head that we did not."""
        self._refuse(self.refusal)

    def _make_room(self) -> None:
        """End another connection that waits; where all are at work, this one."""
        others = (other for other in self.connections if other is not self and isinstance(other, Guard))
        idle = next((other for other in others if other.awaits_peer()), None)
        if idle is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self.connections.discard(idle)  # at once, so that the next newcomer ends another one
            idle.transport.abort()

    def _end_rest(self) -> None:
        """Close the connection where it has rested for long enough; else look again when it may have."""
        self._rest = None
        if self._is_receiving or not self.cycle.response_complete:
            return  # the end of that answer begins another rest
        left = self._resting_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._rest = self.loop.call_later(left, self._end_rest)
        else:
            self.transport.close()

    def _time_out(self) -> None:
        self._deadline = None
        if not self.awaits_peer():  # it is us who keep the peer waiting
            self._deadline = self.loop.call_later(self.patience, self._time_out)
        elif self._is_receiving:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer for the application, unless that would be taken for the answer to another request, and hang up."""
        log.info("refused unread", status=status.value, address=self.client[0] if self.client else "")
        cycle = self.cycle
        if cycle is None:
            is_turn = True
        elif cycle.more_body:  # this request's own
            is_turn = not cycle.response_started and not self.pipeline
        else:
            is_turn = cycle.response_complete
        if is_turn:
            line = f"HTTP/1.1 {status.value} {status.phrase}"
            self.transport.write(
                f"{line}\r\ncontent-length: 0\r\ncache-control: no-store\r\nconnection: close\r\n\r\n".encode()
            )
        if cycle is not None:
            cycle.disconnected = True  # what the application still says goes nowhere
        self.transport.close()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
