"""Migrations: one way from nothing to today's tables, alone, on both databases; and what a server refuses to serve."""

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from authserver.store import sessions, tables
from authserver.store.engine import Engine
from authserver.store.migrations import HEAD, SchemaError, check_schema, upgrade
from authserver.store.migrations.run import MIGRATION_LOCK, newest_migration, open_connection
from tests.store.samples import SESSION


def test_the_program_asks_for_the_newest_migration():
    assert newest_migration() == HEAD


@pytest.mark.fault("B19")
async def test_a_blank_database_is_refused_until_it_has_been_migrated(blank_database_url):
    await expect_schema(blank_database_url, SchemaError)
    await asyncio.to_thread(upgrade, blank_database_url)
    await expect_schema(blank_database_url, None)


def test_migrations_leave_exactly_the_tables_that_are_declared(blank_database_url):
    upgrade(blank_database_url)
    with open_connection(blank_database_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_migrating_twice_changes_nothing(blank_database_url):
    upgrade(blank_database_url)
    upgrade(blank_database_url)


@pytest.mark.fault("B19")
def test_several_nodes_that_migrate_at_once_migrate_one_after_the_other(blank_database_url):
    failures = []

    def migrate() -> None:
        try:
            upgrade(blank_database_url)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            failures.append(error)

    nodes = [threading.Thread(target=migrate) for _ in range(3)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()
    assert failures == []


@pytest.mark.fault("B19")
def test_a_migration_waits_for_the_one_that_holds_the_lock(blank_postgresql_url):
    with psycopg.connect(blank_postgresql_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        node = threading.Thread(target=upgrade, args=(blank_postgresql_url,))
        node.start()
        node.join(0.5)
        assert node.is_alive()
        holder.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        node.join(30)
        assert not node.is_alive()


@pytest.mark.fault("B19")
def test_a_migration_that_dies_halfway_leaves_nothing_and_can_be_run_again(blank_database_url, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alembic.operations.Operations.execute", die)
    with pytest.raises(KeyboardInterrupt):
        upgrade(blank_database_url)
    monkeypatch.undo()
    upgrade(blank_database_url)


@pytest.mark.fault("B18")
@pytest.mark.parametrize(
    ("found", "serves_from", "refused"),
    [
        pytest.param("0000", HEAD, True, id="older than the program"),
        pytest.param("9999", "9999", True, id="newer, and only for programs that know it"),
        pytest.param("9999", HEAD, False, id="newer, but this program may still run: a rollback"),
    ],
)
async def test_a_schema_of_another_version_is_judged(database_url, found, serves_from, refused):
    engine = Engine.open(database_url)
    async with engine.begin() as tx:
        await tx.raw(f"UPDATE alembic_version SET version_num = '{found}'")
        await tx.raw(f"UPDATE state SET serves_from = '{serves_from}'")
    await engine.close()
    try:
        await expect_schema(database_url, SchemaError if refused else None)
    finally:
        engine = Engine.open(database_url)  # the migrations table is not emptied between tests
        async with engine.begin() as tx:
            await tx.raw(f"UPDATE alembic_version SET version_num = '{HEAD}'")
        await engine.close()


def test_the_file_is_its_owners_alone(blank_sqlite_url):
    upgrade(blank_sqlite_url)
    path = Path(blank_sqlite_url.removeprefix("sqlite:///"))
    assert [stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(path.name + "*")] == [0o600]


async def test_a_session_of_nobody_is_a_bug_on_both_databases(database_url):
    engine = Engine.open(database_url)
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.ForeignKeyViolation)):
        async with engine.begin() as tx:
            await sessions.add(tx, SESSION, b"cookie", user_agent="", address="")
    await engine.close()


async def expect_schema(url, error):
    engine = Engine.open(url)
    try:
        if error is None:
            await check_schema(engine)
        else:
            with pytest.raises(error):
                await check_schema(engine)
    finally:
        await engine.close()
