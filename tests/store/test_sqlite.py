"""SQLite: one serving process, and what a full disk, a kill or a misspelt path leaves behind."""

import asyncio
import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from authserver.phases import UnavailableError
from authserver.store import audit, replays, resources
from authserver.store.engine import AlreadyServedError, Engine, ServingLock
from authserver.store.sqlite import BALLAST_BYTES, ballast_of
from tests.faults.sqlite_kills import kill_while_committing
from tests.store.samples import FUTURE, RESOURCE

KILLS = 5


@pytest.fixture
def path(sqlite_url) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


def test_a_file_that_is_served_is_not_served_twice(sqlite_url):
    with ServingLock(sqlite_url), pytest.raises(AlreadyServedError, match="postgresql://"), ServingLock(sqlite_url):
        pass
    with ServingLock(sqlite_url):
        pass


async def test_the_command_line_works_beside_the_server(sqlite_url):
    with ServingLock(sqlite_url):
        engine = Engine.open(sqlite_url)
        async with engine.begin() as tx:
            assert await replays.claim(tx, b"key", FUTURE)
        await engine.close()


async def test_a_file_that_another_process_writes_for_long_is_unavailable(sqlite, path, monkeypatch):
    async with sqlite.begin() as tx:
        await tx.raw("PRAGMA busy_timeout = 100")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError):
            async with sqlite.begin() as tx:
                await tx.now()
        async with sqlite.read() as tx:
            assert await resources.list_all(tx) == (), "readers do not wait for a writer"
        other.execute("COMMIT")
    async with sqlite.begin() as tx:
        assert await replays.claim(tx, b"key", FUTURE)


async def test_a_misspelt_path_is_no_new_database(tmp_path):
    engine = Engine.open(f"sqlite:///{tmp_path / 'typo.sqlite3'}")
    with pytest.raises(UnavailableError):
        async with engine.begin() as tx:
            await tx.now()
    await engine.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("B9")
async def test_a_full_disk_is_unavailable_and_service_resumes_when_there_is_room(sqlite, sqlite_url, path):
    with ServingLock(sqlite_url):
        assert ballast_of(path).stat().st_size == BALLAST_BYTES
    async with sqlite.begin() as tx:
        pages = (await tx.raw("PRAGMA page_count")).scalar_one()
        await tx.raw(f"PRAGMA max_page_count = {pages}")  # SQLite then answers as on a full disk
    with pytest.raises(UnavailableError, match="full"):
        async with sqlite.begin() as tx:
            for number in range(2000):
                await audit.add(tx, "event", detail={"text": "x" * 1000, "number": number})
    assert not ballast_of(path).exists(), "its room is there for what an operator must still do"
    async with sqlite.begin() as tx:
        assert await audit.list_all(tx) == (), "half a transaction stayed"
        await tx.raw(f"PRAGMA max_page_count = {pages + 1000}")
        await resources.add(tx, RESOURCE)
    async with sqlite.read() as tx:
        assert (await tx.raw("PRAGMA integrity_check")).scalar_one() == "ok"


@pytest.mark.fault("B10")
def test_what_was_acknowledged_before_a_kill_is_there(path):
    """A light version; tests/faults has the long one."""
    kill_while_committing(path, KILLS)


async def test_many_writers_take_turns(sqlite):
    async def add(number: int) -> None:
        async with sqlite.begin() as tx:
            await resources.add(tx, replace(RESOURCE, identifier=f"urn:{number}", scope=frozenset()))

    await asyncio.gather(*(add(number) for number in range(50)))
    async with sqlite.read() as tx:
        assert len(await resources.list_all(tx)) == 50


async def test_every_connection_keeps_what_makes_commits_durable(sqlite):
    for open_tx in (sqlite.begin, sqlite.read):
        async with open_tx() as tx:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = [(await tx.raw(f"PRAGMA {name}")).scalar_one() for name in names]
            assert found == ["wal", 2, 1, 5000]
