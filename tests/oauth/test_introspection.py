"""RFC 7662 §2.1, §2.2, §4; RFC 9701 §5."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from authserver.oauth.claims import build_jti
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.introspection import (
    INACTIVE,
    build_access_token_response,
    build_refresh_token_response,
    build_signed_claims,
    check_caller,
    is_live,
    may_ask,
    narrow,
)
from authserver.oauth.values import AuthMethod, Grant
from tests.oauth.examples import ISSUER, KNOWN, MAIL, NATIVE, NOTES, NOW, SESSION, USER, WEB, refused

GRANT = Grant(
    id=UUID("01890000-0000-7000-8000-00000000000a"),
    client_id=WEB.client_id,
    user_id=USER.id,
    session_id=SESSION.id,
    scope=frozenset({"openid", "notes:read"}),
    resources=(NOTES.identifier,),
    acr="aal1",
    amr=("pwd",),
    auth_time=SESSION.auth_time,
    secret_hash=b"hash",
    generation=1,
    rotated_at=NOW,
    expires_at=NOW + timedelta(days=30),
    created_at=NOW,
)
CLAIMS = {
    "iss": ISSUER,
    "sub": USER.sub,
    "aud": NOTES.identifier,
    "client_id": WEB.client_id,
    "scope": "notes:read openid",
    "exp": 2,
    "iat": 1,
    "jti": build_jti(GRANT.id, bytes(8)),
}
OWN = CLAIMS | {"sub": WEB.client_id, "jti": build_jti(None, bytes(8))}
API = replace(WEB, client_id="notes-api", introspects=(MAIL.identifier, NOTES.identifier))


@pytest.mark.attack(48)
@pytest.mark.parametrize(
    ("caller", "claims", "allowed"),
    [
        pytest.param(WEB, CLAIMS, True, id="the client it was issued to"),
        pytest.param(API, CLAIMS, True, id="a resource server of its audience"),
        pytest.param(API, CLAIMS | {"aud": ["https://x", NOTES.identifier]}, True, id="one of several audiences"),
        pytest.param(API, CLAIMS | {"aud": "https://x"}, False, id="another audience"),
        pytest.param(API, CLAIMS | {"aud": ISSUER}, False, id="the issuer's own"),
        pytest.param(API, CLAIMS | {"aud": NOTES.identifier + "/deeper"}, False, id="only equal identifiers count"),
        pytest.param(replace(API, introspects=()), CLAIMS, False, id="a client that serves nothing"),
        pytest.param(replace(WEB, client_id="other"), CLAIMS, False, id="another client"),
        pytest.param(API, {}, False, id="a token that says nothing"),
    ],
)
def test_only_those_a_token_concerns_may_ask(caller, claims, allowed):
    assert may_ask(caller, claims) is allowed


@pytest.mark.attack(48)
def test_naming_a_client_id_is_not_enough_to_ask():
    assert refused(check_caller, WEB) is None
    error = refused(check_caller, NATIVE)
    assert (error.error, error.refusal, error.status) == (
        ErrorCode.INVALID_CLIENT,
        Refusal.CALLER_WITHOUT_CREDENTIALS,
        401,
    )
    assert check_caller(replace(WEB, token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT)) is None


@pytest.mark.attack(36)
@pytest.mark.parametrize(
    ("changed", "live"),
    [
        pytest.param({}, True, id="everything stands"),
        pytest.param({"client": None}, False, id="the client is gone"),
        pytest.param({"client": replace(WEB, disabled_at=NOW)}, False, id="the client is disabled"),
        pytest.param({"client": replace(WEB, deleted_at=NOW)}, False, id="the client is deleted"),
        pytest.param({"client": replace(WEB, client_id="other")}, False, id="the token is another client's"),
        pytest.param({"grant": None}, False, id="the grant is purged"),
        pytest.param({"grant": replace(GRANT, revoked_at=NOW)}, False, id="the grant is revoked"),
        pytest.param({"grant": replace(GRANT, id=UUID(int=1))}, False, id="another grant"),
        pytest.param({"grant": replace(GRANT, client_id="other")}, False, id="the grant is another client's"),
        pytest.param({"user": None}, False, id="the user is gone"),
        pytest.param({"user": replace(USER, id=UUID(int=1))}, False, id="another user"),
        pytest.param({"user": replace(USER, disabled_at=NOW)}, False, id="the user is disabled"),
        pytest.param({"user": replace(USER, deleted_at=NOW)}, False, id="the user is deleted"),
    ],
)
def test_a_token_lives_as_long_as_what_it_rests_on(changed, live):
    assert is_live(CLAIMS, **({"client": WEB, "grant": GRANT, "user": USER} | changed)) is live


@pytest.mark.parametrize(
    ("claims", "live"),
    [
        pytest.param(OWN, True, id="client_credentials"),
        pytest.param(OWN | {"sub": USER.sub}, False, id="a user's token that names no grant"),
        pytest.param({name: value for name, value in CLAIMS.items() if name != "jti"}, False, id="without jti"),
    ],
)
def test_only_a_clients_own_token_needs_no_grant(claims, live):
    assert is_live(claims, client=WEB, grant=None, user=None) is live


def test_a_live_access_token_is_told_by_its_own_claims():
    assert build_access_token_response(CLAIMS) == {"active": True, "token_type": "Bearer", **CLAIMS}


def test_a_refresh_token_is_told_without_its_inner_state():
    response = build_refresh_token_response(
        GRANT, issuer=ISSUER, issued_at=NOW, expires_at=NOW + timedelta(seconds=1.5)
    )
    assert response == {
        "active": True,
        "iss": ISSUER,
        "sub": USER.sub,
        "client_id": WEB.client_id,
        "scope": "notes:read openid",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 1,
    }


@pytest.mark.attack(48)
def test_everybody_else_learns_one_word():
    assert dict(INACTIVE) == {"active": False}


SHARED = CLAIMS | {"aud": [NOTES.identifier, MAIL.identifier], "scope": "openid notes:read mail:send shared"}
NOTES_API = replace(API, introspects=(NOTES.identifier,))


@pytest.mark.attack(48)
@pytest.mark.parametrize(
    ("caller", "claims", "scope"),
    [
        pytest.param(NOTES_API, SHARED, "openid notes:read", id="9701-5 the scope of others is left out"),
        pytest.param(API, SHARED, SHARED["scope"], id="9701-5 a server of both sees both"),
        pytest.param(WEB, SHARED, SHARED["scope"], id="the client may know all it was given"),
        pytest.param(NOTES_API, CLAIMS, CLAIMS["scope"], id="one audience has one scope"),
    ],
)
def test_a_resource_server_sees_the_scope_that_is_its_business(caller, claims, scope):
    assert narrow(claims, caller, KNOWN) == claims | {"scope": scope}


def test_a_token_without_scope_stays_without():
    claims = {name: value for name, value in SHARED.items() if name != "scope"}
    assert narrow(claims, NOTES_API, KNOWN) == claims


def test_a_signed_response_keeps_what_is_said_of_the_token_apart():
    claims = build_signed_claims({"active": True, "sub": "s", "exp": 1}, issuer=ISSUER, audience="notes-api", now=NOW)
    assert claims == {
        "iss": ISSUER,
        "aud": "notes-api",
        "iat": int(NOW.timestamp()),
        "token_introspection": {"active": True, "sub": "s", "exp": 1},
    }
