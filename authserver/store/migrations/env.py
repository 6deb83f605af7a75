"""Alembic's entry: runs migrations over the connection that ``run.py`` has opened and locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from alembic import context
from sqlalchemy.types import TypeDecorator

from authserver.store import tables

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


def render_item(kind: str, item: Any, autogen_context: AutogenContext) -> str | Literal[False]:  # noqa: ANN401 - Alembic's signature
    """Write a column type of ours as what it is in the database: a migration outlives the classes of today."""
    if kind == "type" and isinstance(item, TypeDecorator) and type(item).__module__.startswith("authserver"):
        autogen_context.imports.add("import sqlalchemy as sa")
        return f"sa.{item.impl_instance!r}"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite changes a table by copying it
    transactional_ddl=True,
    transaction_per_migration=connection.dialect.name == "postgresql",
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
