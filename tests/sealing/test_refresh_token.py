"""The refresh token of DESIGN §5: one spelling, nothing accepted that was not sealed here."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.sealing.box import Box
from authserver.sealing.opaque import new_grant_secret
from authserver.sealing.refresh_token import RefreshToken, RefreshTokenSealer
from authserver.sealing.subkeys import Subkeys, make_master

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOX = Box({"k1": b"k" * 32}, current="k1")
FIRST, SECOND, STRANGER = (make_master(BOX, key_id=key_id, now=NOW) for key_id in (1, 2, 1))
SEALER = RefreshTokenSealer(Subkeys([FIRST], BOX))
GRANT_ID = UUID("0193508f-0000-7000-8000-000000000001")
VALUES = {"grant_id": GRANT_ID, "secret": b"s" * 16, "generation": 7, "issued_at": NOW}
TOKEN = SEALER.seal(**VALUES)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_token_is_asr_and_a_hundred_characters_that_say_what_design_lists():
    assert TOKEN.startswith("asr_")
    assert len(TOKEN) == 104
    raw = base64.urlsafe_b64decode(TOKEN[4:])
    assert len(raw) == 75
    assert raw[:43] == (
        b"\x01" + (1).to_bytes(2) + GRANT_ID.bytes + b"s" * 16 + (7).to_bytes(4) + int(NOW.timestamp()).to_bytes(4)
    )


@given(
    grant_id=st.uuids(),
    secret=st.binary(min_size=16, max_size=16),
    generation=st.integers(0, 2**32 - 1),
    issued_at=st.datetimes(datetime(1970, 1, 2), datetime(2106, 1, 1)).map(lambda time: time.replace(tzinfo=UTC)),  # noqa: DTZ001
)
def test_what_was_sealed_opens_again_in_whole_seconds(grant_id, secret, generation, issued_at):
    token = SEALER.seal(grant_id=grant_id, secret=secret, generation=generation, issued_at=issued_at)
    assert SEALER.open(token) == RefreshToken(
        grant_id=grant_id, secret=secret, generation=generation, issued_at=issued_at.replace(microsecond=0)
    )


def test_the_same_successor_is_the_same_string_whatever_the_microsecond():
    assert SEALER.seal(**{**VALUES, "issued_at": NOW + timedelta(microseconds=999_999)}) == TOKEN


@pytest.mark.attack(31)
@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_every_other_character_in_any_place_is_refused(position):
    for character in ALPHABET + "+/=. \n":
        if character != TOKEN[position]:
            assert SEALER.open(TOKEN[:position] + character + TOKEN[position + 1 :]) is None


@pytest.mark.attack(31)
@pytest.mark.parametrize(
    "other",
    [
        *(pytest.param(TOKEN[:-count], id=f"the last {count} characters cut") for count in range(1, len(TOKEN))),
        *(pytest.param(TOKEN + end, id=f"{end!r} at the end") for end in ("A", "=", "==", "\n", " ", "\x00", ".")),
        pytest.param(" " + TOKEN, id="a blank in front"),
        pytest.param(TOKEN.swapcase(), id="other case"),
        pytest.param("ASR_" + TOKEN[4:], id="the prefix in capitals"),
        pytest.param(TOKEN[4:], id="no prefix"),
        pytest.param("asr_" + TOKEN, id="the prefix twice"),
        pytest.param(TOKEN.replace("A", "\uff21"), id="fullwidth letters"),
        pytest.param(
            "asr_" + base64.b64encode(base64.urlsafe_b64decode(TOKEN[4:]) + b"\x00").decode(), id="a byte more"
        ),
        pytest.param("", id="empty"),
    ],
)
def test_a_token_has_one_spelling(other):
    assert SEALER.open(other) is None


@given(st.binary(min_size=75, max_size=75).map(base64.urlsafe_b64encode).map(bytes.decode) | st.text())
def test_no_text_is_taken_for_a_token_or_raises(text):
    assert SEALER.open("asr_" + text) is None


def test_a_token_of_another_installation_with_the_same_key_id_is_refused():
    assert RefreshTokenSealer(Subkeys([STRANGER], BOX)).open(TOKEN) is None


def test_several_key_ids_live_side_by_side_until_the_old_master_goes():
    both = RefreshTokenSealer(Subkeys([FIRST, SECOND], BOX))
    assert both.open(TOKEN) == SEALER.open(TOKEN)
    assert both.seal(**VALUES) != TOKEN
    assert SEALER.open(both.seal(**VALUES)) is None, "an unknown key id"
    assert RefreshTokenSealer(Subkeys([SECOND], BOX)).open(TOKEN) is None


def test_a_token_in_a_log_line_by_accident_does_not_show_its_secret():
    assert "s" * 16 not in repr(SEALER.open(TOKEN))


def test_a_secret_of_another_length_is_a_bug():
    assert len(new_grant_secret()) == 16
    with pytest.raises(ValueError, match="16 bytes"):
        SEALER.seal(**{**VALUES, "secret": b"short"})
