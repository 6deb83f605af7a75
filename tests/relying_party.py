"""A client's back-channel logout address on loopback, which answers as a test says: `RelyingParty`."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sqlalchemy import select
from sqlmodel import col

from authserver.store.tables import LogoutNotices

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from sqlalchemy import Row

    from authserver.oauth.values import Client
    from tests.server import Server

SOON = 5.0  # seconds in which something that happens at once has happened


class RelyingParty:
    """Remembers what was posted to it. ``answer`` is a status, or "hang" or "drop"."""

    def __init__(self, answer: int | str = 200, extra: str = "") -> None:
        self.answer = answer
        self.extra = extra  # header lines of every answer
        self.heads: list[str] = []
        self.forms: list[dict[str, list[str]]] = []
        self.at_once = self.most_at_once = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/backchannel-logout?app=notes"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    @property
    def tokens(self) -> list[str]:
        """The logout tokens that came, the oldest first."""
        return [form["logout_token"][0] for form in self.forms]

    @property
    def claims(self) -> list[dict[str, Any]]:
        """What these tokens say."""
        return [read_part(token, 1) for token in self.tokens]

    async def hears(self, count: int, seconds: float = SOON) -> None:
        """Wait until so many requests have come."""
        await until(lambda: len(self.forms) >= count, seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length")]
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
            self.heads.append(head)
            self.forms.append(parse_qs(body.decode()))
            if self.answer == "hang":
                await reader.read()  # until the other side has had enough
            elif self.answer != "drop":
                writer.write(f"HTTP/1.1 {self.answer} x\r\n{self.extra}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()
        self.at_once -= 1
        writer.close()


def read_part(token: str, part: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a JWT, verified by nobody."""
    text = token.split(".")[part]
    document: dict[str, Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return document


async def until(holds: Callable[[], bool], seconds: float = SOON) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for is in another process, or over the network
            await asyncio.sleep(0.01)


async def let_hear(server: Server, client: Client, uri: str | None) -> Client:
    """Register where a client of the server hears that sessions are over."""
    changed = replace(client, backchannel_logout_uri=uri)
    await server.update_client(changed)
    return changed


async def find_notices(server: Server) -> list[Row[Any]]:
    """The rows of all notices, the oldest first."""
    async with server.services.engine.read() as tx:
        return list(await tx.execute(select(LogoutNotices).order_by(col(LogoutNotices.id))))
