"""The script of the manual on an app's own page, at another port: it signs in by passkey, through /api alone."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import ROOT
from tests.browser.test_account import sign_in_to_account
from tests.browser.test_passkeys import Device, add_passkey, forget_who_is_signed_in, remove_all
from tests.docs.markdown import fences

MANUAL = ROOT / "docs/how-to/passkeys-in-apps.md"
CALL = (
    "([issuer, client, more]) => signInByPasskey(issuer, client, more).catch((error) => ({...error, name: error.name}))"
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def own_page(tmp_path_factory):
    """A page of the organisation at a port of its own, with nothing but the script."""
    folder = tmp_path_factory.mktemp("page")
    [(_, script)] = fences(MANUAL.read_text(encoding="utf-8"), "js")
    (folder / "index.html").write_text(f'<!doctype html><link rel="icon" href="data:,"><script>{script}</script>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def client(demo, own_page):
    """The page as an app of the organisation."""
    options = ["--type", "spa", "--first-party", "--redirect-uri", f"{own_page}/callback", "--scope", "api:read"]
    return demo.command("clients", "create", "--name", "Own page", *options, "--quiet").strip()


@pytest.fixture
def page(visit, demo, own_page):
    """The page in the browser of somebody who has added a passkey on the account pages, and is signed out."""
    visitor = visit()
    device = Device(visitor.page)
    sign_in_to_account(visitor.page, demo, "/passkeys")
    add_passkey(visitor.page, demo)
    forget_who_is_signed_in(visitor.page)
    visitor.page.goto(own_page)
    yield visitor.page
    visitor.console.clear()  # Chromium's own remark on what was refused
    remove_all(visitor.page, device, demo)
    visitor.hosts.discard(urlsplit(own_page).netloc)


def test_the_page_of_an_app_signs_in_by_passkey(page, demo, client):
    tokens = page.evaluate(CALL, [demo.issuer, client, {"scope": "api:read"}])
    assert tokens["token_type"] == "Bearer", tokens
    assert tokens["scope"] == "api:read"
    asked = (
        "([address, token]) => fetch(address, {headers: {Authorization: `Bearer ${token}`}}).then((one) => one.json())"
    )
    profile = page.evaluate(asked, [f"{demo.issuer}/api/profile", tokens["access_token"]])
    assert profile["email"] == demo.username
    assert page.context.cookies(demo.issuer) == []


def test_a_sign_in_that_is_over_is_told_in_the_words_of_the_problem(page, demo, client):
    refused = page.evaluate(CALL, [demo.issuer, client, {"authSession": "asf_unknown"}])
    assert (refused["status"], refused["code"]) == (403, "second_factor_over")
