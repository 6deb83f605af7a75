"""RFC 9068 §2.2, OIDC Core §2, §3.1.3.6, §5.1, §5.4."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha512
from uuid import UUID

import pytest
from authlib.oidc.core import CodeIDToken, UserInfo
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.claims import (
    RESERVED_CLAIMS,
    build_access_token_claims,
    build_id_token_claims,
    build_jti,
    build_userinfo_claims,
    parse_jti,
    present,
)
from authserver.oauth.scope import OFFLINE_ACCESS, SCOPE_CLAIMS
from authserver.oauth.values import Authorization
from tests.oauth.examples import ISSUER, NOTES, NOW, SESSION, USER, WEB

GRANT_ID = UUID("01890000-0000-7000-8000-00000000000a")
ENTROPY = bytes(range(8))
AUTHORIZATION = Authorization(
    subject=USER.sub,
    scope=frozenset({"openid", "notes:read"}),
    audience=(NOTES.identifier,),
    access_token_lifetime=timedelta(minutes=5),
    grant_id=GRANT_ID,
    session_id=SESSION.id,
    user=USER,
    nonce="n-0S6_WzA2Mj",
    auth_time=SESSION.auth_time,
    acr="aal1",
    amr=("pwd",),
)
BY_ITSELF = Authorization(
    subject=WEB.client_id,
    scope=frozenset({"notes:read"}),
    audience=(NOTES.identifier,),
    access_token_lifetime=timedelta(minutes=5),
)
FULL = replace(
    USER,
    name="Ada Lovelace",
    given_name="Ada",
    family_name="Lovelace",
    middle_name="King",
    nickname="Countess",
    profile="https://ada.example",
    picture="https://ada.example/p.png",
    website="https://ada.example/w",
    gender="female",
    birthdate=date(1815, 12, 10),
    zoneinfo="Europe/London",
    locale="en-GB",
    phone_number="+441234567",
    phone_number_verified=True,
    address="12 St James's Square\nLondon",
)


def access_token(authorization=AUTHORIZATION, **changed):
    values = {"issuer": ISSUER, "client_id": WEB.client_id, "now": NOW, "entropy": ENTROPY} | changed
    return build_access_token_claims(authorization, **values)


def id_token(authorization=AUTHORIZATION, **changed):
    values = {
        "issuer": ISSUER,
        "client_id": WEB.client_id,
        "lifetime": timedelta(minutes=5),
        "now": NOW,
        "access_token": "eyJ.a.b",
        "alg": "ES256",
    } | changed
    return build_id_token_claims(authorization, **values)


def test_an_access_token_says_what_rfc_9068_wants():
    assert access_token() == {
        "iss": ISSUER,
        "sub": USER.sub,
        "aud": NOTES.identifier,
        "client_id": WEB.client_id,
        "scope": "notes:read openid",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
        "jti": build_jti(GRANT_ID, ENTROPY),
        "sid": str(SESSION.id),
        "auth_time": int(SESSION.auth_time.timestamp()),
        "acr": "aal1",
    }


@pytest.mark.attack(35)
def test_a_clients_own_token_has_no_user_no_session_and_no_grant():
    claims = access_token(BY_ITSELF)
    assert claims["sub"] == claims["client_id"] == WEB.client_id
    assert not {"sid", "auth_time", "acr", "amr"} & claims.keys()
    assert parse_jti(claims["jti"]) is None


@pytest.mark.parametrize(
    ("audience", "aud"),
    [
        pytest.param((), ISSUER, id="none: the issuer"),
        pytest.param(("https://a",), "https://a", id="one: a string"),
        pytest.param(("https://a", "https://b"), ["https://a", "https://b"], id="several: an array"),
    ],
)
def test_the_audience_is_the_resources(audience, aud):
    assert access_token(replace(AUTHORIZATION, audience=audience))["aud"] == aud


def test_fractions_of_a_second_are_cut_off():
    claims = access_token(now=NOW.replace(microsecond=999_999))
    assert claims["iat"] == int(NOW.timestamp())
    assert all(isinstance(claims[name], int) for name in ("iat", "exp", "auth_time"))


def test_an_empty_scope_is_left_out():
    assert "scope" not in access_token(replace(AUTHORIZATION, scope=frozenset()))


def test_an_id_token_says_what_openid_connect_wants():
    assert id_token() == {
        "iss": ISSUER,
        "sub": USER.sub,
        "aud": WEB.client_id,
        "exp": int(NOW.timestamp()) + 300,
        "iat": int(NOW.timestamp()),
        "auth_time": int(SESSION.auth_time.timestamp()),
        "nonce": "n-0S6_WzA2Mj",
        "acr": "aal1",
        "amr": ["pwd"],
        "at_hash": id_token()["at_hash"],
        "sid": str(SESSION.id),
    }


def test_authlib_reads_the_id_token_as_a_client_does():
    claims = CodeIDToken(
        id_token(alg="RS256"), {"alg": "RS256"}, params={"nonce": "n-0S6_WzA2Mj", "access_token": "eyJ.a.b"}
    )
    claims.validate(now=int(NOW.timestamp()))


@pytest.mark.parametrize(
    ("alg", "at_hash"),
    [
        # OIDC Core A.3 verbatim: the access token and its at_hash
        pytest.param("RS256", "77QmUPtjPfzWtF2AnpK9RQ", id="oidc-core-A.3"),
        pytest.param("ES256", "77QmUPtjPfzWtF2AnpK9RQ", id="the same hash"),
        pytest.param(
            "EdDSA",
            urlsafe_b64encode(sha512(b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y").digest()[:32])
            .decode()
            .rstrip("="),
            id="SHA-512 for Ed25519",
        ),
    ],
)
def test_at_hash_uses_the_hash_of_the_id_tokens_algorithm(alg, at_hash):
    assert id_token(access_token="jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", alg=alg)["at_hash"] == at_hash


def test_an_id_token_without_nonce_or_session_leaves_them_out():
    claims = id_token(replace(AUTHORIZATION, nonce=None, session_id=None, acr=None, amr=(), auth_time=None))
    assert not {"nonce", "sid", "acr", "amr", "auth_time"} & claims.keys()


@pytest.mark.attack(68)
def test_every_claim_the_issuer_makes_is_reserved():
    assert set(access_token()) | set(id_token()) <= RESERVED_CLAIMS
    assert not RESERVED_CLAIMS & (set(UserInfo.REGISTERED_CLAIMS) - {"sub"})


def test_the_scope_table_is_authlibs():
    assert {scope: set(names) for scope, names in SCOPE_CLAIMS.items() if scope != OFFLINE_ACCESS} == {
        scope: set(names) for scope, names in UserInfo.SCOPES_CLAIMS_MAPPING.items()
    }


@pytest.mark.parametrize("scope", ["", "openid", "notes:read", "offline_access", "unknown"])
def test_userinfo_says_who_it_is_and_no_more(scope):
    assert build_userinfo_claims(FULL, frozenset(scope.split())) == {"sub": USER.sub}


def test_userinfo_says_what_the_scopes_ask_for():
    assert build_userinfo_claims(FULL, frozenset({"openid", "profile", "email", "address", "phone"})) == {
        "sub": USER.sub,
        "name": "Ada Lovelace",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "middle_name": "King",
        "nickname": "Countess",
        "preferred_username": "ada",
        "profile": "https://ada.example",
        "picture": "https://ada.example/p.png",
        "website": "https://ada.example/w",
        "gender": "female",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "updated_at": int(USER.updated_at.timestamp()),
        "email": "ada@example.com",
        "email_verified": True,
        "phone_number": "+441234567",
        "phone_number_verified": True,
        "address": {"formatted": "12 St James's Square\nLondon"},
    }


def test_userinfo_leaves_out_what_is_not_known():
    nobody = replace(USER, email=None, email_verified=False)
    claims = build_userinfo_claims(nobody, frozenset({"openid", "profile", "email", "address", "phone"}))
    assert claims == {
        "sub": USER.sub,
        "preferred_username": "ada",
        "updated_at": int(USER.updated_at.timestamp()),
    }


def test_an_unverified_address_is_said_to_be_so():
    claims = build_userinfo_claims(replace(USER, email_verified=False), frozenset({"email"}))
    assert claims == {"sub": USER.sub, "email": "ada@example.com", "email_verified": False}


def test_present_keeps_what_only_looks_empty():
    kept = present({"no": False, "zero": 0, "none": None, "blank": "", "list": []})
    assert kept == {"no": False, "zero": 0}


@given(st.uuids().filter(lambda value: value.int), st.binary(min_size=8, max_size=8))
def test_a_jti_leads_back_to_its_grant(grant_id, entropy):
    jti = build_jti(grant_id, entropy)
    assert parse_jti(jti) == grant_id
    assert len(jti) == 32
    assert "=" not in jti


@pytest.mark.parametrize(
    "jti",
    [None, 7, "", "x" * 31, "x" * 33, "é" * 32, "+" * 32, " " * 32, "A" * 30 + "==", "A" * 31 + "\n"],
    ids=repr,
)
def test_what_is_no_jti_of_ours_has_no_grant(jti):
    assert parse_jti(jti) is None


@given(st.text(max_size=40) | st.text(alphabet="ABCabc-_=+/", min_size=32, max_size=32))
def test_no_jti_escapes_as_an_exception(jti):
    grant_id = parse_jti(jti)
    assert grant_id is None or build_jti(grant_id, bytes(8))[:20] == jti[:20]


@pytest.mark.parametrize("entropy", [b"", bytes(7), bytes(9)])
def test_a_jti_is_not_made_with_too_little_chance(entropy):
    with pytest.raises(ValueError, match="8 bytes"):
        build_jti(GRANT_ID, entropy)
