"""SQLite under a process that dies in the middle of its commits (SECURITY fault B10)."""

from pathlib import Path

import pytest

from tests.faults.sqlite_kills import kill_while_committing


@pytest.mark.long
@pytest.mark.fault("B10")
@pytest.mark.timeout(1800)
def test_many_kills_lose_nothing_that_was_acknowledged(sqlite_url, fault_kills):
    kill_while_committing(Path(sqlite_url.removeprefix("sqlite:///")), fault_kills)
