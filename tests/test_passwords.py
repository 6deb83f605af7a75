"""What a new password may be (NIST SP 800-63B §3.1.1.2)."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.passwords import MAX_PASSWORD, MIN_PASSWORD, find_fault


@pytest.mark.parametrize(
    "password",
    ["correct horse ann", "another long password", "zebra-fjord", "пароль и ещё слова", "x" * 8 + "!Qk7 mündig"],
)
def test_what_is_not_soon_guessed_is_taken_whatever_it_is_made_of(password):
    assert find_fault(password) is None


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("password", id="the first of all"),
        pytest.param("PASSWORD1", id="capitals and a digit"),
        pytest.param("P@ssw0rd2024", id="signs for letters, and a year"),
        pytest.param("qwertyuiop", id="a row of keys"),
        pytest.param("11111111", id="one character"),
        pytest.param("abcdefgh1234", id="sequences"),
        pytest.param("letmein123456", id="two of the first"),
        pytest.param("x" * MAX_PASSWORD, id="long, and nothing else"),
    ],
)
def test_what_is_guessed_early_is_refused_and_says_why(password):
    fault = find_fault(password)
    assert fault.fault == "too_common"
    assert fault.hints


def test_what_anybody_knows_of_the_person_is_guessed_early():
    assert find_fault("quillfeather7") is None
    about = ("quillfeather@example.org", "Quillfeather Moon")
    assert find_fault("quillfeather7", about).fault == "too_common"
    assert find_fault("quillfeather@example.org", about).fault == "too_common"


@pytest.mark.parametrize(
    ("length", "fault"),
    [(0, "too_short"), (MIN_PASSWORD - 1, "too_short"), (MAX_PASSWORD + 1, "too_long"), (1_000_000, "too_long")],
)
@pytest.mark.attack(118)
def test_length_is_judged_before_anything_else(length, fault):
    assert find_fault("k" * length).fault == fault


@given(st.text(min_size=MIN_PASSWORD, max_size=60, alphabet=st.characters()), st.text(max_size=30))
def test_no_password_is_an_error(password, about):
    find_fault(password, [about])


def test_the_word_lists_are_not_read_by_a_server_that_starts():
    program = "import sys, authserver.app; print('zxcvbn_rs_py' in sys.modules, 'email_validator' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
