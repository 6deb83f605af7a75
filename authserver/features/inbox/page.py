"""The pages of the inbox: a list, a mail, and its HTML part as a mailbox would show it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authserver.mail.writer import UnwritableError, Writer
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.operations.mail import open_mail
from authserver.sealing.box import UnsealError
from authserver.store import outbox_queue
from authserver.web.answers import NO_STORE, Answer
from authserver.web.pages import Link

if TYPE_CHECKING:
    from authserver.feature import Call, Services
    from authserver.mail.messages import Envelope
    from authserver.mail.writer import Written
    from authserver.oauth.params import Params
    from authserver.store.outbox_queue import QueuedMail

_SHOWN: Final = 100
_ADDRESS: Final = re.compile(r"https?://\S+")
_HTML_HEADERS: Final = (
    ("content-type", "text/html; charset=utf-8"),
    *NO_STORE,
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A mail in the list; without ``subject`` what it said is gone."""

    id: str
    subject: str | None
    recipient: str
    time: str


async def inbox(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /dev/inbox: the mails, the youngest first."""
    services = call.services
    async with services.engine.read() as tx:
        mails = await outbox_queue.list_all(tx, limit=_SHOWN)
    writer = _writer(services)
    lines = [_to_line(services, writer, mail) for mail in mails]
    return services.pages.render("inbox/list.html", title="Inbox", mails=lines, inbox="/dev/inbox")


async def message(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /dev/inbox/ID: the text of a mail, its links, and its HTML in a frame that can do nothing."""
    services = call.services
    envelope, written = await _find(call)
    wire = _writer(services).to_wire(envelope)
    page = services.pages.render(
        "inbox/message.html",
        title=written.subject,
        sender=wire.sender,
        recipient=envelope.to,
        time=services.pages.time(envelope.created_at),
        text=written.text,
        links=[Link(text=address, href=address) for address in _ADDRESS.findall(written.text)],
        html=f"/dev/inbox/html/{envelope.id}",
        inbox="/dev/inbox",
    )
    return _framing_own_pages(page)


async def message_html(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /dev/inbox/html/ID: the HTML part alone, under a policy that runs and loads nothing."""
    _, written = await _find(call)
    return Answer(headers=_HTML_HEADERS, body=written.html.encode())


async def _find(call: Call) -> tuple[Envelope, Written]:
    """Return the mail that the path names, opened and written."""
    services = call.services
    try:
        async with services.engine.read() as tx:
            mail = await outbox_queue.get(tx, UUID(call.facts.path_parameter))
        if mail is None:
            raise _not_there()
        envelope = open_mail(services.outbox, mail)
    except (ValueError, UnsealError):
        raise _not_there() from None
    return envelope, _writer(services).write(envelope)


def _to_line(services: Services, writer: Writer, mail: QueuedMail) -> Line:
    try:
        subject = writer.write(open_mail(services.outbox, mail)).subject
    except (UnsealError, UnwritableError):
        subject = None
    return Line(
        id=str(mail.id),
        subject=subject,
        recipient=mail.recipient,
        time=services.pages.time(mail.created_at),
    )


def _writer(services: Services) -> Writer:
    return Writer(issuer=services.settings.issuer, sender=services.settings.sender)


def _not_there() -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, "there is no such mail", Refusal.PATH_UNKNOWN, status=404)


def _framing_own_pages(page: Answer) -> Answer:
    headers = tuple(
        (name, f"{value}; frame-src 'self'" if name == "content-security-policy" else value)
        for name, value in page.headers
    )
    return replace(page, headers=headers)
