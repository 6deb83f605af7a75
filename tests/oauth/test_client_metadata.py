"""RFC 7591 §2, §2.1, §3.1, §3.2; RFC 7592 §2.2, §3; OIDC Dynamic Client Registration §2."""

import json
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.client_checks import RegistrationPolicy
from authserver.oauth.client_documents import build_metadata_document, build_registration_response
from authserver.oauth.client_members import MAX_DOCUMENT_BYTES
from authserver.oauth.client_metadata import (
    ClientMetadata,
    OperatorSettings,
    build_client,
    parse_client_metadata,
    update_client,
)
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.scope import OIDC_SCOPES
from authserver.oauth.values import (
    AuthMethod,
    Client,
    Lifetimes,
    LogoutScope,
    RefreshMode,
    RefreshPolicy,
)
from tests.oauth.examples import NOW, refused

SCOPES = OIDC_SCOPES | {"notes:read", "notes:write"}
METADATA = {
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
    "response_types_supported": ["code"],
    "subject_types_supported": ["public"],
    "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256"],
    "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    "introspection_signing_alg_values_supported": ["ES256", "RS256"],
}
STRANGER = RegistrationPolicy(metadata=METADATA, scope=SCOPES)
OPERATOR = replace(STRANGER, operator=True)
CALLBACK = "https://app.example/callback"
KEY = {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "one"}
DOCUMENT = {"redirect_uris": [CALLBACK]}
FULL = {
    "redirect_uris": [CALLBACK, "https://app.example/second"],
    "post_logout_redirect_uris": ["https://app.example/goodbye"],
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "ES256",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "application_type": "web",
    "subject_type": "public",
    "id_token_signed_response_alg": "ES256",
    "introspection_signed_response_alg": "ES256",
    "default_max_age": 3600,
    "require_auth_time": True,
    "backchannel_logout_uri": "https://app.example/backchannel-logout?app=notes",
    "backchannel_logout_session_required": True,
    "scope": "openid notes:read",
    "jwks": {"keys": [KEY, {**KEY, "kid": "two", "key_ops": ["verify"], "ext": True}]},
    "client_name": "Notes",
    "client_uri": "https://app.example/",
    "logo_uri": "https://app.example/logo.png",
    "tos_uri": "https://app.example/tos",
    "policy_uri": "https://app.example/policy",
    "contacts": ["ada@app.example"],
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
}
OPERATORS = {
    "profile": "oidc",
    "refresh_token_mode": "keep",
    "refresh_token_policy": "strict",
    "logout_scope": "standalone",
    "access_token_lifetime": 60,
    "id_token_lifetime": 61,
    "authorization_code_lifetime": 62,
    "refresh_token_idle_lifetime": 63,
    "refresh_token_absolute_lifetime": 64,
    "first_party": True,
    "api_register": True,
    "require_pkce": False,
    "introspects": ["https://notes.example", "urn:example:files"],
}


REGISTRATION_ERRORS = {ErrorCode.INVALID_CLIENT_METADATA, ErrorCode.INVALID_REDIRECT_URI}


def register_value(document, policy) -> Client:
    metadata = parse_client_metadata(document, policy)
    return build_client(metadata, policy, client_id="c", now=NOW, self_registered=not policy.operator)


def register(document=DOCUMENT, policy=STRANGER, **changed) -> Client:
    document = {name: value for name, value in (document | changed).items() if value is not ...}
    return register_value(json.dumps(document).encode(), policy)


def refusal_of(function, *args, **kwargs):
    error = refused(function, *args, **kwargs)
    return error and (error.error, error.refusal)


def test_what_is_left_out_has_the_defaults_of_the_specifications():
    client = register()
    assert client.token_endpoint_auth_method is AuthMethod.BASIC
    assert client.grant_types == {"authorization_code"}
    assert client.response_types == {"code"}
    assert client.application_type == "web"
    assert client.id_token_signed_response_alg == "RS256", "OIDC Registration §2"
    assert (client.require_auth_time, client.default_max_age, client.subject_type) == (False, None, "public")
    assert (client.backchannel_logout_uri, client.backchannel_logout_session_required) == (None, False)
    assert client.scope == SCOPES, "a user decides what it gets"
    assert client.client_name == "c", "RFC 7591 §2: its client_id"
    assert client.self_registered
    assert not client.require_pkce, "deployed confidential OpenID Connect clients send no challenge"


def test_every_member_is_kept_and_written_back():
    client = register(FULL)
    response = build_registration_response(client, registration_client_uri="https://issuer.example/register/c")
    assert response == FULL | {
        "client_id": "c",
        "client_id_issued_at": int(NOW.timestamp()),
        "registration_client_uri": "https://issuer.example/register/c",
        "scope": "notes:read openid",
    }


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("member", [name for name in FULL if name not in {"redirect_uris", "jwks"}])
def test_null_and_empty_count_as_left_out(member, empty):
    base = FULL if member != "token_endpoint_auth_method" else {**FULL, "token_endpoint_auth_signing_alg": None}
    assert register(base, **{member: empty}) == register(base, **{member: ...})


def test_unknown_members_are_ignored():
    assert register(software_statement="x.y.z", **{"client_name#fr": "Notes", "x-own": {"deep": []}}) == register()


@pytest.mark.attack(68)
@pytest.mark.parametrize("member", OPERATORS)
def test_a_stranger_cannot_say_what_only_operators_may(member):
    assert register(**{member: OPERATORS[member]}) == register()


def test_an_operator_sets_everything():
    client = register(FULL | OPERATORS, OPERATOR)
    assert client.profile == "oidc"
    assert client.lifetimes == Lifetimes(
        access_token=timedelta(seconds=60),
        id_token=timedelta(seconds=61),
        authorization_code=timedelta(seconds=62),
        refresh_token_idle=timedelta(seconds=63),
        refresh_token_absolute=timedelta(seconds=64),
    )
    assert (client.refresh_token_mode, client.refresh_token_policy) == (RefreshMode.KEEP, RefreshPolicy.STRICT)
    assert client.logout_scope is LogoutScope.STANDALONE
    assert (client.first_party, client.api_register, client.require_pkce) == (True, True, False)
    assert client.introspects == ("https://notes.example", "urn:example:files")
    assert build_metadata_document(client, operator=True) == FULL | OPERATORS | {"scope": "notes:read openid"}


def test_what_an_operator_reads_can_be_sent_again():
    client = register(FULL | OPERATORS, OPERATOR)
    again = parse_client_metadata(build_metadata_document(client, operator=True), OPERATOR)
    assert update_client(client, again, OPERATOR, now=NOW) == client


def test_what_an_operator_leaves_out_has_our_defaults():
    client = register(policy=OPERATOR)
    assert (client.refresh_token_mode, client.refresh_token_policy) == (
        RefreshMode.ROTATE,
        RefreshPolicy.LOST_RESPONSE,
    )
    assert (client.lifetimes, client.require_pkce, client.introspects) == (Lifetimes(), True, ())
    assert client.scope == OIDC_SCOPES
    assert register(policy=OPERATOR, grant_types=["client_credentials"]).scope == frozenset()


def test_metadata_and_client_have_the_same_names():
    client = {field.name for field in fields(Client)}
    assert {field.name for field in fields(ClientMetadata)} - {"operator"} <= client
    assert {field.name for field in fields(OperatorSettings)} <= client


@pytest.mark.attack(79)
@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b'{"a":1}{}', id="two objects"),
        pytest.param(b'{"client_name":"a","client_name":"b"}', id="a name twice"),
        pytest.param(b'{"jwks":{"keys":[],"keys":[]}}', id="a name twice, deeper"),
        pytest.param(b'{"default_max_age":NaN}', id="NaN"),
        pytest.param(b'{"default_max_age":Infinity}', id="Infinity"),
        pytest.param(b'{"default_max_age":' + b"9" * 5000 + b"}", id="a number beyond measure"),
        pytest.param(b"[" * 50_000, id="nesting beyond measure"),
        pytest.param('{"client_name":"ä"}'.encode("latin-1"), id="no UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"redirect_uris":["https://app.example/callback"]}', id="a byte order mark"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(document):
    assert refusal_of(parse_client_metadata, document, STRANGER) == (
        ErrorCode.INVALID_CLIENT_METADATA,
        Refusal.BODY_MALFORMED,
    )


@pytest.mark.attack(79)
def test_the_document_is_at_most_64_kib():
    body = json.dumps(DOCUMENT | {"x": ""}).encode()
    longest = body.replace(b'"x": ""', b'"x": "' + b"x" * (MAX_DOCUMENT_BYTES - len(body)) + b'"')
    assert len(longest) == MAX_DOCUMENT_BYTES
    assert parse_client_metadata(longest, STRANGER).redirect_uris == (CALLBACK,)
    assert refusal_of(parse_client_metadata, longest + b" ", STRANGER) == (
        ErrorCode.INVALID_CLIENT_METADATA,
        Refusal.BODY_TOO_LARGE,
    )


ODD = [True, 7, -1.5, [], {}, [[]], [7], [None], {"a": 1}, "\x00", "a\u0000b", "\ud800", "x" * 3000]


@pytest.mark.attack(79)
@pytest.mark.parametrize("member", [*FULL, "jwks_uri", *OPERATORS])
def test_an_odd_value_is_taken_or_refused_as_oauth_says(member):
    """SECURITY fact 13: Authlib alone raises other exceptions here."""
    refusals = [refused(register, policy=OPERATOR, **{member: value}) for value in ODD]
    assert {error.error for error in refusals if error} <= REGISTRATION_ERRORS
    assert any(refusals)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FULL, "jwks_uri", *OPERATORS]) | st.text(max_size=10), JSON, max_size=6))
def test_no_document_escapes_as_another_exception(document):
    for policy in (STRANGER, OPERATOR):
        error = refused(register_value, FULL | document, policy)
        assert error is None or error.error in REGISTRATION_ERRORS


@given(st.binary(max_size=80))
def test_no_body_escapes_as_another_exception(body):
    error = refused(parse_client_metadata, body, STRANGER)
    assert error is None or error.error is ErrorCode.INVALID_CLIENT_METADATA
