"""Authorization responses: RFC 6749 §4.1.2, RFC 9207 §2, Multiple Response Types §2.1, Form Post Response Mode §2."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.response_mode import add_to_query, build_error, build_success, parse_response_mode
from authserver.oauth.values import ResponseMode
from tests.oauth.examples import ISSUER, refused

CALLBACK = "https://app.example/callback"
DENIED = OAuthError(ErrorCode.ACCESS_DENIED, "the user did not allow it", Refusal.USER_DENIED)


@pytest.mark.parametrize(
    ("text", "mode"),
    [(None, ResponseMode.QUERY), ("query", ResponseMode.QUERY), ("form_post", ResponseMode.FORM_POST)],
)
def test_the_mode_is_query_unless_another_is_asked(text, mode):
    assert parse_response_mode(text) is mode


@pytest.mark.attack(9)
@pytest.mark.parametrize("text", ["fragment", "query.jwt", "Query", "web_message", " query", "\n"])
def test_other_modes_are_refused(text):
    error = refused(parse_response_mode, text)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, Refusal.RESPONSE_MODE_UNSUPPORTED)


@pytest.mark.attack(10)
@pytest.mark.parametrize("mode", list(ResponseMode))
@pytest.mark.parametrize("state", [None, "xyz"])
def test_a_success_carries_code_state_and_issuer(mode, state):
    response = build_success(CALLBACK, mode, code="abc", state=state, issuer=ISSUER)
    expected = {"code": "abc", "iss": ISSUER} | ({"state": state} if state else {})
    assert dict(response.parameters) == expected
    assert dict(parse_qsl(urlsplit(response.location).query)) == expected
    assert (response.redirect_uri, response.response_mode) == (CALLBACK, mode)


@pytest.mark.attack(10)
@pytest.mark.parametrize("mode", list(ResponseMode))
@pytest.mark.parametrize("state", [None, "xyz"])
def test_a_refusal_carries_error_description_state_and_issuer(mode, state):
    response = build_error(CALLBACK, mode, error=DENIED, state=state, issuer=ISSUER)
    expected = {"error": "access_denied", "error_description": "the user did not allow it", "iss": ISSUER}
    assert dict(response.parameters) == expected | ({"state": state} if state else {})


def test_a_code_is_not_in_what_a_log_would_print():
    response = build_success(CALLBACK, ResponseMode.QUERY, code="abc-secret", state=None, issuer=ISSUER)
    assert "abc-secret" not in repr(response)


@pytest.mark.parametrize(
    ("uri", "with_more"),
    [
        pytest.param(CALLBACK, f"{CALLBACK}?a=1+2", id="no query"),
        pytest.param(f"{CALLBACK}?x=%20y&z", f"{CALLBACK}?x=%20y&z&a=1+2", id="6749-3.1.2 the query stays as it is"),
        pytest.param(f"{CALLBACK}?", f"{CALLBACK}?a=1+2", id="empty query"),
        pytest.param(f"{CALLBACK}?x&", f"{CALLBACK}?x&a=1+2", id="query that ends in &"),
        pytest.param("com.example.app:/cb", "com.example.app:/cb?a=1+2", id="private-use scheme"),
        pytest.param("http://127.0.0.1", "http://127.0.0.1?a=1+2", id="no path"),
    ],
)
def test_parameters_are_added_to_what_is_registered(uri, with_more):
    assert add_to_query(uri, [("a", "1 2")]) == with_more


def test_nothing_added_is_nothing_changed():
    assert add_to_query(CALLBACK, []) == CALLBACK


@given(state=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), query=st.sampled_from(["", "?x=1", "?"]))
def test_any_state_comes_back_exactly(state, query):
    location = build_success(f"{CALLBACK}{query}", ResponseMode.QUERY, code="c", state=state, issuer=ISSUER).location
    assert location.isascii()
    assert dict(parse_qsl(urlsplit(location).query))["state"] == state
    assert urlsplit(location)[:3] == urlsplit(CALLBACK)[:3]
