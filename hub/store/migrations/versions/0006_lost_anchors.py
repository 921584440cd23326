"""Anchors of the audit chain that the chain does not hold any more: the store came from a backup, and that is known."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lost_anchor",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_lost_anchor")),
    )


def downgrade() -> None:
    op.drop_table("lost_anchor")
