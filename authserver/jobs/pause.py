"""How long a job leaves alone what is not to be had: a database, a mail server."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 60.0  # seconds


def pause_after(failures: int) -> float:
    """Return how many seconds to wait after ``failures`` in a row.

    >>> [pause_after(failures) for failures in (1, 2, 3, 6, 7, 5000)]
    [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
    """
    return min(2.0 ** min(failures - 1, 10), LONGEST)
