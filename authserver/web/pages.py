"""Pages for people: a template and its values become an answer with the headers every page carries (UX §2).

Words live in the templates, in gettext's form, and come out in the language of the request (page_language.py). No
template is written by a user, so none is sandboxed; every value is escaped (SECURITY rows 20 and 122).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from authserver.language import LANGUAGES, format_date, format_time, load_translations
from authserver.web.answers import NO_STORE, Answer
from authserver.web.page_language import current_address, current_language, current_theme

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime, tzinfo
    from gettext import NullTranslations

UI: Final = Path(__file__).resolve().parent.parent / "ui"
STATIC: Final = UI / "static"

_PAGE_HEADERS: Final = (
    ("content-type", "text/html; charset=utf-8"),
    *NO_STORE,
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a page leads: shown text, and an http, https or own address."""

    text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line of the demo section of the home page; with ``href`` its value is a link, without it can be copied."""

    name: str
    value: str
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeLine:
    """One asked scope on the consent page; ``api`` is the name of the resource it belongs to, None for OpenID's own."""

    scope: str
    api: str | None = None


class Pages:
    """The renderer of one server; immutable after construction, so requests share it."""

    def __init__(
        self, *, issuer: str, dev: bool, translations: Callable[[str], NullTranslations] = load_translations
    ) -> None:
        """Load the templates and fingerprint the static files once; ``dev`` adds the bar that says so.

        ``translations`` gives the catalogue of a language tag.
        """
        self._environment = Environment(
            loader=FileSystemLoader(UI / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=dev,
        )
        self._translations = translations
        self._environment.install_gettext_callables(  # type: ignore[attr-defined]  # the i18n extension adds it
            lambda message: self._catalogue().gettext(message),
            lambda one, many, count: self._catalogue().ngettext(one, many, count),
            newstyle=True,
        )
        self._environment.filters["web_url"] = web_url
        self._environment.tests["web_url"] = lambda value: bool(web_url(value))
        self._versions = fingerprints()
        self._environment.globals.update(
            static=self.static_url,
            host=urlsplit(issuer).netloc,
            dev=dev,
            failed=False,
            languages=LANGUAGES,
            language=current_language,
            here=current_address,
            theme=current_theme,
        )

    def render(
        self,
        template: str,
        *,
        title: str,
        status: int = 200,
        transaction: bool = False,
        connects: bool = False,
        **values: object,
    ) -> Answer:
        """Return the page ``templates/<template>`` in the request's language, with a fresh nonce.

        ``title`` is the page's ``<title>`` and ``<h1>``; where ``values["problem"]`` is set, the title begins with
        "Error:". A ``transaction`` page is one whose form may end at a client: Chromium applies ``form-action`` to the
        whole chain of redirects, so such a page goes without (SECURITY fact 12). The script of a page that ``connects``
        may ask this server. A value that the template reads and
        the caller forgot is a bug and raises ``jinja2.UndefinedError``.
        """
        nonce = secrets.token_urlsafe(16)
        html = self._environment.get_template(template).render(
            values,
            title=self._catalogue().gettext(title),
            failed=values.get("problem") is not None,
            nonce=nonce,
        )
        policy = content_security_policy(nonce, transaction=transaction, connects=connects)
        headers = (*_PAGE_HEADERS, ("content-security-policy", policy))
        return Answer(status=status, headers=headers, body=html.encode())

    def words(self, message: str, **values: str) -> str:
        """Return a message of gettext's form in the page's language, filled in; not yet escaped."""
        return self._catalogue().gettext(message) % values

    def count_words(self, one: str, many: str, count: int, **values: str) -> str:
        """Return the form of a message that goes with a number, filled in with ``num`` and ``values``."""
        return self._catalogue().ngettext(one, many, count) % {"num": count, **values}

    def date(self, day: date) -> str:
        """Return a day in the page's language."""
        return format_date(day, current_language())

    def time(self, moment: datetime, zone: tzinfo = UTC) -> str:
        """Return a moment to the minute in the page's language, on the clock of ``zone``."""
        return format_time(moment, current_language(), zone)

    def static_url(self, path: str) -> str:
        """Return the address of ``static/<path>``; it changes with the file, so that it can be cached for good."""
        return f"/static/{path}?v={self._versions[path]}"

    def _catalogue(self) -> NullTranslations:
        return self._translations(current_language())


def content_security_policy(nonce: str, *, transaction: bool, connects: bool = False) -> str:
    """Build the policy of a page: own style and images, scripts by nonce only, never framed (CSP Level 3)."""
    directives = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"script-src 'nonce-{nonce}'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    if connects:
        directives.append("connect-src 'self'")
    if not transaction:
        directives.append("form-action 'self'")
    return "; ".join(directives)


def fingerprints() -> dict[str, str]:
    """Return the static files by path with the first 16 hexadecimal digits of their SHA-256."""
    return {
        path.relative_to(STATIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }


def web_url(address: str | None) -> str:
    """Return an address that may stand in a link: http or https with a host, or a path of this server; else ''.

    A client's ``client_uri`` and its kin are strangers' words: ``javascript:`` and ``data:`` must not become links.
    """
    if address is None:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.scheme in {"http", "https"} and parts.netloc:
        return address
    is_own_path = not parts.scheme and not parts.netloc and address.startswith("/") and "\\" not in address
    return address if is_own_path else ""
