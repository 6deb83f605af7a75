"""The schema's versions. A server never migrates by itself: ``authserver migrate`` does, and ``serve`` checks.

Each migration expands or contracts, never both, so that the program before it still runs on its schema; it writes into
``state.serves_from`` the oldest schema whose program may. Alembic is imported by those who migrate only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy.exc

from authserver.store.failures import translated

if TYPE_CHECKING:
    from authserver.store.engine import Engine

HEAD: Final = "0010"  # the schema this program was written for


class SchemaError(Exception):
    """The database's schema is not one that this program can serve; the text says what to do."""


def upgrade(database_url: str) -> None:
    """Bring a database to the newest schema, making a SQLite file where there is none.

    One caller at a time, on any number of machines; each migration is one transaction, so a killed one is run again.
    Raise UnavailableError where the database does not answer, SchemaError where its schema is newer than this program.
    """
    from authserver.store.migrations.run import upgrade_to_head  # noqa: PLC0415 - Alembic is slow to import

    with translated():
        upgrade_to_head(database_url)


async def check_schema(engine: Engine) -> None:
    """Refuse, with SchemaError, a database whose schema this program was not written for.

    A newer one is served where its migrations say that this program may: that is how a fleet is upgraded, and rolled
    back, node by node.
    """
    if engine.missing_file is not None:
        raise SchemaError(f"There is no database at {engine.missing_file}. Run: authserver init")
    try:
        async with engine.read() as tx:
            found = (await tx.raw("SELECT version_num FROM alembic_version")).scalar_one()
            serves_from = (await tx.raw("SELECT serves_from FROM state")).scalar_one()
    except (sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.NoResultFound) as error:
        raise SchemaError("The database has no schema yet. Run: authserver migrate") from error
    judge_schema(str(found), str(serves_from))


def judge_schema(found: str, serves_from: str) -> None:
    """Refuse a schema that is older than this program, or so new that it no longer serves it.

    >>> judge_schema(HEAD, HEAD)
    >>> judge_schema("9999", HEAD)  # a newer schema that this program may still run on
    """
    if found < HEAD:
        raise SchemaError(f"The database's schema is {found}, this program needs {HEAD}. Run: authserver migrate")
    if serves_from > HEAD:
        raise SchemaError(
            f"The database's schema is {found}, and only programs that know {serves_from} may use it; this one knows "
            f"{HEAD}. Install the newer program; `authserver migrate` never goes back."
        )
