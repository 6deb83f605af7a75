"""Other providers, the ways there and back, and whose account there is whose here.

Serves: sign-in through other providers.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from authserver.store.types import WordList

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TIME = sqlmodel.UTCDateTime()


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""
    _create_providers()
    _create_sign_ins()
    op.create_table(
        "upstream_identities",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("account_name", sa.String(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["provider"], ["upstream_providers.slug"], ondelete="CASCADE", name="fk_upstream_identities_provider"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_upstream_identities_user_id"),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_upstream_identities"),
    )
    op.create_index("ix_upstream_identities_user_id", "upstream_identities", ["user_id"])
    with op.batch_alter_table("mailed_codes") as codes:
        codes.add_column(sa.Column("upstream_id", sa.Uuid(), nullable=True))
        codes.create_foreign_key(
            "fk_mailed_codes_upstream_id", "upstream_sign_ins", ["upstream_id"], ["id"], ondelete="SET NULL"
        )
        codes.create_index("ix_mailed_codes_upstream_id", ["upstream_id"])


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError


def _create_providers() -> None:
    op.create_table(
        "upstream_providers",
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("auth_method", sa.String(), nullable=False),
        sa.Column("scope", WordList(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("authorization_endpoint", sa.String(), nullable=True),
        sa.Column("token_endpoint", sa.String(), nullable=True),
        sa.Column("userinfo_endpoint", sa.String(), nullable=True),
        sa.Column("emails_endpoint", sa.String(), nullable=True),
        sa.Column("subject_field", sa.String(), nullable=False),
        sa.Column("allow_sign_up", sa.Boolean(), nullable=False),
        sa.Column("trust_email", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("slug", name="pk_upstream_providers"),
    )


def _create_sign_ins() -> None:
    op.create_table(
        "upstream_sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("asked_anew", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("account_name", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider"], ["upstream_providers.slug"], ondelete="CASCADE", name="fk_upstream_sign_ins_provider"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_upstream_sign_ins"),
        sa.UniqueConstraint("state_hash", name="uq_upstream_sign_ins_state_hash"),
    )
    for column in ("provider", "expires_at"):
        op.create_index(f"ix_upstream_sign_ins_{column}", "upstream_sign_ins", [column])
