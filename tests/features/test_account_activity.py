"""/account/activity: what happened, in words, page by page (SECURITY row 121)."""

from __future__ import annotations

import ast
import re

import pytest

from authserver.features.account_activity.words import EVENTS
from authserver.store import audit
from tests.architecture.source import parse, python_files
from tests.features.account_pages import hidden, main_text, send, sign_in
from tests.oauth.examples import USER
from tests.server import OTHER_USER


async def test_what_happened_is_said_in_words_the_latest_first(server):
    browser = await sign_in(server)
    await server.code_flow(browser=browser)
    await send(browser, await browser.get(f"{server.issuer}/account/profile"), name="Ada")
    text = main_text(await browser.get(f"{server.issuer}/account/activity"))
    said = ["Profile changed", "Access allowed · Notes on the web", "Signed in with the password"]
    assert [text.index(each) for each in said] == sorted(text.index(each) for each in said)
    assert "203.0.113.7" in text
    assert "This was not you?" in text


async def test_what_operators_did_is_told_from_what_the_person_did(server):
    browser = await sign_in(server)
    async with server.services.engine.begin() as tx:
        await audit.add(tx, "user_enabled", actor="cli:root", user_id=USER.id, detail={})
    text = main_text(await browser.get(f"{server.issuer}/account/activity"))
    assert re.search(r"Account turned on again .* by the people who run this server", text)
    assert "root" not in text


async def test_many_events_come_page_by_page_each_once(server):
    browser = await sign_in(server)
    async with server.services.engine.begin() as tx:
        for _ in range(60):
            await audit.add(tx, "profile_changed", user_id=USER.id, detail={})
    url, lines, pages = f"{server.issuer}/account/activity", 0, 0
    while url:
        page = await browser.get(url)
        lines += page.text.count("<li><strong>")
        pages += 1
        older = re.search(r'href="(/account/activity\?from=[^"]+)"', page.text)
        url = f"{server.issuer}{older.group(1)}" if older else None
    assert (lines, pages) == (61, 3)


@pytest.mark.attack(121)
async def test_a_cursor_that_was_made_up_or_is_anothers_starts_at_the_latest(server):
    browser, other = await sign_in(server), await sign_in(server, OTHER_USER)
    async with server.services.engine.begin() as tx:
        for _ in range(30):
            await audit.add(tx, "profile_changed", user_id=OTHER_USER.id, detail={})
            await audit.add(tx, "password_changed", user_id=USER.id, detail={})
    theirs = await other.get(f"{server.issuer}/account/activity")
    stolen = re.search(r"\?from=([^\"]+)", theirs.text).group(1)
    first = main_text(await browser.get(f"{server.issuer}/account/activity"))
    for cursor in (stolen, "x", "' OR 1=1 --", stolen[:-4] + "AAAA", "A" * 300, "é"):
        page = await browser.get(f"{server.issuer}/account/activity?from={cursor}")
        assert main_text(page) == first
    assert "Profile changed" not in first


@pytest.mark.attack(122)
async def test_what_an_app_calls_itself_is_text(server):
    browser = await sign_in(server)
    await server.code_flow(browser=browser)
    await server.execute("UPDATE clients SET client_name = '<img src=x onerror=alert(1)>', version = 99")
    await server.execute("UPDATE state SET version = 99")
    await server.services.directory.refresh()
    page = await browser.get(f"{server.issuer}/account/activity")
    assert "<img src=x" not in page.text
    assert "&lt;img src=x" in page.text


async def test_signing_out_is_part_of_what_happened(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/")
    await browser.post(f"{server.issuer}/end_session", hidden(page) | {"decision": "sign_out"})
    browser = await sign_in(server)
    assert "Signed out" in main_text(await browser.get(f"{server.issuer}/account/activity"))


WRITERS = {"audit.add", "audit_trail.record", "record", "_record", "_cut", "entry_of_grant"}
# What the audit says of clients, keys, mail and the database, and what a person has not done and need not act upon.
NOT_SHOWN = {
    "client_created",
    "client_deleted",
    "client_disabled",
    "client_enabled",
    "client_registered",
    "client_secret_rotated",
    "client_updated",
    "code_refused",
    "database_restored",
    "invitation_created",
    "invitation_revoked",
    "logout_notice_failed",
    "logout_notice_retried",
    "mail_retried",
    "mail_tested",
    "provider_added",
    "provider_removed",
    "provider_updated",
    "registration_token_created",
    "registration_token_revoked",
    "resource_created",
    "resource_deleted",
    "resource_updated",
    "sealed_anew",
    "user_deleted",
    "users_imported",
}


def test_every_event_of_the_audit_has_words_or_is_left_out_on_purpose():
    written = set(_events())
    assert written - EVENTS.keys() - NOT_SHOWN == set(), "a new event: give it words, or leave it out"
    assert written & EVENTS.keys() & NOT_SHOWN == set()
    assert NOT_SHOWN - written == set(), "an event that nothing writes any more"


def _events():
    """The events that code writes down by a constant, as its syntax trees have them."""
    calls = (
        node for path in python_files("authserver") for node in ast.walk(parse(path)) if isinstance(node, ast.Call)
    )
    for call in calls:
        named = [keyword.value for keyword in call.keywords if keyword.arg == "event"]
        for argument in [*named, *(call.args[1:4] if ast.unparse(call.func) in WRITERS else [])]:
            choices = (argument.body, argument.orelse) if isinstance(argument, ast.IfExp) else (argument,)
            yield from (each.value for each in choices if isinstance(each, ast.Constant) and each.value)
