"""Identifiers: UUIDs of version 7 (RFC 9562 §5.7), so that new rows land at the end of an index."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime


def uuid7(now: datetime) -> UUID:
    """Return a UUID made of the millisecond ``now`` and 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    random = secrets.randbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1)
