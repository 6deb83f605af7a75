"""Which account here an account of another system has become.

Serves: import of users, refresh tokens of the project they come from.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""
    op.create_table(
        "imported_ids",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_imported_ids_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("source_id", name="pk_imported_ids"),
    )
    op.create_index("ix_imported_ids_user_id", "imported_ids", ["user_id"])


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
