"""How the issuer is served: uvicorn as this server wants it, and an orderly end."""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Sequence
from datetime import timedelta
from types import FrameType
from typing import Any, Final

import uvicorn

from authserver import memory
from authserver.app import create_app
from authserver.cli.failure import FAILED, INTERRUPTED
from authserver.feature import Demo, Life
from authserver.settings import Settings
from authserver.web.guard import Guard

GRACEFUL_SECONDS: Final = 20  # for requests under way when the server is told to stop
KEEP_ALIVE_SECONDS: Final = 75  # longer than a proxy keeps its side, which is 60 s nearly everywhere
MAX_CONNECTIONS: Final = 4000  # of one process


def build_config(app: Any, **more: Any) -> uvicorn.Config:  # noqa: ANN401  # an ASGI app, and uvicorn's own options
    """Return uvicorn's settings: nothing is believed of headers, nothing is told about the server, one log only."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Guard,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        forwarded_allow_ips="",  # loopback is believed by default (SECURITY fact 4)
        server_header=False,
        access_log=False,  # the edge writes one event per request
        log_level="warning",
        log_config=None,
        limit_concurrency=most_connections(),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        **more,
    )


def most_connections() -> int:
    """Return how many sockets one process may hold: a quarter of its files stays for the database and the rest."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files * 3 // 4)


class Server(uvicorn.Server):
    """A server that is taken out of rotation before it stops.

    uvicorn closes its door at the first signal (SECURITY fact 5). Here /readyz says no for ``drain`` first, so that a
    proxy sends nobody any more; a second signal skips the wait. ``exit_code`` is what the process should end with.
    """

    def __init__(self, config: uvicorn.Config, life: Life, *, drain: timedelta) -> None:
        """Serve with a configuration of :func:`build_config` an application with this life."""
        super().__init__(config)
        self._life = life
        self.exit_code = 0
        self._drain = drain

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop; where the application cannot start, ``started`` stays False."""
        with contextlib.suppress(SystemExit):  # uvicorn leaves the process; whoever runs this has more to clean up
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen."""
        await super().startup(sockets)
        memory.keep()
        memory.end_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Begin to drain at the first signal; stop at the second, and at once at the third."""
        self.exit_code = INTERRUPTED if sig == signal.SIGINT else 0
        if self.should_exit:
            self.force_exit = sig == signal.SIGINT
        elif self._life.draining or not self._drain or not self.started:
            self.should_exit = True
        else:
            self._life.draining = True
            asyncio.get_running_loop().call_soon_threadsafe(self._wait_and_stop)

    def _wait_and_stop(self) -> None:
        asyncio.get_running_loop().call_later(self._drain.total_seconds(), self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def build_server(settings: Settings, *, demo: tuple[Demo, ...] = ()) -> Server:
    """Return a server for a new application."""
    application = create_app(settings, demo=demo)
    return Server(build_config(application), application.life, drain=settings.drain_seconds)


def run(settings: Settings, sockets: Sequence[socket.socket]) -> int:
    """Serve until a signal comes; return the exit code."""
    server = build_server(settings)
    server.run(sockets=list(sockets))
    return server.exit_code if server.started else FAILED
