"""Processes that tests start: they answer after a while, or end and have said why."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

START_SECONDS = 60  # a hang, not a speed


def wait_until_it_answers(
    process: subprocess.Popen[Any], url: str, *, status: int | None = None, log: Callable[[], object] = str
) -> None:
    """Return once something answers at the URL, with this status where one is named; else end it and read ``log``."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended: {log()}"
        with contextlib.suppress(httpx2.TransportError):
            if status in {None, httpx2.get(url, trust_env=False).status_code}:
                return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"nothing answers at {url}: {log()}")
