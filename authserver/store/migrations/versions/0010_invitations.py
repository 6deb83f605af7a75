"""Whom an operator has invited to make an account.

Serves: SIGN_UP=invite (DESIGN §2).
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("mailbox_key", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("accepted_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("mailbox_key", name="uq_invitations_mailbox_key"),
    )
    for column in ("expires_at", "accepted_at"):
        op.create_index(f"ix_invitations_{column}", "invitations", [column])


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
