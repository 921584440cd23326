"""What protects vendors and people from the hub: accepted values, held plans, recovery, the write ledger, documents."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accepted_value",
        sa.Column("lane_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("wanted", sa.LargeBinary(), nullable=False),
        sa.Column("present", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("lane_id", "field", name=op.f("pk_accepted_value")),
    )
    op.create_table(
        "guard_plan",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_guard_plan")),
    )
    op.create_index("ix_guard_plan_connection", "guard_plan", ["connection", "state"], unique=False)
    op.create_table(
        "guard_lane",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("lane_id", sa.BigInteger(), nullable=False),
        sa.Column("desired_hash", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("hash", "lane_id", name=op.f("pk_guard_lane")),
    )
    op.create_index("ix_guard_lane_lane_id", "guard_lane", ["lane_id"], unique=False)
    op.create_table(
        "recovery",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_recovery")),
    )
    op.create_table(
        "write_ledger",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value_hash", sa.Uuid(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_ledger")),
    )
    op.create_index("ix_write_ledger_vendor_id", "write_ledger", ["connection", "record", "vendor_id"], unique=False)
    op.create_index("ix_write_ledger_attempt_id", "write_ledger", ["attempt_id"], unique=False)
    op.create_table(
        "echo",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("echoes", sa.BigInteger(), nullable=False),
        sa.Column("near_misses", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connection", name=op.f("pk_echo")),
    )
    op.create_table(
        "document",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("connection", "document_id", name=op.f("pk_document")),
    )


def downgrade() -> None:
    op.drop_table("document")
    op.drop_table("echo")
    op.drop_index("ix_write_ledger_attempt_id", table_name="write_ledger")
    op.drop_index("ix_write_ledger_vendor_id", table_name="write_ledger")
    op.drop_table("write_ledger")
    op.drop_table("recovery")
    op.drop_index("ix_guard_lane_lane_id", table_name="guard_lane")
    op.drop_table("guard_lane")
    op.drop_index("ix_guard_plan_connection", table_name="guard_plan")
    op.drop_table("guard_plan")
    op.drop_table("accepted_value")
