"""Which keys of the issuer are trusted (RFC 7517 §5, RFC 8725 §3), and which issuer is (RFC 8414 §3.3)."""

import gzip
import json
import warnings
from math import prod

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk
from joserfc.errors import SecurityWarning
from joserfc.jwa import JWS_ALGORITHMS

from authserver_verifier import IssuerUnavailableError, Refusal, Verifier
from authserver_verifier.issuer import freshness
from authserver_verifier.keys import (
    ALGORITHMS,
    MAX_KEYS,
    VerificationKey,
    _encode_ecdsa,
    parse_key_set,
    parse_proof_key,
)
from authserver_verifier.testing import encode_segment, generate_key

AUDIENCE = "https://notes.example.com"
EC = generate_key("ES256").as_dict(private=False)
RSA = generate_key("RS256").as_dict(private=False)
ED = generate_key("EdDSA").as_dict(private=False)
ORDER_8 = encode_segment(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")).decode()


def parse(*members):
    return parse_key_set(json.dumps({"keys": list(members)}).encode(), ALGORITHMS)


def encode(number, size=None, order="big"):
    return encode_segment(number.to_bytes(size or (number.bit_length() + 7) // 8, order)).decode()


def flawed_modulus():
    """A modulus with the fingerprint of CVE-2017-15361: a power of 65537 modulo every small prime."""
    product = prod(number for number in range(2, 168) if all(number % smaller for smaller in range(2, number)))
    return pow(65537, 12345, product) + product * ((1 << 2047) // product + 1)


def without(member, name):
    return {key: value for key, value in member.items() if key != name}


def test_each_key_is_found_by_its_id_and_its_one_algorithm():
    pss = {**RSA, "alg": "PS256", "kid": "pss"}
    assert set(parse(EC, RSA, ED, pss)) == {
        (EC["kid"], "ES256"),
        (RSA["kid"], "RS256"),
        (ED["kid"], "EdDSA"),
        ("pss", "PS256"),
    }


@pytest.mark.attack(65)
def test_a_key_without_an_algorithm_serves_one_all_the_same():
    assert set(parse(*(without(key, "alg") for key in (EC, RSA, ED)))) == {
        (EC["kid"], "ES256"),
        (RSA["kid"], "RS256"),
        (ED["kid"], "EdDSA"),
    }


def test_the_first_of_two_keys_with_one_name_stands():
    other = {**generate_key("ES256").as_dict(private=False), "kid": EC["kid"]}
    first = parse(EC, other)
    assert len(first) == 1


@pytest.mark.attack(67)
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_key_that_shows_its_private_half_is_not_trusted(algorithm, caplog):
    leaked = generate_key(algorithm).as_dict(private=True)
    assert set(parse(leaked, EC)) == {(EC["kid"], "ES256")}
    assert leaked["d"] not in caplog.text
    assert "private" in caplog.text


@pytest.mark.attack(59)
def test_a_symmetric_key_is_not_trusted():
    assert not parse({"kty": "oct", "k": "c2VjcmV0", "kid": "mac", "alg": "HS256"})


@pytest.mark.attack(65)
@pytest.mark.parametrize(
    "member",
    [
        pytest.param({**EC, "alg": "RS256"}, id="an RSA algorithm on an EC key"),
        pytest.param({**EC, "alg": "ES384"}, id="an algorithm of another curve"),
        pytest.param({**EC, "crv": "P-384"}, id="another curve"),
        pytest.param({**EC, "crv": "secp256k1"}, id="a curve off the list"),
        pytest.param({**EC, "y": EC["x"]}, id="a point off the curve"),
        pytest.param({**EC, "x": "AA", "y": "AA"}, id="a short point"),
        pytest.param({**RSA, "alg": "ES256"}, id="an EC algorithm on an RSA key"),
        pytest.param({**RSA, "e": "AQ"}, id="exponent 1"),
        pytest.param({**RSA, "e": "Aw"}, id="exponent 3"),
        pytest.param({**RSA, "e": "AQAA"}, id="an even exponent"),
        pytest.param({**RSA, "n": encode(2**2047 + 2)}, id="an even modulus"),
        pytest.param({**RSA, "n": encode(flawed_modulus())}, id="a modulus of the flawed generator"),
        pytest.param({**ED, "crv": "Ed448"}, id="another Edwards curve"),
        pytest.param({**ED, "crv": "X25519"}, id="a curve for key agreement"),
        pytest.param({**ED, "x": encode(0, 32)}, id="a point of order 4"),
        pytest.param({**ED, "x": encode(1, 32, "little")}, id="the neutral point"),
        pytest.param({**ED, "x": encode(1 | 1 << 255, 32, "little")}, id="the neutral point, its sign set"),
        pytest.param({**ED, "x": encode(2**255 - 20, 32, "little")}, id="the point of order 2"),
        pytest.param({**ED, "x": encode(2**255 - 18, 32, "little")}, id="a point that is spelled twice"),
        pytest.param({**ED, "x": ORDER_8}, id="a point of order 8"),
        pytest.param({**EC, "use": "enc"}, id="for encryption"),
        pytest.param({**EC, "key_ops": ["sign"]}, id="not for verifying"),
        pytest.param(without(EC, "kid"), id="no name"),
        pytest.param(without(EC, "x"), id="no coordinate"),
        pytest.param(without(EC, "kty"), id="no type"),
        pytest.param({**EC, "kid": 7}, id="a number for a name"),
        pytest.param({**EC, "x": 7}, id="a number for a coordinate"),
        pytest.param({**RSA, "n": [RSA["n"]]}, id="a list for a modulus"),
        pytest.param({**RSA, "n": RSA["n"] + "="}, id="a padded modulus"),
        pytest.param({**EC, "alg": ["ES256"]}, id="a list for an algorithm"),
        pytest.param({**EC, "alg": "none"}, id="none"),
        pytest.param("key", id="a string"),
        pytest.param(None, id="null"),
    ],
)
def test_a_key_that_cannot_be_right_is_passed_over_and_the_others_serve(member):
    good = {**generate_key("ES256").as_dict(private=False), "kid": "good"}
    assert set(parse(member, good)) == {("good", "ES256")}


@pytest.mark.attack(65)
def test_a_key_that_a_proof_brings_along_is_held_to_the_same_rules():
    good = [(EC, "ES256"), (RSA, "RS256"), (ED, "EdDSA")]
    for member, algorithm in good:
        assert parse_proof_key(member, algorithm)
    weak = [{**EC, "y": EC["x"]}, {**RSA, "n": encode(flawed_modulus())}, {**ED, "x": ORDER_8}]
    for member, (_, algorithm) in zip(weak, good, strict=True):
        with pytest.raises(ValueError, match=r".+"):
            parse_proof_key(member, algorithm)


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def variants(signature):
    """A signature, and what looks like it."""
    r, s = signature[:32], signature[32:]
    yield signature
    yield from (signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :] for at in (0, 31, 32, -1))
    yield from (b"", signature[:-1], signature + b"\0", b"\0" + signature, s + r, r + bytes(len(s)), bytes(32) + s)
    yield from (bytes(len(signature)), b"\xff" * len(signature))
    yield r + (P256_ORDER - int.from_bytes(s) % P256_ORDER).to_bytes(32)  # ES256: the other root, as good as the first
    yield r + b"\0" + s  # the same number, an octet longer
    yield (P256_ORDER + 1).to_bytes(32) * 2
    yield encode_dss_signature(int.from_bytes(r), int.from_bytes(s))  # DER, which is not how a JWS spells it


@pytest.mark.attack(65)
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_signature_is_judged_as_joserfc_judges_it(algorithm):
    private = generate_key(algorithm)
    model = next(model for model in JWS_ALGORITHMS if model.name == algorithm)
    public = private.as_dict(private=False)
    [key] = parse(public).values()
    other = generate_key(algorithm)
    judged = []
    for signature in variants(model.sign(b"signed", private)):
        judged.append(key.verifies(b"signed", signature))
        assert judged[-1] == model.verify(b"signed", signature, private)
        assert not key.verifies(b"Signed", signature)
        assert not VerificationKey(other, algorithm).verifies(b"signed", signature)
    assert sum(judged) == (2 if algorithm == "ES256" else 1)


SHORT_OR_LONG = st.integers(0, 2**256 - 1) | st.binary(max_size=32).map(int.from_bytes)


@given(SHORT_OR_LONG, SHORT_OR_LONG)
def test_r_and_s_are_spelled_in_der_as_cryptography_spells_them(r, s):
    assert _encode_ecdsa(r.to_bytes(32) + s.to_bytes(32)) == encode_dss_signature(r, s)


@pytest.mark.attack(59, 65)
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(generate_key("RS256"), "ES256", id="RSA for ES256"),
        pytest.param(generate_key("ES256"), "RS256", id="EC for RS256"),
        pytest.param(generate_key("ES256"), "EdDSA", id="EC for EdDSA"),
        pytest.param(generate_key("EdDSA"), "PS256", id="Ed25519 for PS256"),
        pytest.param(jwk.ECKey.generate_key("P-384"), "ES256", id="another curve"),
        pytest.param(jwk.OKPKey.generate_key("Ed448"), "EdDSA", id="another Edwards curve"),
        pytest.param(generate_key("ES256"), "HS256", id="a MAC"),
        pytest.param(generate_key("ES256"), "none", id="none"),
    ],
)
def test_a_key_is_never_prepared_for_the_algorithm_of_another_kind(key, algorithm):
    with pytest.raises(ValueError, match="not this key's"):
        VerificationKey(key, algorithm)


@pytest.mark.attack(65)
def test_an_rsa_key_of_1024_bits_is_passed_over():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        weak = jwk.RSAKey.generate_key(1024, {"kid": "weak", "alg": "RS256"})
    assert not parse(weak.as_dict(private=False))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="a page"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no keys"),
        pytest.param(b'{"keys":{}}', id="keys that are no list"),
        pytest.param(b'{"keys":[],"keys":[]}', id="keys twice"),
        pytest.param(json.dumps({"keys": [EC] * (MAX_KEYS + 1)}).encode(), id="too many keys"),
    ],
)
def test_what_is_no_key_set_is_the_issuers_fault(document, verify, issuer):
    with pytest.raises(ValueError, match="key set"):
        parse_key_set(document, ALGORITHMS)
    issuer.bodies["/jwks"] = document
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))


def test_an_empty_key_set_is_an_answer_no_token_is_good(verify, issuer, refused):
    issuer.bodies["/jwks"] = b'{"keys":[]}'
    with refused(Refusal.KEY_UNKNOWN):
        verify.verify(issuer.token(AUDIENCE))


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "http://localhost.evil.example",
        "http://192.0.2.1",
        "ftp://localhost",
        "localhost:9000",
        "",
        "https://",
        "https://issuer.example?tenant=1",
        "https://issuer.example#",
        "https://user@issuer.example",
    ],
)
def test_an_issuer_is_an_https_url_and_http_on_this_machine_only(url):
    with pytest.raises(ValueError, match="issuer"):
        Verifier(url, AUDIENCE)


@pytest.mark.parametrize(
    "url", ["https://issuer.example/tenant", "http://localhost:9000", "http://127.0.0.2", "http://[::1]:9000"]
)
def test_these_are_issuers(url):
    assert Verifier(url, AUDIENCE).audience == AUDIENCE


@pytest.mark.parametrize("arguments", [{"algorithms": ["HS256"]}, {"algorithms": []}, {"audience": 'a"b'}])
def test_an_argument_that_cannot_be_right_is_refused_at_once(arguments):
    with pytest.raises(ValueError, match=r"algorithms|audience"):
        Verifier(**{"issuer": "https://issuer.example", "audience": AUDIENCE, **arguments})


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"issuer": "http://127.0.0.1:1"}, id="another issuer's"),
        pytest.param({"issuer": None}, id="nobody's"),
        pytest.param({"jwks_uri": None}, id="no jwks_uri"),
        pytest.param({"jwks_uri": "http://keys.example/jwks"}, id="jwks_uri without TLS"),
        pytest.param({"jwks_uri": "file:///etc/passwd"}, id="jwks_uri a file"),
        pytest.param({"jwks_uri": "/jwks"}, id="jwks_uri relative"),
        pytest.param({"jwks_uri": "http://127.0.0.1:1/#jwks"}, id="jwks_uri with a fragment"),
    ],
)
def test_metadata_that_cannot_be_trusted_are_an_outage_and_said_in_the_log(changed, verify, issuer, caplog):
    issuer.metadata |= changed
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "could not be fetched" in caplog.text
    assert not issuer.requests["/jwks"]


def test_metadata_that_are_no_json_are_an_outage(verify, issuer, caplog):
    issuer.bodies["/.well-known/oauth-authorization-server"] = b"<html>"
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "not a JSON object" in caplog.text


def test_a_jwks_uri_that_leads_nowhere_is_an_outage_until_the_metadata_are_right(verify, issuer, clocks, caplog):
    issuer.metadata["jwks_uri"] = f"{issuer.url}/nowhere"
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "status 404" in caplog.text
    issuer.metadata["jwks_uri"] = f"{issuer.url}/jwks"
    clocks.move(5)
    assert verify.verify(issuer.token(AUDIENCE)).subject == "alice"


def test_an_issuer_elsewhere_cannot_send_us_to_this_machine(issuer, caplog):
    url = "https://login.example.com"
    metadata = {"issuer": url, "jwks_uri": f"{issuer.url}/jwks"}
    elsewhere = httpx2.MockTransport(lambda _: httpx2.Response(200, json=metadata))
    verify = Verifier(url, AUDIENCE, http=lambda: httpx2.Client(transport=elsewhere))
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "on this machine and the issuer is not" in caplog.text


def test_a_compressed_answer_is_not_unpacked(issuer, caplog):
    bomb = gzip.compress(b" " * 60_000)
    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, content=bomb, headers={"content-encoding": "gzip"}))
    verify = Verifier("https://login.example.com", AUDIENCE, http=lambda: httpx2.Client(transport=answer))
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "compressed" in caplog.text


def test_an_issuer_with_tls_is_asked_with_tls_only(issuer, caplog):
    verify = Verifier(issuer.url.replace("http:", "https:"), AUDIENCE)
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "ConnectError" in caplog.text
    assert not issuer.requests


def test_an_issuer_with_one_of_the_two_documents_is_enough(issuer, clocks, monkeypatch):
    oauth = issuer.answer

    def only_openid(path, if_none_match):
        return (404, {}, b"") if "oauth-authorization-server" in path else oauth(path, if_none_match)

    monkeypatch.setattr(issuer, "answer", only_openid)
    verify = Verifier(issuer.url, AUDIENCE, clock=clocks.wall, monotonic=clocks.monotonic)
    assert verify.verify(issuer.token(AUDIENCE)).subject == "alice"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"cache-control": "public, max-age=120"}, 120, id="as told"),
        pytest.param({"cache-control": "MAX-AGE=120"}, 120, id="in capitals"),
        pytest.param({"cache-control": "s-maxage=900, max-age=120"}, 120, id="not a shared cache's"),
        pytest.param({"cache-control": "max-age=120", "age": "100"}, 20, id="what is left of it"),
        pytest.param({"cache-control": "max-age=120", "age": "old"}, 120, id="an age that is no number"),
        pytest.param({}, 300, id="not told"),
        pytest.param({"cache-control": "max-age=0"}, 5, id="at least five seconds"),
        pytest.param({"cache-control": "no-store"}, 5, id="no-store"),
        pytest.param({"cache-control": "no-cache, max-age=900"}, 5, id="no-cache"),
        pytest.param({"cache-control": "max-age=31536000"}, 3600, id="at most an hour"),
    ],
)
def test_the_issuer_says_how_long_its_keys_are_fresh(headers, seconds):
    assert freshness(httpx2.Headers(headers)) == seconds
