"""A proxy before PostgreSQL that a test can cut, freeze and bring back: the network's faults, and a server's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from psycopg import conninfo

from tests.databases import rewrite


class Proxy:
    """Forwards to the server of one database; ``port`` stays the same however often it is cut."""

    def __init__(self, database_url: str) -> None:
        parts = conninfo.conninfo_to_dict(database_url)
        self._database_url = database_url
        self._target = (str(parts["host"]), int(parts.get("port") or 5432))
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._flows: set[asyncio.Task[None]] = set()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the database by way of this proxy."""
        return rewrite(self._database_url, host="127.0.0.1", port=self.port)

    async def open(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset every connection and refuse new ones, as a server does that was killed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()
        await asyncio.gather(*self._flows, return_exceptions=True)

    def drop(self) -> None:
        """Reset every connection, and go on accepting, as a restarted server does."""
        for line in self._lines:
            line.transport.abort()

    def freeze(self) -> None:
        """Forward nothing more, and say nothing, as a stopped machine does."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Forward again, what was held back too."""
        self._thawed.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._lines |= {writer, far_writer}
        for flow in (self._forward(reader, far_writer), self._forward(far_reader, writer)):
            task = asyncio.ensure_future(flow)
            self._flows.add(task)
            task.add_done_callback(self._flows.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(65_536):
                await self._thawed.wait()
                writer.write(block)
                await writer.drain()
        writer.transport.abort()
        self._lines.discard(writer)


@contextlib.asynccontextmanager
async def proxy_to(database_url: str) -> AsyncIterator[Proxy]:
    """Give a proxy that is open, and cut it at the end."""
    proxy = Proxy(database_url)
    await proxy.open()
    try:
        yield proxy
    finally:
        proxy.thaw()
        await proxy.cut()
