"""Progress of work that may take long: a line that counts on a terminal, one line per 10 s elsewhere, on stderr."""

import sys
import time
from typing import Final

from authserver.cli.terminal import Terminal

_EVERY: Final = 10.0  # seconds between lines where no line can be written over
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """Counts what has been done. It cannot know the rest, so it shows none."""

    def __init__(self, terminal: Terminal, unit: str) -> None:
        """Start at nothing; ``unit`` is what is counted, as "rows deleted"."""
        self._is_silent = terminal.quiet
        self._unit = unit
        self._told_at = time.monotonic()
        self._has_line = False
        self.done = 0

    def advance(self, count: int) -> None:
        """Count more, and tell it where it is time to."""
        self.done += count
        if self._is_silent or not count:
            return
        if sys.stderr.isatty():
            sys.stderr.write(f"{_CLEAR}{self.done} {self._unit}")
            sys.stderr.flush()
            self._has_line = True
        elif time.monotonic() - self._told_at >= _EVERY:
            sys.stderr.write(f"{self.done} {self._unit}\n")
            self._told_at = time.monotonic()

    def end(self) -> None:
        """Take the line away: the result says the same."""
        if self._has_line:
            sys.stderr.write(_CLEAR)
