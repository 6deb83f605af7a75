"""The keyring: what signs, what /jwks says, and what a process does whose key file is gone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest
from joserfc.jwk import KeySet

from authserver.jose.jwt import sign, sign_access_token, verify_own
from authserver.jose.keyring import NoSigningKeyError, generate, public_pem
from authserver.sealing.box import Box, UnsealError
from tests.jose.keys import BOX, ISSUER, NOW, both, ring, row

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
ANOTHER_BOX = Box({"k2": b"x" * 32}, current="k2")
CURRENT = replace(row("ES256"), sign_until=NOW + DAY, drop_at=NOW + 3 * DAY)
NEXT = replace(row("ES256", 2), sign_from=NOW + DAY)


def kids(keyring, now):
    return [key["kid"] for key in json.loads(keyring.jwks(now).body)["keys"]]


def test_all_nodes_change_over_at_the_same_moment_without_a_word():
    keyring = ring(CURRENT, NEXT)
    assert keyring.signing_key("ES256", NOW + DAY - SECOND).kid == CURRENT.kid
    assert keyring.signing_key("ES256", NOW + DAY).kid == NEXT.kid
    assert keyring.signing_key("ES256", NOW).kid == CURRENT.kid, "and a clock that steps back finds the old one"


def test_a_key_is_in_jwks_before_it_signs_and_until_it_is_dropped():
    keyring = ring(CURRENT, NEXT)
    for moment in (NOW, NOW + DAY, NOW + 3 * DAY - SECOND):
        assert kids(keyring, moment) == [CURRENT.kid, NEXT.kid]
    assert kids(keyring, NOW + 3 * DAY) == [NEXT.kid]


def test_the_answer_is_the_same_bytes_with_the_same_etag_until_something_changes():
    keyring = ring(CURRENT, NEXT)
    first = keyring.jwks(NOW)
    assert keyring.jwks(NOW + timedelta(hours=1)).body is first.body
    assert ring(NEXT, CURRENT).jwks(NOW) == first, "another process says the same"
    later = keyring.jwks(NOW + 3 * DAY)
    assert later.etag != first.etag
    assert (first.etag[0], first.etag[-1]) == ('"', '"')


@pytest.mark.parametrize(
    ("before", "max_age"), [(DAY, 300), (301 * SECOND, 300), (300 * SECOND, 300), (100 * SECOND, 100), (2 * SECOND, 10)]
)
def test_max_age_is_shorter_close_to_a_change(before, max_age):
    assert ring(CURRENT, NEXT).jwks(NOW + DAY - before).max_age == max_age


def test_max_age_is_the_setting_where_no_change_is_known():
    assert both().jwks(NOW).max_age == 300


@pytest.mark.attack(67)
def test_jwks_holds_public_members_only_and_any_library_reads_it():
    document = json.loads(both().jwks(NOW).body)
    assert [sorted(key) for key in document["keys"]] == [
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
        ["alg", "e", "kid", "kty", "n", "use"],
    ]
    assert [key.kid for key in KeySet.import_key_set(document).keys] == [row("ES256").kid, row("RS256").kid]


@pytest.mark.fault("B17")
def test_a_revoked_key_is_nowhere_even_if_a_backup_brings_its_row_back():
    keyring = ring(replace(CURRENT, revoked_at=NOW), NEXT)
    assert kids(keyring, NOW) == [NEXT.kid]
    assert keyring.find(CURRENT.kid, NOW) is None
    with pytest.raises(NoSigningKeyError):
        keyring.signing_key("ES256", NOW)


def test_a_key_verifies_while_it_is_listed_and_no_longer():
    keyring = ring(CURRENT, NEXT)
    assert keyring.find(NEXT.kid, NOW).kid == NEXT.kid, "another node's clock may be ahead"
    assert keyring.find(CURRENT.kid, NOW + 3 * DAY - SECOND) is not None
    assert keyring.find(CURRENT.kid, NOW + 3 * DAY) is None
    assert keyring.find("unknown", NOW) is None


def test_an_algorithm_without_a_key_says_where_to_look():
    with pytest.raises(NoSigningKeyError, match="authserver keys list"):
        ring(CURRENT).signing_key("RS256", NOW)


@pytest.mark.fault("B13")
def test_the_wrong_sealing_key_stops_the_load():
    with pytest.raises(UnsealError):
        ring(CURRENT, box=Box({"k1": b"x" * 32}, current="k1"))


@pytest.mark.fault("B13")
def test_a_running_process_goes_on_with_the_keys_it_has_opened():
    before = ring(CURRENT)
    after = ring(replace(CURRENT, sign_until=NOW + 2 * DAY), box=ANOTHER_BOX, previous=before)
    assert after.signing_key("ES256", NOW).private is before.signing_key("ES256", NOW).private
    assert after.signing_key("ES256", NOW).row.sign_until == NOW + 2 * DAY


@pytest.mark.fault("B13")
@pytest.mark.parametrize("changed", [{"kid": "other"}, {"alg": "RS256"}])
def test_a_sealed_key_moved_to_another_row_does_not_open(changed):
    with pytest.raises(UnsealError):
        ring(replace(CURRENT, **changed))


def test_a_sealed_key_of_another_issuer_does_not_open():
    foreign = generate("ES256", BOX, issuer="https://other.example", generation=1, publish_at=NOW, sign_from=NOW)
    with pytest.raises(UnsealError):
        ring(foreign)


def test_dropped_keys_are_not_even_opened():
    dropped = replace(CURRENT, sealed_private=b"gone", sign_until=NOW - 3 * DAY, drop_at=NOW - DAY)
    assert ring(dropped, replace(NEXT, sign_from=NOW)).signing_key("ES256", NOW).kid == NEXT.kid


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_public_key_is_exported_as_pem(alg):
    pem = public_pem(row(alg))
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert "PRIVATE" not in pem


@pytest.mark.fault("B13")
def test_a_running_process_needs_not_open_again_what_others_have_sealed_anew():
    before = ring(CURRENT, NEXT)
    after = ring(replace(CURRENT, sealed_private=b"sealed under a key of tomorrow"), NEXT, previous=before)
    assert after.signing_key("ES256", NOW).private is before.signing_key("ES256", NOW).private


@pytest.mark.fault("B13", "B14")
def test_a_new_key_that_a_running_process_cannot_open_is_published_and_verifies_but_does_not_sign():
    before = ring(CURRENT)
    after = ring(CURRENT, NEXT, box=ANOTHER_BOX, previous=before)
    assert kids(after, NOW) == [CURRENT.kid, NEXT.kid]
    assert after.sealed == {NEXT.kid}
    token = sign_access_token(ring(replace(NEXT, sign_from=NOW)), {"iss": ISSUER, "exp": 4e9}, now=NOW)
    assert verify_own(after, token, typ="at+jwt", now=NOW)["iss"] == ISSUER
    assert after.signing_key("ES256", NOW + DAY).kid == CURRENT.kid, "the old one, while it is published"
    with pytest.raises(NoSigningKeyError):
        after.signing_key("ES256", NOW + 3 * DAY)
    assert ring(CURRENT, NEXT, previous=after).sealed == frozenset(), "and is tried again at the next change"


@pytest.mark.fault("B17", "B11")
def test_a_process_whose_clock_is_behind_signs_with_the_key_that_took_over_in_an_emergency():
    successor = replace(NEXT, sign_from=NOW)
    keyring = ring(replace(CURRENT, revoked_at=NOW), successor)
    assert keyring.signing_key("ES256", NOW - MINUTE).kid == successor.kid
    with pytest.raises(NoSigningKeyError):
        keyring.signing_key("ES256", NOW - MINUTE - SECOND)
    waiting = ring(CURRENT, successor)
    assert waiting.signing_key("ES256", NOW - SECOND).kid == CURRENT.kid, "where another one signs it waits"


@pytest.mark.fault("B15")
def test_no_process_signs_with_a_key_that_is_dropped():
    with pytest.raises(NoSigningKeyError):
        ring(CURRENT).signing_key("ES256", NOW + 3 * DAY)
    assert ring(CURRENT).signing_key("ES256", NOW + 3 * DAY - SECOND).kid == CURRENT.kid


@pytest.mark.fault("B15")
@pytest.mark.parametrize(("age", "max_age"), [(0, 300), (2.0, 300), (2.1, 297), (9.0, 291), (295, 10), (1e6, 10)])
def test_an_answer_that_nobody_has_confirmed_lately_is_to_be_kept_for_so_much_shorter(age, max_age):
    assert both().jwks(NOW, age=age).max_age == max_age
    assert both().jwks(NOW, age=age).etag == both().jwks(NOW).etag


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", "PS256"])
def test_tokens_of_every_algorithm_are_verified_by_ourselves_and_by_another_library(alg):
    keyring = ring(row(alg))
    token = sign(keyring, {"iss": ISSUER, "aud": "app", "exp": 4_000_000_000}, alg=alg, typ="JWT", now=NOW)
    assert verify_own(keyring, token, typ="JWT", now=NOW)["aud"] == "app"
    jwk = json.loads(keyring.jwks(NOW).body)["keys"][0]
    assert (jwk["alg"], jwk["kid"]) == (alg, row(alg).kid)
    assert jwt.decode(token, jwt.PyJWK(jwk), algorithms=[alg], audience="app")["iss"] == ISSUER
    assert public_pem(row(alg)).startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.attack(67)
def test_no_algorithm_s_jwks_holds_a_private_member():
    document = json.loads(ring(*map(row, ("ES256", "RS256", "EdDSA", "PS256"))).jwks(NOW).body)
    assert len(document["keys"]) == 4
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & {member for key in document["keys"] for member in key}


def test_an_algorithm_is_announced_from_when_it_signs():
    first = replace(row("EdDSA"), publish_at=NOW, sign_from=NOW + DAY)
    assert ring(CURRENT, first).algorithms == ("ES256",)
    assert ring(CURRENT, first, now=NOW + DAY).algorithms == ("ES256", "EdDSA")


def test_no_key_is_made_for_an_algorithm_that_we_do_not_sign_with():
    with pytest.raises(ValueError, match="HS256"):
        generate("HS256", BOX, issuer=ISSUER, generation=1, publish_at=NOW, sign_from=NOW)


@pytest.mark.fault("B18", "B27")
def test_a_key_for_an_algorithm_of_a_newer_version_is_published_and_disturbs_nobody():
    public = {"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "use": "sig", "pub": "AAAA"}
    newer = replace(row("ES256", 3), alg="ML-DSA-44", kid="new", public_jwk=public)
    keyring = ring(CURRENT, newer)
    assert json.loads(keyring.jwks(NOW).body)["keys"][1] == public
    assert keyring.algorithms == ("ES256",)
    assert keyring.sealed == {"new"}
    assert keyring.find("new", NOW) is None
    assert keyring.signing_key("ES256", NOW).kid == CURRENT.kid
