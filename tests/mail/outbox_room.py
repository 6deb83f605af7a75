"""A server without senders of its own, and as many senders as a test wants: `Room`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlmodel import col

from authserver.app import utc_now
from authserver.jobs.outbox import MailSender
from authserver.store.outbox import Mail
from authserver.store.tables import OutboxMails

if TYPE_CHECKING:
    from uuid import UUID

    from tests.mail.smtp_server import MailServer
    from tests.server import Server

CODE = "482913"
ASKED_BY = {"browser": "Firefox on Linux", "address": "192.0.2.7"}


@dataclass
class Room:
    """The outbox of a server, and its senders, which run when a test says so."""

    server: Server
    mail_server: MailServer

    def sender(self, url: str | None = None) -> MailSender:
        services = self.server.services
        settings = services.settings.model_copy(update={"smtp_url": url or self.mail_server.url})
        return MailSender(replace(services, settings=settings), utc_now)

    async def add(self, to: str = "ann@example.org", kind: str = "password_changed", **parameters: str) -> UUID:
        """Hand in a notice, which never expires."""
        async with self.server.services.engine.begin() as tx:
            return await self.server.services.outbox.add(tx, Mail(kind=kind, to=to, locale=None, parameters=parameters))

    async def add_code(self, to: str = "ann@example.org", minutes: int = 10) -> UUID:
        async with self.server.services.engine.begin() as tx:
            expires_at = await tx.now() + timedelta(minutes=minutes)
            mail = Mail(
                kind="login_code",
                to=to,
                locale=None,
                parameters={"code": CODE, **ASKED_BY},
                expires_at=expires_at,
            )
            return await self.server.services.outbox.add(tx, mail)

    async def pass_time(self, time: timedelta) -> None:
        """Let time go by, as far as the outbox knows: everything in it was that much earlier."""
        columns = ("next_attempt_at", "created_at", "expires_at", "settled_at")
        async with self.server.services.engine.begin() as tx:
            for row in (await tx.execute(select(OutboxMails))).all():
                moved = {name: getattr(row, name) - time for name in columns if getattr(row, name) is not None}
                await tx.execute(update(OutboxMails).where(col(OutboxMails.id) == row.id).values(moved))

    async def row(self, mail_id: UUID):
        async with self.server.services.engine.read() as tx:
            return (await tx.execute(select(OutboxMails).where(col(OutboxMails.id) == mail_id))).one()

    async def state(self, mail_id: UUID) -> str | None:
        async with self.server.services.engine.read() as tx:
            return await self.server.services.outbox.state(tx, mail_id)


async def drain(sender: MailSender) -> None:
    """Send what is due over the first lane."""
    await sender._lanes[0].run()
