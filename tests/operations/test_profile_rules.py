"""What a person may say of themselves (OIDC Core §5.1)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.operations.profile_rules import CLAIMS, ProfileError, parse_profile

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("claim", "text", "value"),
    [
        ("name", "  Ada  ", "Ada"),
        ("name", "", None),
        ("name", "A" * 200, "A" * 200),
        ("name", "e\u0301", "é"),
        ("nickname", "👩‍💻", "👩‍💻"),
        ("birthdate", "2026-11-21", TODAY),
        ("birthdate", "1900-01-01", date(1900, 1, 1)),
        ("zoneinfo", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("zoneinfo", "UTC", "UTC"),
        ("locale", "pt-BR", "pt-BR"),
        ("phone_number", "+372 (51) 234-567", "+37251234567"),
        ("address", "One\r\nTwo", "One\nTwo"),
        ("website", "https://ada.example:8443/~me?x=1#y", "https://ada.example:8443/~me?x=1#y"),
        ("picture", "https://bücher.example/a.png", "https://bücher.example/a.png"),
    ],
)
def test_a_good_value_is_stored_in_one_spelling(claim, text, value):
    assert parse_profile({claim: text}, TODAY) == {claim: value}


@pytest.mark.parametrize(
    ("claim", "text", "problem"),
    [
        ("name", "A" * 201, "too_long"),
        ("name", "two\nlines", "characters"),
        ("name", "nul\x00", "characters"),
        ("name", "\ud800", "characters"),
        ("address", "bell\x07", "characters"),
        ("address", "a" * 1001, "too_long"),
        ("birthdate", "2026-11-22", "date"),
        ("birthdate", "1899-12-31", "date"),
        ("birthdate", "yesterday", "date"),
        ("zoneinfo", "Mars/Olympus", "zone"),
        ("zoneinfo", "../../etc/passwd", "zone"),
        ("zoneinfo", "/etc/localtime", "zone"),
        ("zoneinfo", "Europe", "zone"),
        ("locale", "de_DE", "language"),
        ("locale", "d", "language"),
        ("phone_number", "0123456789", "phone"),
        ("phone_number", "+01234567", "phone"),
        ("phone_number", "+1234567890123456", "phone"),
        ("phone_number", "+٣٧٢٥١٢٣٤٥", "phone"),
        ("picture", "http://ada.example/", "url"),
        ("picture", "javascript:alert(1)", "url"),
        ("picture", "data:image/png;base64,", "url"),
        ("picture", "https://", "url"),
        ("picture", "https://user:pass@ada.example/", "url"),
        ("picture", "https://ada.example:0/", "url"),
        ("picture", "https://ada.example:99999/", "url"),
        ("picture", "https://[", "url"),
        ("picture", "https://ada.example/a b", "url"),
        ("picture", 'https://ada.example/"', "url"),
        ("picture", "https://ada.example/" + "a" * 2000, "too_long"),
    ],
)
def test_a_bad_value_is_named(claim, text, problem):
    with pytest.raises(ProfileError) as caught:
        parse_profile({claim: text}, TODAY)
    assert caught.value.problems == {claim: problem}


def test_every_problem_is_named_at_once():
    with pytest.raises(ProfileError) as caught:
        parse_profile({"name": "A" * 201, "locale": "?", "gender": "fine"}, TODAY)
    assert caught.value.problems == {"name": "too_long", "locale": "language"}


@pytest.mark.attack(114)
def test_what_is_no_claim_is_left_alone():
    assert parse_profile({"email": "a@b.example", "email_verified": "true", "is_admin": "1"}, TODAY) == {}


@given(st.dictionaries(st.sampled_from(CLAIMS), st.text(st.characters(), max_size=50)))
def test_no_value_escapes_as_another_exception(values):
    try:
        said = parse_profile(values, TODAY).keys()
    except ProfileError as error:
        said = values.keys() | error.problems.keys()
    assert said == values.keys()
