"""Databases for tests: one PostgreSQL server per run, one database per worker, everything empty before each test.

The server is that of TEST_DATABASE_URL (a role that may create databases), else one that this run starts for itself
(tests/postgresql_server.py). Workers of one run find each other through a folder whose path is in RUN_FOLDER.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, TypeAlias

import psycopg
from psycopg import conninfo, sql

from tests.postgresql_server import FAILURE_FILE, START_SECONDS, URL_FILE, NoPostgresqlError

RUN_FOLDER = "TEST_RUN_FOLDER"
CONTROLLER = "TEST_CONTROLLER_PID"

Content: TypeAlias = Mapping[str, bytes]  # the rows of tables, as COPY writes them


def begin_run() -> None:
    """Called once, by the pytest process that the developer started: make the folder that its workers share."""
    if RUN_FOLDER not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="authserver-tests-"))
        folder.chmod(0o755)  # PostgreSQL runs below it as another user
        os.environ[RUN_FOLDER] = str(folder)
        os.environ[CONTROLLER] = str(os.getpid())


def end_run() -> None:
    """Called once, by the same process, when all workers are gone."""
    if os.environ.get(CONTROLLER) != str(os.getpid()):
        return
    folder = Path(os.environ.pop(RUN_FOLDER))
    external = os.environ.get("TEST_DATABASE_URL")
    if external and (folder / "template").exists():
        drop_database(external, (folder / "template").read_text())
    if (folder / "supervisor").exists():
        _stop_server(folder)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def one_worker_at_a_time() -> Iterator[Path]:
    """Yield the run's folder while no other worker of this run is inside."""
    folder = Path(os.environ[RUN_FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def server_url() -> str:
    """Return the address of the server, started by the first worker that asks.

    Raises NoPostgresqlError, which says what to install: a run without PostgreSQL is no run, so nothing is skipped.
    """
    external = os.environ.get("TEST_DATABASE_URL")
    if external:
        return external
    with one_worker_at_a_time() as run:
        folder = run / "postgresql"
        if not folder.exists():
            folder.mkdir(mode=0o755)
            command = [sys.executable, "-m", "tests.postgresql_server", str(folder), os.environ[CONTROLLER]]
            root = Path(__file__).parent.parent
            with (run / "supervisor.log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            (run / "supervisor").write_text(str(process.pid))
            process.returncode = 0  # it outlives this worker on purpose: the end of the run stops it
        return _read_url(folder)


def _read_url(folder: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (folder / URL_FILE).exists():
            return (folder / URL_FILE).read_text()
        if (folder / FAILURE_FILE).exists():
            raise NoPostgresqlError((folder / FAILURE_FILE).read_text())
        time.sleep(0.05)
    raise NoPostgresqlError("the process that starts PostgreSQL gave no answer")


def _stop_server(run: Path) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int((run / "supervisor").read_text()), 15)
    deadline = time.monotonic() + START_SECONDS
    while (run / "postgresql").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def rewrite(url: str, **changed: str | int) -> str:
    """Return `url` with another host, port or dbname, as a URL again: what a user would write into DATABASE_URL."""
    parts = {"password": "", "port": 5432} | conninfo.conninfo_to_dict(url) | changed
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def _administer(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def create_database(url: str, name: str, template: str = "template0") -> str:
    """Create a database on the server of `url` and return its URL."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
    _administer(url, statement)
    return rewrite(url, dbname=name)


def drop_database(url: str, name: str) -> None:
    """Drop a database, whoever is still connected to it."""
    _administer(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def migrated_template(server: str) -> str:
    """Return the name of this run's migrated database; the first worker that asks makes it."""
    from authserver.store.migrations import upgrade  # noqa: PLC0415 - tests of the house run without a store

    with one_worker_at_a_time() as run:
        marker = run / "template"
        if not marker.exists():
            name = f"authserver_test_{os.environ[CONTROLLER]}_template"
            upgrade(create_database(server, name))
            marker.write_text(name)
        return marker.read_text()


class WorkerDatabase:
    """One worker's PostgreSQL database: cloned from the template, emptied before each test."""

    of_this_process: ClassVar[dict[str, "WorkerDatabase"]] = {}  # by name

    def __init__(self, server: str, name: str) -> None:
        from authserver.store.tables import metadata  # noqa: PLC0415 - tests of the house run without a store

        template = migrated_template(server)
        with one_worker_at_a_time():  # PostgreSQL copies a template for one caller at a time
            self.url = create_database(server, name, template)
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._tables = [table.name for table in metadata.sorted_tables]  # whatever is referred to comes first
        self._clear = self._statements_that_clear()
        self._seeds = self.read()
        self._name = name
        self.of_this_process[name] = self

    def close(self) -> None:
        """Give the connection back; the database is the caller's to drop."""
        del self.of_this_process[self._name]
        self._connection.close()

    def empty(self) -> None:
        """Bring every table back to what the migrations left, whatever a test left open."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self.write(self._seeds)

    def read(self) -> Content:
        """Return the rows of every table that has some."""
        probe = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(table), sql.Identifier(table))
            for table in self._tables
        )
        return {table: self._copy_out(table) for (table,) in self._connection.execute(probe).fetchall()}

    def write(self, content: Content) -> None:
        """Make these rows all there is."""
        with self._connection.transaction():
            self._connection.execute(self._clear)
            for table in self._tables:
                if table in content:
                    self._copy_in(table, content[table])

    def is_new(self) -> bool:
        """Tell whether it is as the migrations left it."""
        return self.read() == self._seeds

    def _statements_that_clear(self) -> sql.Composed:
        """DELETE, for TRUNCATE makes new files for a table and each index: a hundred times the work for a few rows."""
        sequences = self._connection.execute("SELECT sequencename, start_value FROM pg_sequences").fetchall()
        delete, restart = sql.SQL("DELETE FROM {}"), sql.SQL("SELECT setval({}, {}, false)")
        statements = [delete.format(sql.Identifier(table)) for table in reversed(self._tables)]
        statements += [restart.format(sql.Literal(name), sql.Literal(start)) for name, start in sequences]
        return sql.SQL("; ").join(statements)

    def _copy_out(self, table: str) -> bytes:
        statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            return b"".join(bytes(block) for block in copy)

    def _copy_in(self, table: str, content: bytes) -> None:
        statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(content)


def migrated_sqlite_file(folder: Path) -> Path:
    """Make a migrated SQLite file in `folder`, with nothing beside it: it can be copied."""
    from authserver.store.migrations import upgrade  # noqa: PLC0415 - tests of the house run without a store

    made, template = folder / "migrated.sqlite3", folder / "template.sqlite3"
    upgrade(f"sqlite:///{made}")
    with contextlib.closing(sqlite3.connect(made)) as source, contextlib.closing(sqlite3.connect(template)) as target:
        source.backup(target)
    template.chmod(0o600)
    SqliteFile.migrated = template.read_bytes()
    return template


class SqliteFile:
    """The SQLite file of one test, a copy of the migrated one."""

    migrated: ClassVar[bytes] = b""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_new(self) -> bool:
        """Tell whether it is as the migrations left it, and nobody has it open."""
        is_open = self._path.with_name(f"{self._path.name}-wal").exists()
        return not is_open and self._path.read_bytes() == self.migrated

    def read(self) -> bytes:
        """Return all that is in it, which nobody has open."""
        return self._path.read_bytes()

    def write(self, content: bytes) -> None:
        """Make this all there is; nobody has it open."""
        self._path.write_bytes(content)


def of_this_test(database_url: str) -> WorkerDatabase | SqliteFile:
    """Return the database of a URL that a fixture gave, or of one that leads there by a detour."""
    if database_url.startswith("sqlite:///"):
        return SqliteFile(Path(database_url.removeprefix("sqlite:///")))
    return WorkerDatabase.of_this_process[database_url.rpartition("/")[2]]
