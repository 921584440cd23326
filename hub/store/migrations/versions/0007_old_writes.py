"""The write ledger is used: what was never read back is found by its age."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_write_ledger_written_at", "write_ledger", ["connection", "written_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_write_ledger_written_at", table_name="write_ledger")
