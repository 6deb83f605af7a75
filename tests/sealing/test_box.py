"""What the box seals opens with the right key, for the right purpose, unaltered, and in no other case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.sealing.box import Box, UnsealError

OLD = Box({"old": b"o" * 32}, current="old")
RING = Box({"new": b"n" * 32, "old": b"o" * 32}, current="new")
PURPOSE = "https://issuer.example|kid|ES256|sig"


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_was_sealed_opens_again(plaintext, purpose):
    assert RING.open(RING.seal(plaintext, purpose=purpose), purpose=purpose) == plaintext


def test_an_older_key_of_the_ring_still_opens_what_it_sealed_and_the_newer_one_seals():
    sealed = OLD.seal(b"secret", purpose=PURPOSE)
    assert RING.open(sealed, purpose=PURPOSE) == b"secret"
    assert (RING.key_id_of(sealed), RING.key_id_of(RING.seal(b"secret", purpose=PURPOSE))) == ("old", "new")


def test_the_same_value_is_sealed_differently_every_time():
    assert len({RING.seal(b"secret", purpose=PURPOSE) for _ in range(50)}) == 50


@pytest.mark.parametrize("position", range(len(OLD.seal(b"secret", purpose=PURPOSE))))
def test_one_altered_bit_anywhere_does_not_open(position):
    sealed = bytearray(OLD.seal(b"secret", purpose=PURPOSE))
    sealed[position] ^= 1
    with pytest.raises(UnsealError):
        OLD.open(bytes(sealed), purpose=PURPOSE)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_unseal_error(sealed):
    with pytest.raises(UnsealError):
        RING.open(sealed, purpose=PURPOSE)


def test_a_sealed_value_moved_to_another_row_does_not_open():
    with pytest.raises(UnsealError, match="not meant for"):
        OLD.open(OLD.seal(b"secret", purpose=PURPOSE), purpose=PURPOSE.replace("kid", "other"))


@pytest.mark.fault("B13")
def test_a_value_under_an_unknown_key_names_the_key_that_is_missing():
    with pytest.raises(UnsealError, match=r"'new', which is not in the sealing key file \(it has old\)"):
        OLD.open(RING.seal(b"secret", purpose=PURPOSE), purpose=PURPOSE)


@pytest.mark.fault("B13")
def test_another_key_under_the_same_name_does_not_open():
    with pytest.raises(UnsealError, match="another key has that name"):
        Box({"old": b"x" * 32}, current="old").open(OLD.seal(b"secret", purpose=PURPOSE), purpose=PURPOSE)


@pytest.mark.parametrize(("keys", "current"), [({"k": b"short"}, "k"), ({"k": bytes(32)}, "other"), ({}, "k")])
def test_a_box_is_not_made_of_a_wrong_ring(keys, current):
    with pytest.raises(ValueError, match="sealing key"):
        Box(keys, current=current)
