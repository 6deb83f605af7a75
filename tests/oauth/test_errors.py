"""Refusals: RFC 6749 §4.1.2.1 and §5.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ErrorCode.INVALID_REQUEST, 400),
        (ErrorCode.INVALID_GRANT, 400),
        (ErrorCode.INVALID_CLIENT, 401),
        (ErrorCode.INVALID_TOKEN, 401),
        (ErrorCode.INSUFFICIENT_SCOPE, 403),
        (ErrorCode.SLOW_DOWN, 429),
        (ErrorCode.SERVER_ERROR, 500),
        (ErrorCode.TEMPORARILY_UNAVAILABLE, 503),
    ],
)
def test_each_error_has_a_status(error, status):
    assert OAuthError(error, "no", Refusal.BUG).status == status
    assert OAuthError(error, "no", Refusal.BUG, status=418).status == 418


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [((), 0), ((("www-authenticate", "Bearer"),), 0), ((("www-authenticate", "Bearer"), ("retry-after", "7")), 7)],
)
def test_it_says_how_long_to_wait_where_waiting_helps(headers, seconds):
    assert OAuthError(ErrorCode.SLOW_DOWN, "later", Refusal.BUG, headers=headers).retry_after == seconds


@pytest.mark.parametrize("description", ['a "b"', "a\\b", "ä", "a\nb", "\x7f"])
def test_a_description_that_cannot_be_sent_is_a_bug(description):
    with pytest.raises(ValueError, match="error_description"):
        OAuthError(ErrorCode.INVALID_REQUEST, description, Refusal.BUG)


@given(st.text())
def test_anything_a_sender_wrote_can_be_shown_in_a_description(text):
    assert OAuthError(ErrorCode.INVALID_REQUEST, printable(text), Refusal.BUG).description == printable(text)


@pytest.mark.parametrize("refusal", list(Refusal))
def test_each_refusal_says_where_it_comes_from_and_what_it_means(refusal):
    assert refusal == refusal.name.lower()
    assert refusal.source
    assert refusal.meaning.endswith(".")
