"""Access tokens presented to this server: RFC 6750 §2 and §3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.bearer import parse_token, refuse
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import Params
from tests.oauth.examples import params, refused

TOKEN = "abc.DEF-123_~+/=="


@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        pytest.param(f"Bearer {TOKEN}", None, id="6750-2.1 header"),
        pytest.param(f"bearer {TOKEN}", None, id="9110-11.1 the scheme's case does not matter"),
        pytest.param(f"Bearer   {TOKEN} ", None, id="blanks around it"),
        pytest.param(f"Bearer {TOKEN}", params(), id="6750-2.1 header beside an empty form"),
        pytest.param(None, params(access_token=TOKEN), id="6750-2.2 form"),
    ],
)
def test_a_token_is_read_from_the_header_or_the_form(authorization, form):
    assert parse_token(authorization, form) == TOKEN


@pytest.mark.parametrize(
    ("authorization", "form", "error", "refusal", "challenge"),
    [
        pytest.param(None, None, "invalid_token", Refusal.TOKEN_MISSING, "Bearer", id="6750-3.1 no token at all"),
        pytest.param(None, params(), "invalid_token", Refusal.TOKEN_MISSING, "Bearer", id="6750-3.1 an empty form"),
        pytest.param("Basic abc", None, "invalid_token", Refusal.TOKEN_MISSING, "Bearer", id="another scheme"),
        pytest.param("", None, "invalid_token", Refusal.TOKEN_MISSING, "Bearer", id="an empty header"),
        pytest.param(
            f"Bearer {TOKEN}",
            params(access_token=TOKEN),
            "invalid_request",
            Refusal.TOKEN_REPEATED,
            'Bearer error="invalid_request", error_description="send the access token in one way only"',
            id="6750-2 two ways",
        ),
        *(
            pytest.param(
                header,
                None,
                "invalid_token",
                Refusal.TOKEN_MALFORMED,
                'Bearer error="invalid_token", error_description="the access token cannot be read"',
                id=f"6750-2.1 {header!r}",
            )
            for header in ("Bearer", "Bearer ", "Bearer a b", "Bearer a,b", 'Bearer "a"', "Bearer ä", "Bearer =a")
        ),
        pytest.param(
            None,
            params(access_token="a b"),
            "invalid_token",
            Refusal.TOKEN_MALFORMED,
            'Bearer error="invalid_token", error_description="the access token cannot be read"',
            id="6750-2.2 a form with a blank in it",
        ),
    ],
)
def test_a_request_without_one_good_token_is_challenged(authorization, form, error, refusal, challenge):
    found = refused(parse_token, authorization, form)
    assert (found.error, found.refusal) == (error, refusal)
    assert found.headers == (("www-authenticate", challenge),)


def test_a_token_sent_twice_in_the_form_is_refused():
    found = refused(parse_token, None, params(access_token=["a", "b"]))
    assert (found.status, found.refusal) == (400, Refusal.PARAMETER_REPEATED)


@pytest.mark.parametrize(
    ("error", "status"), [("invalid_request", 400), ("invalid_token", 401), ("insufficient_scope", 403)]
)
def test_each_error_has_its_status(error, status):
    assert refuse(ErrorCode(error), "no", Refusal.TOKEN_SCOPE).status == status


def test_a_missing_scope_is_named_in_the_challenge():
    error = refuse(ErrorCode.INSUFFICIENT_SCOPE, "more is needed", Refusal.TOKEN_SCOPE, scope={"openid", "email"})
    assert error.headers[0][1].endswith(', scope="email openid"')


@given(st.none() | st.text().map("Bearer {}".format) | st.text(), st.none() | st.text())
def test_any_header_and_form_give_a_token_or_a_refusal_and_nothing_else(authorization, in_body):
    error = refused(parse_token, authorization, Params([("access_token", in_body or "")]))
    assert error is None or isinstance(error, OAuthError)
    if error is None:
        assert parse_token(authorization, Params([("access_token", in_body or "")])).isascii()
