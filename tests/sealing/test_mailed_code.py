"""Codes sent by mail: what is stored of them is worth nothing without the pepper, and nothing elsewhere (DESIGN §4)."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from authserver.oauth.mailed_code_rules import Purpose
from authserver.sealing.box import Box
from authserver.sealing.mailed_code import hash_code, is_code, make_stop_token, new_code, read_stop_token
from authserver.sealing.subkeys import Subkeys, make_master
from tests.oauth.test_mailed_code_rules import CODE

BOX = Box({"test": bytes(range(32))}, current="test")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MASTERS = [make_master(BOX, key_id=key_id, now=NOW) for key_id in (1, 2)]
KEYS = Subkeys(MASTERS[:1], BOX)


def store(subkeys=KEYS, digits="482913", **changes):
    code = replace(CODE, **changes)
    code_hash = hash_code(subkeys, digits, code_id=code.id, purpose=code.purpose, browser_hash=code.browser_hash)
    return replace(code, code_hash=code_hash)


def test_a_code_has_six_digits_and_any_six():
    codes = [new_code() for _ in range(2000)]
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    first = Counter(code[0] for code in codes)
    assert min(first[digit] for digit in "0123456789") > 100, "zeros in front are kept"


def test_the_code_is_recognised_and_its_neighbour_is_not():
    stored = store()
    assert is_code(KEYS, "482913", stored, stored.browser_hash)
    assert not is_code(KEYS, "482914", stored, stored.browser_hash)
    assert b"482913" not in stored.code_hash


@pytest.mark.attack(109)
@pytest.mark.parametrize(
    "moved",
    [
        {"id": UUID(int=9)},
        {"purpose": Purpose.LOGIN},
        {"browser_hash": b"o" * 32},
        {"browser_hash": None},
    ],
)
def test_a_hash_moved_to_another_row_fits_nothing(moved):
    elsewhere = replace(store(), **moved)
    assert not is_code(KEYS, "482913", elsewhere, elsewhere.browser_hash)


def test_a_row_without_a_code_has_no_right_one():
    assert not is_code(KEYS, "000000", replace(CODE, code_hash=None), CODE.browser_hash)


def test_a_code_of_before_the_pepper_was_replaced_is_still_right():
    both = Subkeys(MASTERS, BOX)
    old, new = store(), store(both)
    assert old.code_hash != new.code_hash
    assert is_code(both, "482913", old, old.browser_hash)
    assert not is_code(Subkeys(MASTERS[1:], BOX), "482913", old, old.browser_hash)


def test_a_stop_token_names_its_code_also_after_a_newer_master_came():
    token = make_stop_token(KEYS, CODE.id)
    assert read_stop_token(KEYS, token) == CODE.id
    assert read_stop_token(Subkeys(MASTERS, BOX), token) == CODE.id
    assert read_stop_token(Subkeys(MASTERS[1:], BOX), token) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: token[:32],
        lambda token: token[:-1],
        lambda token: token + "0",
        lambda token: token.upper(),
        lambda token: f"{UUID(int=3).hex}{token[32:]}",
        lambda token: "\ud800" + token,
        lambda token: token[:31] + "\u0661" + token[32:],
    ],
    ids=[
        "nothing",
        "no seal",
        "shorter",
        "longer",
        "upper case",
        "of another code",
        "half a surrogate",
        "other digits",
    ],
)
def test_what_is_no_stop_token_of_ours_names_nothing(change):
    assert read_stop_token(KEYS, change(make_stop_token(KEYS, CODE.id))) is None
