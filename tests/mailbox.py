"""What a server under test has handed to its outbox, opened: nothing leaves it, as it has no mail server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from authserver.store.tables import OutboxMails

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.server import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One mail as its reader would get it."""

    kind: str
    to: str
    locale: str | None
    parameters: Mapping[str, str]

    @property
    def code(self) -> str:
        return self.parameters["code"]


async def mails(server: Server, to: str | None = None) -> list[Received]:
    """Every mail handed in, the oldest first, of one address or of all."""
    outbox = server.services.outbox
    async with server.services.engine.read() as tx:
        rows = (await tx.execute(select(OutboxMails).order_by(col(OutboxMails.id)))).all()
    return [
        Received(
            kind=row.kind,
            to=row.recipient,
            locale=row.locale,
            parameters=outbox.open(row.sealed, mail_id=UUID(str(row.id)), kind=row.kind, to=row.recipient),
        )
        for row in rows
        if to is None or row.recipient == to
    ]


async def last_mail(server: Server, to: str) -> Received:
    """The youngest mail to an address."""
    return (await mails(server, to))[-1]
