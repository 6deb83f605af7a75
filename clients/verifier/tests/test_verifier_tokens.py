"""What a token must look like and say (RFC 7515 §5.2, RFC 8725 §3, RFC 9068 §2.2 and §4; SECURITY A5)."""

import base64
import binascii
import hmac
import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authserver_verifier import Refusal, TokenRefusedError, Verifier
from authserver_verifier.jwt import MAX_TOKEN_BYTES, decode_segment, parse_token
from authserver_verifier.testing import FakeIssuer, encode_segment, generate_key

AUDIENCE = "https://notes.example.com"
NOW = 1_800_000_000
LEEWAY = 10


def test_a_good_token_says_who_may_do_what_until_when(verify, issuer):
    token = verify.verify(issuer.token(AUDIENCE, scope="notes.read notes.write", sid="s1"))
    assert (token.subject, token.client_id, token.scope) == ("alice", "notes-app", {"notes.read", "notes.write"})
    assert token.expires_at.timestamp() == NOW + 300
    assert token.key_id == issuer.keys[0].kid
    assert token.claims["sid"] == "s1"
    with pytest.raises(TypeError):
        token.claims["sub"] = "mallory"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_each_accepted_algorithm_verifies(algorithm, clocks):
    with FakeIssuer(generate_key(algorithm), clock=clocks.wall) as issuer:
        verify = Verifier(issuer.url, AUDIENCE, clock=clocks.wall, monotonic=clocks.monotonic)
        assert verify.verify(issuer.token(AUDIENCE)).subject == "alice"


def test_an_algorithm_that_was_not_chosen_is_refused(issuer, clocks, refused):
    verify = Verifier(issuer.url, AUDIENCE, algorithms=["EdDSA"], clock=clocks.wall)
    with refused(Refusal.ALGORITHM_NOT_ALLOWED):
        verify.verify(issuer.token(AUDIENCE))


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        pytest.param({"iss": "https://evil.example"}, Refusal.ISSUER_WRONG, id="another issuer"),
        pytest.param({"iss": None}, Refusal.ISSUER_WRONG, id="no issuer"),
        pytest.param({"aud": "https://notes.example.com/"}, Refusal.AUDIENCE_WRONG, id="audience with a slash more"),
        pytest.param({"aud": ["https://a.example", "https://b.example"]}, Refusal.AUDIENCE_WRONG, id="other audiences"),
        pytest.param({"aud": []}, Refusal.AUDIENCE_WRONG, id="no audience in the list"),
        pytest.param({"aud": None}, Refusal.CLAIM_MALFORMED, id="no audience"),
        pytest.param({"exp": None}, Refusal.CLAIM_MALFORMED, id="no exp"),
        pytest.param({"exp": NOW - LEEWAY}, Refusal.EXPIRED, id="over this very second, leeway included"),
        pytest.param({"iat": None}, Refusal.CLAIM_MALFORMED, id="no iat"),
        pytest.param({"iat": NOW + LEEWAY + 1}, Refusal.ISSUED_IN_THE_FUTURE, id="issued later than the leeway"),
        pytest.param({"nbf": NOW + LEEWAY + 1}, Refusal.NOT_YET_VALID, id="not yet valid"),
        pytest.param({"nbf": "now"}, Refusal.CLAIM_MALFORMED, id="nbf a string"),
        pytest.param({"sub": None}, Refusal.CLAIM_MALFORMED, id="no subject"),
        pytest.param({"sub": ""}, Refusal.CLAIM_MALFORMED, id="empty subject"),
        pytest.param({"sub": 7}, Refusal.CLAIM_MALFORMED, id="subject a number"),
        pytest.param({"client_id": None}, Refusal.CLAIM_MALFORMED, id="no client"),
        pytest.param({"jti": None}, Refusal.CLAIM_MALFORMED, id="no jti"),
        pytest.param({"scope": ["notes.read"]}, Refusal.CLAIM_MALFORMED, id="scope a list"),
    ],
)
def test_a_claim_that_is_missing_wrong_or_malformed_is_refused(claims, refusal, verify, issuer, refused):
    with refused(refusal):
        verify.verify(issuer.token(AUDIENCE, **claims))


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": ["https://other.example", AUDIENCE]}, id="one audience of several"),
        pytest.param({"exp": NOW - LEEWAY + 1}, id="expired within the leeway"),
        pytest.param({"iat": NOW + LEEWAY}, id="issued within the leeway"),
        pytest.param({"nbf": NOW + LEEWAY}, id="valid within the leeway"),
        pytest.param({"exp": NOW + 0.5}, id="a fraction of a second is a NumericDate"),
    ],
)
def test_what_is_allowed_at_the_edge_is_taken(claims, verify, issuer):
    assert verify.verify(issuer.token(AUDIENCE, **claims)).client_id == "notes-app"


def test_a_token_without_scope_carries_none(verify, issuer):
    assert verify.verify(issuer.token(AUDIENCE, scope=None)).scope == frozenset()


@pytest.mark.attack(66)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e400", "true", '"1800000300"', "-1", "9" * 400, "[1]", "null"])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_that_is_no_number_between_1970_and_9999_is_refused(name, value, verify, issuer):
    claims = {"iss": issuer.url, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "nbf": NOW, name: "VALUE"}
    with pytest.raises(TokenRefusedError) as caught:
        verify.verify(issuer.sign(json.dumps(claims).replace('"VALUE"', value).encode()))
    assert caught.value.refusal in {Refusal.CLAIM_MALFORMED, Refusal.JSON_MALFORMED, Refusal.ISSUED_IN_THE_FUTURE}
    assert caught.value.status == 401


@pytest.mark.attack(66)
@pytest.mark.parametrize("audience", [{AUDIENCE: True}, [AUDIENCE, 7], 7, True])
def test_an_audience_that_is_no_string_or_list_of_strings_is_refused(audience, verify, issuer, refused):
    with refused(Refusal.CLAIM_MALFORMED):
        verify.verify(issuer.token(AUDIENCE, aud=audience))


@pytest.mark.attack(34)
@pytest.mark.parametrize("token_type", ["JWT", "logout+jwt", "statuslist+jwt", "at+jwt ", "jwt;at+jwt", "", None, 7])
def test_a_token_of_another_type_is_no_access_token(token_type, verify, issuer, refused):
    with refused(Refusal.TYPE_WRONG):
        verify.verify(issuer.token(AUDIENCE, header={"typ": token_type}))


@pytest.mark.parametrize("token_type", ["at+jwt", "application/at+jwt", "AT+JWT"])
def test_both_spellings_of_the_type_are_taken_in_any_case(token_type, verify, issuer):
    assert verify.verify(issuer.token(AUDIENCE, header={"typ": token_type}))


@pytest.mark.attack(59)
@pytest.mark.parametrize("algorithm", ["none", "nOnE", "NONE", "", "HS256", "HS384", "ES384", "RS1", "es256", 7, None])
def test_an_algorithm_off_the_list_is_refused_however_it_is_signed(algorithm, verify, issuer, refused):
    header, payload, signature = issuer.token(AUDIENCE, header={"alg": algorithm}).split(".")
    for forged in (f"{header}.{payload}.", f"{header}.{payload}.{signature}"):
        with refused(Refusal.ALGORITHM_NOT_ALLOWED):
            verify.verify(forged)


@pytest.mark.attack(59)
def test_a_mac_made_with_the_public_key_is_refused(verify, issuer, refused):
    key = issuer.keys[0]
    secrets = [key.as_pem(private=False), key.as_der(private=False), json.dumps(key.as_dict(private=False)).encode()]
    header = encode_segment(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}).encode())
    payload = issuer.token(AUDIENCE).split(".")[1].encode()
    for secret in secrets:
        mac = hmac.digest(secret, header + b"." + payload, "sha256")
        with refused(Refusal.ALGORITHM_NOT_ALLOWED):
            verify.verify((header + b"." + payload + b"." + encode_segment(mac)).decode())


@pytest.mark.attack(59)
def test_an_allowed_algorithm_that_is_not_the_keys_own_is_refused(verify, issuer, refused):
    for algorithm in ("RS256", "EdDSA", "PS256"):
        with refused(Refusal.KEY_UNKNOWN):
            verify.verify(issuer.token(AUDIENCE, header={"alg": algorithm}))


@pytest.mark.attack(60)
def test_a_key_that_the_token_brings_along_is_not_looked_at(verify, issuer, refused):
    attacker = generate_key()
    public = attacker.as_dict(private=False)
    genuine = issuer.token(AUDIENCE, header={"jwk": public, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"})
    assert verify.verify(genuine).subject == "alice"
    own = issuer.keys[0]
    issuer.keys[0] = attacker
    embedded = {"jwk": public, "jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil", "x5c": ["MIIB"]}
    forged = [
        (issuer.token(AUDIENCE, header={**embedded, "kid": own.kid}), Refusal.SIGNATURE_WRONG),
        (issuer.token(AUDIENCE, header=embedded), Refusal.KEY_UNKNOWN),
    ]
    for token, refusal in forged:
        with refused(refusal):
            verify.verify(token)
    assert "/evil" not in issuer.requests


@pytest.mark.attack(60)
@pytest.mark.parametrize("key_id", ["../../dev/null", "' or 1=1", "\x00", "é", "\ud800", "k" * 256])
def test_a_foreign_key_id_is_only_ever_looked_up(key_id, verify, issuer, refused):
    verify.verify(issuer.token(AUDIENCE))
    with refused(Refusal.KEY_UNKNOWN):
        verify.verify(issuer.token(AUDIENCE, header={"kid": key_id}))


@pytest.mark.attack(60)
@pytest.mark.parametrize("key_id", [None, "", 7, ["a"], {"a": 1}, "k" * 257, "é" * 129])
def test_a_key_id_that_is_missing_or_too_long_is_refused(key_id, verify, issuer, refused):
    with refused(Refusal.KEY_ID_MALFORMED):
        verify.verify(issuer.token(AUDIENCE, header={"kid": key_id}))


@pytest.mark.attack(61)
@pytest.mark.parametrize("critical", [[], ["exp"], ["b64"], ["unheard-of"], "exp", None])
def test_a_critical_header_is_refused_whatever_it_lists(critical, verify, issuer, refused):
    key = issuer.keys[0]
    header = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid, "crit": critical, "b64": True}
    payload = issuer.token(AUDIENCE).split(".")[1].encode()
    token = issuer.sign_segments(json.dumps(header).encode(), base64.urlsafe_b64decode(payload + b"=="))
    with refused(Refusal.HEADER_CRITICAL):
        verify.verify(token)


@pytest.mark.attack(62)
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("." * 1_000_000, id="a million dots"),
        pytest.param("." * MAX_TOKEN_BYTES, id="as many dots as fit"),
        pytest.param("a" * (MAX_TOKEN_BYTES + 1), id="one byte too long"),
        pytest.param(encode_segment(b"[" * 6000).decode() + ".e30.AA", id="deep JSON in the header"),
        pytest.param(encode_segment(b'{"alg":' + b"9" * 6000 + b"}").decode() + ".e30.AA", id="a huge integer"),
        pytest.param(encode_segment(b'{"a":' * 1000).decode() + ".e30.AA", id="deep objects"),
    ],
)
def test_an_oversized_token_is_refused_before_it_costs_anything(token, verify, issuer):
    started = time.process_time()
    with pytest.raises(TokenRefusedError):
        verify.verify(token)
    assert time.process_time() - started < 0.05, "ten times the 5 ms that the row allows"
    assert not issuer.requests


@pytest.mark.attack(62)
def test_deep_claims_of_a_signed_token_are_refused_and_not_a_crash(verify, issuer, refused):
    with refused(Refusal.JSON_MALFORMED):
        verify.verify(issuer.sign(b'{"a":' + b"[" * 5000))


@pytest.mark.attack(63)
def test_an_encrypted_token_is_not_looked_into(verify, refused):
    for header in ({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9}, {"alg": "dir", "zip": "DEF"}):
        segment = encode_segment(json.dumps({"typ": "at+jwt", "kid": "k", **header}).encode()).decode()
        with refused(Refusal.NOT_COMPACT):
            verify.verify(f"{segment}.AA.AA.AA.AA")


@pytest.mark.attack(64)
def test_a_name_sent_twice_is_refused_in_the_header_and_anywhere_in_the_claims(verify, issuer, refused):
    key_id = issuer.keys[0].kid
    twice = f'{{"typ":"at+jwt","alg":"ES256","kid":"{key_id}","kid":"{key_id}"}}'.encode()
    tokens = [
        issuer.sign_segments(twice, b"{}"),
        issuer.sign(b'{"iss":"a","iss":"b"}'),
        issuer.sign(b'{"iss":"a","cnf":{"jkt":"a","jkt":"b"}}'),
    ]
    for token in tokens:
        with refused(Refusal.NAME_REPEATED):
            verify.verify(token)


@pytest.mark.attack(64)
def test_only_the_canonical_spelling_of_a_segment_is_taken(verify, issuer, refused):
    header, payload, signature = issuer.token(AUDIENCE).split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelled = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    misspelled = [
        f"{header}.{payload}.{respelled}",
        f"{header}.{payload}.{signature}==",
        f"{header}.{payload}.{signature}\n",
        f" {header}.{payload}.{signature}",
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}.{signature[:-2]}+/",
        f"{header}.{payload}.{signature[:-1]}",
        f"{header}.{payload}.",
        f".{payload}.{signature}",
    ]
    for token in misspelled:
        with refused(Refusal.NOT_CANONICAL):
            verify.verify(token)


@pytest.mark.attack(64)
def test_spare_bits_in_the_payload_are_refused_even_if_signed_over(verify, issuer, refused):
    key = issuer.keys[0]
    header = encode_segment(json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": key.kid}).encode())
    token = issuer.sign_segments(base64.urlsafe_b64decode(header + b"=="), b"{}")
    assert token.split(".")[1] == "e30"
    with refused(Refusal.SIGNATURE_WRONG):
        verify.verify(token.replace(".e30.", ".e31."))


@pytest.mark.attack(64)
@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", '{"payload":"e30","signatures":[]}', "é.é.é"])
def test_what_is_no_compact_token_is_refused(token, verify):
    with pytest.raises(TokenRefusedError) as caught:
        verify.verify(token)
    assert caught.value.refusal in {Refusal.NOT_COMPACT, Refusal.NOT_CANONICAL}


@pytest.mark.attack(64)
@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"7", b"null", b"{} {}", b"{}x", b"\xff", b'\xef\xbb\xbf{"a":1}', b"{'a':1}"]
)
def test_claims_that_are_no_json_object_are_refused(payload, verify, issuer):
    with pytest.raises(TokenRefusedError) as caught:
        verify.verify(issuer.sign(payload))
    assert caught.value.refusal in {Refusal.JSON_MALFORMED, Refusal.NOT_CANONICAL}


@pytest.mark.attack(65)
@pytest.mark.parametrize("signature", [b"\0" * 64, b"\xff" * 64, b"\0" * 63, b"\0" * 65, b"0E\x02\x01\x01\x02\x01\x01"])
def test_a_signature_of_zeros_or_of_another_length_is_refused(signature, verify, issuer, refused):
    signing_input = issuer.token(AUDIENCE).rpartition(".")[0]
    with refused(Refusal.SIGNATURE_WRONG):
        verify.verify(f"{signing_input}.{encode_segment(signature).decode()}")


THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.mark.attack(76)
@pytest.mark.parametrize(
    ("confirmation", "refusal"),
    [
        pytest.param({"jkt": THUMBPRINT}, Refusal.BOUND_TO_A_KEY, id="a DPoP key"),
        pytest.param({"x5t#S256": THUMBPRINT}, Refusal.BOUND_TO_A_KEY, id="a certificate"),
        pytest.param({"jkt": THUMBPRINT, "x5t#S256": THUMBPRINT}, Refusal.BOUND_TO_A_KEY, id="both"),
        pytest.param({"jwk": {"kty": "EC"}}, Refusal.BOUND_TO_A_KEY, id="a way that is not known here"),
        pytest.param(
            {"jkt": THUMBPRINT, "kid": "x"}, Refusal.BOUND_TO_A_KEY, id="one that is known and one that is not"
        ),
        pytest.param({"jkt": "thumbprint"}, Refusal.CLAIM_MALFORMED, id="no thumbprint"),
        pytest.param({"jkt": 7}, Refusal.CLAIM_MALFORMED, id="a number"),
        pytest.param({}, Refusal.CLAIM_MALFORMED, id="nothing"),
        pytest.param("jkt", Refusal.CLAIM_MALFORMED, id="no object"),
    ],
)
def test_a_token_bound_to_a_key_is_no_bearer_token(confirmation, refusal, verify, issuer, refused):
    with refused(refusal):
        verify.verify(issuer.token(AUDIENCE, cnf=confirmation))


def test_a_confirmation_that_is_null_is_malformed_and_not_absent(verify, issuer, refused):
    claims = json.loads(base64.urlsafe_b64decode(issuer.token(AUDIENCE).split(".")[1] + "=="))
    with refused(Refusal.CLAIM_MALFORMED):
        verify.verify(issuer.sign(json.dumps({**claims, "cnf": None}).encode()))


def test_every_bit_of_a_token_counts(verify, issuer):
    token = issuer.token(AUDIENCE)
    verify.verify(token)
    for position in range(0, len(token), 7):
        other = "A" if token[position] != "A" else "B"
        with pytest.raises(TokenRefusedError):
            verify.verify(token[:position] + other + token[position + 1 :])


@given(st.binary(min_size=1, max_size=60))
def test_a_segment_is_read_as_it_was_written(octets):
    assert decode_segment(encode_segment(octets)) == octets


@pytest.mark.attack(64)
@given(st.text(alphabet="AQgwz019-_+/=\n !", min_size=1, max_size=9).map(str.encode))
def test_of_all_spellings_of_a_segment_only_the_one_that_is_written_is_read(segment):
    try:
        octets = decode_segment(segment)
    except TokenRefusedError:
        with suppress(binascii.Error):
            loosely = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
            assert not loosely or encode_segment(loosely) != segment
    else:
        assert encode_segment(octets) == segment


SEGMENTS = st.one_of(
    st.binary(max_size=40).map(encode_segment),
    st.dictionaries(st.sampled_from(["typ", "alg", "kid", "crit", "x"]), st.sampled_from(["at+jwt", "ES256", "k", 7]))
    .map(json.dumps)
    .map(str.encode)
    .map(encode_segment),
    st.binary(max_size=20),
)


@settings(max_examples=200)
@given(st.lists(SEGMENTS, max_size=5).map(b".".join))
def test_no_input_escapes_as_another_exception(token):
    with suppress(TokenRefusedError):
        parsed = parse_token(token, frozenset({"ES256"}))
        assert (parsed.algorithm, parsed.key_id) == ("ES256", "k")
