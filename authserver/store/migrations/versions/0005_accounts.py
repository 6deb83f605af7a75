"""What sign-up, mailed codes, account pages stores.

Serves: sign-up, mailed codes, account pages.
"""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
