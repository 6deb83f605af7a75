"""RFC 9110 §12.5.1: how much a requester likes a media type."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.web.accept import MAX_RANGES, Liking, liking

JWT = "application/x+jwt"


@pytest.mark.parametrize(
    ("accept", "weight", "by_name"),
    [
        pytest.param(None, 1.0, False, id="no header"),
        pytest.param("", 0.0, False, id="a header that likes nothing"),
        pytest.param("*/*", 1.0, False, id="anything"),
        pytest.param("application/*", 1.0, False, id="anything of its kind"),
        pytest.param("text/*", 0.0, False, id="anything of another kind"),
        pytest.param("text/html, */*;q=0.8", 0.8, False, id="a browser"),
        pytest.param("application/x+jwt", 1.0, True, id="by name"),
        pytest.param("Application/X+JWT ; charset=x ; Q=0.5", 0.5, True, id="in other letters, with parameters"),
        pytest.param("*/*, application/x+jwt;q=0", 0.0, True, id="the more precise range counts"),
        pytest.param("application/x+jwt;q=0.2, application/*;q=0.9", 0.2, True, id="in either order"),
        pytest.param("application/x+jwt;q=2", 1.0, True, id="a weight that is none"),
        pytest.param("application/x+jwt;q=١", 1.0, True, id="digits of another script"),
        pytest.param("application/x+jwtx, application/x", 0.0, False, id="names that only begin alike"),
        pytest.param("text/a," * MAX_RANGES + "*/*", 0.0, False, id="what stands behind too many is not read"),
    ],
)
def test_the_most_precise_range_says_how_much_it_is_liked(accept, weight, by_name):
    assert liking(accept, JWT) == Liking(weight, by_name=by_name)


@given(st.text(st.characters(max_codepoint=255), max_size=60) | st.from_regex(r"([a-z*]+/[a-z*]+(;q=[0-9.]*)?,?)*"))
def test_no_header_escapes_as_an_exception(accept):
    assert 0.0 <= liking(accept, JWT).weight <= 1.0


@pytest.mark.attack(62)
@pytest.mark.parametrize("unit", [",", ";", "*/*;", "q=0;", "application/x+jwt,"])
def test_a_header_of_a_megabyte_costs_next_to_nothing(unit):
    accept = unit * (1_000_000 // len(unit))
    began = time.process_time()
    liking(accept, JWT)
    assert time.process_time() - began < 0.05
