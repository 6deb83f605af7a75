"""Every page and state, also those the demo does not reach: contrast as drawn, reflow, targets, axe, policy (UX §10.3).

`make test-browser` looks at them in the usual ways, `make test-browser-full` in every combination.
"""

from __future__ import annotations

import itertools
import threading
import time
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
from tests.language.pseudo import Pseudo
from tests.web import account_samples, sign_up_samples
from tests.web.page_samples import BUTTONS, CONSENT, FORM_POST, LOGIN, PAGES, SECOND_FACTOR, SIGNED_OUT

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="comes with `make test-browser`")

SPOKEN: Final = (*LANGUAGES, "long")
SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access")
STATES: Final = {
    **{name: (name, values) for name, values in PAGES.items() if values is not FORM_POST},
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
    **account_samples.STATES,
    **sign_up_samples.STATES,
    "signed out, apps": ("end_session/signed_out.html", SIGNED_OUT | {"told": ("Notes",), "not_told": ("Mail",)}),
    "error": None,
}

# Text, and borders of fields, whose contrast with what lies behind them is too low, as drawn; [] where all is well.
TOO_PALE: Final = """() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const luminance = (colour) => {
        const [red, green, blue] = colour.map((value) => linear(value / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const colour = channels(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll("body *")) {
        const style = getComputedStyle(element);
        if (!element.getClientRects().length || style.visibility === "hidden") continue;
        if ([...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) {
            const ratio = contrast(channels(style.color), behind(element));
            if (ratio < 4.5) found.push(`text ${ratio.toFixed(2)} ${element.outerHTML.slice(0, 80)}`);
        }
        if (element.matches("input:not([type=hidden])")) {
            const ratio = contrast(channels(style.borderTopColor), behind(element.parentElement));
            if (ratio < 3) found.push(`border ${ratio.toFixed(2)} ${element.outerHTML.slice(0, 80)}`);
        }
    }
    return found;
}"""
# Words that are wider than the box they stand in.
CUT_OFF: Final = """() => [...document.querySelectorAll("button, a, label, h1, h2, p, li, summary, .tag")]
    .filter((element) => element.getClientRects().length && element.scrollWidth > element.clientWidth + 1
        && getComputedStyle(element).display !== "inline")
    .map((element) => element.outerHTML.slice(0, 80))"""
TOO_SMALL: Final = """() => [...document.querySelectorAll("a, button, summary, label.choice, input:not([type=hidden])")]
    .filter((element) => {
        const { width, height } = element.getBoundingClientRect();
        const high = element.matches("button:not(.link), [role=button], summary, input:not([type=checkbox])") ? 44 : 24;
        const inText = element.matches("dd a, p a:not(:only-child), .problem a");
        return width && !inText && (height < high || width < 24);
    })
    .map((element) => element.outerHTML.slice(0, 80))"""


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


@pytest.fixture
def drawn(chromium, site, view):
    """Give the window, and the names of the states, each drawn in turn with everything unfolded.

    At the end there has been no console message, which a violation of the policy is too, and no other host.
    """
    context = chromium.new_context(
        viewport={"width": view.width, "height": 700},
        color_scheme=view.scheme,
        java_script_enabled=view.script,
        reduced_motion="reduce",
    )
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
def test_every_page_can_be_read_hit_and_reflows(drawn, view):
    page, names = drawn
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
def test_axe_finds_nothing_on_any_page(drawn, view):
    page, names = drawn
    axe = axe_playwright.Axe()
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
    for button in page.locator(".pair button").all():
        assert button.evaluate("element => getComputedStyle(element).borderTopStyle") == "solid"
    context.close()


def _translate(words, language):
    """Return the catalogue that a page speaks, whatever the browser asks for."""
    return Pseudo() if words == "long" else load_translations(words)
