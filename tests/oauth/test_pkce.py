"""PKCE: RFC 7636; SECURITY rows 6, 7 and 27."""

from base64 import b64decode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.params import Params
from authserver.oauth.pkce import check_verifier, is_required, parse_challenge
from tests.oauth.examples import CHALLENGE, NATIVE, VERIFIER, WEB, params, refused

LET_OFF = replace(WEB, require_pkce=False)


def test_the_challenge_of_the_rfcs_appendix_is_met_by_its_verifier():
    check_verifier(CHALLENGE, VERIFIER)


@pytest.mark.parametrize(
    ("client", "required"),
    [(NATIVE, True), (WEB, True), (LET_OFF, False), (replace(NATIVE, require_pkce=False), True)],
)
def test_only_a_confidential_client_can_be_let_off(client, required):
    assert is_required(client) is required


@pytest.mark.parametrize("client", [NATIVE, WEB, LET_OFF])
def test_a_challenge_is_read_from_every_client(client):
    assert parse_challenge(params(code_challenge=CHALLENGE, code_challenge_method="S256"), client) == CHALLENGE


def test_a_client_that_was_let_off_may_come_without():
    assert parse_challenge(params(), LET_OFF) is None


@pytest.mark.attack(6)
@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        pytest.param({"code_challenge": None}, Refusal.CHALLENGE_MISSING, id="7636-4.4.1 absent"),
        pytest.param({"code_challenge": ""}, Refusal.CHALLENGE_MISSING, id="7636-4.4.1 empty"),
        pytest.param({"code_challenge_method": None}, Refusal.CHALLENGE_METHOD_UNSUPPORTED, id="7636-4.3 plain unsaid"),
        pytest.param({"code_challenge_method": "plain"}, Refusal.CHALLENGE_METHOD_UNSUPPORTED, id="7636-4.2 plain"),
        pytest.param({"code_challenge_method": "s256"}, Refusal.CHALLENGE_METHOD_UNSUPPORTED, id="7636-4.3 case"),
        pytest.param({"code_challenge_method": "S512"}, Refusal.CHALLENGE_METHOD_UNSUPPORTED, id="7636-4.4.1 unknown"),
        pytest.param({"code_challenge": CHALLENGE[:42]}, Refusal.CHALLENGE_MALFORMED, id="7636-4.2 42 characters"),
        pytest.param({"code_challenge": CHALLENGE + "x"}, Refusal.CHALLENGE_MALFORMED, id="7636-4.2 44 characters"),
        pytest.param({"code_challenge": CHALLENGE * 3}, Refusal.CHALLENGE_MALFORMED, id="7636-4.2 129 characters"),
        pytest.param({"code_challenge": CHALLENGE + "="}, Refusal.CHALLENGE_MALFORMED, id="7636-A padding"),
        pytest.param({"code_challenge": CHALLENGE[:42] + "+"}, Refusal.CHALLENGE_MALFORMED, id="7636-A base64 not url"),
        pytest.param({"code_challenge": CHALLENGE[:42] + "ä"}, Refusal.CHALLENGE_MALFORMED, id="7636-4.2 non-ASCII"),
        pytest.param({"code_challenge": CHALLENGE[:42] + "\n"}, Refusal.CHALLENGE_MALFORMED, id="7636-4.2 newline"),
    ],
)
@pytest.mark.parametrize("client", [NATIVE, WEB])
def test_a_bad_challenge_is_refused(client, changed, refusal):
    request = {"code_challenge": CHALLENGE, "code_challenge_method": "S256", **changed}
    error = refused(parse_challenge, params(**request), client)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, refusal)


def test_a_method_without_challenge_is_refused_from_a_client_that_was_let_off():
    error = refused(parse_challenge, params(code_challenge_method="S256"), LET_OFF)
    assert error.refusal == Refusal.CHALLENGE_MISSING


@pytest.mark.attack(27)
@pytest.mark.parametrize(
    ("verifier", "refusal"),
    [
        pytest.param(None, Refusal.VERIFIER_MISSING, id="7636-4.6 absent"),
        pytest.param(VERIFIER[:42], Refusal.VERIFIER_MALFORMED, id="7636-4.1 42 characters"),
        pytest.param(VERIFIER * 3, Refusal.VERIFIER_MALFORMED, id="7636-4.1 129 characters"),
        pytest.param(VERIFIER[:42] + "+", Refusal.VERIFIER_MALFORMED, id="7636-4.1 other characters"),
        pytest.param(VERIFIER + "\n", Refusal.VERIFIER_MALFORMED, id="7636-4.1 newline"),
        pytest.param(VERIFIER[:42] + "ä", Refusal.VERIFIER_MALFORMED, id="7636-4.1 non-ASCII"),
        pytest.param(CHALLENGE, Refusal.VERIFIER_WRONG, id="7636-4.6 the challenge itself"),
        pytest.param(VERIFIER[:42] + "l", Refusal.VERIFIER_WRONG, id="7636-4.6 one character off"),
        pytest.param(VERIFIER.lower(), Refusal.VERIFIER_WRONG, id="7636-4.6 another case"),
        pytest.param("a" * 128, Refusal.VERIFIER_WRONG, id="7636-4.6 the longest one"),
    ],
)
def test_a_bad_verifier_is_refused(verifier, refusal):
    error = refused(check_verifier, CHALLENGE, verifier)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_GRANT, refusal)


@pytest.mark.attack(7)
def test_a_verifier_for_a_code_whose_challenge_was_stripped_is_refused():
    error = refused(check_verifier, None, VERIFIER)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_GRANT, Refusal.VERIFIER_WITHOUT_CHALLENGE)


def test_a_code_without_challenge_needs_no_verifier():
    check_verifier(None, None)


VERIFIERS = st.text(st.sampled_from("abzAZ019-._~"), min_size=43, max_size=128)


@given(VERIFIERS | st.text() | st.none())
def test_any_verifier_is_right_or_refused_and_nothing_else(verifier):
    error = refused(check_verifier, CHALLENGE, verifier)
    assert (error is None) == (verifier == VERIFIER)


CHALLENGES = st.text(st.sampled_from("abzAZ019-_"), min_size=43, max_size=43)


@given(CHALLENGES | VERIFIERS | st.text(), st.sampled_from(["S256", "plain", ""]) | st.text())
def test_any_challenge_is_read_or_refused_and_nothing_else(challenge, method):
    request = Params([("code_challenge", challenge), ("code_challenge_method", method)])
    if refused(parse_challenge, request, WEB) is None:
        assert (parse_challenge(request, WEB), method) == (challenge, "S256")
        assert len(b64decode(f"{challenge}=", altchars=b"-_", validate=True)) == 32
