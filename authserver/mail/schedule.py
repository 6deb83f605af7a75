"""When a mail that was not taken is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

RETRIES: Final = (
    timedelta(seconds=30),  # greylisting wants a second try, and often takes it at once
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=8),
    timedelta(hours=16),
    timedelta(hours=24),
)


def retry_after(attempts: int) -> timedelta | None:
    """Return the wait after the ``attempts``-th try (from 1), or None where that was the last one: after 56 hours.

    >>> [str(retry_after(attempts)) for attempts in (1, 10, 11)]
    ['0:00:30', '1 day, 0:00:00', 'None']
    """
    return RETRIES[attempts - 1] if attempts <= len(RETRIES) else None
