"""Our own JWTs: joserfc and PyJWT read what we sign, and nothing else passes for ours (RFC 8725, RFC 9068)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, KeySet, OctKey

from authserver.jose.compact import Fault, TokenError, decode_base64url, encode_base64url
from authserver.jose.jwt import sign, sign_access_token, verify_own
from tests.jose.keys import ISSUER, NOW, both, ring, row

IAT = int(NOW.timestamp())
CLAIMS = {"iss": ISSUER, "sub": "u", "aud": "https://api.example", "iat": IAT, "exp": IAT + 300, "scope": "api:read"}
KEY = row("ES256")
PUBLIC = ECKey.import_key(dict(KEY.public_jwk))


def access_token(**changes):
    return sign_access_token(both(), CLAIMS | changes, now=NOW)


def forge(header, claims=CLAIMS, key=None, alg=None):
    """A token with any header, signed with our own key or with the attacker's."""
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    signing_input = f"{encode_base64url(json.dumps(header).encode())}.{encode_base64url(payload.encode())}"
    model = jws.JWSRegistry.algorithms[alg or "ES256"]
    signature = model.sign(signing_input.encode(), key or both().signing_key("ES256", NOW).key)
    return f"{signing_input}.{encode_base64url(signature)}"


def fault_of(token, typ="at+jwt", keyring=None, now=NOW):
    with pytest.raises(TokenError) as caught:
        verify_own(keyring or both(), token, typ=typ, now=now)
    return caught.value.fault


HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}


def test_an_access_token_is_what_joserfc_would_have_made_but_for_the_random_signature():
    token = access_token()
    decoded = joserfc_jwt.decode(token, KeySet.import_key_set(json.loads(both().jwks(NOW).body)), algorithms=["ES256"])
    assert decoded.header == {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}
    assert decoded.claims == CLAIMS
    payload = json.dumps(CLAIMS, separators=(",", ":"))
    made = jws.serialize_compact(HEADER, payload, both().signing_key("ES256", NOW).key, algorithms=["ES256"])
    assert made.rpartition(".")[0] == token.rpartition(".")[0], "the same bytes are signed"


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.lists(st.text())))
def test_whatever_claims_are_signed_joserfc_reads_the_same(claims):
    token = sign_access_token(both(), claims, now=NOW)
    assert json.loads(jws.deserialize_compact(token, PUBLIC, algorithms=["ES256"]).payload) == claims


def test_signatures_keep_their_length_when_a_half_begins_with_zeros():
    """One in 256 has a leading zero octet in r or in s (RFC 7518 §3.4)."""
    assert {len(access_token(jti=str(number)).rpartition(".")[2]) for number in range(600)} == {86}


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_an_id_token_is_read_by_pyjwt(alg):
    token = sign(both(), CLAIMS, alg=alg, typ="JWT", now=NOW)
    key = pyjwt.PyJWK(dict(row(alg).public_jwk)).key
    options = {"verify_exp": False, "verify_iat": False}
    assert pyjwt.decode(token, key, algorithms=[alg], audience=CLAIMS["aud"], issuer=ISSUER, options=options) == CLAIMS
    assert pyjwt.get_unverified_header(token) == {"alg": alg, "typ": "JWT", "kid": row(alg).kid}


def test_claims_that_no_other_reader_would_understand_are_a_bug():
    with pytest.raises(ValueError, match="JSON"):
        access_token(exp=float("nan"))


def test_our_own_tokens_come_back_as_their_claims():
    assert verify_own(both(), access_token(), typ="at+jwt", now=NOW) == CLAIMS
    id_token = sign(both(), CLAIMS, alg="RS256", typ="JWT", now=NOW)
    assert verify_own(both(), id_token, typ="JWT", now=NOW) == CLAIMS


@pytest.mark.attack(34)
def test_one_kind_of_token_is_not_taken_for_another():
    kinds = {typ: sign(both(), CLAIMS, alg="ES256", typ=typ, now=NOW) for typ in ("JWT", "at+jwt", "logout+jwt")}
    for typ, token in kinds.items():
        for expected in kinds:
            if typ != expected:
                assert fault_of(token, expected) is Fault.TYPE


@pytest.mark.attack(59)
@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "", "ES256 "])
def test_a_token_without_signature_is_refused(alg):
    header = json.dumps(HEADER | {"alg": alg}).encode()
    body = f"{encode_base64url(header)}.{encode_base64url(json.dumps(CLAIMS).encode())}"
    assert fault_of(f"{body}.") is Fault.MALFORMED
    assert fault_of(f"{body}.AAAA") is Fault.ALGORITHM


@pytest.mark.attack(59)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_our_public_key_is_not_taken_for_an_hmac_secret(encoding, alg):
    secrets = [
        PUBLIC.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(dict(KEY.public_jwk)).encode(),
    ]
    for secret in secrets:
        token = forge(HEADER | {"alg": alg}, key=OctKey(secret, secret), alg=alg)
        assert fault_of(token) is Fault.ALGORITHM


@pytest.mark.attack(60)
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "cty", "zip", "b64", "nonce"])
def test_a_header_with_anything_of_its_own_is_refused(member):
    attacker = ECKey.generate_key("P-256")
    header = HEADER | {member: attacker.as_dict(private=False)}
    assert fault_of(forge(header, key=attacker)) is Fault.MALFORMED
    assert fault_of(forge(header)) is Fault.MALFORMED


@pytest.mark.attack(60)
@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' or 1=1 --", "", "\x00", KEY.kid + " ", KEY.kid[:-1], KEY.kid.swapcase()],
    ids=["a path", "SQL", "empty", "NUL", "a blank more", "a letter less", "other case"],
)
def test_a_key_id_is_looked_up_and_nothing_else(kid):
    assert fault_of(forge(HEADER | {"kid": kid})) is Fault.KEY_UNKNOWN


@pytest.mark.attack(59)
@pytest.mark.attack(65)
def test_a_key_serves_its_own_algorithm_only():
    token = forge(HEADER | {"alg": "RS256"}, key=both().signing_key("RS256", NOW).key, alg="RS256")
    assert fault_of(token) is Fault.ALGORITHM
    assert fault_of(forge(HEADER | {"kid": row("RS256").kid})) is Fault.ALGORITHM


@pytest.mark.attack(65)
@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(bytes(64), id="r and s are 0 (CVE-2022-21449)"),
        pytest.param(b"\xff" * 64, id="r and s above the order"),
        pytest.param(bytes(63), id="an octet short"),
        pytest.param(bytes(65), id="an octet long"),
        pytest.param(b"\x30\x06\x02\x01\x01\x02\x01\x01", id="DER"),
        pytest.param(b"\x01", id="one octet"),
    ],
)
def test_a_wrong_signature_is_refused(signature):
    assert fault_of(f"{access_token().rpartition('.')[0]}.{encode_base64url(signature)}") is Fault.SIGNATURE


@pytest.mark.attack(64, 65)
def test_a_right_signature_has_one_length():
    """An octet of zeros before r or s changes neither number."""
    signed, _, signature = access_token().rpartition(".")
    octets = decode_base64url(signature)
    r, s = octets[:32], octets[32:]
    for longer in (r + b"\0" + s, b"\0" + r + b"\0" + s, octets + b"\0"):
        assert fault_of(f"{signed}.{encode_base64url(longer)}") is Fault.SIGNATURE


@pytest.mark.attack(31)
def test_one_changed_character_anywhere_is_refused():
    token = access_token()
    for position in range(len(token)):
        other = "A" if token[position] != "A" else "B"
        with pytest.raises(TokenError):
            verify_own(both(), token[:position] + other + token[position + 1 :], typ="at+jwt", now=NOW)
        with pytest.raises(TokenError):
            verify_own(both(), token[:position], typ="at+jwt", now=NOW)


@pytest.mark.attack(64)
def test_a_name_twice_is_refused_even_with_a_right_signature():
    twice = json.dumps(CLAIMS)[:-1] + ',"exp":9999999999}'
    assert fault_of(forge(HEADER, claims=twice)) is Fault.MALFORMED


def test_a_token_of_another_issuer_is_refused_although_the_key_is_ours():
    assert fault_of(access_token(iss="https://other.example")) is Fault.ISSUER
    assert fault_of(access_token(iss=[ISSUER])) is Fault.ISSUER


@pytest.mark.attack(66)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [True, None, "1900000000", [1], {}, "x"], ids=repr)
def test_a_time_is_a_number(name, value):
    assert fault_of(forge(HEADER, claims=CLAIMS | {name: value})) is Fault.CLAIMS


@pytest.mark.attack(66)
def test_a_token_without_end_is_refused():
    assert fault_of(forge(HEADER, claims={k: v for k, v in CLAIMS.items() if k != "exp"})) is Fault.CLAIMS


@pytest.mark.fault("B11")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"exp": IAT}, Fault.EXPIRED, id="expires this very second"),
        pytest.param({"exp": IAT - 1.5}, Fault.EXPIRED, id="expired, with a fraction"),
        pytest.param({"iat": IAT + 61}, Fault.NOT_YET_VALID, id="issued in more than a minute"),
        pytest.param({"nbf": IAT + 61}, Fault.NOT_YET_VALID, id="valid in more than a minute"),
    ],
)
def test_a_token_is_valid_in_its_time_only(changes, fault):
    assert fault_of(forge(HEADER, claims=CLAIMS | changes)) is fault


def test_the_clock_of_another_node_may_be_a_minute_ahead():
    assert verify_own(both(), access_token(iat=IAT + 60, exp=IAT + 1), typ="at+jwt", now=NOW)["exp"] == IAT + 1


def test_a_hint_may_be_expired_but_must_be_ours():
    hint = sign(both(), CLAIMS, alg="ES256", typ="JWT", now=NOW)
    later = NOW + timedelta(days=30)
    assert verify_own(both(), hint, typ="JWT", now=later, accept_expired=True) == CLAIMS
    assert fault_of(hint, "JWT", now=later) is Fault.EXPIRED
    with pytest.raises(TokenError):
        verify_own(both(), hint[:-2] + "AA", typ="JWT", now=later, accept_expired=True)


@pytest.mark.fault("B17")
def test_a_token_of_a_revoked_or_dropped_key_is_refused():
    token = access_token()
    assert fault_of(token, keyring=ring(replace(KEY, revoked_at=NOW))) is Fault.KEY_UNKNOWN
    dropped = ring(replace(KEY, sign_until=NOW, drop_at=NOW + timedelta(seconds=1)))
    assert verify_own(dropped, token, typ="at+jwt", now=NOW)
    assert fault_of(token, keyring=dropped, now=NOW + timedelta(seconds=1)) is Fault.KEY_UNKNOWN


@given(st.text() | st.builds(lambda header, rest: encode_base64url(header) + "." + rest, st.binary(), st.text()))
def test_no_text_is_taken_for_a_token_or_escapes_as_another_error(text):
    with pytest.raises(TokenError):
        verify_own(both(), text, typ="at+jwt", now=NOW)
