"""${message}.

Serves: the features that need it, by their names.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expand or contract, never both; say in `state.serves_from` which programs may still run."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """There is no way back: the program before runs on this schema."""
    raise NotImplementedError
