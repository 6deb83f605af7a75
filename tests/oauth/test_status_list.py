"""draft-ietf-oauth-status-list-21 §4, §5.1, §6.2, §9.3, appendix C.1."""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.status_list import (
    LIST_SIZE,
    aggregation_uri,
    build_aggregation,
    build_list_claims,
    build_status_claim,
    compress,
    parse_list_number,
    place_at,
    split_by_list,
)
from tests.oauth.examples import ISSUER, NOW

SEED = bytes(range(16))

# §4.1 and appendix C.1, verbatim
SIXTEEN = {0, 3, 4, 5, 7, 8, 9, 13, 15}
SIXTEEN_BYTES = bytes.fromhex("b9a3")
LONG = {0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}
LONG_LST = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAA"
    "AJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)


def unpack(lst: str) -> bytes:
    return zlib.decompress(urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))


def set_bits(lst: str) -> set[int]:
    """Read a list as §4.1 has it: the lowest bit of the first byte is the first."""
    return {8 * at + bit for at, octet in enumerate(unpack(lst)) for bit in range(8) if octet >> bit & 1}


def test_sixteen_bits_are_the_two_bytes_of_the_specification():
    assert unpack(compress(SIXTEEN, size=16)) == SIXTEEN_BYTES


def test_a_long_list_says_the_same_as_the_specifications():
    assert unpack(compress(LONG)) == unpack(LONG_LST)
    assert len(compress(LONG)) <= len(LONG_LST)


def test_a_list_has_one_size_whatever_it_holds_and_is_small():
    assert len(unpack(compress(()))) == LIST_SIZE // 8
    assert len(compress(())) < 250
    assert len(compress(range(0, LIST_SIZE, LIST_SIZE // 1000))) < 4000


@pytest.mark.parametrize("count", [0, 10, 100, 1000])
def test_it_is_packed_as_small_as_the_highest_level_packs(count):
    bits = [place_at(SEED, 0, position) for position in range(count)]
    octets = unpack(compress(bits))
    assert len(compress(bits)) <= len(urlsafe_b64encode(zlib.compress(octets, 9)))


@given(st.sets(st.integers(0, 4095), max_size=50))
def test_exactly_the_bits_that_are_set_are_read_again(bits):
    assert set_bits(compress(bits, size=4096)) == bits


def test_indexes_run_on_through_the_lists():
    bits = split_by_list([0, LIST_SIZE - 1, LIST_SIZE, 5 * LIST_SIZE + 7, 5 * LIST_SIZE])
    assert bits == {0: {0, LIST_SIZE - 1}, 1: {0}, 5: {0, 7}}
    assert split_by_list([]) == {}


@pytest.mark.parametrize(
    ("index", "idx", "number"), [(7, 7, 0), (LIST_SIZE, 0, 1), (3 * LIST_SIZE - 1, LIST_SIZE - 1, 2)]
)
def test_a_token_names_its_list_and_its_place(index, idx, number):
    assert build_status_claim(ISSUER, index) == {"status_list": {"idx": idx, "uri": f"{ISSUER}/status/{number}"}}


def test_the_claims_of_a_list():
    claims = build_list_claims(
        "lst", issuer=ISSUER, number=3, now=NOW, lifetime=timedelta(seconds=360), ttl=timedelta(seconds=10)
    )
    issued_at = int(NOW.timestamp())
    assert claims == {
        "iss": ISSUER,
        "sub": build_status_claim(ISSUER, 3 * LIST_SIZE)["status_list"]["uri"],
        "iat": issued_at,
        "exp": issued_at + 360,
        "ttl": 10,
        "status_list": {"bits": 1, "lst": "lst", "aggregation_uri": aggregation_uri(ISSUER)},
    }


def test_the_aggregation_names_every_list():
    assert build_aggregation(ISSUER, 2) == {"status_lists": [f"{ISSUER}/status/0", f"{ISSUER}/status/1"]}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("7", 7),
        ("123456789", 123456789),
        ("1234567890", None),
        ("", None),
        ("00", None),
        ("01", None),
        ("+1", None),
        ("-1", None),
        ("1.0", None),
        (" 1", None),
        ("١", None),
        ("²", None),
        ("x", None),
        ("9" * 5000, None),
    ],
)
def test_a_lists_number_has_one_spelling(text, number):
    assert parse_list_number(text) == number


def test_places_are_given_away_once_each_and_in_no_order():
    places = [place_at(SEED, 1, position) for position in (*range(50_000), *range(LIST_SIZE - 50_000, LIST_SIZE))]
    assert len(set(places)) == len(places), "each exactly once"
    assert {place // LIST_SIZE for place in places} == {1}
    steps = {(after - before) % LIST_SIZE for before, after in pairwise(places[:1001])}
    assert len(steps) > 990, "one place says nothing of the next"
    other = [place_at(bytes(16), 1, position) for position in range(1000)]
    assert sum(one == another for one, another in zip(places, other, strict=False)) < 5, "another list, another order"
