"""The database behind one door: ``Engine`` opens it, ``Tx`` is one short transaction."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast

from authserver.phases import forbid_open_transaction, transaction_open
from authserver.store.failures import ConflictError, RetryableError, UnsupportedDatabaseError, is_lost, translated
from authserver.store.sqlite import AlreadyServedError, ServingLock, SqliteDatabase, file_of
from authserver.store.types import parse_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = [
    "AlreadyServedError",
    "ConflictError",
    "Engine",
    "RetryableError",
    "ServingLock",
    "Tx",
    "UnsupportedDatabaseError",
]

T = TypeVar("T")
DriverRow: TypeAlias = tuple[Any, ...]

DEAD_WITHIN: Final = 1.0  # seconds: a connection that died in the pool fails at once; a silent server does not
POOL_SIZE: Final = 12  # two lanes each of four kinds of batches, and four that wait for a grant's row
RETRIES: Final = 3
RETRY_WITHIN: Final = 5.0  # seconds, a request's: finding a deadlock takes PostgreSQL one of them
LONGEST_PAUSE_MS: Final = 20  # before the first retry; twice that before the next
NOW: Final = {"sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgresql": "SELECT clock_timestamp()"}


class _Database(Protocol):
    """What SQLite and PostgreSQL do differently."""

    @property
    def dialect(self) -> str: ...
    @property
    def missing_file(self) -> Path | None: ...
    async def lease(self, *, writing: bool) -> AsyncConnection: ...
    async def run(self, connection: AsyncConnection, work: Coroutine[object, object, T]) -> T: ...
    async def fetch(
        self, connection: AsyncConnection, sql: str, parameters: Sequence[object]
    ) -> Sequence[DriverRow]: ...
    async def give_back(self, connection: AsyncConnection, *, writing: bool, commit: bool) -> None: ...
    async def close(self) -> None: ...
    def make_room(self, error: BaseException) -> None: ...


class Tx:
    """One short transaction, or single statements that commit by themselves (``Engine.read``).

    Nothing is leased before the first statement. After an error of the database nothing more can be done in it: it has
    been lost whole, and pretending otherwise would commit half of it.
    """

    __slots__ = ("_after_commit", "_connection", "_database", "_failed", "_now", "_writing")

    def __init__(self, database: _Database, *, writing: bool) -> None:
        """Made by ``Engine`` only."""
        self._database = database
        self._writing = writing
        self._connection: AsyncConnection | None = None
        self._now: datetime | None = None
        self._failed = False
        self._after_commit: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._database.dialect

    def after_commit(self, tell: Callable[[], None]) -> None:
        """Call this once what the transaction wrote is committed, and never where it is not; it waits for nothing."""
        self._after_commit.append(tell)

    async def execute(
        self, statement: Executable, parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None
    ) -> CursorResult[Any]:
        """Run a Core statement and return its rows, all of them read already."""
        return await self._run(lambda connection: connection.execute(statement, parameters))

    async def raw(self, sql: str, parameters: Sequence[object] = ()) -> CursorResult[Any]:
        """Run a statement in the dialect's own words, past Core: ``?`` on SQLite, ``%s`` on PostgreSQL."""
        return await self._run(lambda connection: connection.exec_driver_sql(sql, tuple(parameters)))

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> Sequence[DriverRow]:
        """Run a statement on the driver's own connection, past SQLAlchemy, and return its rows as the driver has them.

        Prepared once per connection: for the hot path's few texts only (DESIGN §6). Spelled as for :meth:`raw`.
        """
        return await self._run(lambda connection: self._database.fetch(connection, sql, parameters))

    async def now(self) -> datetime:
        """Return the database's clock, read once in a transaction: what expiry, idle and grace are decided by."""
        if self._now is None:
            self._now = as_time((await self.fetch(NOW[self.dialect]))[0][0])
        return self._now

    async def close(self, *, commit: bool) -> None:
        """End the transaction; called by ``Engine`` only."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with translated():
            await self._database.give_back(connection, writing=self._writing, commit=commit and not self._failed)
        if commit and self._failed:
            raise RuntimeError("a transaction was to be committed after an error of the database")
        if commit:
            for tell in self._after_commit:
                tell()

    async def _run(self, work: Callable[[AsyncConnection], Coroutine[object, object, T]]) -> T:
        if self._failed:
            raise RuntimeError("a transaction went on after an error of the database")
        with translated():
            is_first, began = self._connection is None, monotonic()
            if self._connection is None:
                self._connection = await self._database.lease(writing=self._writing)
            try:
                return await self._database.run(self._connection, work(self._connection))
            except BaseException as error:
                self._database.make_room(error)
                if not (is_first and is_lost(error, self._connection) and monotonic() - began < DEAD_WITHIN):
                    self._failed = True
                    raise
            return await self._begin_again(work)

    async def _begin_again(self, work: Callable[[AsyncConnection], Coroutine[object, object, T]]) -> T:
        """Run the first statement on another connection: the pool's was dead, so nothing has happened yet."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._database.give_back(connection, writing=self._writing, commit=False)
        self._failed = True
        self._connection = await self._database.lease(writing=self._writing)
        result = await self._database.run(self._connection, work(self._connection))
        self._failed = False
        return result


class Engine:
    """The server's database."""

    def __init__(self, database: _Database) -> None:
        """Made by :meth:`open`."""
        self._database = database

    @classmethod
    def open(cls, database_url: str, *, pool_size: int = POOL_SIZE) -> Engine:
        """Return the engine of a ``sqlite:///`` or ``postgresql://`` URL. Connections are made when they are needed.

        Raise UnsupportedDatabaseError for a URL that cannot be read. ``pool_size`` is PostgreSQL's.
        """
        path = file_of(database_url)
        if path is not None:
            return cls(SqliteDatabase(path))
        if not database_url.startswith(("postgresql://", "postgres://")):
            raise UnsupportedDatabaseError("A database is sqlite:///path or postgresql://user:password@host/name.")
        from authserver.store.postgresql import PostgresqlDatabase  # noqa: PLC0415 - its driver is 8 MB

        return cls(PostgresqlDatabase(database_url, pool_size=pool_size))

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._database.dialect

    @property
    def missing_file(self) -> Path | None:
        """The SQLite file that is not there; None where it is, and on PostgreSQL."""
        return self._database.missing_file

    async def close(self) -> None:
        """Close all connections; no transaction may be open any more."""
        await self._database.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """Open a transaction that commits at the end of the block; any exception rolls it back.

        Raise UnavailableError where the database does not answer within 5 s, ConflictError where a unique value is
        taken. No slow work inside: hasher, outbound and mailer refuse it.
        """
        async with self._open(writing=True) as tx:
            yield tx

    async def retrying(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Return what work returns once it is committed, in a transaction as :meth:`begin` opens it.

        Where PostgreSQL undoes the transaction for another one's sake (a deadlock, a serialization failure) the whole
        of work runs again in a new transaction, three times at most, each after a short random pause. So work has no
        effects but its statements. The last failure is raised: an UnavailableError, as any other.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        for retry in range(RETRIES):
            try:
                return await self._attempt(work)
            except RetryableError:
                if loop.time() - began > RETRY_WITHIN:
                    raise
            forbid_open_transaction("a pause before a retry")
            await asyncio.sleep(secrets.randbelow(LONGEST_PAUSE_MS << retry) / 1000)  # so that two do not meet again
        return await self._attempt(work)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """Give single statements that see what is committed and commit by themselves; no lock outlives one."""
        async with self._open(writing=False) as tx:
            yield tx

    async def _attempt(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self.begin() as tx:
            return await work(tx)

    @asynccontextmanager
    async def _open(self, *, writing: bool) -> AsyncIterator[Tx]:
        tx = Tx(self._database, writing=writing)
        with transaction_open():
            try:
                yield tx
            except BaseException:
                await tx.close(commit=False)
                raise
            await tx.close(commit=True)


def as_time(value: object) -> datetime:
    """Return a time that came from raw SQL: PostgreSQL's driver gives a datetime, SQLite its text."""
    return parse_time(value) if isinstance(value, str) else cast("datetime", value)
