"""What a passkey is called, and what its sign-in is worth."""

from __future__ import annotations

from uuid import UUID

import pytest

from authserver.oauth.passkey_rules import AMR_PASSKEY, MAX_NAME, parse_name, suggest_name

BITWARDEN = UUID("d548826e-79b4-db40-a3d8-11116f7e8349")
NOBODY = UUID(int=0)


@pytest.mark.parametrize(
    ("aaguid", "browser", "name"),
    [
        (BITWARDEN, "Firefox on Linux", "Bitwarden"),
        (NOBODY, "Firefox on Linux", "Firefox on Linux"),
        (NOBODY, "", None),
    ],
)
def test_a_new_passkey_is_called_after_its_authenticator_or_its_browser(aaguid, browser, name):
    assert suggest_name(aaguid, browser) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  The  blue key ", "The blue key"),
        ("Schlüssel 🔑", "Schlüssel 🔑"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
        ("x" * (MAX_NAME + 1), None),
        ("", None),
        (" \t\n", None),
        ("two\nlines", "two lines"),
        ("bell\x07", None),
        ("right\u202eleft", None),
    ],
)
def test_a_name_is_one_line_that_can_be_shown(text, name):
    assert parse_name(text) == name


def test_a_passkey_is_a_key_and_more_than_one_factor():
    assert AMR_PASSKEY == ("pop", "mfa"), "RFC 8176 §2"
