"""Second factors: authenticator apps, recovery codes, and sign-ins that wait for one of them.

Serves: sign-in with a second factor.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from authserver.store.types import WordList

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""
    op.create_table(
        "totp_secrets",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_totp_secrets_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_totp_secrets"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_recovery_codes_user_id"),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name="pk_recovery_codes"),
    )
    op.create_table(
        "pending_sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("binding_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("amr", WordList(), nullable=False),
        sa.Column("shared_computer", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_pending_sign_ins_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pending_sign_ins"),
    )
    for column in ("user_id", "binding_hash", "expires_at"):
        op.create_index(f"ix_pending_sign_ins_{column}", "pending_sign_ins", [column])


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
