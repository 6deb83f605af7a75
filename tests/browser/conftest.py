"""The demo as `make run` starts it, and Chromium in front of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import wait_until_it_answers

playwright = pytest.importorskip("playwright.sync_api", reason="comes with `make test-browser`")

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_collection_modifyitems(items):
    """Everything in this folder needs Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The addresses of the demo, and the person it has."""

    issuer: str
    api: str
    app: str
    folder: Path  # where it keeps its data
    spa: str = "http://localhost:9003"  # as the demo's client is registered; a test starts it
    username: str = "ann@example.org"
    password: str = "correct horse ann"

    def command(self, *arguments):
        """Run a command of the server's beside it, and return what it printed."""
        stem = "dev" if self.issuer.endswith(":9000") else f"dev-{urlsplit(self.issuer).port}"
        environment = _environment() | {
            "AUTHSERVER_ISSUER": self.issuer,
            "AUTHSERVER_DATABASE_URL": f"sqlite:///var/{stem}.sqlite3",
            "AUTHSERVER_SEALING_KEY_FILE": f"var/{stem}-sealing.key",
        }
        command = [sys.executable, "-m", "authserver", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, check=True, text=True, capture_output=True
        ).stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A browser window, and what must not happen in it."""

    page: object
    name: str
    problems: list[str] = field(default_factory=list)
    documents: set[str] = field(default_factory=set)
    console: list[tuple[str, str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def photograph(self, what):
        """Write what is to be seen to docs/images."""
        IMAGES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=IMAGES / f"{what}-{self.name}.png", full_page=True, animations="disabled")


def _environment():
    own = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSERVER_")}
    return own | {"PYTHONPATH": str(ROOT)}


def choose_ports():
    """Return three free ports: those of the manual where nobody has them, since they are read on the pictures."""
    for wanted in ((9000, 9001, 9002), (0, 0, 0)):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            sockets = [stack.enter_context(socket.create_server(("127.0.0.1", port))) for port in wanted]
            return [each.getsockname()[1] for each in sockets]
    pytest.fail("no free ports")


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    ports = choose_ports()
    issuer, api, app = (f"http://localhost:{port}" for port in ports)
    options = [f"--{name}={port}" for name, port in zip(("port", "api-port", "web-port"), ports, strict=True)]
    environment = _environment() | {"AUTHSERVER_ADDRESS_LIMIT_SCALE": "20"}  # all these people sit behind one address
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "authserver", "dev", *options]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            for address in (f"{issuer}/.well-known/openid-configuration", f"{api}/healthz", f"{app}/healthz"):
                wait_until_it_answers(process, address, log=(folder / "log").read_text)
            yield Demo(issuer=issuer, api=api, app=app, folder=folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def chromium_path():
    """Return Debian's Chromium, or the one that is named; None leaves it to Playwright."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


def watch(page, name):
    """Write down all that must not happen in a page."""
    visitor = Visitor(page=page, name=name)
    page.on("console", lambda message: visitor.console.append((message.location["url"], message.text)))
    page.on("response", lambda response: note_document(visitor, response))
    page.on("pageerror", lambda error: visitor.problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: visitor.problems.append(f"dialog: {dialog.message}") or dialog.dismiss())
    page.on("request", lambda request: visitor.hosts.add(urlsplit(request.url).netloc))
    return visitor


@pytest.fixture(scope="session")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, demo):
    """Open windows; at the end of the test no console message and no request to another host may have been seen."""
    opened = []

    def open_window(*, width=1280, height=800, scheme="light", script=True):
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        visitor = watch(context.new_page(), f"{scheme}-{'phone' if width < 500 else 'desktop'}")
        opened.append((visitor, context))
        return visitor

    yield open_window
    own = {urlsplit(address).netloc for address in (demo.issuer, demo.api, demo.app, demo.spa)}
    for visitor, context in opened:
        context.close()
        assert visitor.problems + unexpected(visitor) == []
        assert {host for host in visitor.hosts if host} <= own


def note_document(visitor, response):
    if response.request.is_navigation_request():
        visitor.documents.add(response.url.split("#")[0])


def unexpected(visitor):
    """Return the console messages, but for Chromium's own remark that a page came with a 4xx status: wrong forms do."""
    status = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d \(.*\)")
    return [
        text
        for address, text in visitor.console
        if not (status.fullmatch(text) and address.split("#")[0] in visitor.documents)
    ]
