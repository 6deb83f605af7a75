"""What a client assertion must claim: RFC 7523 §3, rfc7523bis; SECURITY rows 53 to 55 and 66."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.client_assertion import AssertionUse, parse_assertion_claims
from authserver.oauth.errors import Refusal
from tests.oauth.examples import ISSUER, NOW, WEB, refused

TOKEN_URL = f"{ISSUER}/token"
PAR_URL = f"{ISSUER}/par"
SECONDS = NOW.timestamp()
CLAIMS = {
    "iss": WEB.client_id,
    "sub": WEB.client_id,
    "aud": ISSUER,
    "iat": SECONDS,
    "exp": SECONDS + 300,
    "jti": "once",
}
FAPI = replace(WEB, profile="fapi2")


def check(changed, client=WEB):
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}
    return refused(parse_assertion_claims, claims, client, endpoint_urls=(TOKEN_URL, PAR_URL), issuer=ISSUER, now=NOW)


def test_good_claims_give_a_single_use_until_nobody_would_accept_them():
    use = parse_assertion_claims(CLAIMS, WEB, endpoint_urls=(TOKEN_URL,), issuer=ISSUER, now=NOW)
    assert use == AssertionUse(jti="once", forget_at=NOW + timedelta(seconds=300 + 60))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"aud": TOKEN_URL}, id="7523-3 the token endpoint"),
        pytest.param({"aud": PAR_URL}, id="the endpoint called"),
        pytest.param({"aud": [ISSUER]}, id="an array of the issuer"),
        pytest.param({"aud": [ISSUER, TOKEN_URL]}, id="an array of this server's"),
        pytest.param({"iat": ...}, id="7523-3 iat is optional"),
        pytest.param({"nbf": SECONDS}, id="7523-3 nbf now"),
        pytest.param({"nbf": SECONDS + 60}, id="nbf within the skew"),
        pytest.param({"iat": SECONDS + 10, "exp": SECONDS + 310}, id="FAPI iat 10 seconds ahead"),
        pytest.param({"iat": SECONDS + 60, "exp": SECONDS + 360}, id="iat at the edge of the skew"),
        pytest.param({"iat": ..., "exp": SECONDS + 360}, id="no iat, and as long as the skew allows"),
        pytest.param({"iat": SECONDS - 359, "exp": SECONDS - 59}, id="expired within the skew"),
        pytest.param({"exp": SECONDS + 299.5}, id="a fraction of a second"),
        pytest.param({"jti": "x"}, id="the shortest jti"),
        pytest.param({"jti": "x" * 256}, id="the longest jti"),
    ],
)
def test_claims_at_the_edge_pass(changed):
    assert check(changed) is None


@pytest.mark.attack(53, 54, 55, 66)
@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        pytest.param({"iss": "other"}, Refusal.ASSERTION_CLAIMS, id="7523-3 another issuer"),
        pytest.param({"iss": ...}, Refusal.ASSERTION_CLAIMS, id="7523-3 no issuer"),
        pytest.param({"iss": [WEB.client_id]}, Refusal.ASSERTION_CLAIMS, id="7523-3 an array of issuers"),
        pytest.param({"sub": "other"}, Refusal.ASSERTION_CLAIMS, id="7523-3 another subject"),
        pytest.param({"sub": ...}, Refusal.ASSERTION_CLAIMS, id="7523-3 no subject"),
        pytest.param({"aud": ...}, Refusal.ASSERTION_AUDIENCE, id="7523-3 no audience"),
        pytest.param({"aud": "https://other.example"}, Refusal.ASSERTION_AUDIENCE, id="7523-3 another server"),
        pytest.param({"aud": f"{ISSUER}/"}, Refusal.ASSERTION_AUDIENCE, id="the issuer and a slash"),
        pytest.param({"aud": f"{ISSUER}/revoke"}, Refusal.ASSERTION_AUDIENCE, id="an endpoint that was not called"),
        pytest.param({"aud": []}, Refusal.ASSERTION_AUDIENCE, id="an empty array"),
        pytest.param(
            {"aud": [ISSUER, "https://other.example"]}, Refusal.ASSERTION_AUDIENCE, id="this server among others"
        ),
        pytest.param({"aud": [[ISSUER]]}, Refusal.ASSERTION_AUDIENCE, id="an array in an array"),
        pytest.param({"aud": {ISSUER: 1}}, Refusal.ASSERTION_AUDIENCE, id="an object"),
        pytest.param({"aud": None}, Refusal.ASSERTION_AUDIENCE, id="null"),
        pytest.param({"exp": ...}, Refusal.ASSERTION_CLAIMS, id="7523-3 no exp"),
        pytest.param({"exp": None}, Refusal.ASSERTION_CLAIMS, id="exp null"),
        pytest.param({"exp": True}, Refusal.ASSERTION_CLAIMS, id="exp true"),
        pytest.param({"exp": str(SECONDS)}, Refusal.ASSERTION_CLAIMS, id="exp a string"),
        pytest.param({"exp": float("nan")}, Refusal.ASSERTION_CLAIMS, id="exp NaN"),
        pytest.param({"exp": float("inf")}, Refusal.ASSERTION_CLAIMS, id="exp infinite"),
        pytest.param({"exp": 10**400}, Refusal.ASSERTION_CLAIMS, id="exp beyond every float"),
        pytest.param({"exp": -1}, Refusal.ASSERTION_CLAIMS, id="exp before 1970"),
        pytest.param({"exp": SECONDS - 60}, Refusal.ASSERTION_EXPIRED, id="expired beyond the skew"),
        pytest.param({"iat": SECONDS + 61}, Refusal.ASSERTION_EXPIRED, id="iat beyond the skew"),
        pytest.param({"nbf": SECONDS + 61}, Refusal.ASSERTION_EXPIRED, id="nbf beyond the skew"),
        pytest.param({"iat": "now"}, Refusal.ASSERTION_CLAIMS, id="iat a string"),
        pytest.param({"nbf": [0]}, Refusal.ASSERTION_CLAIMS, id="nbf an array"),
        pytest.param({"exp": SECONDS + 301}, Refusal.ASSERTION_TOO_LONG_LIVED, id="longer than five minutes"),
        pytest.param({"iat": ..., "exp": SECONDS + 361}, Refusal.ASSERTION_TOO_LONG_LIVED, id="longer, without iat"),
        pytest.param({"exp": SECONDS + 315360000}, Refusal.ASSERTION_TOO_LONG_LIVED, id="ten years"),
        pytest.param({"jti": ...}, Refusal.ASSERTION_CLAIMS, id="no jti"),
        pytest.param({"jti": ""}, Refusal.ASSERTION_CLAIMS, id="an empty jti"),
        pytest.param({"jti": 7}, Refusal.ASSERTION_CLAIMS, id="jti a number"),
        pytest.param({"jti": "x" * 257}, Refusal.ASSERTION_CLAIMS, id="jti too long"),
        pytest.param({"jti": "\ud800"}, Refusal.ASSERTION_CLAIMS, id="jti no text"),
    ],
)
def test_other_claims_prove_nothing(changed, refusal):
    error = check(changed)
    assert (error.error, error.status, error.refusal) == ("invalid_client", 401, refusal)


@pytest.mark.attack(54)
@pytest.mark.parametrize(
    ("audience", "refusal"),
    [
        (ISSUER, None),
        (TOKEN_URL, Refusal.ASSERTION_AUDIENCE),
        ([ISSUER], Refusal.ASSERTION_AUDIENCE),
        ([ISSUER, TOKEN_URL], Refusal.ASSERTION_AUDIENCE),
    ],
)
@pytest.mark.parametrize("profile", ["fapi2", "fapi2-message-signing"])
def test_under_fapi_the_audience_is_the_issuer_as_one_string(audience, refusal, profile):
    error = check({"aud": audience}, replace(WEB, profile=profile))
    assert (error.refusal if error else None) == refusal


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "iat", "exp", "nbf", "jti"]), JSON_VALUES))
def test_any_claims_give_a_use_or_a_refusal_and_nothing_else(changed):
    for client in (WEB, FAPI):
        error = check(changed, client)
        assert error is None or error.status == 401
