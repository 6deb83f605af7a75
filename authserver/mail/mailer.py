"""Hands messages to the mail server, one connection for as many as come in a burst.

What a failure means for the mail is decided here: whether this mail may be tried again, will never be taken, or whether
the mail server itself is not to be had (then the mail was not even looked at).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from authserver.phases import forbid_open_transaction

if TYPE_CHECKING:
    from pathlib import Path

    import aiosmtplib

    from authserver.mail.writer import WireMessage
    from authserver.settings import Smtp

CONNECT_SECONDS: Final = 15.0  # to connect, to encrypt and to log in
ANSWER_SECONDS: Final = 30.0  # for each answer; RFC 5321 §4.5.3.2 allows minutes, an operator's own relay needs none
MESSAGE_SECONDS: Final = 60.0  # for one message with all its answers
_CLOSING: Final = 421  # RFC 5321 §4.2.1: the server is going away, whatever was asked
_PERMANENT: Final = 500
_LONGEST_ANSWER: Final = 200


class Outcome(StrEnum):
    """What came of handing in one mail."""

    SENT = "sent"  # the mail server has taken it over
    DELAYED = "delayed"  # this mail may be taken later: a 4xx, or no answer, in which case it may have arrived
    REFUSED = "refused"  # this mail is never taken: a 5xx, or an address that cannot be said
    UNAVAILABLE = "unavailable"  # the server was not to be had, or takes nothing from us; the mail was not the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An outcome and the reason in words: the server's answer, its code first. Empty where the mail was sent."""

    outcome: Outcome
    answer: str = ""


class Mailer:
    """One connection to the mail server, opened when the first message comes. For one task at a time."""

    def __init__(self, smtp: Smtp, *, own_host: str, ca_file: Path | None) -> None:
        """Keep where to connect to; ``own_host`` is the name we greet with, ``ca_file`` one more CA for TLS."""
        self._smtp = smtp
        self._own_host = own_host
        self._ca_file = ca_file
        self._connection: aiosmtplib.SMTP | None = None

    async def send(self, message: WireMessage, *, seconds: float = MESSAGE_SECONDS) -> Delivery:
        """Hand in one message within ``seconds``. Never raises for what the mail server does."""
        forbid_open_transaction("mail")
        was_open = self._connection is not None
        delivery = await self._send(message, seconds)
        if was_open and delivery.outcome is Outcome.UNAVAILABLE:
            # A connection kept from before may have died since; the mail was not handed over, so ask on a new one.
            delivery = await self._send(message, seconds)
        return delivery

    async def close(self) -> None:
        """Say goodbye where there is somebody to say it to."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        import aiosmtplib  # noqa: PLC0415 - as in _send

        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await connection.quit(timeout=1.0)
        connection.close()

    async def _send(self, message: WireMessage, seconds: float) -> Delivery:
        import aiosmtplib  # noqa: PLC0415 - at the first mail, not at the start of a server

        failures = (aiosmtplib.SMTPException, OSError, ValueError)  # what networks, servers and odd addresses do
        try:
            connection = self._connection or await self._connect()
        except failures as error:
            return Delivery(outcome=Outcome.UNAVAILABLE, answer=_describe(error))
        self._connection = connection
        exchange = _Exchange(connection, message)
        try:
            async with asyncio.timeout(seconds):
                return await exchange.run()
        except failures as error:
            return self._judge(exchange, error)
        except BaseException:  # in the middle of something: nothing more can be said on this connection
            self._drop()
            raise

    async def _connect(self) -> aiosmtplib.SMTP:
        import aiosmtplib  # noqa: PLC0415 - as in _send

        smtp = self._smtp
        connection = aiosmtplib.SMTP(
            hostname=smtp.host,
            port=smtp.port,
            username=smtp.username,
            password=smtp.password,
            local_hostname=self._own_host,  # else the library asks the DNS for a name
            timeout=ANSWER_SECONDS,
            use_tls=smtp.encryption == "tls",
            start_tls={"starttls": True, "if offered": None}.get(smtp.encryption, False),
            tls_context=await asyncio.to_thread(self._make_context) if smtp.encryption != "none" else None,
        )
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()
        return connection

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        if self._smtp.encryption == "if offered":  # whoever could forge a certificate could hide the offer as well
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _judge(self, exchange: _Exchange, error: Exception) -> Delivery:
        """Tell by where the exchange ended whether the mail or the server is to blame."""
        code = getattr(error, "code", None)
        is_answer = isinstance(code, int) and code > 0
        if not is_answer or code == _CLOSING:
            self._drop()
        if not exchange.is_about_the_mail or code == _CLOSING:
            return Delivery(outcome=Outcome.UNAVAILABLE, answer=_describe(error))
        is_final = is_answer and isinstance(code, int) and code >= _PERMANENT
        return Delivery(outcome=Outcome.REFUSED if is_final else Outcome.DELAYED, answer=_describe(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Exchange:
    """The commands of one message, and how far they came."""

    def __init__(self, connection: aiosmtplib.SMTP, message: WireMessage) -> None:
        self._connection = connection
        self._message = message
        # MAIL FROM speaks of the sender, who is the same for all mails, unless this one asks for more than the others.
        self.is_about_the_mail = message.needs_utf8

    async def run(self) -> Delivery:
        connection, message = self._connection, self._message
        options = ["BODY=8BITMIME", "SMTPUTF8"] if message.needs_utf8 else []
        if message.needs_utf8 and not connection.supports_extension("smtputf8"):
            return Delivery(
                outcome=Outcome.REFUSED,
                answer="the mail server takes no addresses outside ASCII (SMTPUTF8, RFC 6531)",
            )
        encoding = "utf-8" if message.needs_utf8 else "ascii"
        try:
            await connection.mail(message.sender, options=options, encoding=encoding)
            self.is_about_the_mail = True
            await connection.rcpt(message.recipient, encoding=encoding)
            await connection.data(message.content)
        except Exception:
            await self._reset()
            raise
        return Delivery(outcome=Outcome.SENT)

    async def _reset(self) -> None:
        """Take the envelope back where the server still listens, so that the next mail begins with a clean one."""
        if self._connection.is_connected:
            import aiosmtplib  # noqa: PLC0415 - as in _send

            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._connection.rset(timeout=1.0)


def _describe(error: Exception) -> str:
    """Return why, in one short line: ``550 no such user``, or what happened to the connection."""
    code, said = getattr(error, "code", None), getattr(error, "message", None) or str(error) or type(error).__name__
    if isinstance(error, TimeoutError) and code is None:
        said = "no answer in time"
    text = f"{code} {said}" if isinstance(code, int) and code > 0 else str(said)
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_ANSWER]
