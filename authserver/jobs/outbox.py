"""Sends what the outbox holds: in every process, several mails at a time where the mail server is slow.

A lane takes one mail after the other: claim, send, write down what came of it and claim the next in one transaction.
One lane does all the work over one connection while the mail server answers within a second; where it does not, the
next lane joins in, so an address whose server hangs holds nobody else up.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from jinja2 import TemplateError

from authserver.ids import uuid7
from authserver.jobs.pause import pause_after
from authserver.jobs.runner import Job
from authserver.logs import get_logger
from authserver.mail.contents import group
from authserver.mail.mailer import MESSAGE_SECONDS, Delivery, Mailer, Outcome
from authserver.mail.messages import KINDS, SECRETS
from authserver.mail.schedule import retry_after
from authserver.mail.writer import UnwritableError, Writer
from authserver.operations.mail import open_mail
from authserver.sealing.box import UnsealError
from authserver.store import outbox_queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from authserver.feature import Services
    from authserver.mail.messages import Envelope
    from authserver.store.engine import Tx
    from authserver.store.outbox import Outbox
    from authserver.store.outbox_queue import QueuedMail

log = get_logger("authserver.mail")

LANES: Final = 4
POLL_EVERY: Final = 5.0  # seconds; mail of this process is sent at once, that of others and of commands within this
HELPERS_POLL_EVERY: Final = 15.0
SLOW_AFTER: Final = 1.0  # seconds for one mail, before another lane joins in
FINISH_SECONDS: Final = 5.0  # that a process which stops gives a mail on its way, so that it is not sent twice


class MailSender:
    """What the lanes of a process share: how fast they may go, and whether the mail server is to be had."""

    def __init__(self, services: Services, now: Callable[[], datetime]) -> None:
        """Prepare the lanes; nothing is connected before there is mail."""
        settings = services.settings
        self.services = services
        self.owner = uuid7(now())
        self.writer = Writer(issuer=settings.issuer, sender=settings.sender)
        self.unmarked: set[UUID] = set()  # ids of mail that has left, while the database could not be told
        self._interval = 1 / settings.smtp.rate if settings.smtp is not None else 0.0
        self._next_slot = 0.0
        self._failures = 0
        self._paused_until = 0.0
        self._lanes = tuple(Lane(self) for _ in range(LANES if settings.smtp is not None else 1))

    def build_jobs(self) -> tuple[Job, ...]:
        """Return one job for each lane, woken by whatever this process commits."""
        settings = self.services.settings
        if settings.smtp is None and not settings.keeps_mail:
            log.warning("mail_waits", cause="SMTP_URL is empty: mail is kept in the outbox and not sent")
        self.services.outbox.on_commit(self.wake)
        return tuple(
            Job(
                name=f"outbox-{number}",
                run=lane.run,
                every=POLL_EVERY if number == 0 else HELPERS_POLL_EVERY,
                leased=False,
                wake=lane.wake,
            )
            for number, lane in enumerate(self._lanes)
        )

    def wake(self) -> None:
        """Have an idle lane look now; where none is, the first one looks again when it is done."""
        next((lane for lane in self._lanes if not lane.is_busy), self._lanes[0]).wake.set()

    @property
    def is_paused(self) -> bool:
        """Tell whether the mail server is left alone for a while."""
        return asyncio.get_running_loop().time() < self._paused_until

    @property
    def pause(self) -> timedelta:
        """How long the mail server is still left alone."""
        return timedelta(seconds=max(0.0, self._paused_until - asyncio.get_running_loop().time()))

    async def take_slot(self) -> None:
        """Wait until one more mail may leave this process: a backlog drains at ``rate``."""
        now = asyncio.get_running_loop().time()
        self._next_slot = max(self._next_slot, now) + self._interval
        await asyncio.sleep(self._next_slot - self._interval - now)

    def note(self, delivery: Delivery) -> None:
        """Leave a mail server alone that was not to be had, longer each time; forget it once it has answered."""
        if delivery.outcome is not Outcome.UNAVAILABLE:
            if self._failures:
                log.info("mail_server_is_back", failures=self._failures)
            self._failures = 0
            return
        if not self.is_paused:  # the lanes that fail together count once
            self._failures += 1
            pause = pause_after(self._failures)
            self._paused_until = asyncio.get_running_loop().time() + pause
            log.warning("mail_server_unavailable", cause=delivery.answer, failures=self._failures, again_in=pause)


class Lane:
    """One mail at a time."""

    def __init__(self, sender: MailSender) -> None:
        """Made by :class:`MailSender`."""
        settings = sender.services.settings
        self.wake = asyncio.Event()
        self.is_busy = False
        self._sender = sender
        self._services = sender.services
        self._is_stopping = False
        self._keeps = settings.keeps_mail
        self._mailer = None
        if settings.smtp is not None:
            own_host = settings.sender.address.rpartition("@")[2]
            self._mailer = Mailer(settings.smtp, own_host=own_host, ca_file=settings.outbound_ca_file)

    async def run(self) -> None:
        """Send until nothing is due; one connection serves the whole burst."""
        self.is_busy = True
        try:
            await self._drain()
        finally:
            self.is_busy = False
            if self._mailer is not None:
                await self._mailer.close()

    async def _drain(self) -> None:
        engine = self._services.engine
        async with engine.read() as tx:
            due = await outbox_queue.next_due(tx)
        if due is None or due.total_seconds() > 0:
            return
        async with engine.begin() as tx:
            expired = await outbox_queue.expire(tx)
            mail = await self._claim(tx)
        if expired:
            log.info("mail_expired", count=expired)
        while mail is not None:
            mail = await self._finish_even_if_stopped(mail)

    async def _finish_even_if_stopped(self, mail: QueuedMail) -> QueuedMail | None:
        """Send one mail and return the next. A stop lets it finish: cut off, it might be sent twice."""
        work = asyncio.create_task(self._send_and_claim(mail))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._is_stopping = True
            await asyncio.wait({work}, timeout=FINISH_SECONDS)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            raise

    async def _send_and_claim(self, mail: QueuedMail) -> QueuedMail | None:
        sender = self._sender
        delivery = Delivery(outcome=Outcome.SENT) if mail.id in sender.unmarked else await self._send(mail)
        sender.note(delivery)
        if delivery.outcome is Outcome.SENT:
            sender.unmarked.add(mail.id)

        async def settle_and_claim(tx: Tx) -> QueuedMail | None:
            await self._settle(tx, mail, delivery)
            return await self._claim(tx)

        following = await self._services.engine.retrying(settle_and_claim)
        sender.unmarked.discard(mail.id)
        _log(mail, delivery)
        return following

    async def _claim(self, tx: Tx) -> QueuedMail | None:
        if self._is_stopping or self._sender.is_paused or not (self._mailer or self._keeps):
            return None
        return await outbox_queue.claim_next(tx, self._sender.owner)

    async def _send(self, mail: QueuedMail) -> Delivery:
        if self._mailer is None:
            return Delivery(outcome=Outcome.SENT)
        try:
            envelope = _open(self._services.outbox, mail)
            message = self._sender.writer.to_wire(envelope)
        except (UnsealError, UnwritableError) as error:
            return Delivery(outcome=Outcome.REFUSED, answer=str(error))
        except (LookupError, TypeError, ValueError, TemplateError):  # what is odd about one mail holds no other up
            log.exception("mail_not_written", mail=str(mail.id), kind=mail.kind)
            return Delivery(outcome=Outcome.DELAYED, answer="it could not be written; the log says why")
        await self._sender.take_slot()
        helper = asyncio.get_running_loop().call_later(SLOW_AFTER, self._sender.wake)
        try:
            delivery = await self._mailer.send(message, seconds=min(MESSAGE_SECONDS, mail.seconds_left))
        finally:
            helper.cancel()
        return replace(delivery, answer=_without_secrets(delivery.answer, envelope))

    async def _settle(self, tx: Tx, mail: QueuedMail, delivery: Delivery) -> None:
        """Write down what came of a mail."""
        owner, wait = self._sender.owner, retry_after(mail.attempts)
        match delivery.outcome:
            case Outcome.SENT:
                await outbox_queue.mark_sent(tx, mail.id, keep=self._keeps)
            case Outcome.UNAVAILABLE:
                later = self._sender.pause + timedelta(seconds=POLL_EVERY)  # others first: it may be this one's doing
                await outbox_queue.give_back(tx, mail.id, owner, later, delivery.answer)
            case Outcome.DELAYED if wait is not None:
                await outbox_queue.put_off(tx, mail, owner, wait, delivery.answer)
            case _:
                await outbox_queue.mark_failed(tx, mail.id, owner, delivery.answer)


def _open(outbox: Outbox, mail: QueuedMail) -> Envelope:
    if mail.kind not in KINDS:
        raise LookupError(f"a newer version wrote this mail: the kind {mail.kind!r} is not known here")
    return open_mail(outbox, mail)


def _without_secrets(answer: str, envelope: Envelope) -> str:
    """Return a mail server's answer without what it may have quoted of the mail, and without the reader's address."""
    quoted = [envelope.parameters[name] for name in SECRETS & envelope.parameters.keys()]
    for text in (envelope.to, *quoted, *map(group, quoted)):
        answer = answer.replace(text, "…") if text else answer
    return answer


def _log(mail: QueuedMail, delivery: Delivery) -> None:
    """Write one event for each try: no address, and of the answer its number only, as its words may hold one."""
    number = delivery.answer[:3]
    log.info(
        "mail",
        outcome=delivery.outcome.value,
        mail=str(mail.id),
        kind=mail.kind,
        attempt=mail.attempts,
        answer=number if number.isdecimal() else "",
    )
