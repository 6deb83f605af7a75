"""Subkeys: one label each, stable for ever, and none without the right box."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

import pytest

from authserver.sealing.box import Box, UnsealError
from authserver.sealing.subkeys import Label, Subkeys, derive, make_master

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOX = Box({"k1": b"k" * 32}, current="k1")


def test_each_label_has_its_own_key():
    subkeys = Subkeys([make_master(BOX, key_id=0, now=NOW)], BOX)
    assert len({subkeys.current(label) for label in Label}) == len(Label)


@pytest.mark.parametrize("label", Label)
def test_the_derivation_never_changes(label):
    """A change here would log everybody out: the tokens in the world carry MACs of these keys (RFC 5869 §2.3)."""
    master = bytes(range(32))
    assert derive(master, label) == hmac.digest(master, b"authserver/" + label.encode() + b"\x01", "sha256")
    assert derive(master, Label.REFRESH_TOKEN).hex().startswith("e695dc93de2b")


def test_a_newer_master_is_current_and_the_older_one_lives_on():
    masters = [make_master(BOX, key_id=number, now=NOW) for number in (3, 1, 2)]
    subkeys = Subkeys(masters, BOX)
    assert subkeys.current_id == 3
    assert set(subkeys.by_id(Label.CSRF)) == {1, 2, 3}
    assert subkeys.by_id(Label.CSRF)[3] == subkeys.current(Label.CSRF)
    assert Subkeys(masters[1:2], BOX).current(Label.CSRF) == subkeys.by_id(Label.CSRF)[1]


@pytest.mark.fault("B13")
def test_a_master_does_not_open_with_another_sealing_key():
    with pytest.raises(UnsealError):
        Subkeys([make_master(BOX, key_id=0, now=NOW)], Box({"k1": b"x" * 32}, current="k1"))


def test_there_is_no_subkey_without_a_master():
    with pytest.raises(ValueError, match="no master"):
        Subkeys([], BOX)


@pytest.mark.parametrize("key_id", [-1, 65_536])
def test_a_key_id_fits_two_bytes(key_id):
    with pytest.raises(ValueError, match="0 to 65535"):
        make_master(BOX, key_id=key_id, now=NOW)
