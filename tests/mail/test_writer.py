"""Mail as people read it: whole, in their language, and no stranger's words do anything in it (SECURITY 115, 122)."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.language import LANGUAGES
from authserver.mail.messages import FACTOR_CHANGES, KINDS, LINKS, Envelope, check
from authserver.mail.writer import UnwritableError, Writer
from authserver.settings import Sender

ISSUER = "https://id.example.org"
WRITER = Writer(issuer=ISSUER, sender=Sender(name="Example sign-in", address="no-reply@id.example.org"))
AT = datetime(2026, 11, 21, 12, 3, tzinfo=UTC)
GOOD = {
    "code": "482913",
    "app": "Notes",
    "browser": "Firefox on Linux",
    "address": "192.0.2.7",
    "link": f"{ISSUER}/reset/abc?x=1&y=2",
    "stop_link": f"{ISSUER}/stop/abc",
    "new_address": "new@example.org",
    "delete_at": "2026-12-21T12:00:00+00:00",
    "change": "passkey_added",
    "name": "iCloud Keychain",
}


def envelope(kind="verify_email", **changed):
    names = KINDS[kind].required | KINDS[kind].optional
    parameters = {name: GOOD[name] for name in names} | changed.pop("parameters", {})
    good = Envelope(
        id=UUID(int=5),
        kind=kind,
        to="ann@example.org",
        locale="en",
        parameters=parameters,
        created_at=AT,
        expires_at=AT + timedelta(minutes=10) if KINDS[kind].expires else None,
    )
    return replace(good, **changed)


def parsed(wire):
    return email.message_from_bytes(wire.content, policy=email.policy.default)


class Reader(HTMLParser):
    """What of an HTML mail would leave the mailbox, and the words in it."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text = set(), [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"href", "src", "background", "srcset", "action"}]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("locale", sorted(LANGUAGES))
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_written_in_every_language_and_leads_nowhere_but_here(kind, locale):
    mail = envelope(kind, locale=locale)
    check(kind, mail.parameters, expires=mail.expires_at is not None, issuer=ISSUER)
    written = WRITER.write(mail)
    assert written.language == locale
    assert written.subject
    assert "\n" not in written.subject
    assert "%(" not in written.subject + written.text + written.html
    reader = Reader(written.html)
    assert reader.tags <= {"html", "head", "meta", "title", "body", "main", "h1", "p", "a", "hr"}
    assert all(address.startswith(f"{ISSUER}/") for address in reader.addresses)
    links = re.findall(r"https?://[^\s]+", written.text)
    assert all(link.startswith(f"{ISSUER}/") for link in links)
    assert sorted(links) == sorted(reader.addresses), "text and HTML lead to the same places"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_written_with_what_it_needs_and_no_more(kind):
    needed = KINDS[kind].required
    mail = envelope(kind)
    WRITER.write(replace(mail, parameters={name: value for name, value in mail.parameters.items() if name in needed}))
    WRITER.write(replace(mail, parameters={**mail.parameters, **dict.fromkeys({"browser", "address"} & needed, "")}))


def test_the_code_stands_first_in_the_subject_and_alone_in_its_line():
    written = WRITER.write(envelope())
    assert written.subject == "482 913 is your code for Notes"
    assert "\n    482 913\n" in written.text
    assert "It works for 10 minutes." in written.text
    assert "Asked for by: Firefox on Linux, 192.0.2.7, 21 November 2026, 12:03 (UTC)" in written.text
    assert f"Not you? Ignore this.\nStop this:\n{ISSUER}/stop/abc" in written.text


def test_without_an_app_the_server_is_named():
    mail = envelope()
    without = {name: value for name, value in mail.parameters.items() if name != "app"}
    assert WRITER.write(replace(mail, parameters=without)).subject == "482 913 is your code for id.example.org"


@pytest.mark.parametrize("change", sorted(FACTOR_CHANGES))
def test_every_change_of_a_factor_has_words_of_its_own(change):
    subjects = {
        WRITER.write(envelope("factor_changed", parameters={"change": each})).subject for each in FACTOR_CHANGES
    }
    assert len(subjects) == len(FACTOR_CHANGES)
    assert "account" in WRITER.write(envelope("factor_changed", parameters={"change": change})).subject


def test_a_language_that_is_not_offered_is_english():
    assert WRITER.write(envelope(locale="tlh")).language == "en"
    assert WRITER.write(envelope(locale=None)).language == "en"
    assert WRITER.write(envelope(locale="de-AT")).language == "de"


def test_the_message_has_what_a_mailbox_needs_and_is_the_same_each_time():
    wire = WRITER.to_wire(envelope())
    assert wire == WRITER.to_wire(envelope())
    message = parsed(wire)
    assert message["From"].addresses == (Address("Example sign-in", "no-reply", "id.example.org"),)
    assert message["To"].addresses == (Address("", "ann", "example.org"),)
    assert message["Message-ID"] == "<00000000000000000000000000000005@id.example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == AT
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    written = WRITER.write(envelope())
    assert [part.get_content().replace("\r\n", "\n") for part in message.iter_parts()] == [written.text, written.html]
    assert max(map(len, wire.content.split(b"\r\n"))) <= 998
    assert wire.content.isascii()
    assert b"\n" not in wire.content.replace(b"\r\n", b"")


EVIL = (
    "x\r\nBcc: all@example.org",
    "x\nSubject: other",
    "x\x00\x0b\x85\u2028Bcc: y",
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/pixel>',
    "{{ 7*7 }}{% for x in y %}",
    "%(code)s %s %",
    "\u202egnp.exe",
    "A" * 5000,
)


@pytest.mark.attack(115)
@pytest.mark.attack(122)
@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in sorted(KINDS)
        for name in sorted((KINDS[kind].required | KINDS[kind].optional) - LINKS - {"delete_at", "change"})
    ],
)
def test_what_a_stranger_wrote_is_text_and_nothing_else(kind, name, evil):
    mail = envelope(kind, parameters={name: evil})
    message = parsed(WRITER.to_wire(mail))
    assert set(message.keys()) == set(parsed(WRITER.to_wire(envelope(kind))).keys())
    assert message["To"].addresses == (Address("", "ann", "example.org"),)
    assert len(message["Subject"]) <= 150
    written = WRITER.write(mail)
    reader = Reader(written.html)
    assert reader.tags <= {"html", "head", "meta", "title", "body", "main", "h1", "p", "a", "hr"}
    assert all(address.startswith(f"{ISSUER}/") for address in reader.addresses)
    assert "\u202e" not in written.html + written.text + written.subject
    assert "\r" not in written.text
    if "{{" in evil and name in {"app", "browser", "name"} and evil in reader.text:
        assert "49" not in reader.text


@pytest.mark.attack(115)
@given(st.text())
def test_no_value_makes_a_second_header_or_an_exception(value):
    message = parsed(WRITER.to_wire(envelope(parameters={"app": value, "browser": value})))
    assert message.keys() == parsed(WRITER.to_wire(envelope())).keys()
    assert not message.defects


@pytest.mark.parametrize(
    ("to", "on_the_wire", "needs_utf8"),
    [
        ("ann@example.org", "ann@example.org", False),
        ("Ann@Example.org", "Ann@example.org", False),
        ("ann@bücher.example", "ann@xn--bcher-kva.example", False),
        ("ann@straße.example", "ann@xn--strae-oqa.example", False),
        ("änne@bücher.example", "änne@xn--bcher-kva.example", True),
        ("o'hara+tag@example.org", "o'hara+tag@example.org", False),
        ("ann@intranet", "ann@intranet", False),
    ],
)
def test_international_addresses_are_written_as_mail_servers_read_them(to, on_the_wire, needs_utf8):
    wire = WRITER.to_wire(envelope(to=to))
    assert (wire.recipient, wire.needs_utf8) == (on_the_wire, needs_utf8)
    assert f"\r\nTo: {on_the_wire}\r\n".encode() in wire.content


@pytest.mark.attack(115)
@pytest.mark.parametrize("to", ["ann", "ann@", "ann@ex ample.org", "ann@example.org\nBcc: x@y.org", "a@b@c.org"])
def test_an_address_that_cannot_be_written_is_refused(to):
    with pytest.raises(UnwritableError):
        WRITER.to_wire(envelope(to=to))
