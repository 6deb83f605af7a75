"""A mail server of a test's own (aiosmtpd), which takes, refuses, hangs or dies as the test says.

`mail_answer`, `recipient_answer` and `data_answer` say what it answers at each step. The last two may be "hang", the
last one also "die" (cut the connection without an answer) or "drop" (acknowledge, then cut). What was taken over is in
`mails`, also what was taken over and then not acknowledged.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from email.message import EmailMessage

TAKEN = "250 taken"


@dataclass(frozen=True)
class Taken:
    """A mail that reached the server whole."""

    sender: str
    recipient: str
    content: bytes
    connection: int

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)  # type: ignore[return-value]

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])


class MailServer:
    """Where mail goes in a test. By default it takes everything."""

    def __init__(self) -> None:
        self.mails: list[Taken] = []
        self.connections = 0
        self.mail_answer = TAKEN
        self.recipient_answer: Callable[[str], str] = lambda _: TAKEN
        self.data_answer: Callable[[str], str] = lambda _: TAKEN
        self.greets = True
        self.logins: list[bytes] = []
        self.arrived = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.BaseTransport] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?rate=1000"

    async def start(self, **options: object) -> None:
        loop = asyncio.get_running_loop()
        context = options.pop("implicit_tls", None)
        assert context is None or isinstance(context, ssl.SSLContext)
        self._server = await loop.create_server(lambda: self._protocol(options), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for transport in self._transports:
                if not transport.is_closing():  # Python 3.11.2 cannot abort TLS that was closed twice
                    transport.abort()  # type: ignore[attr-defined]
            self._transports.clear()
            self._server = None
            await asyncio.sleep(0)

    def _protocol(self, options: dict[str, object]) -> asyncio.Protocol:
        self.connections += 1
        return _Session(
            _Handler(self, self.connections), self, **{"hostname": "mail.test", "enable_SMTPUTF8": True} | options
        )

    def received(self, count: int) -> list[Taken]:
        assert len(self.mails) == count
        return self.mails


class _Session(SMTP):
    def __init__(self, handler: object, mail_server: MailServer, **options: object) -> None:
        super().__init__(handler, loop=asyncio.get_running_loop(), **options)
        self._mail_server = mail_server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._mail_server._transports.add(transport)
        if self._mail_server.greets:
            super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._mail_server.greets:
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self._mail_server.greets else None


class _Handler:
    def __init__(self, server: MailServer, connection: int) -> None:
        self._server = server
        self._connection = connection

    async def handle_MAIL(self, smtp, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name for it
        if self._server.mail_answer == TAKEN:
            envelope.mail_from = address
        return self._server.mail_answer

    async def handle_RCPT(self, smtp, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name for it
        answer = self._server.recipient_answer(address)
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, smtp, session, envelope):  # noqa: N802 - aiosmtpd's name for it
        (recipient,) = envelope.rcpt_tos
        answer = self._server.data_answer(recipient)
        if answer.startswith(("250", "die", "hang", "drop")):
            self._server.mails.append(Taken(envelope.mail_from, recipient, envelope.original_content, self._connection))
            self._server.arrived.set()
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "die":
            smtp.transport.abort()
            await asyncio.sleep(3600)
        if answer == "drop":
            asyncio.get_running_loop().call_later(0.05, smtp.transport.abort)
            return TAKEN
        return answer


def authenticator(server: MailServer, username: bytes, password: bytes):
    def check(_smtp, _session, _envelope, _mechanism, login: LoginPassword) -> AuthResult:
        server.logins.append(login.login)
        return AuthResult(success=(login.login, login.password) == (username, password), handled=False)

    return check


@asynccontextmanager
async def mail_server(**options: object) -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start(**options)
    try:
        yield server
    finally:
        await server.stop()
