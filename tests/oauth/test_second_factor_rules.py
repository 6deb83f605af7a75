"""What is typed as a second factor and what a sign-in with one is worth: RFC 6238, RFC 8176; SECURITY row 108."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from authserver.oauth.second_factor_rules import (
    TRIES,
    PendingSignIn,
    TypedFactor,
    is_met,
    parse_factor,
    spell_recovery_code,
    strengthen,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PENDING = PendingSignIn(
    id=UUID(int=1),
    user_id=UUID(int=2),
    binding_hash=b"b",
    client_id=None,
    transaction_id=None,
    session_id=None,
    amr=("pwd",),
    shared_computer=False,
    attempts=0,
    created_at=NOW,
    expires_at=NOW,
)


@pytest.mark.parametrize("text", ["482913", " 482 913", "4 8 2 9 1 3\n"])
def test_six_digits_are_of_the_app(text):
    assert parse_factor(text) == TypedFactor(method="otp", value="482913")


@pytest.mark.parametrize("text", ["k3qw9zx40011", "K3QW-9ZX4-0011", "k3qw 9zx4 ooli", "k3qw-9zx4-0oIl"])
def test_a_recovery_code_has_one_value_however_it_is_spelt(text):
    code = TypedFactor(method="recovery", value="k3qw9zx40011")
    assert parse_factor(text) == parse_factor(spell_recovery_code(code.value)) == code


@pytest.mark.attack(108)
@pytest.mark.parametrize(
    "text",
    ["", "48291", "4829131", "４８２９１３", "٤٨٢٩١٣", "48-29-13", "k3qw9zx4001", "k3qw9zx4001u", "ｋ3qw9zx40011"],
)
def test_nothing_else_is_a_code(text):
    assert parse_factor(text) is None


def test_the_methods_say_both_factors_and_no_second_one_twice():
    assert strengthen(("pwd",), "otp") == ("pwd", "otp", "mfa")
    assert strengthen(("email",), "recovery") == ("email", "recovery", "mfa")
    assert strengthen(("pwd", "otp", "mfa"), "recovery") == ("pwd", "recovery", "mfa")


@pytest.mark.parametrize(
    ("acr", "asked", "met"),
    [
        ("aal1", ("aal1",), True),
        ("aal2", ("aal1",), True),
        ("aal1", ("aal2",), False),
        ("aal2", ("aal3",), False),
        ("aal1", (), False),
    ],
)
def test_a_stronger_session_will_do(acr, asked, met):
    assert is_met(acr, asked) is met


def test_tries_run_out():
    assert PENDING.tries_left == TRIES
    assert replace(PENDING, attempts=TRIES + 1).tries_left == 0
