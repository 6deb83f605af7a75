"""What passkeys, TOTP, recovery codes stores.

Serves: passkeys, TOTP, recovery codes.
"""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand; the program before still runs on this schema."""


def downgrade() -> None:
    """There is no way back: `authserver migrate` only goes forward."""
    raise NotImplementedError
