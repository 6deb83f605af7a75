"""A JWS is taken apart strictly: whatever passes has one spelling and says each thing once (RFC 7515, RFC 8725 §3)."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.jose.compact import Fault, TokenError, decode_base64url, encode_base64url, parse_compact, parse_object

HEADER, PAYLOAD, SIGNATURE = '{"alg":"ES256","kid":"k"}', '{"iss":"joe"}', b"signature!"


def segment(text):
    return encode_base64url(text if isinstance(text, bytes) else text.encode())


def token(header=HEADER, payload=PAYLOAD, signature=SIGNATURE):
    return ".".join(segment(part) for part in (header, payload, signature))


def fault_of(text, read=lambda text: parse_compact(text).claims()):
    with pytest.raises(TokenError) as caught:
        read(text)
    return caught.value.fault


def test_the_parts_come_out_as_they_went_in():
    compact = parse_compact(token())
    assert (compact.alg, compact.kid, compact.typ, compact.claims()) == ("ES256", "k", None, {"iss": "joe"})
    assert compact.signature == SIGNATURE
    assert compact.signing_input.decode() == token().rpartition(".")[0]


@pytest.mark.parametrize(
    ("typ", "read"), [("JWT", "jwt"), ("application/at+jwt", "at+jwt"), ("Application/AT+JWT", "at+jwt"), ("", "")]
)
def test_a_type_is_compared_as_a_media_type(typ, read):
    assert parse_compact(token(json.dumps({"alg": "ES256", "typ": typ}))).typ == read


@pytest.mark.attack(64)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token() + ".", id="a dot at the end"),
        pytest.param(token() + ".AAAA", id="four segments"),
        pytest.param(token().rpartition(".")[0], id="two segments"),
        pytest.param(token(signature=b""), id="an empty signature"),
        pytest.param("." + token(), id="a dot in front"),
        pytest.param(token() + "=", id="padding"),
        pytest.param(token() + "\n", id="a line end"),
        pytest.param(" " + token(), id="a blank in front"),
        pytest.param(token().replace("eyJ", "ey\u0130", 1), id="a letter that is not ASCII"),
        pytest.param(base64.b64encode(b"\xfb\xff").decode() + "." + token().partition(".")[2], id="plain base64"),
        pytest.param(segment(HEADER)[:-1] + "." + token().partition(".")[2], id="a header cut short"),
        pytest.param(json.dumps({"payload": "", "signatures": []}), id="the JSON serialization"),
        pytest.param(json.dumps({"protected": segment(HEADER), "payload": "", "signature": ""}), id="flattened JSON"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_compact_jws_is_three_canonical_segments_and_nothing_else(text):
    assert fault_of(text) is Fault.MALFORMED


@pytest.mark.attack(31)
@pytest.mark.attack(64)
def test_spare_bits_in_the_last_character_are_another_spelling_and_refused():
    spelled = segment(b"ab")
    others = [
        spelled[:-1] + character for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ]
    assert [text for text in others if decode_base64url(text) == b"ab"] == [spelled]


@given(st.binary(min_size=1, max_size=100))
def test_every_byte_string_has_exactly_its_own_spelling(octets):
    assert decode_base64url(encode_base64url(octets)) == octets
    assert decode_base64url(encode_base64url(octets) + "=") is None


@pytest.mark.attack(61)
@pytest.mark.parametrize(
    "crit", [[], ["exp"], ["b64"], ["http://example.com/UNDEFINED"], None, "b64", {}], ids=json.dumps
)
def test_crit_is_refused_whatever_it_holds(crit):
    assert fault_of(token(json.dumps({"alg": "ES256", "crit": crit, "b64": True}))) is Fault.MALFORMED


@pytest.mark.attack(60)
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"kid": "k"}, id="no alg"),
        pytest.param({"alg": None}, id="alg null"),
        pytest.param({"alg": ["ES256"]}, id="alg a list"),
        pytest.param({"alg": "ES256", "kid": 1}, id="kid a number"),
        pytest.param({"alg": "ES256", "kid": None}, id="kid null"),
        pytest.param({"alg": "ES256", "kid": "k" * 257}, id="kid too long"),
        pytest.param({"alg": "ES256", "typ": 1}, id="typ a number"),
        pytest.param(["ES256"], id="a list"),
    ],
)
def test_a_header_names_its_algorithm_and_key_as_text(header):
    assert fault_of(token(json.dumps(header))) is Fault.MALFORMED


@pytest.mark.attack(64)
@pytest.mark.attack(66)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"exp":1,"exp":2}', id="a name twice"),
        pytest.param('{"exp":1,"\\u0065xp":2}', id="a name twice, once escaped"),
        pytest.param('{"cnf":{"jkt":"a","jkt":"b"}}', id="a name twice, deeper"),
        pytest.param('[{"a":1,"a":1}]', id="a name twice, in a list"),
        pytest.param('{"exp":NaN}', id="NaN"),
        pytest.param('{"exp":Infinity}', id="Infinity"),
        pytest.param('{"exp":-Infinity}', id="-Infinity"),
        pytest.param('{"exp":1e400}', id="1e400"),
        pytest.param('{"exp":1e300}', id="1e300"),
        pytest.param('{"exp":9007199254740993}', id="2^53 + 1"),
        pytest.param('{"exp":' + "9" * 6000 + "}", id="a huge integer"),
        pytest.param("[" * 4000, id="deep and open"),
        pytest.param("[" * 2900 + "]" * 2900, id="deep and closed"),
        pytest.param("[]", id="a list"),
        pytest.param('{"a":1}{"b":2}', id="two objects"),
        pytest.param('{"a":1}x', id="trailing garbage"),
        pytest.param("{'a':1}", id="single quotes"),
        pytest.param('"iss"', id="a text"),
        pytest.param("null", id="null"),
        pytest.param(b'{"a":"\xff"}', id="no UTF-8"),
        pytest.param('\ufeff{"a":1}', id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
    ],
)
def test_claims_are_one_json_object_that_says_each_thing_once(text):
    assert fault_of(token(payload=text)) is Fault.MALFORMED


@pytest.mark.attack(62)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(token(payload=json.dumps({"a": "x" * 8192})), id="a long payload"),
        pytest.param(token(json.dumps({"alg": "ES256", "x": "x" * 4096})), id="a long header"),
        pytest.param("." * 1_000_000, id="a million dots"),
        pytest.param("A" * 1_000_000, id="a million letters"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_read(text, monkeypatch):
    monkeypatch.setattr("authserver.jose.compact.parse_object", lambda _: pytest.fail("read"))
    assert fault_of(text) is Fault.MALFORMED


@given(st.text() | st.lists(st.binary(max_size=60).map(encode_base64url), min_size=3, max_size=3).map(".".join))
def test_no_text_escapes_as_another_error(text):
    with contextlib.suppress(TokenError):
        assert isinstance(parse_compact(text).claims(), dict)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_bytes_escape_as_another_error(octets):
    with contextlib.suppress(TokenError):
        assert isinstance(parse_object(octets), dict)
