"""What token status lists and signed introspection responses store.

Serves: token status lists, introspection.
"""

import secrets

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Expand; the program before still runs on this schema.

    Grants and clients without an index get one from a background job, those that the program before adds too.
    """
    op.create_table(
        "status_lists",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lists", sa.Integer(), nullable=False),
        sa.Column("open_list", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("seed", sa.LargeBinary(), nullable=False),
        sa.Column("longest_lifetime", sa.BigInteger(), nullable=False),
        sa.Column("lowered_at", TIME, nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_status_lists_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_status_lists"),
    )
    # A token issued before this migration stands in no list, so no lifetime has to be remembered yet.
    first = (
        "INSERT INTO status_lists (id, lists, open_list, used, seed, longest_lifetime) VALUES (1, 2, 1, 0, :seed, 0)"
    )
    op.execute(sa.text(first).bindparams(seed=secrets.token_bytes(16)))
    op.add_column("clients", sa.Column("introspection_signed_response_alg", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("status_index", sa.Integer(), nullable=True))
    op.create_index("ix_clients_status_index", "clients", ["status_index"], unique=True)
    for column in ("disabled_at", "deleted_at"):
        is_set = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_clients_{column}", "clients", [column], sqlite_where=is_set, postgresql_where=is_set)


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
