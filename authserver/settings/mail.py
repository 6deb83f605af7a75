"""How SMTP_URL and MAIL_FROM are written, and what they say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from authserver.settings.types import is_loopback_host

INBOX: Final = "inbox:"  # of `authserver dev`: mail is shown on a page and never leaves
Encryption: TypeAlias = Literal["tls", "starttls", "if offered", "none"]

_PORTS: Final = {"smtp": 587, "smtps": 465}
_STARTTLS: Final[dict[str, Encryption]] = {"required": "starttls", "offered": "if offered", "off": "none"}
_HOST: Final = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_RATE: Final = re.compile(r"[1-9][0-9]{0,3}")
_DEFAULT_RATE: Final = 10
_LOCAL_PART: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_FROM: Final = re.compile(
    rf"(?:(?P<name>[^<>\"@]{{1,100}}?) *<(?P<named>{_LOCAL_PART}@{_DOMAIN})>)|(?P<bare>{_LOCAL_PART}@{_DOMAIN})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """A mail server and how to speak to it. ``rate`` is messages a second that one process sends at most."""

    host: str
    port: int
    encryption: Encryption
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    rate: int = _DEFAULT_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whom mail comes from; ``name`` may be empty."""

    name: str
    address: str


def parse_smtp_url(url: str) -> Smtp:
    """Read ``smtp://user:password@host:port?starttls=required&rate=10`` or ``smtps://…``; raise ValueError.

    A password never travels in the clear: where there is one and the host is not this machine, STARTTLS is required.

    >>> parse_smtp_url("smtps://mail.example.org").port
    465
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError
    split = urlsplit(url)
    host = split.hostname or ""
    options = dict(parse_qsl(split.query, strict_parsing=True, keep_blank_values=True)) if split.query else {}
    if split.scheme not in _PORTS or not _HOST.fullmatch(host) or split.path not in {"", "/"} or split.fragment:
        raise ValueError
    encryption = _read_encryption(split.scheme, host, options.pop("starttls", None))
    rate = options.pop("rate", str(_DEFAULT_RATE))
    username, password = split.username, split.password
    if options or not _RATE.fullmatch(rate) or (username is None) != (password is None) or username == "":
        raise ValueError
    if password is not None and encryption in {"none", "if offered"} and not is_loopback_host(host):
        raise ValueError
    return Smtp(
        host=host,
        port=_PORTS[split.scheme] if split.port is None else split.port,
        encryption=encryption,
        username=unquote(username) if username is not None else None,
        password=unquote(password) if password is not None else None,
        rate=int(rate),
    )


def parse_sender(text: str) -> Sender:
    """Read ``address`` or ``Name <address>``, the address in ASCII; raise ValueError.

    >>> parse_sender("Sign-in of Example <no-reply@example.org>").name
    'Sign-in of Example'
    """
    match = _FROM.fullmatch(text)
    if match is None or not text.isprintable():
        raise ValueError
    return Sender(name=(match["name"] or "").strip(), address=match["named"] or match["bare"])


def _read_encryption(scheme: str, host: str, starttls: str | None) -> Encryption:
    if scheme == "smtps":
        if starttls is not None:
            raise ValueError
        return "tls"
    if starttls is None:  # a catcher on this machine seldom has a certificate
        return "if offered" if is_loopback_host(host) else "starttls"
    if starttls not in _STARTTLS:
        raise ValueError
    return _STARTTLS[starttls]
