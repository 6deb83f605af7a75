"""PostgreSQL as the server uses it: durable commits, short waits, and no transaction without an end (DESIGN §4)."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
import sqlalchemy.exc
from psycopg import conninfo, pq
from sqlalchemy.ext.asyncio import create_async_engine

from authserver.phases import UnavailableError
from authserver.store.failures import UnsupportedDatabaseError
from authserver.store.uninterrupted import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

DEADLINE_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 3
POOL_SECONDS: Final = 4.0  # for a connection that others use; what is left of the deadline is for the work
OLDEST_VERSION: Final = 140_000
KEPT: Final = 3  # connections of each kind that wait outside the pool; together fewer than it has

# Until when the lease that is being begun has time, by the event loop's clock: the pool does not pass it on.
_lease_ends: Final[ContextVar[float | None]] = ContextVar("lease_ends", default=None)

# One round trip for each new connection, not the `options` parameter, which poolers between us refuse. remote_apply
# promises more than on, so it stays; everything below on loses acknowledged commits in a failover (SECURITY fact 8).
_PREPARE: Final = """
SELECT current_setting('server_version_num')::int,
       set_config('TimeZone', 'UTC', false),
       set_config('lock_timeout', '2s', false),
       set_config('statement_timeout', '5s', false),
       set_config('idle_in_transaction_session_timeout', '10s', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                                        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)
"""


class Connection(psycopg.AsyncConnection[tuple[object, ...]]):
    """A connection that remembers a WARNING: all that tells of a commit the standby did not get (SECURITY fact 9)."""

    warned: bool = False

    def watch(self) -> None:
        """Begin to listen. The severity is compared as servers send it in every language."""
        self.add_notice_handler(self._hear)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warned = True


def libpq_parameters(database_url: str) -> dict[str, str]:
    """Return libpq's parameters of a URL, of several hosts too; the server must be one that can be written to."""
    try:
        given = conninfo.conninfo_to_dict(database_url)
    except psycopg.ProgrammingError as error:
        raise UnsupportedDatabaseError(f"This is no URL that PostgreSQL's library reads: {error}") from error
    defaults = {
        "target_session_attrs": "read-write",
        "connect_timeout": str(CONNECT_SECONDS),
        "application_name": "authserver",
        "keepalives_idle": "30",
    }
    return defaults | {name: str(value) for name, value in given.items() if value is not None}


async def connect(parameters: dict[str, str]) -> Connection:
    """Return a connection with our limits set; raise UnsupportedDatabaseError where the server is too old."""
    now, ends = asyncio.get_running_loop().time(), _lease_ends.get()
    async with asyncio.timeout_at(now + CONNECT_SECONDS if ends is None else min(now + CONNECT_SECONDS, ends)):
        connection = await Connection.connect(**parameters, autocommit=True)  # type: ignore[arg-type]  # all are texts
        try:
            row = await (await connection.execute(_PREPARE)).fetchone()
            _check_version(row[0] if row else None)
            await connection.set_autocommit(False)
        except BaseException:
            connection.pgconn.finish()
            raise
    connection.watch()
    return connection


def _check_version(version: object) -> None:
    if not isinstance(version, int) or version < OLDEST_VERSION:
        raise UnsupportedDatabaseError(f"PostgreSQL 14 or newer is needed; this server is version {version}.")


class PostgresqlDatabase:
    """A pool of connections; a lease has five seconds, the wait for it included; then it is cut."""

    dialect: Final = "postgresql"
    missing_file: Final = None

    def __init__(self, database_url: str, *, pool_size: int) -> None:
        """Name the server; nothing is opened before the first statement."""
        parameters = libpq_parameters(database_url)
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=lambda: connect(parameters),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
            hide_parameters=True,
        )
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._deadlines: dict[AsyncConnection, asyncio.TimerHandle] = {}
        # Taking a connection out of SQLAlchemy's pool and putting it back is a quarter of a short transaction.
        self._kept: dict[bool, list[AsyncConnection]] = {True: [], False: []}
        self._most_kept = min(KEPT, (pool_size - 1) // 2)
        self._at_the_pool = 0

    async def lease(self, *, writing: bool) -> AsyncConnection:
        """Return a connection whose first statement begins a transaction, or one that commits each statement."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DEADLINE_SECONDS
        _lease_ends.set(deadline)
        kept = self._kept[writing]
        connection = kept.pop() if kept else await self._take_out(writing=writing)
        self._deadlines[connection] = loop.call_at(deadline, _cut, _driver_connection(connection))
        return connection

    async def run(self, connection: AsyncConnection, work: Coroutine[object, object, T]) -> T:  # noqa: ARG002
        """Run one statement. Where the task is cancelled the driver cancels it, and the pool drops the connection."""
        return await work

    async def fetch(
        self, connection: AsyncConnection, sql: str, parameters: Sequence[object]
    ) -> Sequence[tuple[Any, ...]]:
        """Run one prepared statement on the driver's connection, which begins a transaction with its first one."""
        driver = _driver_connection(connection)
        try:
            cursor = await driver.execute(sql, parameters, prepare=True, binary=True)
            result = cursor.pgresult  # `description` would build an object for each of fifty columns
            return await cursor.fetchall() if result is not None and result.nfields else ()
        except psycopg.Error:
            if driver.closed:
                await connection.invalidate()
            raise

    async def give_back(self, connection: AsyncConnection, *, writing: bool, commit: bool) -> None:
        """End a lease; a transaction commits or rolls back first. Raise what the commit raised."""
        await uninterrupted(self._end(connection, writing=writing, commit=commit))

    async def close(self) -> None:
        """Close every connection."""
        for connection in self._take_kept():
            await connection.close()
        await self._engine.dispose()

    def make_room(self, error: BaseException) -> None:
        """Nothing of ours to delete on the server's disk."""

    async def _take_out(self, *, writing: bool) -> AsyncConnection:
        """Return a connection of the pool; one of the other kind that is kept makes room for it.

        Whoever is cancelled meanwhile leaves none behind: SQLAlchemy would have taken one out that nobody has.
        """
        spare = self._kept[not writing]
        if spare:
            await uninterrupted(spare.pop().close())
        self._at_the_pool += 1
        connecting = asyncio.ensure_future((self._engine if writing else self._reader).connect().start())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            await uninterrupted(_put_back(connecting))
            raise
        finally:
            self._at_the_pool -= 1

    async def _end(self, connection: AsyncConnection, *, writing: bool, commit: bool) -> None:
        try:
            if commit and writing:
                await self._commit(connection)
            else:
                await _roll_back(connection)
        except BaseException:
            await connection.invalidate()
            raise
        finally:
            self._deadlines.pop(connection).cancel()  # before another lease can have it
            await self._let_go(connection, writing=writing)

    async def _let_go(self, connection: AsyncConnection, *, writing: bool) -> None:
        """Keep a connection for the next lease, unless somebody waits at the pool, or it is not as new."""
        kept = self._kept[writing]
        if not self._at_the_pool and len(kept) < self._most_kept and _is_at_rest(connection):
            kept.append(connection)
            return
        if connection.invalidated:  # the server has gone, and the others do not know yet
            for other in self._take_kept():
                await other.invalidate()
                await other.close()
        with suppress(sqlalchemy.exc.DBAPIError):
            await connection.close()

    def _take_kept(self) -> list[AsyncConnection]:
        taken = [connection for kept in self._kept.values() for connection in kept]
        for kept in self._kept.values():
            kept.clear()
        return taken

    async def _commit(self, connection: AsyncConnection) -> None:
        driver = _driver_connection(connection)
        driver.warned = False
        if connection.in_transaction():
            await connection.commit()
        else:  # SQLAlchemy has had no part in it
            await driver.commit()
        if driver.warned:
            raise UnavailableError("the commit may not have reached the standby")


async def _put_back(connecting: asyncio.Future[AsyncConnection]) -> None:
    """Wait for a connection that nobody wants any more, and let the pool have it; each wait in it has a limit."""
    with suppress(sqlalchemy.exc.SQLAlchemyError, psycopg.Error, OSError, UnsupportedDatabaseError):
        await (await connecting).close()


async def _roll_back(connection: AsyncConnection) -> None:
    """End a transaction without a commit, or SQLAlchemy's idea of one; the connection may be gone, and it with it."""
    with suppress(sqlalchemy.exc.DBAPIError, psycopg.Error):
        if connection.in_transaction():
            await connection.rollback()
        elif not connection.invalidated and not _is_at_rest(connection):
            await _driver_connection(connection).rollback()


def _is_at_rest(connection: AsyncConnection) -> bool:
    """Tell whether a connection is alive, as far as is known here, and in no transaction."""
    if connection.invalidated or connection.in_transaction():
        return False
    return _driver_connection(connection).pgconn.transaction_status == pq.TransactionStatus.IDLE


def _driver_connection(connection: AsyncConnection) -> Connection:
    pooled = connection.sync_connection
    driver = pooled.connection.driver_connection if pooled is not None else None
    if not isinstance(driver, Connection):
        raise TypeError("the pool gave a connection that is not ours")
    return driver


def _cut(connection: Connection) -> None:
    """Shut the socket, so that whoever waits on it hears at once that the server is gone.

    Cancelling the task instead would ask a server that does not answer to cancel, and wait for that.
    """
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)
