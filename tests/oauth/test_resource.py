"""Resource indicators and what stands in for them: RFC 8707, RFC 6749 §3.3 and §4.4.2, RFC 9068 §3."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.resource import (
    MAX_RESOURCES,
    choose_for_client_credentials,
    choose_target,
    choose_within_grant,
    is_resource_identifier,
    parse_resources,
)
from authserver.oauth.values import AuthMethod
from tests.oauth.examples import FILES, ISSUER, KNOWN, MAIL, NOTES, WEB, refused

NOTES_URI, MAIL_URI, FILES_URI = NOTES.identifier, MAIL.identifier, FILES.identifier
SERVICE = replace(WEB, scope=frozenset({"notes:read", "notes:write"}))


def test_resources_keep_their_order_and_lose_repetition():
    assert parse_resources([MAIL_URI, NOTES_URI, MAIL_URI]) == (MAIL_URI, NOTES_URI)
    assert parse_resources([]) == ()


@pytest.mark.parametrize(
    "identifier",
    ["https://api.example", "https://api.example/v1?x=1", "urn:example:api", "http://localhost:9001", "api+v1:x"],
)
def test_an_absolute_uri_names_a_resource(identifier):
    assert is_resource_identifier(identifier)
    assert parse_resources([identifier]) == (identifier,)


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param("https://api.example#x", id="8707-2 fragment"),
        pytest.param("https://api.example#", id="8707-2 empty fragment"),
        pytest.param("api", id="8707-2 not absolute"),
        pytest.param("/api", id="8707-2 a path"),
        pytest.param("//api.example", id="8707-2 no scheme"),
        pytest.param("https:", id="nothing after the scheme"),
        pytest.param("1https://api.example", id="scheme with a digit first"),
        pytest.param("https://api.example/a b", id="blank"),
        pytest.param("https://api.example/ä", id="non-ASCII"),
        pytest.param("https://api.example/%zz", id="broken percent-encoding"),
        pytest.param("https://api.example/\n", id="newline"),
        pytest.param('https://api.example/"', id="quote"),
    ],
)
def test_anything_else_is_no_resource(identifier):
    error = refused(parse_resources, [NOTES_URI, identifier])
    assert (error.error, error.refusal) == (ErrorCode.INVALID_TARGET, Refusal.RESOURCE_MALFORMED)


@pytest.mark.attack(19)
def test_more_resources_than_anybody_needs_are_refused():
    many = [f"https://api.example/{number}" for number in range(MAX_RESOURCES + 1)]
    assert len(parse_resources(many[1:])) == MAX_RESOURCES
    assert refused(parse_resources, many).refusal == Refusal.PARAMETERS_TOO_MANY


@given(st.lists(st.text() | st.sampled_from([NOTES_URI, "x:y", "https://a#b"]), max_size=3))
def test_any_text_is_a_resource_or_refused_and_nothing_else(values):
    error = refused(parse_resources, values)
    assert error is None or error.refusal == Refusal.RESOURCE_MALFORMED


@pytest.mark.parametrize(
    ("scope", "asked", "resources", "answer"),
    [
        pytest.param({"notes:read"}, (NOTES_URI,), [NOTES], {"notes:read"}, id="8707-2 resource and its scope"),
        pytest.param(
            {"openid", "notes:read"}, (NOTES_URI,), [NOTES], {"openid", "notes:read"}, id="8707-2 OpenID beside it"
        ),
        pytest.param({"openid"}, (NOTES_URI,), [NOTES], {"openid"}, id="8707-2 a resource and no scope of it"),
        pytest.param(
            {"notes:read", "mail:send"},
            (MAIL_URI, NOTES_URI),
            [MAIL, NOTES],
            {"notes:read", "mail:send"},
            id="8707-2.1 two resources",
        ),
        pytest.param({"shared"}, (MAIL_URI,), [MAIL], {"shared"}, id="8707-2 a name two resources have"),
        pytest.param({"notes:read"}, (), [NOTES], {"notes:read"}, id="the one resource that has the scope"),
        pytest.param({"mail:send", "shared"}, (), [MAIL], {"mail:send", "shared"}, id="the one that has all of them"),
        pytest.param({"openid", "profile"}, (), [], {"openid", "profile"}, id="only OpenID: the issuer"),
        pytest.param(
            None, (NOTES_URI,), [NOTES], {"notes:read", "notes:write"}, id="no scope: what is registered of it"
        ),
        pytest.param(None, (MAIL_URI,), [MAIL], {"mail:send", "shared"}, id="no scope, another resource"),
    ],
)
def test_what_a_request_is_for_follows_from_its_resources_and_scope(scope, asked, resources, answer):
    target = choose_target(WEB, frozenset(scope) if scope is not None else None, asked, KNOWN)
    assert (list(target.resources), target.scope) == (resources, answer)


@pytest.mark.attack(18)
@pytest.mark.parametrize(
    ("scope", "asked", "error", "refusal"),
    [
        pytest.param(
            {"notes:read"}, ("https://x.example",), "invalid_target", Refusal.RESOURCE_UNKNOWN, id="8707-2 unknown"
        ),
        pytest.param(
            {"notes:read"}, (f"{NOTES_URI}/",), "invalid_target", Refusal.RESOURCE_UNKNOWN, id="8707-2 nearly the same"
        ),
        pytest.param(
            {"notes:read"},
            (NOTES_URI, "x:y"),
            "invalid_target",
            Refusal.RESOURCE_UNKNOWN,
            id="8707-2 one of two unknown",
        ),
        pytest.param({"no:such"}, (), "invalid_scope", Refusal.SCOPE_UNKNOWN, id="6749-3.3 no such scope"),
        pytest.param({"no:such"}, (NOTES_URI,), "invalid_scope", Refusal.SCOPE_UNKNOWN, id="6749-3.3 nowhere"),
        pytest.param({"mail:send"}, (NOTES_URI,), "invalid_scope", Refusal.SCOPE_NOT_ALLOWED, id="another resource's"),
        pytest.param({"files:read"}, (), "invalid_scope", Refusal.SCOPE_NOT_ALLOWED, id="7591-2 not registered"),
        pytest.param({"phone"}, (), "invalid_scope", Refusal.SCOPE_NOT_ALLOWED, id="7591-2 OpenID not registered"),
        pytest.param({"notes:read", "mail:send"}, (), "invalid_scope", Refusal.SCOPE_AMBIGUOUS, id="of two resources"),
        pytest.param({"shared"}, (), "invalid_scope", Refusal.SCOPE_AMBIGUOUS, id="a name two resources have"),
        pytest.param(None, (), "invalid_scope", Refusal.SCOPE_AMBIGUOUS, id="registered for several"),
        pytest.param(None, (FILES_URI, "x:y"), "invalid_target", Refusal.RESOURCE_UNKNOWN, id="no scope, unknown"),
        pytest.param(set(), (NOTES_URI,), "invalid_scope", Refusal.SCOPE_EMPTY, id="an empty scope"),
    ],
)
def test_what_cannot_be_decided_is_refused(scope, asked, error, refusal):
    found = refused(choose_target, WEB, frozenset(scope) if scope is not None else None, asked, KNOWN)
    assert (found.error, found.refusal) == (error, refusal)


def test_without_scope_and_resource_a_client_of_one_api_gets_what_it_registered():
    target = choose_target(SERVICE, None, (), KNOWN)
    assert (target.resources, target.scope) == ((NOTES,), SERVICE.scope)


@pytest.mark.parametrize("asked", [(), (NOTES_URI,)])
def test_a_client_without_registered_api_scopes_must_name_a_scope(asked):
    client = replace(WEB, scope=frozenset({"openid", "mail:send"}) if asked else frozenset({"openid"}))
    assert refused(choose_target, client, None, asked, KNOWN).refusal == Refusal.SCOPE_EMPTY


def test_the_audience_is_the_resources_or_else_the_issuer():
    assert choose_target(WEB, frozenset({"notes:read"}), (), KNOWN).audience(ISSUER) == (NOTES_URI,)
    assert choose_target(WEB, frozenset({"openid"}), (), KNOWN).audience(ISSUER) == (ISSUER,)
    both = choose_target(WEB, frozenset({"openid"}), (NOTES_URI, MAIL_URI), KNOWN)
    assert both.audience(ISSUER) == both.identifiers == (NOTES_URI, MAIL_URI)


def test_a_client_gets_its_own_scopes_for_itself():
    target = choose_for_client_credentials(SERVICE, None, (), KNOWN)
    assert (target.identifiers, target.scope) == ((NOTES_URI,), SERVICE.scope)
    target = choose_for_client_credentials(SERVICE, frozenset({"notes:read"}), (NOTES_URI,), KNOWN)
    assert target.scope == {"notes:read"}


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    ("scope", "refusal"),
    [
        pytest.param({"openid"}, Refusal.SCOPE_NOT_ALLOWED, id="about a user"),
        pytest.param({"notes:read", "offline_access"}, Refusal.SCOPE_NOT_ALLOWED, id="a refresh token"),
        pytest.param({"no:such"}, Refusal.SCOPE_UNKNOWN, id="unknown"),
        pytest.param({"mail:send"}, Refusal.SCOPE_NOT_ALLOWED, id="not registered"),
    ],
)
def test_a_client_gets_nothing_else_for_itself(scope, refusal):
    client = replace(SERVICE, scope=SERVICE.scope | {"openid", "offline_access"})
    found = refused(choose_for_client_credentials, client, frozenset(scope), (), KNOWN)
    assert (found.error, found.refusal) == (ErrorCode.INVALID_SCOPE, refusal)


def test_a_public_client_gets_nothing_for_itself():
    client = replace(SERVICE, token_endpoint_auth_method=AuthMethod.NONE)
    found = refused(choose_for_client_credentials, client, None, (), KNOWN)
    assert (found.error, found.refusal) == (ErrorCode.UNAUTHORIZED_CLIENT, Refusal.GRANT_TYPE_NOT_ALLOWED)


GRANT = {
    "granted_scope": frozenset({"openid", "notes:read", "mail:send"}),
    "granted_resources": (NOTES_URI, MAIL_URI),
    "scope": None,
    "asked": (),
    "known": KNOWN,
}


@pytest.mark.parametrize(
    ("changed", "identifiers", "scope"),
    [
        pytest.param({}, {NOTES_URI, MAIL_URI}, {"openid", "notes:read", "mail:send"}, id="all of the grant"),
        pytest.param({"asked": (NOTES_URI,)}, {NOTES_URI}, {"openid", "notes:read"}, id="8707-2.2 one resource"),
        pytest.param({"asked": (MAIL_URI,)}, {MAIL_URI}, {"openid", "mail:send"}, id="8707-2.2 the other one"),
        pytest.param({"scope": frozenset({"mail:send"})}, {NOTES_URI, MAIL_URI}, {"mail:send"}, id="6749-6 less scope"),
        pytest.param(
            {"asked": (MAIL_URI,), "scope": frozenset({"mail:send"})}, {MAIL_URI}, {"mail:send"}, id="less of both"
        ),
        pytest.param({"known": (NOTES,)}, {NOTES_URI}, {"openid", "notes:read"}, id="a resource was deleted"),
        pytest.param(
            {"granted_resources": (), "granted_scope": frozenset({"openid", "email"})},
            set(),
            {"openid", "email"},
            id="the issuer's own",
        ),
    ],
)
def test_a_token_of_a_grant_is_for_the_resources_asked(changed, identifiers, scope):
    target = choose_within_grant(**{**GRANT, **changed})
    assert (set(target.identifiers), target.scope) == (identifiers, scope)


@pytest.mark.parametrize(
    ("changed", "error", "refusal"),
    [
        pytest.param(
            {"asked": (FILES_URI,)}, "invalid_target", Refusal.RESOURCE_NOT_GRANTED, id="8707-2.2 not granted"
        ),
        pytest.param(
            {"asked": (NOTES_URI, FILES_URI)}, "invalid_target", Refusal.RESOURCE_NOT_GRANTED, id="8707-2.2 one of two"
        ),
        pytest.param(
            {"granted_resources": (), "asked": (NOTES_URI,)},
            "invalid_target",
            Refusal.RESOURCE_NOT_GRANTED,
            id="8707-2.2 a grant for the issuer only",
        ),
        pytest.param(
            {"scope": frozenset({"notes:write"})}, "invalid_scope", Refusal.SCOPE_NOT_GRANTED, id="6749-6 more scope"
        ),
        pytest.param(
            {"asked": (MAIL_URI,), "scope": frozenset({"notes:read"})},
            "invalid_scope",
            Refusal.SCOPE_EMPTY,
            id="a scope of another resource than asked",
        ),
        pytest.param({"known": ()}, "invalid_target", Refusal.RESOURCE_UNKNOWN, id="all resources were deleted"),
        pytest.param(
            {"granted_resources": (), "scope": frozenset()}, "invalid_scope", Refusal.SCOPE_EMPTY, id="an empty scope"
        ),
    ],
)
def test_a_token_gets_no_more_than_its_grant(changed, error, refusal):
    found = refused(choose_within_grant, **{**GRANT, **changed})
    assert (found.error, found.refusal) == (error, refusal)


@given(
    scope=st.none() | st.frozensets(st.sampled_from(sorted(GRANT["granted_scope"] | {"notes:write"}))),
    asked=st.lists(st.sampled_from([NOTES_URI, MAIL_URI, FILES_URI]), max_size=3),
)
def test_no_choice_within_a_grant_leaves_it(scope, asked):
    choice = {**GRANT, "scope": scope, "asked": asked}
    if refused(choose_within_grant, **choice) is None:
        target = choose_within_grant(**choice)
        assert target.scope <= GRANT["granted_scope"]
        assert set(target.identifiers) <= set(GRANT["granted_resources"])
