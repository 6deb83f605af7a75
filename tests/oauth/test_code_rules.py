"""When a code may be redeemed: RFC 6749 §4.1.2 and §4.1.3, RFC 7636 §4.6; SECURITY rows 7, 22 and 24 to 27."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.oauth.code_rules import check_redemption, get_code
from authserver.oauth.errors import ErrorCode, Refusal
from tests.oauth.examples import CHALLENGE, CODE, NATIVE, NOW, VERIFIER, WEB, params, refused

SENT = {"redirect_uri": CODE.redirect_uri, "code_verifier": VERIFIER}
NO_CHALLENGE = replace(CODE, code_challenge=None)


def redeem(claimed, client, form, now):
    check_redemption(get_code(claimed), client, form, now)


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        pytest.param(CODE, {}, id="6749-4.1.3 everything as it was"),
        pytest.param(CODE, {"redirect_uri": None}, id="OAuth 2.1 the challenge stands in for redirect_uri"),
        pytest.param(NO_CHALLENGE, {"code_verifier": None}, id="6749-4.1.3 without PKCE"),
        pytest.param(
            replace(NO_CHALLENGE, redirect_uri_given=False),
            {"code_verifier": None, "redirect_uri": None},
            id="6749-4.1.3 redirect_uri was left out both times",
        ),
        pytest.param(replace(CODE, redirect_uri_given=False), {}, id="sent here only, and the same"),
        pytest.param(replace(CODE, expires_at=NOW + timedelta(microseconds=1)), {}, id="in its last microsecond"),
    ],
)
def test_a_good_redemption_passes(code, changed):
    check_redemption(code, WEB, params(**{**SENT, **changed}), NOW)


@pytest.mark.attack(7, 22, 24, 25, 26, 27)
@pytest.mark.parametrize(
    ("code", "changed", "refusal"),
    [
        pytest.param(None, {}, Refusal.CODE_UNKNOWN, id="6749-4.1.3 unknown code"),
        pytest.param(
            replace(CODE, client_id="other"), {}, Refusal.CODE_OF_ANOTHER_CLIENT, id="6749-4.1.3 another client's code"
        ),
        pytest.param(replace(CODE, uses=2), {}, Refusal.CODE_REPLAYED, id="6749-4.1.2 the second use"),
        pytest.param(
            replace(CODE, uses=2, expires_at=NOW), {}, Refusal.CODE_REPLAYED, id="6749-4.1.2 the second use, late"
        ),
        pytest.param(
            replace(CODE, uses=2),
            {"code_verifier": None},
            Refusal.CODE_REPLAYED,
            id="6749-4.1.2 and no verifier",
        ),
        pytest.param(replace(CODE, expires_at=NOW), {}, Refusal.CODE_EXPIRED, id="6749-4.1.2 expired this very second"),
        pytest.param(
            CODE,
            {"redirect_uri": "https://app.example/callback/"},
            Refusal.REDIRECT_URI_DIFFERS,
            id="6749-4.1.3 another redirect_uri",
        ),
        pytest.param(
            replace(CODE, redirect_uri_given=False),
            {"redirect_uri": "https://evil.example/"},
            Refusal.REDIRECT_URI_DIFFERS,
            id="6749-4.1.3 another redirect_uri than the silent one",
        ),
        pytest.param(
            NO_CHALLENGE,
            {"redirect_uri": None, "code_verifier": None},
            Refusal.REDIRECT_URI_MISSING,
            id="6749-4.1.3 redirect_uri not repeated",
        ),
        pytest.param(CODE, {"code_verifier": None}, Refusal.VERIFIER_MISSING, id="7636-4.6 no verifier"),
        pytest.param(
            CODE, {"code_verifier": VERIFIER[:42]}, Refusal.VERIFIER_MALFORMED, id="7636-4.1 verifier too short"
        ),
        pytest.param(CODE, {"code_verifier": CHALLENGE}, Refusal.VERIFIER_WRONG, id="7636-4.6 wrong verifier"),
        pytest.param(NO_CHALLENGE, {}, Refusal.VERIFIER_WITHOUT_CHALLENGE, id="9700-4.8.2 the challenge was stripped"),
    ],
)
def test_a_bad_redemption_is_refused(code, changed, refusal):
    error = refused(redeem, code, WEB, params(**{**SENT, **changed}), NOW)
    assert (error.error, error.refusal, error.status) == (ErrorCode.INVALID_GRANT, refusal, 400)


@pytest.mark.attack(24)
def test_an_unknown_code_and_another_clients_answer_alike():
    unknown = refused(redeem, None, NATIVE, params(**SENT), NOW)
    foreign = refused(redeem, CODE, NATIVE, params(**SENT), NOW)
    assert unknown.description == foreign.description
    assert unknown.refusal != foreign.refusal
