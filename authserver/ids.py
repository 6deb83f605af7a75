"""Identifiers: UUIDs of version 7 (RFC 9562 §5.7), so that new rows land at the end of an index."""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime


def uuid7(now: datetime) -> UUID:
    """Return a UUID made of the millisecond ``now`` and 74 random bits."""
    return UUID(int=_make(now))


def parse_uuid(text: str | None) -> UUID | None:
    """Return the id that somebody sent, in any spelling ``UUID`` reads; None for what is no id."""
    try:
        return UUID(text) if text is not None else None
    except ValueError:
        return None


def uuid7_text(now: datetime) -> str:
    """Return the same as a UUID's text, without the object: one is made for each request."""
    digits = f"{_make(now):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _make(now: datetime) -> int:
    milliseconds = int(now.timestamp() * 1000)
    random = int.from_bytes(urandom(10), "big")
    return milliseconds << 80 | 7 << 76 | (random & 0xFFF) << 64 | 0b10 << 62 | random >> 18
