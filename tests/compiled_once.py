"""Templates and SQL statements, compiled once for all the servers that a test process starts.

A server compiles each of them at its first use, and lives for weeks. Ours live for one test, and compiling was
a third of the suite's time. What was compiled depends on the template or on the statement alone, never on a server.
"""

from __future__ import annotations

from functools import cache, partialmethod
from typing import TYPE_CHECKING, Any

from jinja2 import BytecodeCache, Environment
from sqlalchemy import event, util
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    import pytest
    from jinja2.bccache import Bucket
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


class Templates(BytecodeCache):
    """Compiled templates by their name and path; Jinja itself compares the source."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


class Statements:
    """What the first engine of a driver learned of its server and compiled for it, lent to those after it."""

    def __init__(self) -> None:
        self._first: dict[str, Engine] = {}

    def create_engine(self, url: str, **options: Any) -> AsyncEngine:
        """As ``create_async_engine``, whose place this takes."""
        created = create_async_engine(url, **options)
        engine, first = created.sync_engine, self._first.get(url)
        if first is None:  # it knows its server once it is connected: SQLAlchemy's own listener stands before this one
            event.listen(engine.pool, "connect", lambda *_: self._first.setdefault(url, engine), once=True)
            return created
        engine.dialect.initialize = lambda _: None  # type: ignore[method-assign]  # it asks the server what is known
        engine.dialect = engine.pool._dialect = first.dialect
        engine._compiled_cache = first._compiled_cache
        return created


def share(patch: pytest.MonkeyPatch) -> None:
    """Let the servers of this process share what they compile, as long as the patch holds."""
    statements = Statements()
    for module in ("sqlite", "postgresql"):
        patch.setattr(f"authserver.store.{module}.create_async_engine", statements.create_engine)
    patch.setattr(util, "get_cls_kwargs", cache(util.get_cls_kwargs))  # which options its classes take: 4 ms an engine
    patch.setattr(Environment, "__init__", partialmethod(Environment.__init__, bytecode_cache=Templates()))
