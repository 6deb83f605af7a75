"""Writes a mail: its kind and parameters become a subject, a text, an HTML part, and the message for the wire.

Written anew for each try, the message is the same to the byte, its Message-ID too, so that a server or a mailbox can
know the second copy of a mail whose first answer was lost.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from authserver.language import LANGUAGES, choose_language
from authserver.mail.contents import Letter, build_content
from authserver.mail.messages import LINKS

if TYPE_CHECKING:
    from authserver.mail.messages import Envelope
    from authserver.settings import Sender

_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
_LONGEST_VALUE: Final = 200
_LONGEST_SUBJECT: Final = 150


class UnwritableError(Exception):
    """A mail that cannot be sent to this address, however often it is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A mail for people: what a mailbox shows."""

    subject: str
    text: str
    html: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMessage:
    """A mail for SMTP: the envelope's two addresses and the message. ``needs_utf8``: RFC 6531's extension is needed."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool


class Writer:
    """Writes the mails of one server."""

    def __init__(self, *, issuer: str, sender: Sender) -> None:
        """Load the layouts once. Every link in them leads to the issuer, whatever a request's Host said."""
        self._issuer = issuer
        self._host = urlsplit(issuer).netloc
        self._sender = sender
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._text = environment.get_template("mail.txt")
        self._html = environment.get_template("mail.html")

    def write(self, envelope: Envelope) -> Written:
        """Return the mail in its reader's language."""
        language = choose_language([envelope.locale] if envelope.locale else [])
        letter = Letter(
            parameters={name: _clean(name, value) for name, value in envelope.parameters.items()},
            issuer=self._issuer,
            host=self._host,
            language=language,
            created_at=envelope.created_at,
            expires_at=envelope.expires_at,
        )
        content = build_content(envelope.kind, letter)
        values = {"content": content, "host": self._host, "language": language}
        return Written(
            subject=content.subject[:_LONGEST_SUBJECT],
            text=self._text.render(values),
            html=self._html.render(values, direction=LANGUAGES[language].direction),
            language=language,
        )

    def to_wire(self, envelope: Envelope) -> WireMessage:
        """Return the message to hand to a mail server. Raise UnwritableError for an address that no header can say."""
        written = self.write(envelope)
        recipient, needs_utf8 = _to_wire_address(envelope.to)
        message = EmailMessage(policy=SMTPUTF8 if needs_utf8 else SMTP)
        message["From"] = Address(self._sender.name, addr_spec=self._sender.address)
        local_part, _, domain = recipient.rpartition("@")
        message["To"] = Address(username=local_part, domain=domain)
        message["Subject"] = written.subject
        message["Date"] = format_datetime(envelope.created_at)
        message["Message-ID"] = f"<{envelope.id.hex}@{self._sender.address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's holiday notice answers it
        message["Content-Language"] = written.language
        message.set_content(written.text, cte="quoted-printable")
        message.add_alternative(written.html, subtype="html", cte="quoted-printable")
        message.set_boundary(f"=_{envelope.id.hex}")
        return WireMessage(
            sender=self._sender.address, recipient=recipient, content=message.as_bytes(), needs_utf8=needs_utf8
        )


def _to_wire_address(address: str) -> tuple[str, bool]:
    """Return the address with its domain in ASCII (IDNA 2008), and whether its local part needs RFC 6531."""
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - at the first mail

    try:
        parts = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise UnwritableError(f"the address cannot be written: {error}") from error
    return f"{parts.local_part}@{parts.ascii_domain}", parts.ascii_email is None


def _clean(name: str, value: str) -> str:
    """Return a value in one line, without what could steer a header, a terminal or the direction of the text."""
    if name in LINKS:
        return value
    visible = "".join(" " if character.isspace() else character for character in value)
    kept = "".join(character for character in visible if unicodedata.category(character) not in _INVISIBLE)
    return " ".join(kept.split())[:_LONGEST_VALUE]


_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
