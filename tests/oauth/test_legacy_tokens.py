"""What of simplejwt's refresh tokens counts, for the window in which a project moves over."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.legacy_tokens import read_legacy_token, replay_key
from tests.oauth.examples import NOW, refused

CLAIMS = {
    "token_type": "refresh",
    "exp": int((NOW + timedelta(days=1)).timestamp()),
    "iat": int((NOW - timedelta(hours=1)).timestamp()),
    "jti": "0f6f0b1e7b3a4c3f9d6e",
    "user_id": 7,
}


def test_a_good_token_says_whose_it_is_since_when_and_until_when():
    token = read_legacy_token(CLAIMS, NOW)
    assert (token.user_id, token.jti) == ("7", CLAIMS["jti"])
    assert (token.issued_at, token.expires_at) == (NOW - timedelta(hours=1), NOW + timedelta(days=1))
    assert token.replay_key == replay_key(CLAIMS["jti"]) != replay_key("another")


def test_a_text_is_an_id_too_and_a_time_ahead_of_us_is_now():
    ahead = int((NOW + timedelta(hours=1)).timestamp())
    token = read_legacy_token(CLAIMS | {"user_id": "b6c1", "iat": ahead}, NOW)
    assert (token.user_id, token.issued_at) == ("b6c1", NOW)
    assert read_legacy_token({**CLAIMS, "iat": None}, NOW).issued_at == NOW


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param({"token_type": "access"}, Refusal.LEGACY_TOKEN_INVALID, id="an access token"),
        pytest.param({"token_type": None}, Refusal.LEGACY_TOKEN_INVALID, id="no type"),
        pytest.param({"exp": int(NOW.timestamp())}, Refusal.LEGACY_TOKEN_EXPIRED, id="over this very second"),
        pytest.param({"exp": None}, Refusal.LEGACY_TOKEN_INVALID, id="no end"),
        pytest.param({"exp": True}, Refusal.LEGACY_TOKEN_INVALID, id="an end that is no number"),
        pytest.param({"exp": "1"}, Refusal.LEGACY_TOKEN_INVALID, id="an end in text"),
        pytest.param({"exp": 10**15}, Refusal.LEGACY_TOKEN_INVALID, id="an end that no calendar has"),
        pytest.param({"exp": -1}, Refusal.LEGACY_TOKEN_INVALID, id="an end before all"),
        pytest.param({"jti": None}, Refusal.LEGACY_TOKEN_INVALID, id="no id"),
        pytest.param({"jti": ""}, Refusal.LEGACY_TOKEN_INVALID, id="an empty id"),
        pytest.param({"jti": "j" * 256}, Refusal.LEGACY_TOKEN_INVALID, id="an id too long"),
        pytest.param({"user_id": None}, Refusal.LEGACY_TOKEN_INVALID, id="no user"),
        pytest.param({"user_id": True}, Refusal.LEGACY_TOKEN_INVALID, id="a user that is no id"),
        pytest.param({"user_id": ""}, Refusal.LEGACY_TOKEN_INVALID, id="an empty user"),
        pytest.param({"user_id": "u" * 256}, Refusal.LEGACY_TOKEN_INVALID, id="a user too long"),
    ],
)
def test_a_bad_token_is_refused(change, refusal):
    error = refused(read_legacy_token, CLAIMS | change, NOW)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_GRANT, refusal)


@given(st.dictionaries(st.sampled_from(sorted(CLAIMS)), st.none() | st.booleans() | st.integers() | st.text()))
def test_no_claims_escape_as_another_exception(change):
    error = refused(read_legacy_token, CLAIMS | change, NOW)
    assert error is None or error.error == ErrorCode.INVALID_GRANT
