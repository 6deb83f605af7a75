"""What a database's errors mean to the server: not now, already there, or a bug.

The driver of PostgreSQL is not imported here: a server on SQLite has no use for it, and it is 8 MB. Where it is not
there, no error is its.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy.exc

from authserver.phases import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection

_SQLITE_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_SQLITE_TAKEN: Final = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
_UNDONE: Final = ("SerializationFailure", "DeadlockDetected")  # SQLSTATE 40001, 40P01
# OperationalError holds what an operator sees: lost connections, timeouts of locks and statements, a full disk,
# deadlocks; the last two are a server that became a standby, and a transaction that idled for too long.
_POSTGRESQL_UNAVAILABLE: Final = (
    "OperationalError",
    "InterfaceError",
    "ReadOnlySqlTransaction",
    "IdleInTransactionSessionTimeout",
)
_PRIMARY_CODE: Final = 0xFF  # the low byte of an extended SQLite result code


class ConflictError(Exception):
    """A row with this unique value is there already; the transaction is over and has been rolled back."""


class RetryableError(UnavailableError):
    """PostgreSQL has undone the transaction whole, for the sake of another one: the same work may succeed at once."""


class UnsupportedDatabaseError(Exception):
    """The database cannot be used at all; the text says why, for the operator."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn a database's errors into ConflictError, RetryableError or UnavailableError; what is none of them is a bug.

    The text of an UnavailableError is for the log: drivers name hosts and constraints in it, never parameters.
    """
    try:
        yield
    except sqlalchemy.exc.IntegrityError as error:
        if _is_taken(error.orig):
            raise ConflictError(str(error.orig)) from error
        raise
    except sqlalchemy.exc.DBAPIError as error:
        if error.connection_invalidated or _is_unavailable(error.orig):
            raise _unavailable(error.orig) from error
        raise
    except _driver_errors() as error:  # of a statement past SQLAlchemy
        if _is_taken(error):
            raise ConflictError(str(error)) from error
        if _is_unavailable(error):
            raise _unavailable(error) from error
        raise
    except (sqlalchemy.exc.TimeoutError, OSError) as error:  # TimeoutError is an OSError
        raise _unavailable(error) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether SQLite found no room on the disk."""
    return isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_FULL


def is_lost(error: BaseException, connection: AsyncConnection) -> bool:
    """Tell whether the connection is gone, so that nothing of an open transaction can have been committed."""
    if isinstance(error, _postgresql("Error")):  # of a statement past SQLAlchemy, which hears of it only later
        return connection.invalidated
    return isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated


def _is_taken(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in _SQLITE_TAKEN
    return isinstance(error, _postgresql("UniqueViolation"))


def _is_unavailable(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return _primary_code(error) in _SQLITE_UNAVAILABLE
    return isinstance(error, _postgresql(*_POSTGRESQL_UNAVAILABLE))


def _unavailable(error: BaseException | None) -> UnavailableError:
    kind = RetryableError if isinstance(error, _postgresql(*_UNDONE)) else UnavailableError
    return kind(f"{type(error).__name__}: {error}".strip())


def _driver_errors() -> tuple[type[Exception], ...]:
    return sqlite3.Error, *_postgresql("Error")


def _postgresql(*names: str) -> tuple[type[Exception], ...]:
    """Return psycopg's kinds of errors with these names; none where psycopg has not been imported."""
    psycopg = sys.modules.get("psycopg")
    return () if psycopg is None else tuple(getattr(psycopg.errors, name) for name in names)


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)  # absent where the driver, not SQLite, raised
    return None if code is None else code & _PRIMARY_CODE
