"""UUIDs of version 7, bit by bit (RFC 9562 §5.7)."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from authserver.ids import uuid7, uuid7_text

NOW = datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("make", [uuid7, lambda now: UUID(uuid7_text(now))], ids=["object", "text"])
def test_an_id_says_its_version_and_its_millisecond(make):
    made = make(NOW)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == int(NOW.timestamp() * 1000)


def test_the_text_is_spelled_as_uuids_are():
    text = uuid7_text(NOW)
    assert str(UUID(text)) == text


def test_a_later_id_sorts_behind():
    assert uuid7_text(NOW) < uuid7_text(NOW + timedelta(milliseconds=1))


def test_every_bit_that_may_be_random_is():
    ones = zeros = 0
    for _ in range(200):
        made = uuid7(NOW).int & (1 << 80) - 1
        ones, zeros = ones | made, zeros | ~made & (1 << 80) - 1
    fixed = 0xF << 76 | 0b11 << 62
    assert ones & zeros == (1 << 80) - 1 - fixed
