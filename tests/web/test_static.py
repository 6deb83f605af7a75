"""Static files: found by fingerprint, kept for a year, never under a fingerprint that is not theirs."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from authserver.web.pages import Pages
from authserver.web.static import static_files


@pytest.fixture
def browser():
    with TestClient(Starlette(routes=[Mount("/static", static_files())])) as client:
        yield client


def test_a_file_asked_for_by_its_fingerprint_is_kept_for_good(browser):
    address = Pages(issuer="https://id.example.org", dev=False).static_url("app.css")
    answer = browser.get(address)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("query", ["", "?v=0123456789abcdef"])
def test_under_another_fingerprint_it_must_be_asked_for_again(browser, query):
    assert browser.get(f"/static/app.css{query}").headers["cache-control"] == "no-cache"


def test_an_unchanged_file_is_not_sent_again(browser):
    etag = browser.get("/static/app.css").headers["etag"]
    assert browser.get("/static/app.css", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.attack(125)
@pytest.mark.parametrize(
    "path", ["../templates/base.html", "%2e%2e/templates/base.html", "..%5ctemplates", "vendor", "", "none.css"]
)
def test_nothing_but_the_files_is_served(browser, path):
    assert browser.get(f"/static/{path}").status_code == 404
