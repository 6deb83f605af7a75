"""SQLite as the server uses it: one writer, readers beside it, and what keeps one file safe (DESIGN §4)."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote

import aiosqlite
import sqlalchemy.exc
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from authserver.phases import UnavailableError
from authserver.store.failures import UnsupportedDatabaseError, is_disk_full
from authserver.store.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

PREFIX: Final = "sqlite:///"
BUSY_SECONDS: Final = 5.0
READERS: Final = 4
BALLAST_BYTES: Final = 1024 * 1024
_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={int(BUSY_SECONDS * 1000)}",
)


class AlreadyServedError(Exception):
    """Another process serves this file; the text says so, and what to do instead."""


def file_of(database_url: str) -> Path | None:
    """Return the file that a ``sqlite:///`` URL names, as SQLAlchemy reads it; None for a URL of PostgreSQL."""
    if not database_url.startswith("sqlite:"):
        return None
    path = database_url.removeprefix(PREFIX)
    if not database_url.startswith(PREFIX) or not path or path == ":memory:":
        raise UnsupportedDatabaseError(
            "A SQLite database is a file: sqlite:///relative/path or sqlite:////absolute/path."
        )
    return Path(path)


def make_private(path: Path) -> None:
    """Make the database's file, empty and for its owner only, where there is none; its -wal and -shm get its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def ballast_of(path: Path) -> Path:
    """Return the file that is deleted to make room: on a full disk not even a DELETE succeeds (SECURITY fact 11)."""
    return path.with_name(path.name + ".ballast")


class ServingLock:
    """Held by the one process that serves a SQLite file; on PostgreSQL there is nothing to hold.

    The command line works beside it. Whoever serves also keeps the ballast in place.
    """

    def __init__(self, database_url: str) -> None:
        """Name the database; nothing is locked before ``with``."""
        self._path = file_of(database_url)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock, or raise AlreadyServedError. It falls with the process, whatever ends it."""
        if self._path is not None:
            self._descriptor = _lock(self._path)
            ballast = ballast_of(self._path)
            if not ballast.exists():
                _write_ballast(ballast)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class SqliteDatabase:
    """One file: a writer that one transaction at a time holds, and readers that see what is committed.

    Statements run to their end even when their task is cancelled, so the writer is never left inside a transaction.
    """

    dialect: Final = "sqlite"

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened by the first statement and never made here."""
        self._path = path
        self._engine: AsyncEngine = create_async_engine(
            "sqlite+aiosqlite://",
            async_creator=self._connect,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=READERS + 1,
            max_overflow=0,
            pool_timeout=BUSY_SECONDS,
            pool_reset_on_return=None,  # readers commit by themselves, the writer never goes back
            hide_parameters=True,
        )
        self._lock = asyncio.Lock()
        self._writer: AsyncConnection | None = None

    @property
    def missing_file(self) -> Path | None:
        """The file, where it is not there."""
        return None if self._path.exists() else self._path

    async def lease(self, *, writing: bool) -> AsyncConnection:
        """Return the writer inside a transaction that holds the file's write lock, or a reader."""
        if not writing:
            return await self._engine.connect()
        async with asyncio.timeout(BUSY_SECONDS):
            await self._lock.acquire()
        try:
            return await uninterrupted(self._begin())
        except BaseException:
            await self._end_and_unlock(commit=False)
            raise

    async def run(self, connection: AsyncConnection, work: Coroutine[object, object, T]) -> T:  # noqa: ARG002
        """Run one statement."""
        return await uninterrupted(work)

    async def fetch(
        self, connection: AsyncConnection, sql: str, parameters: Sequence[object]
    ) -> Sequence[tuple[Any, ...]]:
        """Run one statement on the driver's connection: one hop to its thread, whatever the number of rows."""
        pooled = connection.sync_connection
        driver = pooled.connection.driver_connection if pooled is not None else None
        if not isinstance(driver, aiosqlite.Connection):
            raise TypeError("the pool gave a connection that is not ours")
        return [tuple(row) for row in await driver.execute_fetchall(sql, tuple(parameters))]

    async def give_back(self, connection: AsyncConnection, *, writing: bool, commit: bool) -> None:
        """End a lease; a writer commits or rolls back first. Raise what the commit raised, rolled back."""
        if not writing:
            await uninterrupted(connection.close())
        else:
            await self._end_and_unlock(commit=commit)

    async def close(self) -> None:
        """Close every connection; the file's WAL is checkpointed by the last one."""
        if self._writer is not None:
            await uninterrupted(self._writer.close())
            self._writer = None
        await self._engine.dispose()

    async def _begin(self) -> AsyncConnection:
        if self._writer is None:
            self._writer = await self._engine.connect()
        await self._writer.exec_driver_sql("BEGIN IMMEDIATE")
        return self._writer

    async def _end_and_unlock(self, *, commit: bool) -> None:
        try:
            await uninterrupted(self._end(commit=commit))
        finally:
            self._lock.release()

    async def _end(self, *, commit: bool) -> None:
        if self._writer is None:
            return
        try:
            if commit:
                await self._writer.commit()
                return
        except sqlalchemy.exc.DBAPIError as error:
            self.make_room(error)
            await self._roll_back()
            raise
        await self._roll_back()

    async def _roll_back(self) -> None:
        """Leave the transaction, or leave the connection: the next lease opens another."""
        if self._writer is None:
            return
        try:
            await self._writer.rollback()
        except sqlalchemy.exc.DBAPIError:
            await self._writer.invalidate()
            await self._writer.close()
            self._writer = None

    def make_room(self, error: BaseException) -> None:
        """Delete the ballast where the disk is full, so that purge, logout and revocation can go on."""
        if is_disk_full(error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error):
            ballast_of(self._path).unlink(missing_ok=True)

    async def _connect(self) -> aiosqlite.Connection:
        # A path that was misspelt is an error, not a new and empty database; mode=rw, should it go right now.
        if not self._path.exists():
            raise UnavailableError(f"{self._path} is not there")
        connection = aiosqlite.connect(
            f"file:{quote(str(self._path))}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_SECONDS
        )
        connection._thread.daemon = True  # noqa: SLF001 - no public way: a crash must end the process, not hang it
        await connection
        try:
            for pragma in _PRAGMAS:
                await connection.execute_fetchall(f"PRAGMA {pragma}")
        except BaseException:
            await connection.close()
            raise
        return connection


def _lock(path: Path) -> int:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyServedError(
            f"{path} is being served by another process. One SQLite file has one server; for more processes or "
            "machines use PostgreSQL: AUTHSERVER_DATABASE_URL=postgresql://user:password@host/name"
        ) from None
    return descriptor


def _write_ballast(ballast: Path) -> None:
    """Write real bytes: a sparse file frees nothing. A disk that is full already goes without."""
    draft = ballast.with_name(ballast.name + ".new")
    try:
        draft.write_bytes(os.urandom(BALLAST_BYTES))  # urandom: a file system may compress zeros away
        draft.replace(ballast)
    except OSError:
        draft.unlink(missing_ok=True)
