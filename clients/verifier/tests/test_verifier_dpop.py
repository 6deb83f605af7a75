"""Tokens bound to a client's key, and the proofs of it (RFC 9449 §4.3, §7 and §9; SECURITY A5 rows 74 and 76)."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwa import JWS_ALGORITHMS

from authserver_verifier import ProtectedRequest, Refusal, TokenRefusedError, Verifier, require
from authserver_verifier.dpop import MAX_PROOFS, PROOF_LIFETIME, Nonces, ProofChecker, ProofMemory
from authserver_verifier.testing import ProofKey, encode_segment, generate_key

AUDIENCE = "https://notes.example.com"
URL = "https://notes.example.com/notes"
NOW = 1_800_000_000
LEEWAY = 10
ANYTHING = require(())
ES256 = next(model for model in JWS_ALGORITHMS if model.name == "ES256")


@pytest.fixture
def key(clocks):
    return ProofKey(clock=clocks.wall)


@pytest.fixture
def token(issuer, key):
    return issuer.token(AUDIENCE, cnf={"jkt": key.thumbprint})


def request(headers, method="GET", path="/notes"):
    pairs = headers.items() if isinstance(headers, dict) else headers
    return ProtectedRequest(
        method=method, path=path, query=b"page=2", headers=tuple((n.encode(), v.encode()) for n, v in pairs)
    )


def test_a_bound_token_with_a_proof_of_its_key_is_taken(verify, key, token):
    access_token = verify.authorize(request(key.headers("GET", URL, token)), ANYTHING)
    assert (access_token.subject, access_token.bound_key) == ("alice", key.thumbprint)
    assert access_token.is_bound


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
def test_a_proof_may_be_of_any_algorithm_that_is_accepted(algorithm, verify, issuer, clocks):
    key = ProofKey(algorithm, clock=clocks.wall)
    token = issuer.token(AUDIENCE, cnf={"jkt": key.thumbprint})
    assert verify.authorize(request(key.headers("GET", URL, token)), ANYTHING).bound_key == key.thumbprint


@pytest.mark.attack(74)
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        pytest.param({"htm": "POST"}, Refusal.DPOP_METHOD_WRONG, id="another method"),
        pytest.param({"htm": "get"}, Refusal.DPOP_METHOD_WRONG, id="the method in small letters"),
        pytest.param({"htm": None}, Refusal.DPOP_METHOD_WRONG, id="no method"),
        pytest.param({"htu": "https://notes.example.com/other"}, Refusal.DPOP_URL_WRONG, id="another path"),
        pytest.param({"htu": "https://notes.example.com/notes/"}, Refusal.DPOP_URL_WRONG, id="a slash more"),
        pytest.param({"htu": "https://evil.example/notes"}, Refusal.DPOP_URL_WRONG, id="another host"),
        pytest.param({"htu": "http://notes.example.com/notes"}, Refusal.DPOP_URL_WRONG, id="without TLS"),
        pytest.param({"htu": "https://notes.example.com:8443/notes"}, Refusal.DPOP_URL_WRONG, id="another port"),
        pytest.param({"htu": "https://u@notes.example.com/notes"}, Refusal.DPOP_URL_WRONG, id="a user in it"),
        pytest.param({"htu": "https://notes.example.com:port/notes"}, Refusal.DPOP_URL_WRONG, id="no port at all"),
        pytest.param({"htu": "/notes"}, Refusal.DPOP_URL_WRONG, id="no host"),
        pytest.param({"htu": 7}, Refusal.DPOP_URL_WRONG, id="htu a number"),
        pytest.param({"htu": None}, Refusal.DPOP_URL_WRONG, id="no htu"),
        pytest.param({"ath": None}, Refusal.DPOP_TOKEN_WRONG, id="no ath"),
        pytest.param(
            {"ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}, Refusal.DPOP_TOKEN_WRONG, id="other token"
        ),
        pytest.param({"iat": NOW - 71}, Refusal.DPOP_TIME_WRONG, id="too old"),
        pytest.param({"iat": NOW + LEEWAY + 1}, Refusal.DPOP_TIME_WRONG, id="of the future"),
        pytest.param({"iat": "now"}, Refusal.DPOP_PROOF_MALFORMED, id="iat a string"),
        pytest.param({"iat": None}, Refusal.DPOP_PROOF_MALFORMED, id="no iat"),
        pytest.param({"jti": None}, Refusal.DPOP_PROOF_MALFORMED, id="no jti"),
        pytest.param({"jti": ""}, Refusal.DPOP_PROOF_MALFORMED, id="empty jti"),
        pytest.param({"jti": 7}, Refusal.DPOP_PROOF_MALFORMED, id="jti a number"),
        pytest.param({"header": {"typ": "jwt"}}, Refusal.DPOP_PROOF_MALFORMED, id="another type"),
        pytest.param({"header": {"typ": None}}, Refusal.DPOP_PROOF_MALFORMED, id="no type"),
        pytest.param({"header": {"alg": "none"}}, Refusal.DPOP_PROOF_MALFORMED, id="alg none"),
        pytest.param({"header": {"alg": "HS256"}}, Refusal.DPOP_PROOF_MALFORMED, id="a symmetric alg"),
        pytest.param({"header": {"alg": "RS256"}}, Refusal.DPOP_PROOF_MALFORMED, id="an alg that is not its key's"),
        pytest.param({"header": {"crit": ["b64"]}}, Refusal.DPOP_PROOF_MALFORMED, id="something critical"),
        pytest.param({"header": {"jwk": None}}, Refusal.DPOP_PROOF_MALFORMED, id="no key"),
        pytest.param({"header": {"jwk": "key"}}, Refusal.DPOP_PROOF_MALFORMED, id="a key that is none"),
        pytest.param(
            {"header": {"jwk": generate_key().as_dict(private=True)}}, Refusal.DPOP_PROOF_MALFORMED, id="a private key"
        ),
        pytest.param(
            {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}, Refusal.DPOP_PROOF_MALFORMED, id="a symmetric key"
        ),
        pytest.param(
            {"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}},
            Refusal.DPOP_PROOF_MALFORMED,
            id="a point off the curve",
        ),
        pytest.param(
            {"header": {"jwk": generate_key().as_dict(private=False)}}, Refusal.DPOP_KEY_WRONG, id="another's key"
        ),
    ],
)
def test_a_proof_of_something_else_is_refused(changes, refusal, verify, key, token, refused):
    headers = {"authorization": f"DPoP {token}", "dpop": key.proof("GET", URL, token, **changes)}
    with refused(refusal):
        verify.authorize(request(headers), ANYTHING)


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://NOTES.example.com/notes",
        "https://notes.example.com:443/notes",
        "https://notes.example.com/notes?page=7#top",
        "https://notes.example.com/n%6Ftes",
    ],
)
def test_the_url_is_compared_as_urls_are_without_query_and_fragment(htu, verify, key, token):
    assert verify.authorize(request(key.headers("GET", URL, token, htu=htu)), ANYTHING)


@pytest.mark.attack(74)
def test_a_proof_by_another_key_is_refused_as_a_token_that_is_not_the_clients(verify, clocks, token, refused):
    with refused(Refusal.DPOP_KEY_WRONG):
        verify.authorize(request(ProofKey(clock=clocks.wall).headers("GET", URL, token)), ANYTHING)


@pytest.mark.attack(74)
@pytest.mark.parametrize("how", ["header", "comma"])
def test_two_proofs_are_refused(how, verify, key, token, refused):
    one, two = (key.proof("GET", URL, token) for _ in range(2))
    proofs = [("dpop", one), ("dpop", two)] if how == "header" else [("dpop", f"{one}, {two}")]
    with refused(Refusal.DPOP_PROOF_REPEATED):
        verify.authorize(request([("authorization", f"DPoP {token}"), *proofs]), ANYTHING)


@pytest.mark.parametrize("payload", [b"[]", b"{", b'{"jti":"a","jti":"b"}', b"\xff"])
def test_a_signed_proof_that_says_nothing_readable_is_refused(payload, verify, key, token, refused):
    header = key.proof("GET", URL, token).partition(".")[0].encode()
    signing_input = header + b"." + encode_segment(payload)
    signature = ES256.sign(signing_input, key._key)
    proof = (signing_input + b"." + encode_segment(signature)).decode()
    with refused(Refusal.DPOP_PROOF_MALFORMED):
        verify.authorize(request({"authorization": f"DPoP {token}", "dpop": proof}), ANYTHING)


@pytest.mark.attack(59)
def test_a_proof_whose_signature_is_not_the_keys_is_refused(verify, key, token, refused):
    proof = key.proof("GET", URL, token)
    head, _, signature = proof.rpartition(".")
    with refused(Refusal.DPOP_SIGNATURE_WRONG):
        headers = {"authorization": f"DPoP {token}", "dpop": f"{head}.{signature[:-4]}{'AAAA'}"}
        verify.authorize(request(headers), ANYTHING)


@pytest.mark.attack(62)
def test_a_key_so_large_that_using_it_is_an_attack_is_refused(verify, key, token, refused):
    modulus = encode_segment(b"\xff" * 2047 + b"\x01").decode()
    for exponent, size in ((b"\x01\x00\x01", 2732), (b"\xff" * 200, 342)):
        jwk = {"kty": "RSA", "n": modulus[:size], "e": encode_segment(exponent).decode()}
        with refused(Refusal.DPOP_PROOF_MALFORMED):
            headers = key.headers("GET", URL, token, header={"alg": "RS256", "jwk": jwk})
            verify.authorize(request(headers), ANYTHING)


@pytest.mark.attack(62)
def test_a_proof_without_end_is_refused_unread(verify, token, refused):
    with refused(Refusal.DPOP_PROOF_MALFORMED):
        verify.authorize(request({"authorization": f"DPoP {token}", "dpop": "." * 9000}), ANYTHING)


def test_a_bound_token_without_any_proof_is_refused(verify, token, refused):
    with refused(Refusal.DPOP_PROOF_MISSING):
        verify.authorize(request({"authorization": f"DPoP {token}"}), ANYTHING)


@pytest.mark.attack(76)
def test_a_bound_token_sent_as_a_bearer_token_is_refused_even_with_its_proof(verify, key, token, refused):
    with refused(Refusal.DPOP_DOWNGRADED):
        verify.authorize(request({"authorization": f"Bearer {token}"}), ANYTHING)
    with refused(Refusal.DPOP_DOWNGRADED):
        headers = key.headers("GET", URL, token) | {"authorization": f"Bearer {token}"}
        verify.authorize(request(headers), ANYTHING)


@pytest.mark.attack(76)
def test_a_bearer_token_does_not_come_with_the_dpop_scheme(verify, issuer, key, refused):
    token = issuer.token(AUDIENCE)
    with refused(Refusal.DPOP_NOT_BOUND):
        verify.authorize(request(key.headers("GET", URL, token)), ANYTHING)


@pytest.mark.attack(74)
def test_a_proof_is_good_once_and_so_is_its_jti(verify, key, token, clocks, refused):
    headers = key.headers("GET", URL, token, jti="once")
    verify.authorize(request(headers), ANYTHING)
    for again in (headers, key.headers("GET", URL, token, jti="once")):
        with refused(Refusal.DPOP_REPLAYED):
            verify.authorize(request(again), ANYTHING)
    clocks.move(PROOF_LIFETIME + 2 * LEEWAY)
    with refused(Refusal.DPOP_TIME_WRONG):
        verify.authorize(request(headers), ANYTHING)
    assert verify.authorize(request(key.headers("GET", URL, token, jti="once")), ANYTHING)


def test_a_refused_proof_does_not_spend_its_jti(verify, key, token, refused):
    with refused(Refusal.DPOP_METHOD_WRONG):
        verify.authorize(request(key.headers("POST", URL, token, jti="mine")), ANYTHING)
    assert verify.authorize(request(key.headers("GET", URL, token, jti="mine")), ANYTHING)


def test_the_memory_of_proofs_is_bounded_and_a_flood_brings_none_back(clocks):
    memory = ProofMemory(clocks.wall, LEEWAY, size=3)
    assert [memory.claim(jti, 80) for jti in "abca"] == [True, True, True, False]
    clocks.move(1)
    assert memory.claim("d", 80)
    assert len(memory._seen) == 3
    assert memory.forgotten_until == NOW + LEEWAY, "a proof made up to then might be the one forgotten"
    assert memory.claim("a", 80), "the memory itself has forgotten it"
    clocks.move(80)
    assert memory.claim("e", 80)
    assert list(memory._seen) == ["e"]


@pytest.mark.attack(74)
def test_a_proof_that_a_flood_made_forgotten_is_too_old(verify, key, token, clocks, refused):
    verify._proofs._memory._size = 2
    first = key.headers("GET", URL, token)
    verify.authorize(request(first), ANYTHING)
    clocks.move(2 * LEEWAY)
    for _ in range(3):
        verify.authorize(request(key.headers("GET", URL, token)), ANYTHING)
    with refused(Refusal.DPOP_TIME_WRONG):
        verify.authorize(request(first), ANYTHING)
    assert MAX_PROOFS == 100_000


def test_several_processes_share_the_memory_that_they_are_given(issuer, clocks, key, token, refused):
    shared = {}

    def claim(proof, seconds):
        is_new = proof not in shared
        shared[proof] = seconds
        return is_new

    nodes = [
        Verifier(issuer.url, AUDIENCE, claim_proof=claim, clock=clocks.wall, monotonic=clocks.monotonic)
        for _ in range(2)
    ]
    headers = key.headers("GET", URL, token)
    assert nodes[0].authorize(request(headers), ANYTHING)
    with refused(Refusal.DPOP_REPLAYED):
        nodes[1].authorize(request(headers), ANYTHING)
    assert nodes[1].authorize(request(key.headers("GET", URL, token)), ANYTHING), "another proof is as good as ever"
    assert {len(digest) for digest in shared} == {64}
    assert set(shared.values()) == {PROOF_LIFETIME + 2 * LEEWAY}


# --- challenges -------------------------------------------------------------------------------------------------------


def challenge_of(verify, headers):
    with pytest.raises(TokenRefusedError) as caught:
        verify.authorize(request(headers), ANYTHING)
    return caught.value, caught.value.headers(verify.challenge)


def test_what_is_wrong_with_a_proof_is_answered_in_the_dpop_scheme_with_the_algorithms(verify, key, token):
    refused, headers = challenge_of(verify, key.headers("POST", URL, token))
    assert (refused.status, refused.error) == (401, "invalid_dpop_proof")
    assert headers["www-authenticate"].startswith(f'DPoP realm="{AUDIENCE}", error="invalid_dpop_proof"')
    assert headers["www-authenticate"].endswith('algs="ES256 EdDSA PS256 RS256"')
    assert "Bearer" not in headers["www-authenticate"]


def test_a_downgrade_is_answered_with_the_scheme_to_use(verify, token):
    refused, headers = challenge_of(verify, {"authorization": f"Bearer {token}"})
    assert (refused.status, refused.error) == (401, "invalid_token")
    assert headers["www-authenticate"].startswith("DPoP ")


def test_too_little_scope_of_a_bound_token_is_said_in_its_scheme(verify, key, token):
    with pytest.raises(TokenRefusedError) as caught:
        verify.authorize(request(key.headers("GET", URL, token)), require(["notes.read"]))
    assert caught.value.status == 403
    assert caught.value.headers(verify.challenge)["www-authenticate"].startswith("DPoP ")


def test_an_api_that_requires_dpop_says_nothing_of_bearer_and_takes_no_bearer_token(issuer, clocks, key, token):
    verify = Verifier(issuer.url, AUDIENCE, dpop="require", clock=clocks.wall, monotonic=clocks.monotonic)
    _, headers = challenge_of(verify, {})
    assert headers["www-authenticate"] == f'DPoP realm="{AUDIENCE}", algs="ES256 EdDSA PS256 RS256"'
    refused, headers = challenge_of(verify, {"authorization": f"Bearer {issuer.token(AUDIENCE)}"})
    assert refused.refusal is Refusal.DPOP_REQUIRED
    assert headers["www-authenticate"].startswith("DPoP ")
    assert verify.authorize(request(key.headers("GET", URL, token)), ANYTHING)


def test_an_api_that_refuses_dpop_neither_offers_it_nor_takes_a_bound_token(issuer, clocks, key, token):
    verify = Verifier(issuer.url, AUDIENCE, dpop="refuse", clock=clocks.wall, monotonic=clocks.monotonic)
    assert challenge_of(verify, {})[1]["www-authenticate"] == f'Bearer realm="{AUDIENCE}"'
    assert challenge_of(verify, key.headers("GET", URL, token))[0].refusal is Refusal.BOUND_TO_A_KEY


def test_an_api_that_does_not_know_its_own_url_takes_no_bound_token(issuer, clocks, key):
    verify = Verifier(issuer.url, "notes", clock=clocks.wall, monotonic=clocks.monotonic)
    token = issuer.token("notes", cnf={"jkt": key.thumbprint})
    assert challenge_of(verify, key.headers("GET", URL, token))[0].refusal is Refusal.BOUND_TO_A_KEY
    told = Verifier(issuer.url, "notes", url=AUDIENCE, clock=clocks.wall, monotonic=clocks.monotonic)
    assert told.authorize(request(key.headers("GET", URL, token)), ANYTHING)


def test_a_path_that_a_proxy_takes_away_is_part_of_the_url(issuer, clocks, key, token):
    verify = Verifier(issuer.url, AUDIENCE, url=f"{AUDIENCE}/v%31/", clock=clocks.wall, monotonic=clocks.monotonic)
    assert verify.authorize(request(key.headers("GET", f"{AUDIENCE}/v1/notes", token)), ANYTHING)
    assert challenge_of(verify, key.headers("GET", URL, token))[0].refusal is Refusal.DPOP_URL_WRONG


@pytest.mark.parametrize(
    "arguments",
    [{"dpop": "maybe"}, {"dpop": "require", "audience": "notes"}, {"dpop_nonce": b"short"}, {"url": "notes"}],
)
def test_what_cannot_work_is_said_at_the_start(arguments, issuer):
    with pytest.raises(ValueError, match=r"dpop|http"):
        Verifier(**{"issuer": issuer.url, "audience": AUDIENCE} | arguments)


# --- nonces -----------------------------------------------------------------------------------------------------------


def test_with_nonces_a_proof_has_to_carry_one_of_ours_that_is_not_old(issuer, clocks, key, token):
    verify = Verifier(issuer.url, AUDIENCE, dpop_nonce=True, clock=clocks.wall, monotonic=clocks.monotonic)
    refused, headers = challenge_of(verify, key.headers("GET", URL, token))
    assert (refused.status, refused.error) == (401, "use_dpop_nonce")
    nonce = headers["dpop-nonce"]
    for _ in range(2):
        assert verify.authorize(request(key.headers("GET", URL, token, nonce=nonce)), ANYTHING)
    clocks.move(299)
    later = issuer.token(AUDIENCE, cnf={"jkt": key.thumbprint})
    assert verify.authorize(request(key.headers("GET", URL, later, nonce=nonce)), ANYTHING)
    clocks.move(1)
    assert challenge_of(verify, key.headers("GET", URL, later, nonce=nonce))[1]["dpop-nonce"] != nonce


@pytest.mark.parametrize("nonce", [None, "", 7, "x", "1800000000", "1800000000.AAAA", "é", "9" * 5000 + ".A", "-1.A"])
def test_a_nonce_that_is_not_ours_is_refused(nonce, clocks):
    assert not Nonces(bytes(32), clocks.wall).is_good(nonce)


def test_processes_that_share_the_key_take_each_others_nonces(clocks):
    nonce = Nonces(bytes(32), clocks.wall).mint()
    assert Nonces(bytes(32), clocks.wall).is_good(nonce)
    assert not Nonces(b"x" * 32, clocks.wall).is_good(nonce)


SEGMENTS = st.one_of(
    st.binary(max_size=40).map(encode_segment),
    st.dictionaries(
        st.sampled_from(["typ", "alg", "jwk", "crit", "htu"]),
        st.sampled_from(["dpop+jwt", "ES256", {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": "é", "y": 7}, None]),
    )
    .map(json.dumps)
    .map(str.encode)
    .map(encode_segment),
)


@settings(max_examples=200)
@given(st.lists(SEGMENTS, min_size=1, max_size=4).map(b".".join))
def test_no_proof_escapes_as_another_exception(proof):
    checker = ProofChecker(AUDIENCE, frozenset({"ES256"}), leeway=10)
    headers = ((b"dpop", proof),)
    with suppress(TokenRefusedError):
        checker.check(ProtectedRequest(method="GET", path="/", query=b"", headers=headers), "a.b.c", "x" * 43)
        pytest.fail("no such proof is good")
