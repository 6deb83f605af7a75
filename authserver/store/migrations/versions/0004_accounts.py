"""What sign-up and mailed codes store.

Serves: sign-up, mailed codes, account pages.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""
    op.create_table(
        "sign_ups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ups"),
    )
    op.create_index("ix_sign_ups_expires_at", "sign_ups", ["expires_at"])
    _create_mailed_codes()
    op.add_column("users", sa.Column("delete_at", TIME, nullable=True))
    op.create_index("ix_users_delete_at", "users", ["delete_at"])


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError


def _create_mailed_codes() -> None:
    op.create_table(
        "mailed_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("sign_up_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("link_hash", sa.LargeBinary(), nullable=True),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("mail_id", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("proven_at", TIME, nullable=True),
        sa.Column("used_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_mailed_codes_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["sign_up_id"], ["sign_ups.id"], name="fk_mailed_codes_sign_up_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_mailed_codes"),
        sa.UniqueConstraint("link_hash", name="uq_mailed_codes_link_hash"),
    )
    op.create_index("ix_mailed_codes_expires_at", "mailed_codes", ["expires_at"])
    op.create_index("ix_mailed_codes_sign_up_id", "mailed_codes", ["sign_up_id"])
    op.create_index("ix_mailed_codes_user_id", "mailed_codes", ["user_id"])
