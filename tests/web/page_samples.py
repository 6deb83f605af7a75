"""The values each page is tried with, and how the tests read a page."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from authserver.steps.provider_buttons import Button, Buttons
from authserver.web.pages import Link, ScopeLine
from tests.web import account_samples, inbox_samples, sign_up_samples

if TYPE_CHECKING:
    from authserver.web.answers import Answer

ISSUER = "https://id.example.org"

HOME = {
    "user_name": None,
    "sign_in": "/login",
    "sign_out": "/end_session",
    "csrf": "token",
    "account_links": (),
    "demo": (),
    "endpoints": (
        Link(text="Issuer", href=ISSUER),
        Link(text="Discovery", href=f"{ISSUER}/.well-known/openid-configuration"),
    ),
}
LOGIN = {
    "action": "/authorize/1/login",
    "csrf": "token",
    "username": "",
    "shared_computer": False,
    "client_name": "Notes",
    "client_host": "notes.example.org",
    "problem": None,
    "wait_seconds": None,
    "is_signed_in": False,
    "links": (),
    "buttons": Buttons(action="/upstream", providers=()),
    "passkey": '{"challenge": "AAAA", "rpId": "id.example.org", "allowCredentials": []}',
    "signal": None,
}
CONSENT = {
    "action": "/authorize/1/consent",
    "csrf": "token",
    "user": "01890000-0000-7000-8000-000000000001",
    "user_name": "Ann",
    "client_name": "Notes",
    "client_host": "notes.example.org",
    "client_verified": True,
    "client_uri": None,
    "policy_uri": None,
    "tos_uri": None,
    "scopes": (ScopeLine(scope="openid"), ScopeLine(scope="api:read", api="Sample API")),
    "remembered": True,
}
CONFIRM = {
    "action": "/end_session",
    "csrf": "token",
    "user_name": "Ann",
    "client_name": "Notes",
    "other_apps": 2,
    "hidden": (("state", "af0"),),
}
SIGNED_OUT = {"told": (), "not_told": (), "back": None, "sign_in": "/login"}
ALREADY = {"user_name": "Ann", "client_name": "Notes", "continue_url": "https://notes.example.org/"}
EXPIRED = {"client_name": "Notes", "client_uri": "https://notes.example.org/"}
FORM_POST = {
    "action": "https://notes.example.org/cb",
    "parameters": (("code", "c0de"), ("iss", ISSUER)),
    "client_name": "Notes",
}

SECOND_FACTOR = {
    "action": "/second-factor/1",
    "csrf": "token",
    "user_name": "Ann",
    "has_app": True,
    "passkey": LOGIN["passkey"],
    "is_recovery": False,
    "problem": None,
    "wait_seconds": 0,
}
BUTTONS = Buttons(action="/upstream/1", providers=(Button(slug="hub", label="Hub"), Button(slug="id", label="Id")))
UPSTREAM_FAILED = {
    "problem": "refused",
    "provider": "Hub",
    "back": "/login/1",
    "is_linking": False,
    "wait_seconds": 0,
    "request_id": "01890000-0000-7000-8000-000000000003",
}

PAGES = {
    "home.html": HOME,
    "login/login.html": LOGIN,
    "second_factor/ask.html": SECOND_FACTOR,
    "second_factor/over.html": {"sign_in": "/login"},
    "upstream/failed.html": UPSTREAM_FAILED,
    "consent/consent.html": CONSENT,
    "end_session/confirm.html": CONFIRM,
    "end_session/signed_out.html": SIGNED_OUT,
    "already_signed_in.html": ALREADY,
    "transaction_expired.html": EXPIRED,
    "form_post.html": FORM_POST,
    **account_samples.PAGES,
    **sign_up_samples.PAGES,
    **inbox_samples.PAGES,
}
STATES = {  # each page, and the states of it that show something else, as (template, values)
    **{name: (name, values) for name, values in PAGES.items()},
    **account_samples.STATES,
    **sign_up_samples.STATES,
}
TRANSACTION_PAGES = ("login/login.html", "consent/consent.html", "form_post.html")


class Elements(HTMLParser):
    """The elements of a page with their attributes, as a browser's parser reads them; not the footer every page has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._in_footer = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._in_footer = self._in_footer or tag == "footer"
        if self._in_footer:
            return
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        self._in_footer = self._in_footer and tag != "footer"

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]

    def named(self, name: str) -> dict[str, str]:
        (element,) = [attributes for _, attributes in self.found if attributes.get("name") == name]
        return element


def html_of(answer: Answer) -> str:
    return answer.body.decode()


def text_of(answer: Answer) -> str:
    visible = re.sub(r"(?s)<(script|head|footer)\b.*?</\1>", "", html_of(answer))
    return " ".join(unescape(re.sub(r"<[^>]+>", "", visible)).split())


def header(answer: Answer, name: str) -> str:
    (value,) = [value for key, value in answer.headers if key == name]
    return value
