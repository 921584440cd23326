"""When a recovery ended is remembered: documents that the store forgot may be wanted again long after it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recovery", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM recovery WHERE ended_at IS NOT NULL")
    op.drop_column("recovery", "ended_at")
