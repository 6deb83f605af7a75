"""The language, and the look, of the answer to the request that is being answered.

The edge begins each request with what the browser says; whoever learns more (the app's request, whose account it is)
says so, and the pages ask here. It is kept beside the request, not in it, so that no page has to pass it on.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.language import DEFAULT, choose_language, is_offered, parse_accept_language
from authserver.web.cookies import LANGUAGE, THEME

if TYPE_CHECKING:
    from authserver.web.facts import Facts

THEMES: Final = ("light", "dark")


@dataclass(slots=True, kw_only=True)
class _Wishes:
    """What is known of one request; the language is worked out when the first page asks."""

    facts: Facts
    asked: tuple[str, ...] = ()
    account: str | None = None
    language: str | None = None


_wishes: Final[ContextVar[_Wishes | None]] = ContextVar("wishes", default=None)


def begin_request(facts: Facts) -> None:
    """Forget the request before; nothing is parsed yet, as most requests show no page."""
    _wishes.set(_Wishes(facts=facts))


def prefer_asked(ui_locales: tuple[str, ...]) -> None:
    """Note the languages that the app's request asks for (OIDC Core §3.1.2.1)."""
    wishes = _wishes.get()
    if wishes is not None and ui_locales:
        wishes.asked, wishes.language = ui_locales, None


def prefer_account(locale: str | None) -> None:
    """Note the language of the account that is signed in in this browser."""
    wishes = _wishes.get()
    if wishes is not None and locale:
        wishes.account, wishes.language = locale, None


def current_language() -> str:
    """Return the tag of the offered language that the answer is written in; English outside a request.

    What was chosen on a page of ours in this browser comes first, then what the app asks for, the account, and the
    browser's own list.
    """
    wishes = _wishes.get()
    if wishes is None:
        return DEFAULT
    if wishes.language is None:
        chosen = wishes.facts.cookie(LANGUAGE) or ""
        wishes.language = (
            chosen
            if is_offered(chosen)
            else choose_language(
                [
                    *wishes.asked,
                    *([wishes.account] if wishes.account else []),
                    *parse_accept_language(wishes.facts.header(b"accept-language") or ""),
                ]
            )
        )
    return wishes.language


def current_theme() -> str:
    """Return ``light`` or ``dark`` where this browser was told so on the account page, '' where the system decides."""
    wishes = _wishes.get()
    theme = wishes.facts.cookie(THEME) if wishes is not None else None
    return theme if theme in THEMES else ""


def current_address() -> str:
    """Return the path and query of the request where going there again shows the page; else the front page's."""
    wishes = _wishes.get()
    if wishes is None:
        return "/"
    facts = wishes.facts
    return f"{facts.path}?{facts.query}" if facts.query and facts.method == "GET" else facts.path
