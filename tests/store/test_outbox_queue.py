"""The sender's statements stay short however long the backlog is: each finds its row by an index."""

import re
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest

from authserver.store import outbox_queue

MAIL = UUID(int=1)


async def statements_of(engine, monkeypatch):
    """Run what a sender runs, and return its statements as SQLite was given them."""
    seen = []
    async with engine.begin() as tx:
        execute = tx.execute

        async def watched(statement, parameters=None):
            result = await execute(statement, parameters)
            seen.append(result.context.statement)
            return result

        monkeypatch.setattr(type(tx), "execute", lambda _, statement, parameters=None: watched(statement, parameters))
        await outbox_queue.next_due(tx)
        await outbox_queue.expire(tx)
        await outbox_queue.claim_next(tx, MAIL)
        await outbox_queue.mark_sent(tx, MAIL)
        monkeypatch.undo()
    return seen


@pytest.mark.fault("B12")
async def test_no_statement_of_a_sender_reads_or_sorts_the_whole_outbox(sqlite, sqlite_url, monkeypatch):
    statements = await statements_of(sqlite, monkeypatch)
    assert len(statements) == 6
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
        for statement in statements:
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", [""] * statement.count("?"))]
            slow = [step for step in plan if re.match("SCAN outbox|USE TEMP B-TREE", step)]
            assert not slow, f"{statement}\n{plan}"
            assert [step for step in plan if "outbox" in step], statement
