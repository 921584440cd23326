"""Groups of parked work, pauses of connections, mass replays, and the audit chain.

What is already parked gets a group key of the same parts as `hub.store.parking` computes, but not normalised: it forms the
same groups, and takes the usual key when it is parked again. The chain begins with the first event after this migration.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("parked", sa.Column("group_key", sa.Text(), nullable=True))
    op.add_column("parked", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("parked", sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.execute(
        "UPDATE parked SET since = opened_at, "
        "group_key = reason || '-' || left(md5(concat_ws('|', connection, reason, code, path, value)), 8)"
    )
    op.alter_column("parked", "group_key", nullable=False)
    op.alter_column("parked", "since", nullable=False)
    op.create_index("ix_parked_subject", "parked", ["subject", "id"], unique=False)
    op.create_index("ix_parked_group_key", "parked", ["group_key", "id"], unique=False)
    op.add_column("connection_state", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection_state", sa.Column("paused_by", sa.Text(), nullable=True))
    op.add_column("connection_state", sa.Column("pause_note", sa.Text(), nullable=True))
    op.create_table(
        "mass_replay",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_mass_replay")),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
    )
    op.create_table(
        "audit_head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_audit_head")),
    )


def downgrade() -> None:
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.drop_table("mass_replay")
    op.drop_column("connection_state", "pause_note")
    op.drop_column("connection_state", "paused_by")
    op.drop_column("connection_state", "paused_at")
    op.drop_index("ix_parked_group_key", table_name="parked")
    op.drop_index("ix_parked_subject", table_name="parked")
    op.drop_column("parked", "tries")
    op.drop_column("parked", "since")
    op.drop_column("parked", "group_key")
