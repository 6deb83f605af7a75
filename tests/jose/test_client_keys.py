"""Clients' keys: what may be registered, how they are fetched, whose signature it is (RFC 7517, 7523 §3, 8725 §3)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from math import prod

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from authserver.jose.client_keys import ClientKeys, check_jwks, read_subject
from authserver.jose.compact import Fault, TokenError, encode_base64url, parse_compact
from authserver.jose.jwk import CLIENT_ALGORITHMS, choose_key, read_jwks
from authserver.jose.signature import check_signature
from authserver.oauth.values import AuthMethod, Client
from tests.jose import vectors
from tests.jose.keys import client_key, public

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLAIMS = {"iss": "c", "sub": "c", "aud": "https://issuer.example", "exp": 1, "jti": "1"}
URI = "https://client.example/jwks"
JOSERFC_ALGORITHMS = [
    alg for alg in CLIENT_ALGORITHMS if alg != "EdDSA"
]  # which it warns of; PyJWT signs with it below
EC, RSA = public(client_key("ES256")), public(client_key("RS256"))


def weak_rsa():
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    return RSAKey(private, private, {"kid": "weak"})


def client(**changes):
    return Client(
        client_id="c",
        client_name="C",
        token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT,
        created_at=NOW,
        updated_at=NOW,
        **changes,
    )


def signed(alg="ES256", key=None, **header):
    registry = JWSRegistry(algorithms=[*JOSERFC_ALGORITHMS, "HS256"], strict_check_header=False)
    key = key or client_key(alg)
    return joserfc_jwt.encode({"alg": alg, "kid": f"k-{alg}"} | header, CLAIMS, key, registry=registry)


def without(assertion, *names):
    """The same key signs again with these members of the header left out."""
    header = {name: value for name, value in parse_compact(assertion).header.items() if name not in names}
    return joserfc_jwt.encode(header, CLAIMS, client_key(header["alg"]), algorithms=[header["alg"]])


class Site:
    """A client's jwks_uri: what it answers next, and how often it was asked."""

    def __init__(self, *keys):
        self.document = {"keys": list(keys)}
        self.count = 0
        self.is_down = False
        self.seconds = 1000.0

    async def fetch(self, uri):
        assert uri == URI
        self.count += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise OSError
        return self.document if isinstance(self.document, bytes) else json.dumps(self.document).encode()

    def keys(self):
        return ClientKeys(self.fetch, lambda: self.seconds)


async def fault_of(keys, who, assertion):
    with pytest.raises(TokenError) as caught:
        await keys.verify_assertion(who, assertion)
    return caught.value.fault


BY_VALUE = client(jwks={"keys": [public(client_key(alg)) for alg in CLIENT_ALGORITHMS]})
BY_URI = client(jwks_uri=URI)


@pytest.mark.parametrize("alg", JOSERFC_ALGORITHMS)
async def test_an_assertion_that_joserfc_signed_verifies(alg):
    assert await Site().keys().verify_assertion(BY_VALUE, signed(alg)) == CLAIMS


async def test_the_example_of_rfc_7515_appendix_a3_verifies():
    claims = await Site().keys().verify_assertion(client(jwks={"keys": [vectors.RFC7515_A3_KEY]}), vectors.RFC7515_A3)
    assert claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


@pytest.mark.parametrize(
    ("key", "token"),
    [
        pytest.param(vectors.RFC7520_41_KEY, vectors.RFC7520_41, id="7520 §4.1"),
        pytest.param(vectors.RFC7520_43_KEY, vectors.RFC7520_43, id="7520 §4.3"),
    ],
)
def test_the_examples_of_rfc_7520_verify_and_no_neighbour_of_them_does(key, token):
    (chosen,) = read_jwks({"keys": [key]}, skip_unusable=False)
    assert choose_key([chosen], parse_compact(token)) is chosen
    check_signature(parse_compact(token), chosen.key)
    with pytest.raises(TokenError):
        check_signature(parse_compact(token.replace(".SXT", ".SXU")), chosen.key)


@pytest.mark.parametrize("key_alg", [None, "EdDSA", "Ed25519"])
@pytest.mark.parametrize("registered", [None, "EdDSA", "Ed25519"])
@pytest.mark.parametrize("signed_with", ["EdDSA", "Ed25519"])
async def test_ed25519_goes_by_its_old_name_too(key_alg, registered, signed_with):
    key = client_key("Ed25519")
    assertion = signed("Ed25519")
    if signed_with == "EdDSA":  # all that PyJWT and many others can say
        assertion = jwt.encode(CLAIMS, key.private_key, algorithm="EdDSA", headers={"kid": "k-Ed25519"})
    jwk = {name: value for name, value in public(key, alg=key_alg).items() if value is not None}
    assert not check_jwks({"keys": [jwk]})
    who = client(jwks={"keys": [jwk]}, token_endpoint_auth_signing_alg=registered)
    assert await Site().keys().verify_assertion(who, assertion) == CLAIMS
    other = client(jwks={"keys": [jwk]}, token_endpoint_auth_signing_alg="ES256")
    assert await fault_of(Site().keys(), other, assertion) is Fault.ALGORITHM


@pytest.mark.attack(65)
@pytest.mark.parametrize("alg", ["RS256", "ES384", "Ed25519"])
def test_a_key_of_another_kind_than_the_algorithm_is_refused_not_a_bug(alg):
    with pytest.raises(TokenError) as caught:
        check_signature(parse_compact(signed("ES256")), client_key(alg))
    assert caught.value.fault is Fault.SIGNATURE


def test_the_thumbprint_is_that_of_rfc_7638_section_3_1():
    (key,) = read_jwks({"keys": [vectors.RFC7638_31_KEY]}, skip_unusable=False)
    assert key.key.thumbprint() == vectors.RFC7638_31_THUMBPRINT


# --- what may be registered -------------------------------------------------------------------------------------------


def test_good_sets_may_be_registered():
    assert check_jwks(BY_VALUE.jwks) is None
    assert check_jwks({"keys": [EC, RSA | {"use": "enc"}], "extra": 1}) is None
    assert check_jwks({"keys": [{name: EC[name] for name in ("kty", "crv", "x", "y")}]}) is None


def roca():
    """A modulus with the fingerprint of CVE-2017-15361: a power of 65537 modulo every small prime."""
    product = prod(number for number in range(2, 168) if all(number % smaller for smaller in range(2, number)))
    residue = pow(65537, 12345, product)
    return residue + product * ((1 << 2047) // product + 1)


def octets(number):
    return encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


@pytest.mark.attack(65)
@pytest.mark.attack(67)
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([], id="no key"),
        pytest.param([EC | {"use": "enc"}], id="none for signatures"),
        pytest.param([client_key("ES256").as_dict(private=True)], id="a private EC key"),
        pytest.param([client_key("RS256").as_dict(private=True)], id="a private RSA key"),
        pytest.param([RSA | {"p": "AQAB"}], id="one private member"),
        pytest.param([EC | {"d": ""}], id="an empty private member"),
        pytest.param([EC | {"use": "enc", "d": "AQ"}], id="a private key for encryption"),
        pytest.param([OctKey.generate_key(256).as_dict(private=True)], id="a symmetric key"),
        pytest.param([public(weak_rsa())], id="RSA of 1024 bits"),
        pytest.param([RSA | {"n": octets(2**2046 + 1)}], id="RSA of 2047 bits"),
        pytest.param([RSA | {"n": octets(2**8192 + 1)}], id="RSA of 8193 bits"),
        pytest.param([RSA | {"n": octets(2**2047 + 2)}], id="an even modulus"),
        pytest.param([RSA | {"n": octets(roca())}], id="a modulus of the flawed generator"),
        pytest.param([RSA | {"e": "AQ"}], id="e = 1"),
        pytest.param([RSA | {"e": "Aw"}], id="e = 3"),
        pytest.param([RSA | {"e": octets(65538)}], id="an even e"),
        pytest.param([RSA | {"e": octets(2**33 + 1)}], id="a huge e"),
        pytest.param([RSA | {"e": "AQAB="}], id="padded e"),
        pytest.param([RSA | {"e": 65537}], id="e as a number"),
        pytest.param([EC | {"crv": "secp256k1"}], id="another curve"),
        pytest.param([EC | {"crv": "P-384"}], id="the wrong curve"),
        pytest.param([EC | {"crv": ["P-256"]}], id="a list of curves"),
        pytest.param([EC | {"y": EC["x"]}], id="no point of the curve"),
        pytest.param([EC | {"x": octets(1), "y": octets(1)}], id="short coordinates"),
        pytest.param([EC | {"x": encode_base64url(bytes(32)), "y": encode_base64url(bytes(32))}], id="the point 0, 0"),
        pytest.param([{"kty": "OKP", "crv": "X25519", "x": octets(2**255)}], id="a key that cannot sign"),
        pytest.param([EC | {"kty": "XX"}], id="an unknown kty"),
        pytest.param([EC | {"alg": "RS256"}], id="alg of another family"),
        pytest.param([EC | {"alg": "none"}], id="alg none"),
        pytest.param([EC | {"alg": ["ES256"]}], id="alg a list"),
        pytest.param([EC | {"kid": ""}], id="an empty kid"),
        pytest.param([EC | {"kid": 1}], id="kid a number"),
        pytest.param([EC | {"kid": "k" * 257}], id="a long kid"),
        pytest.param([EC | {"use": "verify"}], id="an unknown use"),
        pytest.param([EC | {"key_ops": ["sign"]}], id="key_ops sign"),
        pytest.param([EC, RSA | {"kid": EC["kid"]}], id="one kid twice"),
        pytest.param([EC, EC | {"kid": "other"}], id="one key twice"),
        pytest.param([RSA | {"alg": "RS256"}, RSA | {"alg": "PS256", "kid": "other"}], id="one key for two algorithms"),
        pytest.param([EC | {"use": "enc", "kid": str(number)} for number in range(21)], id="21 keys"),
        pytest.param([EC, "key"], id="a key that is a text"),
        pytest.param("keys", id="keys a text"),
    ],
)
def test_a_weak_private_or_ambiguous_set_is_refused(keys):
    assert check_jwks({"keys": keys})


SMALL_ORDER = [  # of Ed25519: the points whose order divides 8, in each spelling that 32 octets have
    bytes([0] * 32),
    bytes([0] * 31 + [0x80]),
    bytes([1] + [0] * 31),
    bytes([1] + [0] * 30 + [0x80]),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


@pytest.mark.attack(65)
@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda point: point.hex()[:8] + point.hex()[-2:])
def test_an_ed25519_key_of_small_order_is_refused(point):
    assert check_jwks({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(point)}]})


@pytest.mark.attack(65)
def test_what_is_refused_there_would_verify_a_signature_that_nobody_made():
    """The key is the neutral element: R = B and S = 1 sign every message, and the library says so too."""
    base = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")
    forged = base + (1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(SMALL_ORDER[2]).verify(forged, b"whatever")


@pytest.mark.attack(67)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_no_document_escapes_as_an_error(value):
    assert check_jwks(value)
    for document in ({"keys": value}, {"keys": [value]}, {"keys": [EC | {"x": value}]}, {"keys": [RSA | {"n": value}]}):
        assert check_jwks(document)


# --- whose signature it is --------------------------------------------------------------------------------------------


@pytest.mark.attack(49)
@pytest.mark.attack(59)
@pytest.mark.parametrize("alg", ["none", "HS256", "RS384", "es256", "Ed448", ""])
async def test_an_algorithm_that_is_not_offered_is_refused(alg):
    header, _, rest = signed().partition(".")
    other = encode_base64url(json.dumps(parse_compact(signed()).header | {"alg": alg}).encode())
    assert header != other
    assert await fault_of(Site().keys(), BY_VALUE, f"{other}.{rest}") is Fault.ALGORITHM


@pytest.mark.attack(59)
@pytest.mark.parametrize("key", [EC, RSA], ids=["EC", "RSA"])
async def test_a_public_key_is_not_taken_for_an_hmac_secret(key):
    secret = json.dumps(key).encode()
    assert await fault_of(Site().keys(), BY_VALUE, signed("HS256", OctKey.import_key(secret))) is Fault.ALGORITHM


@pytest.mark.attack(49)
async def test_a_client_that_registered_one_algorithm_uses_that_one():
    who = client(jwks=BY_VALUE.jwks, token_endpoint_auth_signing_alg="PS256")
    assert await Site().keys().verify_assertion(who, signed("PS256")) == CLAIMS
    assert await fault_of(Site().keys(), who, signed("ES256")) is Fault.ALGORITHM


@pytest.mark.attack(60)
@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
async def test_a_key_that_the_header_brings_along_is_not_looked_at(member):
    attacker = ECKey.generate_key("P-256", {"kid": "k-ES256"})
    value = {"jwk": attacker.as_dict(private=False), "x5c": ["AA=="]}.get(member, "https://evil.example/jwks")
    assert await fault_of(Site().keys(), BY_VALUE, signed(key=attacker, **{member: value})) is Fault.SIGNATURE
    assert await Site().keys().verify_assertion(BY_VALUE, signed(**{member: value})) == CLAIMS


@pytest.mark.attack(60)
async def test_a_kid_is_looked_up_among_the_clients_own_keys():
    for kid in ("../../dev/null", "' or 1=1", "k-RS256", ""):
        assert await fault_of(Site().keys(), BY_VALUE, signed(kid=kid)) is Fault.KEY_UNKNOWN


async def test_without_kid_the_only_key_of_the_algorithm_is_taken_and_of_two_none():
    one = client(jwks={"keys": [EC, RSA]})
    two = client(jwks={"keys": [EC, public(ECKey.generate_key("P-256", {"kid": "other"}))]})
    assert await Site().keys().verify_assertion(one, without(signed(), "kid")) == CLAIMS
    assert await fault_of(Site().keys(), two, without(signed(), "kid")) is Fault.KEY_UNKNOWN


@pytest.mark.attack(34)
@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "oauth-authz-req+jwt", ""])
async def test_another_kind_of_jwt_is_no_client_assertion(typ):
    assert await fault_of(Site().keys(), BY_VALUE, signed(typ=typ)) is Fault.TYPE


@pytest.mark.parametrize("typ", ["JWT", "jwt", "client-authentication+jwt"])
async def test_a_client_assertion_may_say_what_it_is(typ):
    assert await Site().keys().verify_assertion(BY_VALUE, signed(typ=typ)) == CLAIMS


async def test_a_header_of_four_kilobytes_is_read():
    assert await Site().keys().verify_assertion(BY_VALUE, signed(x5c=["A" * 3900])) == CLAIMS


@pytest.mark.attack(65)
async def test_an_empty_es256_signature_is_refused():
    body = signed().rpartition(".")[0]
    for signature in (bytes(64), b"\xff" * 64, bytes(70)):
        assert await fault_of(Site().keys(), BY_VALUE, f"{body}.{encode_base64url(signature)}") is Fault.SIGNATURE


async def test_a_client_without_keys_proves_nothing():
    assert await fault_of(Site().keys(), client(), signed()) is Fault.KEYS_UNAVAILABLE
    assert await fault_of(Site().keys(), client(jwks={"keys": []}), signed()) is Fault.KEYS_UNAVAILABLE


def test_an_assertion_says_whose_it_claims_to_be():
    assert read_subject(signed()) == "c"
    assert read_subject("x") is None
    assert read_subject(joserfc_jwt.encode({"alg": "ES256"}, {"sub": 1}, client_key("ES256"))) is None


# --- keys by address --------------------------------------------------------------------------------------------------


async def test_keys_are_fetched_once_and_kept_for_five_minutes():
    site = Site(EC)
    keys = site.keys()
    await asyncio.gather(*(keys.verify_assertion(BY_URI, signed()) for _ in range(20)))
    site.seconds += 299
    await keys.verify_assertion(BY_URI, signed())
    assert site.count == 1
    site.seconds += 2
    await keys.verify_assertion(BY_URI, signed())
    assert site.count == 2


@pytest.mark.attack(85)
async def test_an_unknown_kid_asks_once_more_and_a_storm_of_them_does_not():
    site = Site(EC)
    keys = site.keys()
    await keys.verify_assertion(BY_URI, signed())
    site.document = {"keys": [EC, RSA]}
    assert await fault_of(keys, BY_URI, signed("RS256")) is Fault.KEY_UNKNOWN, "asked a moment ago"
    site.seconds += 31
    assert await keys.verify_assertion(BY_URI, signed("RS256")) == CLAIMS
    assert site.count == 2
    for number in range(50):
        assert await fault_of(keys, BY_URI, signed(kid=f"unknown-{number}")) is Fault.KEY_UNKNOWN
    assert site.count == 2


@pytest.mark.attack(85)
async def test_an_address_that_does_not_answer_is_left_alone_for_a_while():
    site = Site(EC)
    site.is_down = True
    keys = site.keys()
    for _ in range(50):
        assert await fault_of(keys, BY_URI, signed()) is Fault.KEYS_UNAVAILABLE
    assert site.count == 1
    site.is_down = False
    site.seconds += 31
    assert await keys.verify_assertion(BY_URI, signed()) == CLAIMS


async def test_keys_that_were_fetched_before_serve_an_hour_while_the_address_is_down():
    site = Site(EC)
    keys = site.keys()
    await keys.verify_assertion(BY_URI, signed())
    site.is_down = True
    site.seconds += 3599
    assert await keys.verify_assertion(BY_URI, signed()) == CLAIMS
    site.seconds += 1
    assert await fault_of(keys, BY_URI, signed()) is Fault.KEYS_UNAVAILABLE


async def test_a_key_taken_out_of_the_document_no_longer_counts():
    site = Site(EC)
    keys = site.keys()
    await keys.verify_assertion(BY_URI, signed())
    site.document = {"keys": [RSA]}
    site.seconds += 301
    assert await fault_of(keys, BY_URI, signed()) is Fault.KEY_UNKNOWN


@pytest.mark.attack(65)
async def test_unusable_keys_of_a_fetched_set_are_passed_over_and_private_ones_spoil_it():
    weak = weak_rsa()
    mixed = Site(EC, public(weak), {"kty": "XX"}, EC | {"crv": "secp256k1", "kid": "other"})
    assert await mixed.keys().verify_assertion(BY_URI, signed()) == CLAIMS
    assert await fault_of(mixed.keys(), BY_URI, signed("RS256", weak, kid="weak")) is Fault.KEY_UNKNOWN
    spoilt = Site(EC, client_key("RS256").as_dict(private=True))
    assert await fault_of(spoilt.keys(), BY_URI, signed()) is Fault.KEYS_UNAVAILABLE


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b'{"keys":[],"keys":[]}', b"\xff", b"[" * 60_000])
async def test_a_document_that_is_no_jwk_set_gives_no_keys(document):
    site = Site()
    site.document = document
    assert await fault_of(site.keys(), BY_URI, signed()) is Fault.KEYS_UNAVAILABLE


async def test_keys_by_value_are_parsed_once_and_anew_when_the_client_changes(monkeypatch):
    monkeypatch.setattr("authserver.jose.client_keys.MAX_CACHED", 2)
    keys = Site().keys()
    await keys.verify_assertion(BY_VALUE, signed())
    parsed = keys._registered["c"][1]
    await keys.verify_assertion(BY_VALUE, signed())
    assert keys._registered["c"][1] is parsed
    assert await fault_of(keys, client(jwks={"keys": [RSA]}), signed()) is Fault.KEY_UNKNOWN
    for number in range(5):
        await keys.verify_assertion(replace(BY_VALUE, client_id=f"c{number}"), signed())
    assert len(keys._registered) == 2


async def test_the_cache_forgets_the_oldest_address(monkeypatch):
    monkeypatch.setattr("authserver.remote_documents.MAX_CACHED", 2)
    site = Site(EC)
    keys = ClientKeys(lambda _: site.fetch(URI), lambda: site.seconds)
    for number in (1, 2, 3, 3, 2, 1):
        await keys.verify_assertion(client(jwks_uri=f"https://client.example/{number}"), signed())
    assert site.count == 4
    assert len(keys._remote._locks) <= 3
