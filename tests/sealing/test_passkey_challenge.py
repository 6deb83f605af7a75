"""The challenge that a passkey signs is good for one purpose, for half an hour (SECURITY row 116)."""

from datetime import UTC, datetime, timedelta

import pytest

from authserver.oauth.passkey_rules import CHALLENGE_LIFETIME
from authserver.sealing.box import Box
from authserver.sealing.passkey_challenge import find_end, new_challenge
from authserver.sealing.subkeys import Subkeys, make_master

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOX = Box({"test": bytes(32)}, current="test")
FIRST, SECOND = (make_master(BOX, key_id=number, now=NOW) for number in (1, 2))
SUBKEYS = Subkeys([FIRST], BOX)
CHALLENGE = new_challenge(SUBKEYS, "sign in|browser|", NOW + timedelta(milliseconds=300))


def test_it_says_when_it_is_over_in_whole_seconds():
    assert find_end(SUBKEYS, CHALLENGE, "sign in|browser|") == NOW + CHALLENGE_LIFETIME


def test_no_two_are_alike():
    assert new_challenge(SUBKEYS, "x", NOW) != new_challenge(SUBKEYS, "x", NOW)


def test_it_outlives_the_key_that_signs_new_ones_and_not_its_own():
    assert find_end(Subkeys([FIRST, SECOND], BOX), CHALLENGE, "sign in|browser|") is not None
    assert find_end(Subkeys([SECOND], BOX), CHALLENGE, "sign in|browser|") is None


@pytest.mark.attack(116)
@pytest.mark.parametrize("purpose", ["", "sign in|browser", "sign in|browse|", "second factor|browser|"])
def test_for_anything_else_it_is_worth_nothing(purpose):
    assert find_end(SUBKEYS, CHALLENGE, purpose) is None


@pytest.mark.attack(116)
@pytest.mark.parametrize("length", [0, 1, 21, 22, 53, 55, 1000])
def test_of_another_length_it_is_worth_nothing(length):
    assert find_end(SUBKEYS, (CHALLENGE * 20)[:length], "sign in|browser|") is None


@pytest.mark.attack(116)
@pytest.mark.parametrize("place", range(len(CHALLENGE)))
def test_with_one_bit_changed_it_is_worth_nothing(place):
    changed = bytearray(CHALLENGE)
    changed[place] ^= 1
    assert find_end(SUBKEYS, bytes(changed), "sign in|browser|") is None
