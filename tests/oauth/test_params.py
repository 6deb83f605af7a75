"""Request parameters: RFC 6749 §3.1, §3.2 and appendix B; SECURITY rows 8 and 19."""

import string
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.params import MAX_FIELDS, REPEATABLE, Params, printable
from tests.oauth.examples import refused


def test_values_are_decoded():
    form = Params.parse(b"scope=a+b%20c&state=%C3%A4%26&x")
    assert (form.get("scope"), form.get("state"), form.get("x")) == ("a b c", "ä&", None)
    assert list(form) == [("scope", "a b c"), ("state", "ä&")]


def test_an_empty_value_was_not_sent():
    form = Params.parse("scope=&scope=&state=x")
    assert form.get("scope") is None
    assert "scope" not in form
    assert "state" in form
    assert refused(form.require, "scope").refusal == Refusal.PARAMETER_MISSING


def test_an_empty_value_beside_a_good_one_is_not_a_repetition():
    assert Params.parse("scope=&scope=a").get("scope") == "a"


@pytest.mark.attack(8)
def test_a_repeated_parameter_is_refused_wherever_it_is_read():
    form = Params.parse("scope=a&scope=a")
    for read in (form.get, form.require):
        error = refused(read, "scope")
        assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, Refusal.PARAMETER_REPEATED)


@pytest.mark.attack(8)
def test_a_repeated_parameter_is_refused_even_where_nobody_reads_it():
    assert refused(Params.parse("x=1&x=2").check_none_repeated).refusal == Refusal.PARAMETER_REPEATED
    assert refused(Params.parse("x=1&y=2").check_none_repeated) is None


@pytest.mark.parametrize("name", sorted(REPEATABLE))
def test_some_parameters_may_be_repeated(name):
    form = Params.parse(f"{name}=a&{name}=b")
    assert refused(form.check_none_repeated) is None
    assert form.all(name) == ("a", "b")
    assert form.all("other") == ()


@pytest.mark.parametrize(
    ("encoded", "refusal"),
    [
        pytest.param(b"state=\xff", Refusal.PARAMETERS_MALFORMED, id="B raw bytes"),
        pytest.param(b"state=\xc3\xa4", Refusal.PARAMETERS_MALFORMED, id="B raw UTF-8"),
        pytest.param("state=\u00e4", Refusal.PARAMETERS_MALFORMED, id="B a query with raw bytes"),
        pytest.param(b"state=%ff", Refusal.PARAMETERS_MALFORMED, id="B percent-encoded bytes that are no UTF-8"),
        pytest.param(b"state=%ed%a0%80", Refusal.PARAMETERS_MALFORMED, id="B a percent-encoded surrogate"),
        pytest.param(b"state=a%00b", Refusal.PARAMETERS_MALFORMED, id="a percent-encoded NUL"),
        pytest.param(b"state=a\x00b", Refusal.PARAMETERS_MALFORMED, id="a NUL"),
        pytest.param(b"a=1&" * (MAX_FIELDS + 1), Refusal.PARAMETERS_TOO_MANY, id="too many"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(encoded, refusal):
    error = refused(Params.parse, encoded)
    assert (error.error, error.refusal) == (ErrorCode.INVALID_REQUEST, refusal)


def test_as_many_parameters_as_are_read_are_read():
    assert len(list(Params.parse("&".join(f"p{n}=1" for n in range(MAX_FIELDS))))) == MAX_FIELDS


def test_values_stay_out_of_what_a_log_would_print():
    assert repr(Params.parse("client_secret=hush&code=x")) == "Params(client_secret, code)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ('a"b\\c', "a?b?c"), ("ä\n", "??"), ("x" * 50, "x" * 40)],
)
def test_what_a_sender_wrote_is_shown_in_the_characters_an_error_may_hold(text, shown):
    assert printable(text) == shown


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


@given(st.dictionaries(TEXTS, TEXTS, max_size=20))
def test_what_was_encoded_is_read_back(pairs):
    form = Params.parse(urlencode(pairs))
    assert dict(form) == pairs
    assert refused(form.check_none_repeated) is None


@given(
    st.text()
    | st.binary()
    | st.text(st.sampled_from(string.hexdigits + "%&=+;")).map(str.encode)
    | st.text(string.printable)
)
def test_any_body_is_read_or_refused_and_nothing_else(encoded):
    error = refused(Params.parse, encoded)
    if error is None:
        assert all(value and "\x00" not in value for _, value in Params.parse(encoded))
    else:
        assert error.refusal in {Refusal.PARAMETERS_MALFORMED, Refusal.PARAMETERS_TOO_MANY}


@given(st.text(st.sampled_from("ab09f%&=+;~"), max_size=60))
def test_a_form_is_read_as_the_standard_library_reads_it(encoded):
    """With its own pieces: ``parse_qsl`` itself costs 10 us more a request."""
    try:
        expected = parse_qsl(encoded, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        expected = None
    if expected is None or "%00" in encoded:
        assert refused(Params.parse, encoded).refusal is Refusal.PARAMETERS_MALFORMED
    else:
        by_name = {}
        for name, value in expected:
            by_name.setdefault(name, []).extend([(name, value)] if value else [])
        assert list(Params.parse(encoded)) == [pair for pairs in by_name.values() for pair in pairs]
