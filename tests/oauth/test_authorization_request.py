"""Authorization requests: RFC 6749 §4.1.1 and §4.1.2.1, OIDC Core §3.1.2; SECURITY rows 1 to 3, 6, 8, 9, 18, 19, 21."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authserver.oauth.authorization_request import (
    MAX_STATE,
    AuthorizationError,
    Checked,
    parse_authorization_request,
    parse_client_id,
)
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import Params
from authserver.oauth.values import Prompt, ResponseMode
from tests.oauth.examples import CHALLENGE, ISSUER, KNOWN, NATIVE, NOTES, NOW, WEB, params, refused

GOOD = {
    "client_id": WEB.client_id,
    "redirect_uri": WEB.redirect_uris[0],
    "response_type": "code",
    "scope": "openid notes:read",
    "state": "xyz",
    "nonce": "n-0S6",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
EVIL = "https://evil.example/callback"


def parse(client=WEB, /, **changed):
    return parse_authorization_request(params(**{**GOOD, **changed}), client, KNOWN)


def error_of(client=WEB, /, **changed):
    with pytest.raises(OAuthError) as error:
        parse(client, **changed)
    return error.value


def test_a_good_request_is_read_whole():
    request = parse(
        response_mode="form_post",
        prompt="login consent",
        max_age="0",
        login_hint="ada",
        id_token_hint="a.b.c",
        acr_values="aal2 aal1",
        ui_locales="de  en",
        claims='{"id_token": {"acr": null}}',
        unknown="ignored",
    )
    assert request.client is WEB
    assert (request.redirect_uri, request.redirect_uri_given) == (WEB.redirect_uris[0], True)
    assert request.response_mode is ResponseMode.FORM_POST
    assert (request.scope, request.resources) == ({"openid", "notes:read"}, (NOTES.identifier,))
    assert (request.state, request.nonce, request.code_challenge) == ("xyz", "n-0S6", CHALLENGE)
    assert (request.prompt, request.max_age) == ({Prompt.LOGIN, Prompt.CONSENT}, timedelta(0))
    assert (request.login_hint, request.id_token_hint) == ("ada", "a.b.c")
    assert (request.acr_values, request.ui_locales) == (("aal2", "aal1"), ("de", "en"))
    assert request.claims == {"id_token": {"acr": None}}
    assert request.is_openid


def test_a_small_request_has_the_defaults():
    request = parse(state=None, nonce=None, scope="notes:read")
    assert (request.state, request.nonce, request.prompt, request.max_age) == (None, None, frozenset(), None)
    assert (request.acr_values, request.ui_locales, request.claims) == ((), (), None)
    assert request.response_mode is ResponseMode.QUERY
    assert not request.is_openid


def test_the_clients_default_max_age_holds_where_the_request_says_nothing():
    client = replace(WEB, default_max_age=timedelta(minutes=5))
    assert parse(client).max_age == timedelta(minutes=5)
    assert parse(client, max_age="7").max_age == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        (None, set()),
        ("", set()),
        ("none", {Prompt.NONE}),
        ("none none", {Prompt.NONE}),
        ("login", {Prompt.LOGIN}),
        ("consent login", {Prompt.LOGIN, Prompt.CONSENT}),
        ("select_account", {Prompt.LOGIN}),
        ("create", {Prompt.CREATE}),
    ],
)
def test_prompts_are_read(text, prompt):
    assert parse(prompt=text).prompt == prompt


def test_offline_access_is_ignored_for_a_client_without_refresh_tokens():
    client = replace(WEB, grant_types=frozenset({"authorization_code"}))
    assert "offline_access" in parse(scope="openid offline_access").scope
    assert parse(client, scope="openid offline_access").scope == {"openid"}
    assert error_of(client, scope="offline_access").refusal == Refusal.SCOPE_EMPTY


def test_a_request_without_scope_is_for_what_the_client_registered():
    client = replace(WEB, scope=frozenset({"openid", "notes:read"}))
    assert parse(client, scope=None).scope == {"notes:read"}


def test_resources_are_read():
    request = parse(scope="notes:read mail:send", resource=[NOTES.identifier, "https://mail.example/api"])
    assert request.resources == (NOTES.identifier, "https://mail.example/api")


def test_a_native_client_gets_its_answer_at_the_port_it_listens_at():
    request = parse(NATIVE, redirect_uri="http://127.0.0.1:51004/callback")
    assert request.redirect_uri == "http://127.0.0.1:51004/callback"


def test_the_only_redirect_uri_may_be_left_out_without_openid():
    request = parse(redirect_uri=None, scope="notes:read")
    assert (request.redirect_uri, request.redirect_uri_given) == (WEB.redirect_uris[0], False)


PAGE_CASES = [
    pytest.param(None, {}, Refusal.CLIENT_UNKNOWN, id="6749-4.1.2.1 unknown client"),
    pytest.param(replace(WEB, disabled_at=NOW), {}, Refusal.CLIENT_DISABLED, id="disabled client"),
    pytest.param(replace(WEB, deleted_at=NOW), {}, Refusal.CLIENT_DISABLED, id="deleted client"),
    pytest.param(WEB, {"redirect_uri": EVIL}, Refusal.REDIRECT_URI_NOT_REGISTERED, id="6749-4.1.2.1 another address"),
    pytest.param(
        WEB,
        {"redirect_uri": "https://app.example@evil.example/callback"},
        Refusal.REDIRECT_URI_NOT_REGISTERED,
        id="a user name that looks like the host",
    ),
    pytest.param(
        WEB, {"redirect_uri": [WEB.redirect_uris[0]] * 2}, Refusal.PARAMETER_REPEATED, id="6749-3.1 two redirect URIs"
    ),
    pytest.param(WEB, {"redirect_uri": None}, Refusal.REDIRECT_URI_MISSING, id="OIDC 3.1.2.1 openid needs it"),
    pytest.param(
        WEB,
        {"redirect_uri": None, "scope": ["notes:read", "openid"]},
        Refusal.REDIRECT_URI_MISSING,
        id="OIDC 3.1.2.1 openid in the second of two scopes",
    ),
    pytest.param(
        NATIVE,
        {"redirect_uri": None, "scope": "notes:read"},
        Refusal.REDIRECT_URI_MISSING,
        id="6749-3.1.2.3 several",
    ),
    pytest.param(
        replace(WEB, redirect_uris=()),
        {"redirect_uri": None, "scope": "notes:read"},
        Refusal.REDIRECT_URI_MISSING,
        id="6749-3.1.2.3 none registered",
    ),
    pytest.param(
        replace(WEB, redirect_uris=()),
        {},
        Refusal.REDIRECT_URI_NOT_REGISTERED,
        id="6749-3.1.2.2 none there",
    ),
    pytest.param(WEB, {"state": "x" * (MAX_STATE + 1)}, Refusal.PARAMETER_TOO_LONG, id="long state"),
    pytest.param(WEB, {"state": "ä" * (MAX_STATE // 2 + 1)}, Refusal.PARAMETER_TOO_LONG, id="state long in bytes"),
    pytest.param(WEB, {"nonce": "x" * (MAX_STATE + 1)}, Refusal.PARAMETER_TOO_LONG, id="long nonce"),
    pytest.param(WEB, {"unknown": "x" * 8192}, Refusal.PARAMETER_TOO_LONG, id="long in all"),
    pytest.param(WEB, {"resource": ["x:y"] * 21}, Refusal.PARAMETERS_TOO_MANY, id="many resources"),
]


@pytest.mark.attack(1, 2, 3, 8, 19, 21)
@pytest.mark.parametrize(("client", "changed", "refusal"), PAGE_CASES)
def test_what_is_wrong_before_the_redirect_uri_is_known_is_for_a_page(client, changed, refusal):
    error = error_of(client, **changed)
    assert not isinstance(error, AuthorizationError)
    assert (error.status, error.refusal) == (400, refusal)


@pytest.mark.attack(8)
@pytest.mark.parametrize(
    ("client_id", "refusal"),
    [(None, Refusal.PARAMETER_MISSING), ("", Refusal.PARAMETER_MISSING), (["a", "b"], Refusal.PARAMETER_REPEATED)],
)
def test_a_client_id_that_is_missing_or_repeated_is_for_a_page(client_id, refusal):
    error = refused(parse_client_id, params(client_id=client_id))
    assert not isinstance(error, AuthorizationError)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, refusal)


def test_a_client_id_is_read():
    assert parse_client_id(params(**GOOD)) == WEB.client_id


REDIRECT_CASES = [
    pytest.param({"request": "a.b.c"}, "request_not_supported", Refusal.REQUEST_OBJECT_UNSUPPORTED, id="OIDC 6.1"),
    pytest.param(
        {"request_uri": "https://app.example/r"},
        "request_uri_not_supported",
        Refusal.REQUEST_URI_UNSUPPORTED,
        id="OIDC 6.2",
    ),
    pytest.param(
        {"registration": "{}"},
        "registration_not_supported",
        Refusal.REGISTRATION_PARAMETER_UNSUPPORTED,
        id="OIDC 7.2.1",
    ),
    pytest.param({"response_type": None}, "invalid_request", Refusal.RESPONSE_TYPE_MISSING, id="6749-3.1.1 absent"),
    *(
        pytest.param(
            {"response_type": text},
            "unsupported_response_type",
            Refusal.RESPONSE_TYPE_UNSUPPORTED,
            id=f"6749-3.1.1 {text}",
        )
        for text in ("token", "id_token", "id_token token", "code token", "code id_token", "none", "CODE", "code code")
    ),
    pytest.param(
        {"response_mode": "fragment"}, "invalid_request", Refusal.RESPONSE_MODE_UNSUPPORTED, id="a mode script can read"
    ),
    pytest.param({"code_challenge": None}, "invalid_request", Refusal.CHALLENGE_MISSING, id="7636-4.4.1 no challenge"),
    pytest.param(
        {"code_challenge_method": "plain"},
        "invalid_request",
        Refusal.CHALLENGE_METHOD_UNSUPPORTED,
        id="7636-4.4.1 plain",
    ),
    pytest.param({"code_challenge": "x"}, "invalid_request", Refusal.CHALLENGE_MALFORMED, id="7636-4.2 short"),
    pytest.param({"scope": 'open"id'}, "invalid_scope", Refusal.SCOPE_MALFORMED, id="6749-3.3 characters"),
    pytest.param({"scope": "openid no:such"}, "invalid_scope", Refusal.SCOPE_UNKNOWN, id="6749-3.3 unknown"),
    pytest.param({"scope": "openid phone"}, "invalid_scope", Refusal.SCOPE_NOT_ALLOWED, id="7591-2 not registered"),
    pytest.param(
        {"scope": "notes:read mail:send"}, "invalid_scope", Refusal.SCOPE_AMBIGUOUS, id="8707-2 of two resources"
    ),
    pytest.param({"resource": "x"}, "invalid_target", Refusal.RESOURCE_MALFORMED, id="8707-2 no URI"),
    pytest.param({"resource": "https://x.example"}, "invalid_target", Refusal.RESOURCE_UNKNOWN, id="8707-2 unknown"),
    pytest.param({"prompt": "none login"}, "invalid_request", Refusal.PROMPT_MALFORMED, id="OIDC 3.1.2.1 none + login"),
    pytest.param({"prompt": "none create"}, "invalid_request", Refusal.PROMPT_MALFORMED, id="OIDC none + create"),
    pytest.param({"prompt": "register"}, "invalid_request", Refusal.PROMPT_MALFORMED, id="OIDC 3.1.2.1 unknown prompt"),
    *(
        pytest.param({"max_age": text}, "invalid_request", Refusal.MAX_AGE_MALFORMED, id=f"OIDC 3.1.2.1 max_age {text}")
        for text in ("-1", "1.5", "1e3", "+1", " 1", "\u0661", "soon", "9" * 10)
    ),
    *(
        pytest.param({"claims": text}, "invalid_request", Refusal.PARAMETER_MALFORMED, id=f"OIDC 5.5 claims {text[:9]}")
        for text in ("{", "[]", "null", '"x"', "[" * 4000)
    ),
    *(
        pytest.param(
            {name: [GOOD.get(name, "x"), "y"]}, "invalid_request", Refusal.PARAMETER_REPEATED, id=f"6749-3.1 two {name}"
        )
        for name in ("response_type", "scope", "state", "nonce", "code_challenge", "prompt", "response_mode", "unknown")
    ),
]


@pytest.mark.attack(6, 8, 9, 18, 73)
@pytest.mark.parametrize(("changed", "error", "refusal"), REDIRECT_CASES)
def test_what_is_wrong_after_that_goes_to_the_client(changed, error, refusal):
    found = error_of(**changed)
    assert isinstance(found, AuthorizationError)
    assert (found.error, found.refusal) == (error, refusal)
    response = dict(found.response(ISSUER).parameters)
    assert (response["error"], response["iss"]) == (error, ISSUER)
    assert response.get("state") == (None if "state" in changed else "xyz")
    assert found.response(ISSUER).redirect_uri == WEB.redirect_uris[0]


@pytest.mark.attack(3)
@pytest.mark.parametrize(("changed", "error", "refusal"), REDIRECT_CASES)
def test_no_error_at_all_goes_to_an_unregistered_address(changed, error, refusal):
    found = error_of(**{**changed, "redirect_uri": EVIL})
    assert not isinstance(found, AuthorizationError)
    assert found.refusal == Refusal.REDIRECT_URI_NOT_REGISTERED


@pytest.mark.attack(9)
@pytest.mark.parametrize(
    ("client", "refusal"),
    [
        (replace(WEB, response_types=frozenset()), Refusal.RESPONSE_TYPE_NOT_ALLOWED),
        (replace(WEB, grant_types=frozenset({"client_credentials"})), Refusal.GRANT_TYPE_NOT_ALLOWED),
    ],
)
def test_a_client_that_did_not_register_the_code_flow_is_unauthorized(client, refusal):
    error = error_of(client)
    assert isinstance(error, AuthorizationError)
    assert (error.error, error.refusal) == (ErrorCode.UNAUTHORIZED_CLIENT, refusal)


@pytest.mark.attack(6)
def test_a_confidential_client_that_was_let_off_needs_no_challenge():
    client = replace(WEB, require_pkce=False)
    assert parse(client, code_challenge=None, code_challenge_method=None).code_challenge is None
    public = replace(NATIVE, require_pkce=False)
    error = error_of(
        public, code_challenge=None, code_challenge_method=None, redirect_uri="http://127.0.0.1:1/callback"
    )
    assert error.refusal == Refusal.CHALLENGE_MISSING


@pytest.mark.parametrize(
    ("changed", "mode"),
    [
        pytest.param({"response_mode": "form_post"}, ResponseMode.FORM_POST, id="the mode asked for"),
        pytest.param({"response_mode": "fragment"}, ResponseMode.QUERY, id="the default for an unknown one"),
        pytest.param({"response_mode": ["form_post", "query"]}, ResponseMode.QUERY, id="the default for two"),
    ],
)
def test_a_refusal_travels_as_the_answer_would_have(changed, mode):
    assert error_of(prompt="x", **changed).response(ISSUER).response_mode is mode


@pytest.mark.attack(19)
def test_values_at_the_limits_are_read():
    request = parse(state="x" * MAX_STATE, nonce="y" * MAX_STATE)
    assert (len(request.state), len(request.nonce)) == (MAX_STATE, MAX_STATE)


def test_the_way_back_of_a_request_carries_codes_and_refusals():
    checked = Checked.of(parse(response_mode="form_post"))
    success = checked.build_success("the-code", ISSUER)
    assert dict(success.parameters) == {"code": "the-code", "state": "xyz", "iss": ISSUER}
    error = checked.redirect(OAuthError(ErrorCode.ACCESS_DENIED, "no", Refusal.USER_DENIED))
    assert dict(error.response(ISSUER).parameters)["error"] == "access_denied"
    assert success.response_mode is error.response(ISSUER).response_mode is ResponseMode.FORM_POST


VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["openid", "none", "login", "0", "code", "form_post", "S256", CHALLENGE, "{}", '{"id_token":{"acr":1}}', "\u0661"]
)


@given(
    changed=st.dictionaries(
        st.sampled_from([*GOOD, "response_mode", "prompt", "max_age", "claims", "acr_values", "resource", "request"]),
        VALUES | st.lists(VALUES, max_size=3),
    ),
    client=st.sampled_from([WEB, NATIVE, None, replace(WEB, require_pkce=False)]),
)
@example(changed={"claims": "1" * 5000}, client=WEB)
def test_any_request_is_read_or_refused_and_nothing_else(changed, client):
    pairs = [
        (name, one)
        for name, value in {**GOOD, **changed}.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    error = refused(parse_authorization_request, Params(pairs), client, KNOWN)
    if isinstance(error, AuthorizationError):
        assert error.checked.redirect_uri in WEB.redirect_uris + NATIVE.redirect_uris
        assert error.response(ISSUER).location.isascii()
    elif error is None:
        request = parse_authorization_request(Params(pairs), client, KNOWN)
        assert request.scope <= client.scope
        assert request.scope
