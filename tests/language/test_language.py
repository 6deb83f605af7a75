"""Which language a person gets (RFC 4647 §3.4, RFC 9110 §12.5.4), and how dates read in it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.language import LANGUAGES, choose_language, format_date, format_time, parse_accept_language


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        pytest.param(["de"], "de", id="as it is"),
        pytest.param(["DE-at"], "de", id="a region of it"),
        pytest.param(["de_DE"], "de", id="as POSIX spells it"),
        pytest.param(["fr", "de", "en"], "de", id="the first that is offered"),
        pytest.param(["en-GB", "de"], "en", id="English is a wish too"),
        pytest.param(["fr"], "en", id="none of them"),
        pytest.param(["*", "de"], "de", id="anything will do, but German is named"),
        pytest.param([], "en", id="nothing asked"),
        pytest.param(["", "-", "deutsch"], "en", id="no tags at all"),
    ],
)
def test_the_first_wish_that_is_offered_wins(wishes, language):
    assert choose_language(wishes) == language


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("de-CH, fr;q=0.9, en;q=0.8, *;q=0.5", ["de-CH", "fr", "en", "*"]),
        ("en;q=0.1, de", ["de", "en"]),
        ("de;q=0, en", ["en"]),
        ("de;q=nonsense, en", ["en"]),
        ("de;level=1, en;q=0.9", ["de", "en"]),
        (" , ;q=1", []),
        ("", []),
    ],
)
def test_an_accept_language_header_is_read_by_weight(header, ranges):
    assert parse_accept_language(header) == ranges


@given(st.text(max_size=200))
def test_any_header_gives_a_language_that_is_offered(header):
    assert choose_language(parse_accept_language(header)) in LANGUAGES


def test_a_moment_is_shown_in_words_on_the_readers_clock():
    moment = datetime(2026, 11, 21, 22, 5, tzinfo=UTC)
    assert format_time(moment, "en", UTC) == "21 November 2026, 22:05 (UTC)"
    assert format_time(moment, "de", ZoneInfo("Europe/Tallinn")) == "22. November 2026, 00:05 Uhr (EET)"
    assert format_date(date(2000, 5, 1), "de") == "1. Mai 2000"


def test_a_server_that_starts_reads_no_catalogue_and_no_locale_data():
    program = "import sys, authserver.app; print(*[name for name in sys.modules if name.split('.')[0] == 'babel'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
