"""Every page and state, also those the demo does not reach: contrast as drawn, reflow, targets, axe, policy (UX §10.3).

`make test-browser` looks at them in the usual ways, `make test-browser-full` in every combination.
"""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from authserver.language import LANGUAGES, load_translations
from authserver.oauth.errors import Refusal
from authserver.web.error_page import error_page
from authserver.web.pages import Link, Pages, ScopeLine
from authserver.web.static import static_files
from tests.browser.conftest import unexpected, watch
from tests.browser.drawn import CUT_OFF, TOO_PALE, TOO_SMALL
from tests.language.pseudo import Pseudo
from tests.web import page_samples
from tests.web.page_samples import BUTTONS, CONSENT, LOGIN, SECOND_FACTOR, SIGNED_OUT

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="comes with `make test-browser`")

SPOKEN: Final = (*LANGUAGES, "long")
SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access")
STATES: Final = {
    **{name: state for name, state in page_samples.STATES.items() if name != "form_post.html"},  # it sends itself on
    "login, wrong": ("login/login.html", LOGIN | {"problem": "wrong", "username": "ann@example.org"}),
    "login, throttled": (
        "login/login.html",
        LOGIN | {"problem": "throttled", "wait_seconds": 42, "links": (Link(text="Sign in with a code", href="/x"),)},
    ),
    "login, passkey unknown": (
        "login/login.html",
        LOGIN | {"problem": "passkey_unknown", "signal": '{"method": "signalUnknownCredential", "about": {}}'},
    ),
    "login, long names": (
        "login/login.html",
        LOGIN | {"client_name": "N" * 120, "client_host": "x" * 60 + ".example.org"},
    ),
    "login, other providers": ("login/login.html", LOGIN | {"buttons": BUTTONS}),
    "consent, unverified": (
        "consent/consent.html",
        CONSENT
        | {
            "client_verified": False,
            "client_uri": "https://notes.example.org/",
            "scopes": tuple(ScopeLine(scope=scope) for scope in SCOPES),
        },
    ),
    "second factor, wrong": ("second_factor/ask.html", SECOND_FACTOR | {"problem": "wrong"}),
    "second factor, recovery": ("second_factor/ask.html", SECOND_FACTOR | {"is_recovery": True}),
    "second factor, passkey only": ("second_factor/ask.html", SECOND_FACTOR | {"has_app": False}),
    "second factor, throttled": (
        "second_factor/ask.html",
        SECOND_FACTOR | {"problem": "throttled", "wait_seconds": 42},
    ),
    "signed out, apps": ("end_session/signed_out.html", SIGNED_OUT | {"told": ("Notes",), "not_told": ("Mail",)}),
    "error": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a page is looked at; ``words`` is a language, or ``long`` for one nobody speaks."""

    width: int
    scheme: str
    script: bool
    words: str

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}-{'script' if self.script else 'no_script'}-{self.words}"


def views(is_usual):
    """Every way to look at a page; those that are not usual are for `make test-browser-full`."""
    every = [
        View(width=width, scheme=scheme, script=script, words=words)
        for width, scheme, script, words in itertools.product(
            (320, 360, 1280), ("light", "dark"), (True, False), SPOKEN
        )
    ]
    return [pytest.param(view, id=str(view), marks=() if is_usual(view) else pytest.mark.full) for view in every]


@pytest.fixture(scope="module")
def site():
    """The pages at ``/<words>/<number>``, served as the issuer serves them."""
    spoken = {
        words: Pages(issuer="http://localhost", dev=True, translations=partial(_translate, words)) for words in SPOKEN
    }

    def show(request):
        pages = spoken[request.path_params["words"]]
        name = list(STATES)[request.path_params["number"]]
        if name == "error":
            answer = error_page(
                pages,
                Refusal.REDIRECT_URI_NOT_REGISTERED,
                status=200,
                request_id="01919f6c-0000-7000-8000-000000000000",
                client_name="Notes",
                client_id="notes",
                received="https://notes.example.org/" + "callback/" * 12,
            )
        else:
            template, values = STATES[name]
            answer = pages.render(template, title="What this page is about", **values)
        response = Response(answer.body)
        response.raw_headers = [(key.encode(), value.encode()) for key, value in answer.headers]
        return response

    app = Starlette(routes=[Mount("/static", static_files()), Route("/{words}/{number:int}", show)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@contextmanager
def drawing(chromium, site, view, *, for_axe=False):
    """Give the window, and the names of the states, each drawn in turn with everything unfolded.

    At the end there has been no console message, which a violation of the policy is too, and no other host. Axe waits
    for timers, which a browser without script never fires: for it our scripts are empty instead.
    """
    context = chromium.new_context(
        viewport={"width": view.width, "height": 700},
        color_scheme=view.scheme,
        java_script_enabled=view.script or for_axe,
        reduced_motion="reduce",
    )
    if not view.script:
        context.route("**/*.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    visitor = watch(context.new_page(), "every page")

    def draw():
        for number, name in enumerate(STATES):
            visitor.page.goto(f"{site}/{view.words}/{number}")
            for summary in visitor.page.locator("summary").all():
                summary.click()
            yield name

    yield visitor.page, draw()
    context.close()
    assert visitor.problems + unexpected(visitor) == []
    assert visitor.hosts - {""} == {urlsplit(site).netloc}


@pytest.mark.parametrize("view", views(lambda view: view.words == "en" or (view.words == "long" and view.script)))
def test_every_page_can_be_read_hit_and_reflows(chromium, site, view):
    with drawing(chromium, site, view) as (page, names):
        for name in names:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            assert page.evaluate(TOO_PALE) == [], name
            assert page.evaluate(TOO_SMALL) == [], name
            assert page.evaluate(CUT_OFF) == [], name
            assert page.locator("h1").count() == 1, name
            if not view.script:
                assert page.get_by_role("button", name="Copy").count() == 0, name


@pytest.mark.timeout(600)  # nearly a second a page
@pytest.mark.parametrize("view", views(lambda view: str(view) in {"1280-light-script-en", "360-dark-script-de"}))
def test_axe_finds_nothing_on_any_page(chromium, site, view):
    axe = axe_playwright.Axe()
    with drawing(chromium, site, view, for_axe=True) as (page, names):
        found = {name: axe.run(page, options={"iframes": False}).response["violations"] for name in names}
    assert [
        (name, violation["id"], [node["html"][:120] for node in violation["nodes"]])
        for name, violations in found.items()
        for violation in violations
    ] == []


def test_forced_colours_keep_the_borders_of_buttons(chromium, site):
    context = chromium.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(f"{site}/en/{list(STATES).index('consent/consent.html')}")
    buttons = page.locator(".pair button").all()
    styles = [button.evaluate("element => getComputedStyle(element).borderTopStyle") for button in buttons]
    assert styles == ["solid", "solid"]
    context.close()


def _translate(words, language):
    """Return the catalogue that a page speaks, whatever the browser asks for."""
    return Pseudo() if words == "long" else load_translations(words)
