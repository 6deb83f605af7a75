"""Codes sent by mail: how they are written, and when they can be tried (DESIGN §4 and §8, SECURITY rows 105 to 111)."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import Refusal
from authserver.oauth.mailed_code_rules import (
    CODE_LIFETIME,
    RESEND_AFTER,
    TRIES,
    MailedCode,
    Purpose,
    check_open,
    check_proven,
    parse_code,
    tried_too_often,
    wrong_code,
)
from tests.oauth.examples import NOW, refused

CODE = MailedCode(
    id=UUID(int=1),
    purpose=Purpose.RESET_PASSWORD,
    user_id=UUID(int=2),
    sign_up_id=None,
    email="ann@example.org",
    code_hash=b"c" * 32,
    link_hash=None,
    browser_hash=b"b" * 32,
    transaction_id=None,
    mail_id=None,
    attempts=0,
    created_at=NOW,
    expires_at=NOW + CODE_LIFETIME,
)
PROVEN = replace(CODE, proven_at=NOW, attempts=TRIES)


@pytest.mark.parametrize("text", ["482913", "482 913", " 4 8 2 9 1 3 ", "\t482913\r\n"])
def test_blanks_in_a_code_do_not_matter(text):
    assert parse_code(text) == "482913"


@pytest.mark.attack(108)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "48291",
        "4829130",
        "48291a",
        "+82913",
        "４８２９１３",
        "٤٨٢٩١٣",
        "482\u00a0913",
        "482\n913",
        "482913\x00",
        "-48291",
    ],
)
def test_any_other_spelling_is_no_code(text):
    assert parse_code(text) is None


@given(st.text() | st.from_regex(r"[0-9 ]{0,9}"))
def test_whatever_is_typed_becomes_six_ascii_digits_or_nothing(text):
    code = parse_code(text)
    assert code is None or (len(code) == 6 and set(code) <= set("0123456789"))


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        pytest.param(None, Refusal.MAILED_CODE_UNKNOWN, id="never asked for"),
        pytest.param(replace(CODE, used_at=NOW), Refusal.MAILED_CODE_USED, id="used"),
        pytest.param(replace(CODE, expires_at=NOW), Refusal.MAILED_CODE_EXPIRED, id="expired this very second"),
        pytest.param(replace(CODE, attempts=TRIES), Refusal.MAILED_CODE_TRIED_TOO_OFTEN, id="five tries"),
        pytest.param(replace(PROVEN, used_at=NOW), Refusal.MAILED_CODE_USED, id="proven and used"),
        pytest.param(replace(PROVEN, expires_at=NOW), Refusal.MAILED_CODE_EXPIRED, id="proven too long ago"),
    ],
)
def test_a_code_that_is_over_is_refused_by_its_reason(code, refusal):
    assert refused(check_open, code, NOW).refusal is refusal


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(CODE, id="fresh"),
        pytest.param(replace(CODE, attempts=TRIES - 1), id="one try left"),
        pytest.param(replace(CODE, expires_at=NOW + timedelta(microseconds=1)), id="just alive"),
        pytest.param(PROVEN, id="proven by the fifth try"),
    ],
)
def test_a_code_that_is_not_over_can_be_tried(code):
    assert check_open(code, NOW) is code


@pytest.mark.attack(111)
@pytest.mark.parametrize(
    ("code", "browser_hash", "refusal"),
    [
        pytest.param(CODE, CODE.browser_hash, Refusal.MAILED_CODE_UNPROVEN, id="no code given"),
        pytest.param(PROVEN, b"o" * 32, Refusal.MAILED_CODE_UNPROVEN, id="given in another browser"),
        pytest.param(PROVEN, None, Refusal.MAILED_CODE_UNPROVEN, id="no browser"),
        pytest.param(replace(PROVEN, used_at=NOW), PROVEN.browser_hash, Refusal.MAILED_CODE_USED, id="used"),
        pytest.param(None, CODE.browser_hash, Refusal.MAILED_CODE_UNKNOWN, id="unknown"),
    ],
)
def test_the_step_after_the_code_needs_the_code(code, browser_hash, refusal):
    assert refused(check_proven, code, browser_hash, NOW).refusal is refusal


def test_whoever_gave_the_code_goes_on():
    assert check_proven(PROVEN, PROVEN.browser_hash, NOW) is PROVEN


def test_a_wrong_code_says_how_many_tries_are_left_and_the_last_one_that_there_are_none():
    assert "3" in wrong_code(3).description
    assert wrong_code(3).refusal is Refusal.MAILED_CODE_WRONG
    assert wrong_code(0).refusal is tried_too_often().refusal is Refusal.MAILED_CODE_TRIED_TOO_OFTEN


@pytest.mark.parametrize(("attempts", "left"), [(0, 5), (4, 1), (5, 0), (9, 0)])
def test_tries_left_never_go_below_none(attempts, left):
    assert replace(CODE, attempts=attempts).tries_left == left


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        (timedelta(0), 30),
        (timedelta(seconds=29, milliseconds=1), 1),
        (RESEND_AFTER, 0),
        (timedelta(hours=1), 0),
    ],
)
def test_another_code_can_be_had_after_half_a_minute(age, seconds):
    assert CODE.wait_for_next(NOW + age) == seconds
