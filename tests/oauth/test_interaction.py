"""The next step of a sign-in: OIDC Core §3.1.2.1 to §3.1.2.6, RFC 8252 §8.6; SECURITY rows 15, 16, 17, 18 and 21."""

import itertools
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.authorization_request import parse_authorization_request
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.interaction import (
    AskConsent,
    AskSecondFactor,
    Issue,
    Login,
    LoginReason,
    Refuse,
    SignedIn,
    asks_for_acr,
    consents_each_time,
    essential_acrs,
    is_live,
    next_step,
)
from authserver.oauth.values import AuthMethod, Consent, Prompt
from tests.oauth.examples import (
    CHALLENGE,
    KNOWN,
    MAIL,
    NATIVE,
    NOTES,
    NOW,
    SESSION,
    TRANSACTION,
    USER,
    WEB,
    params,
)

OTHER = UUID("01890000-0000-7000-8000-00000000ffff")
REQUEST = parse_authorization_request(
    params(
        client_id=WEB.client_id,
        redirect_uri=WEB.redirect_uris[0],
        response_type="code",
        scope="openid notes:read",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
    ),
    WEB,
    KNOWN,
)
CONSENT = Consent(
    user_id=USER.id,
    client_id=WEB.client_id,
    scope=frozenset({"openid", "notes:read"}),
    resources=frozenset({NOTES.identifier}),
)
SIGNED_IN = SignedIn(session=SESSION, user=USER)
JUST_NOW = TRANSACTION.created_at
FRESH = SignedIn(session=replace(SESSION, auth_time=JUST_NOW), user=USER)
CONSENTED = replace(
    TRANSACTION,
    consented_by=USER.id,
    consented_scope=REQUEST.scope,
    consented_resources=frozenset(REQUEST.resources),
)
ESSENTIAL = {"id_token": {"acr": {"essential": True, "values": ["aal2", "aal3"]}}}


def step(request=None, /, **changed):
    """Decide with everything in order but for what is changed; `request` holds changes of the request itself."""
    circumstances = {
        "transaction": TRANSACTION,
        "signed_in": SIGNED_IN,
        "consent": CONSENT,
        "hint_subject": None,
        "offered_acrs": {"aal1", "aal2"},
        "session_idle": timedelta(hours=12),
        "now": NOW,
        **changed,
    }
    return next_step(replace(REQUEST, **(request or {})), **circumstances)


def session(**changed):
    return SignedIn(session=replace(SESSION, **changed), user=USER)


def able(**changed):
    """Somebody with a second factor whose session did not need it."""
    return replace(session(**changed), has_second_factor=True)


def prompt(*prompts):
    return {"prompt": frozenset(prompts)}


def test_a_known_user_who_agreed_before_gets_a_code():
    assert step() == Issue(user=USER, session=SESSION)


@pytest.mark.parametrize(
    ("request_", "changed", "expected"),
    [
        pytest.param({}, {"signed_in": None}, LoginReason.NO_SESSION, id="3.1.2.3 nobody is signed in"),
        pytest.param({}, {"signed_in": session(ended_at=NOW)}, LoginReason.NO_SESSION, id="logged out"),
        pytest.param({}, {"signed_in": session(expires_at=NOW)}, LoginReason.NO_SESSION, id="past its absolute end"),
        pytest.param(
            {},
            {"signed_in": session(last_seen_at=NOW - timedelta(hours=12))},
            LoginReason.NO_SESSION,
            id="idle for too long",
        ),
        pytest.param(prompt(Prompt.LOGIN), {}, LoginReason.ASKED, id="3.1.2.1 prompt=login"),
        pytest.param(prompt(Prompt.CREATE), {}, LoginReason.NEW_ACCOUNT, id="prompt=create, signed in before"),
        pytest.param(prompt(Prompt.CREATE), {"signed_in": None}, LoginReason.NEW_ACCOUNT, id="prompt=create"),
        pytest.param(
            prompt(Prompt.LOGIN),
            {"signed_in": session(auth_time=JUST_NOW - timedelta(microseconds=1))},
            LoginReason.ASKED,
            id="3.1.2.1 prompt=login, and a login just before the request",
        ),
        pytest.param({"max_age": timedelta(0)}, {}, LoginReason.TOO_OLD, id="3.1.2.1 max_age=0"),
        pytest.param({"max_age": timedelta(seconds=3599)}, {}, LoginReason.TOO_OLD, id="3.1.2.1 a second too old"),
        pytest.param({}, {"hint_subject": str(OTHER)}, LoginReason.OTHER_USER, id="3.1.2.1 a hint at another user"),
        pytest.param({"claims": ESSENTIAL}, {}, LoginReason.TOO_WEAK, id="5.5.1.1 an essential acr"),
    ],
)
@pytest.mark.attack(16, 17)
def test_a_login_is_asked_for(request_, changed, expected):
    found = step(request_, **changed)
    assert isinstance(found, Login)
    assert found.reason is expected
    silent = step({**request_, **prompt(Prompt.NONE)}, **changed)
    is_here = changed.get("signed_in", True) is not None
    if is_here and request_.get("prompt", frozenset()) & {Prompt.LOGIN, Prompt.CREATE}:
        assert isinstance(silent, Issue)  # none replaced login: nothing else is asked
    else:
        assert isinstance(silent, Refuse)
        assert silent.error.error == ErrorCode.LOGIN_REQUIRED


@pytest.mark.attack(16)
@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        pytest.param({"signed_in": None}, Refusal.LOGIN_NEEDED, id="3.1.2.6 nobody is signed in"),
        pytest.param({"hint_subject": str(OTHER)}, Refusal.HINT_OF_ANOTHER_USER, id="3.1.2.1 another user"),
        pytest.param({"consent": None}, Refusal.CONSENT_NEEDED, id="3.1.2.6 no consent"),
    ],
)
def test_prompt_none_shows_no_page(changed, refusal):
    found = step(prompt(Prompt.NONE), **changed)
    assert isinstance(found, Refuse)
    assert found.error.refusal == refusal


@pytest.mark.parametrize(
    ("request_", "changed"),
    [
        pytest.param(prompt(Prompt.NONE), {}, id="3.1.2.1 prompt=none and nothing to ask"),
        pytest.param(prompt(Prompt.LOGIN), {"signed_in": FRESH}, id="3.1.2.1 prompt=login, and signed in for it"),
        pytest.param(prompt(Prompt.CREATE), {"signed_in": FRESH}, id="prompt=create, and signed up for it"),
        pytest.param({"max_age": timedelta(0)}, {"signed_in": FRESH}, id="3.1.2.1 max_age=0, and signed in for it"),
        pytest.param({"max_age": timedelta(hours=1)}, {}, id="3.1.2.1 max_age reached, not exceeded"),
        pytest.param(
            {"max_age": timedelta(seconds=1)}, {"signed_in": FRESH}, id="3.1.2.1 a small max_age, and a slow consent"
        ),
        pytest.param({}, {"hint_subject": USER.sub}, id="3.1.2.1 a hint at this user"),
        pytest.param({"acr_values": ("aal3",)}, {}, id="3.1.2.1 an acr nobody can reach is only a wish"),
        pytest.param({"acr_values": ("aal2", "aal1")}, {}, id="3.1.2.1 one of the acrs wished for"),
        pytest.param({"acr_values": ("aal2",)}, {}, id="3.1.2.1 a wish that this user has no factor for"),
        pytest.param({"acr_values": ("aal2",)}, {"signed_in": FRESH}, id="3.1.2.1 the wish was tried"),
        pytest.param({"acr_values": ("aal2",)}, {"signed_in": able(acr="aal2")}, id="3.1.2.1 the wish is met"),
        pytest.param({"acr_values": ("aal1",)}, {"signed_in": able(acr="aal2")}, id="3.1.2.1 more than was wished"),
        pytest.param({"acr_values": ("aal3",)}, {"signed_in": able()}, id="3.1.2.1 a factor does not reach the wish"),
        pytest.param(
            {"acr_values": ("aal2",)} | prompt(Prompt.NONE),
            {"signed_in": able()},
            id="3.1.2.1 prompt=none, and a wish stays a wish",
        ),
        pytest.param({"claims": ESSENTIAL}, {"signed_in": session(acr="aal2")}, id="5.5.1.1 the essential acr"),
        pytest.param(
            {},
            {"signed_in": session(last_seen_at=NOW - timedelta(hours=12) + timedelta(microseconds=1))},
            id="idle, but not for too long",
        ),
    ],
)
def test_nothing_more_is_asked(request_, changed):
    assert isinstance(step(request_, **changed), Issue)


@pytest.mark.attack(17)
@pytest.mark.parametrize(
    ("request_", "changed"),
    [
        pytest.param({"claims": ESSENTIAL}, {"offered_acrs": {"aal1"}}, id="beyond this server"),
        pytest.param({"claims": ESSENTIAL}, {"offered_acrs": {"aal1"}, "signed_in": None}, id="before any login"),
        pytest.param({"claims": ESSENTIAL}, {"signed_in": FRESH}, id="not reached by a login for it"),
    ],
)
def test_an_essential_acr_that_cannot_be_met_is_refused(request_, changed):
    found = step(request_, **changed)
    assert isinstance(found, Refuse)
    assert (found.error.error, found.error.refusal) == ("unmet_authentication_requirements", Refusal.ACR_UNMET)


def test_a_login_says_which_strength_is_needed():
    assert step({"claims": ESSENTIAL}).acr_values == ("aal2", "aal3")
    assert step({"claims": ESSENTIAL}, signed_in=None).acr_values == ("aal2", "aal3")


@pytest.mark.attack(17)
@pytest.mark.parametrize("is_fresh", [False, True])
@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"acr_values": ("aal2",)}, id="3.1.2.1 wished for"),
        pytest.param({"acr_values": ("aal3", "aal2")}, id="3.1.2.1 wished for among others"),
        pytest.param({"claims": ESSENTIAL}, id="5.5.1.1 essential"),
    ],
)
def test_who_has_a_second_factor_is_asked_for_that_alone(request_, is_fresh):
    signed_in = able(auth_time=JUST_NOW) if is_fresh else able()
    assert step(request_, signed_in=signed_in) == AskSecondFactor(user=USER, session=signed_in.session)


def test_an_essential_strength_is_no_page_where_none_may_be_shown():
    found = step({"claims": ESSENTIAL} | prompt(Prompt.NONE), signed_in=able())
    assert isinstance(found, Refuse)
    assert found.error.refusal == Refusal.LOGIN_NEEDED


def test_an_essential_strength_beyond_the_second_factor_asks_for_a_login():
    essential = {"id_token": {"acr": {"essential": True, "value": "aal3"}}}
    found = step({"claims": essential}, signed_in=able(), offered_acrs={"aal1", "aal2", "aal3"})
    assert isinstance(found, Login)


@pytest.mark.parametrize(
    ("request_", "asks"), [({}, False), ({"acr_values": ("aal1",)}, True), ({"claims": ESSENTIAL}, True)]
)
def test_a_request_asks_for_a_strength_or_not(request_, asks):
    assert asks_for_acr(replace(REQUEST, **request_)) is asks


@pytest.mark.parametrize(
    ("claims", "values"),
    [
        (None, ()),
        ({}, ()),
        ({"id_token": None}, ()),
        ({"id_token": {"acr": None}}, ()),
        ({"id_token": {"acr": {"values": ["aal2"]}}}, ()),
        ({"id_token": {"acr": {"essential": "yes", "values": ["aal2"]}}}, ()),
        ({"id_token": {"acr": {"essential": True}}}, ()),
        ({"id_token": {"acr": {"essential": True, "value": "aal2"}}}, ("aal2",)),
        ({"id_token": {"acr": {"essential": True, "values": ["aal2", 3]}}}, ("aal2",)),
        ({"id_token": {"acr": {"essential": True, "values": "aal2"}}}, ()),
        ({"userinfo": {"acr": {"essential": True, "value": "aal2"}}}, ()),
    ],
)
def test_only_an_essential_acr_of_the_id_token_is_essential(claims, values):
    assert essential_acrs(replace(REQUEST, claims=claims)) == values


def test_a_login_of_another_user_than_the_hints_does_not_go_round_in_circles():
    found = step(signed_in=FRESH, hint_subject=str(OTHER))
    assert isinstance(found, Refuse)
    assert (found.error.error, found.error.refusal) == (ErrorCode.LOGIN_REQUIRED, Refusal.HINT_OF_ANOTHER_USER)


@pytest.mark.attack(21)
@pytest.mark.parametrize("request_", [{}, prompt(Prompt.NONE), prompt(Prompt.LOGIN), {"max_age": timedelta(0)}])
@pytest.mark.parametrize(
    ("user", "refusal"),
    [(replace(USER, disabled_at=NOW), Refusal.USER_DISABLED), (replace(USER, deleted_at=NOW), Refusal.USER_GONE)],
)
def test_a_user_who_was_turned_off_is_refused(request_, user, refusal):
    found = step(request_, signed_in=SignedIn(session=SESSION, user=user))
    assert isinstance(found, Refuse)
    assert (found.error.error, found.error.refusal) == (ErrorCode.ACCESS_DENIED, refusal)


def test_a_user_who_did_not_allow_it_is_taken_at_their_word():
    found = step(transaction=replace(CONSENTED, denied_at=NOW))
    assert isinstance(found, Refuse)
    assert (found.error.error, found.error.refusal) == (ErrorCode.ACCESS_DENIED, Refusal.USER_DENIED)


@pytest.mark.attack(18)
@pytest.mark.parametrize(
    ("request_", "changed", "new_scope"),
    [
        pytest.param({}, {"consent": None}, {"openid", "notes:read"}, id="3.1.2.4 the first time"),
        pytest.param(
            {}, {"consent": replace(CONSENT, withdrawn_at=NOW)}, {"openid", "notes:read"}, id="it was taken back"
        ),
        pytest.param(
            {"scope": REQUEST.scope | {"notes:write"}}, {}, {"notes:write"}, id="3.1.2.4 more scope than before"
        ),
        pytest.param(
            {"scope": REQUEST.scope | {"offline_access"}}, {}, {"offline_access"}, id="11 access without the user"
        ),
        pytest.param({"resources": (NOTES.identifier, MAIL.identifier)}, {}, set(), id="another resource than before"),
        pytest.param(prompt(Prompt.CONSENT), {}, set(), id="3.1.2.1 prompt=consent"),
        pytest.param(
            {},
            {"consent": None, "transaction": replace(CONSENTED, consented_by=OTHER)},
            {"openid", "notes:read"},
            id="another user allowed it in this transaction",
        ),
        pytest.param(
            {"scope": REQUEST.scope | {"notes:write"}},
            {"consent": None, "transaction": CONSENTED},
            {"openid", "notes:read", "notes:write"},
            id="less was allowed in this transaction",
        ),
        pytest.param(
            {"resources": (MAIL.identifier,)},
            {"consent": None, "transaction": CONSENTED},
            {"openid", "notes:read"},
            id="another resource was allowed in this transaction",
        ),
    ],
)
def test_consent_is_asked_for(request_, changed, new_scope):
    assert step(request_, **changed) == AskConsent(user=USER, new_scope=frozenset(new_scope))


@pytest.mark.parametrize(
    ("request_", "changed"),
    [
        pytest.param({}, {"consent": None, "transaction": CONSENTED}, id="it was given in this transaction"),
        pytest.param(prompt(Prompt.CONSENT), {"transaction": CONSENTED}, id="3.1.2.1 prompt=consent was answered"),
        pytest.param({}, {"consent": replace(CONSENT, scope=CONSENT.scope | {"email"})}, id="more was allowed before"),
        pytest.param({"client": replace(WEB, first_party=True)}, {"consent": None}, id="a first-party client"),
    ],
)
def test_consent_is_not_asked_for_twice(request_, changed):
    assert isinstance(step(request_, **changed), Issue)


def test_even_a_first_party_client_can_ask_for_consent():
    assert isinstance(step({"client": replace(WEB, first_party=True), **prompt(Prompt.CONSENT)}), AskConsent)


IMPOSTORS = [
    pytest.param(NATIVE, "http://127.0.0.1:51004/callback", id="loopback"),
    pytest.param(NATIVE, "http://localhost/callback", id="localhost"),
    pytest.param(NATIVE, "com.example.notes:/callback", id="private-use scheme"),
    pytest.param(replace(WEB, self_registered=True), WEB.redirect_uris[0], id="registered itself"),
]


@pytest.mark.attack(15)
@pytest.mark.parametrize(("client", "redirect_uri"), IMPOSTORS)
def test_a_client_that_others_can_pass_for_needs_consent_each_time(client, redirect_uri):
    request = {"client": client, "redirect_uri": redirect_uri}
    assert isinstance(step(request), AskConsent)
    assert isinstance(step(request, transaction=CONSENTED), Issue)
    silent = step({**request, **prompt(Prompt.NONE)})
    assert silent.error.error == ErrorCode.CONSENT_REQUIRED


@pytest.mark.parametrize(
    ("client", "redirect_uri"),
    [
        pytest.param(WEB, WEB.redirect_uris[0], id="a confidential client"),
        pytest.param(WEB, "http://localhost:9002/callback", id="a confidential client under development"),
        pytest.param(
            replace(WEB, token_endpoint_auth_method=AuthMethod.NONE), WEB.redirect_uris[0], id="a public one on https"
        ),
    ],
)
def test_a_client_known_by_secret_or_address_needs_it_once(client, redirect_uri):
    assert not consents_each_time(client, redirect_uri)


def test_a_session_lives_until_its_end_and_not_a_moment_longer():
    idle = timedelta(hours=12)
    assert is_live(SESSION, idle, NOW)
    assert not is_live(replace(SESSION, ended_at=NOW), idle, NOW)
    assert not is_live(SESSION, idle, SESSION.expires_at)
    assert not is_live(SESSION, idle, SESSION.last_seen_at + idle)


@given(
    prompts=st.frozensets(st.sampled_from([Prompt.LOGIN, Prompt.CONSENT])) | st.just(frozenset({Prompt.NONE})),
    max_age=st.none() | st.integers(0, 7200).map(lambda seconds: timedelta(seconds=seconds)),
    hint=st.sampled_from([None, USER.sub, str(OTHER)]),
    acrs=st.lists(st.sampled_from(["aal1", "aal2", "aal3"]), max_size=2),
    claims=st.sampled_from([None, ESSENTIAL]),
    client=st.sampled_from([WEB, replace(WEB, self_registered=True), replace(WEB, first_party=True)]),
    signed_in=st.sampled_from([None, SIGNED_IN, FRESH, session(ended_at=NOW)]),
    consent=st.sampled_from([None, CONSENT]),
)
def test_every_sign_in_ends_after_one_login_and_one_consent(
    prompts, max_age, hint, acrs, claims, client, signed_in, consent
):
    request = {
        "prompt": prompts,
        "max_age": max_age,
        "acr_values": tuple(acrs),
        "claims": claims,
        "client": client,
    }
    circumstances = {"signed_in": signed_in, "consent": consent, "hint_subject": hint, "transaction": TRANSACTION}
    asked = []
    for _ in range(3):
        found = step(request, **circumstances)
        if isinstance(found, Issue | Refuse):
            break
        asked.append(type(found))
        if isinstance(found, Login):
            circumstances["signed_in"] = FRESH
        else:
            circumstances["transaction"] = CONSENTED
    assert isinstance(found, Issue | Refuse)
    assert asked in [[], [Login], [AskConsent], [Login, AskConsent]]
    if Prompt.NONE in prompts:
        assert asked == []
    if isinstance(found, Issue):
        assert found.session.ended_at is None
        assert (Login in asked) or Prompt.LOGIN not in prompts or signed_in is FRESH


@pytest.mark.attack(17)
def test_no_code_rests_on_a_login_older_than_was_asked_for():
    for age, auth_age in itertools.product(range(0, 400, 100), repeat=2):
        signed_in = session(auth_time=NOW - timedelta(seconds=auth_age))
        found = step({"max_age": timedelta(seconds=age)}, signed_in=signed_in)
        fresh = signed_in.session.auth_time >= TRANSACTION.created_at
        assert isinstance(found, Issue) == (auth_age <= age or fresh)
