"""A page and its styles stay small: 40 kB compressed at most (UX §10.3)."""

import gzip

import pytest

from authserver.web.pages import STATIC, Pages
from tests.web.page_samples import STATES

STYLES = ("vendor/pico/pico.min.css", "app.css")


@pytest.mark.parametrize("state", STATES)
def test_page_and_styles_are_light(state):
    template, values = STATES[state]
    page = Pages(issuer="http://localhost", dev=True).render(template, title="A title", **values).body
    assert len(gzip.compress(page)) + sum(len(gzip.compress((STATIC / each).read_bytes())) for each in STYLES) <= 40_000
