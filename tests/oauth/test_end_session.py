"""RP-Initiated Logout §2, §3, §6."""

from dataclasses import replace
from uuid import UUID

import pytest

from authserver.oauth.end_session import (
    MAX_STATE,
    Confirm,
    EndNow,
    RefuseRedirect,
    choose_client_id,
    decide_end_session,
    parse_end_session_request,
)
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.id_token_hint import IdTokenHint, read_id_token_hint
from tests.oauth.examples import ISSUER, NATIVE, SESSION, USER, WEB, params, refused

GOODBYE = WEB.post_logout_redirect_uris[0]
HINT = IdTokenHint(sub=USER.sub, client_id=WEB.client_id, session_id=SESSION.id)
OTHER_SESSION = replace(HINT, session_id=UUID(int=1))
CLAIMS = {"iss": ISSUER, "sub": USER.sub, "aud": WEB.client_id, "sid": str(SESSION.id), "exp": 1, "iat": 0}


def decide(*, hint=HINT, client=WEB, session=SESSION, **sent):
    return decide_end_session(parse_end_session_request(params(**sent)), hint=hint, client=client, session=session)


@pytest.mark.attack(94)
@pytest.mark.parametrize(
    "hint",
    [
        pytest.param(None, id="no hint, or one that cannot be verified"),
        pytest.param(OTHER_SESSION, id="a hint of another session of the same user"),
        pytest.param(replace(HINT, session_id=None), id="a hint without session"),
        pytest.param(replace(HINT, sub="someone else"), id="a hint of another user"),
    ],
)
@pytest.mark.parametrize("client", [WEB, None], ids=["client known", "client unknown"])
def test_what_does_not_prove_this_session_asks_the_user(hint, client):
    assert decide(hint=hint, client=client) == Confirm(session=SESSION, client=client, location=None)


def test_an_id_token_of_this_session_ends_it_unasked():
    assert decide() == EndNow(session_id=SESSION.id, client=WEB, location=None)


def test_a_confirmed_logout_goes_to_the_same_place_as_an_unasked_one():
    sent = {"post_logout_redirect_uri": GOODBYE, "state": "a b&c"}
    there = f"{GOODBYE}?state=a+b%26c"
    assert decide(**sent) == EndNow(session_id=SESSION.id, client=WEB, location=there)
    assert decide(hint=None, client_id=WEB.client_id, **sent) == Confirm(session=SESSION, client=WEB, location=there)


@pytest.mark.parametrize(
    ("hint", "session_id"),
    [
        pytest.param(None, None, id="nobody is signed in: nothing to end"),
        pytest.param(HINT, SESSION.id, id="a form of another site sends no cookie; the ID token says which session"),
        pytest.param(replace(HINT, session_id=None), None, id="an ID token without session"),
    ],
)
def test_without_a_session_in_the_browser_nobody_is_asked(hint, session_id):
    decision = decide(hint=hint, session=None, post_logout_redirect_uri=GOODBYE)
    assert decision == EndNow(session_id=session_id, client=WEB, location=GOODBYE)


@pytest.mark.attack(95)
@pytest.mark.attack(3)
@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        pytest.param({"client": None}, Refusal.CLIENT_NOT_IDENTIFIED, id="no client"),
        pytest.param({"client": None, "hint": None}, Refusal.CLIENT_NOT_IDENTIFIED, id="no client and no hint"),
        pytest.param(
            {"post_logout_redirect_uri": "https://evil.example/"},
            Refusal.REDIRECT_URI_NOT_REGISTERED,
            id="not registered",
        ),
        pytest.param(
            {"post_logout_redirect_uri": GOODBYE + "/"}, Refusal.REDIRECT_URI_NOT_REGISTERED, id="one slash more"
        ),
        pytest.param(
            {"post_logout_redirect_uri": WEB.redirect_uris[0]},
            Refusal.REDIRECT_URI_NOT_REGISTERED,
            id="registered for logins only",
        ),
        pytest.param({"client_id": "other"}, Refusal.CLIENT_ID_MISMATCH, id="another client than the hint's"),
        pytest.param(
            {"client_id": "other", "post_logout_redirect_uri": None}, Refusal.CLIENT_ID_MISMATCH, id="without redirect"
        ),
    ],
)
@pytest.mark.parametrize("session", [SESSION, None], ids=["signed in", "not signed in"])
def test_a_browser_is_sent_nowhere_but_to_a_registered_address(call, refusal, session):
    decision = decide(**({"post_logout_redirect_uri": GOODBYE, "session": session} | call))
    assert isinstance(decision, RefuseRedirect)
    assert (decision.error.error, decision.error.refusal) == (ErrorCode.INVALID_REQUEST, refusal)


def test_a_native_app_comes_back_on_any_port_of_loopback():
    decision = decide(hint=None, client=NATIVE, session=None, post_logout_redirect_uri="http://127.0.0.1:5123/goodbye")
    assert decision == EndNow(session_id=None, client=NATIVE, location="http://127.0.0.1:5123/goodbye")


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        pytest.param({"state": ["a", "b"]}, Refusal.PARAMETER_REPEATED, id="state twice"),
        pytest.param({"unknown": ["a", "b"]}, Refusal.PARAMETER_REPEATED, id="anything twice"),
        pytest.param({"state": "x" * (MAX_STATE + 1)}, Refusal.PARAMETER_TOO_LONG, id="a long state"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(sent, refusal):
    error = refused(parse_end_session_request, params(**sent))
    assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, refusal)


def test_the_longest_state_is_kept():
    assert parse_end_session_request(params(state="x" * MAX_STATE)).state == "x" * MAX_STATE


@pytest.mark.parametrize(
    ("sent", "hint", "client_id"),
    [
        pytest.param({}, None, None, id="nobody says"),
        pytest.param({}, HINT, WEB.client_id, id="the hint"),
        pytest.param({"client_id": "named"}, None, "named", id="the parameter"),
        pytest.param({"client_id": "named"}, HINT, "named", id="the parameter first"),
    ],
)
def test_the_client_is_named_by_the_request_or_by_the_hint(sent, hint, client_id):
    assert choose_client_id(parse_end_session_request(params(**sent)), hint) == client_id


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        pytest.param({}, HINT, id="as issued, expired long ago"),
        pytest.param({"sid": None}, replace(HINT, session_id=None), id="without sid"),
        pytest.param({"sid": "no uuid"}, replace(HINT, session_id=None), id="a sid that is none of ours"),
        pytest.param({"sub": None}, None, id="without sub"),
        pytest.param({"aud": [WEB.client_id]}, None, id="an audience we never write"),
        pytest.param({"events": {}}, None, id="a logout token"),
    ],
)
@pytest.mark.attack(34)
def test_a_hint_is_read_only_from_an_id_token(changed, hint):
    assert read_id_token_hint(CLAIMS | changed) == hint
    assert read_id_token_hint(CLAIMS | changed, client_id=WEB.client_id) == hint


@pytest.mark.attack(34)
def test_a_hint_of_another_client_is_none():
    assert read_id_token_hint(CLAIMS, client_id="other") is None
