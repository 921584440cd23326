"""Billing: line-periods and their calculations, inputs of people, documents with positions, export batches, payments."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "billing_approval",
        sa.Column("review_hash", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("line_periods", sa.Integer(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("review_hash", name=op.f("pk_billing_approval")),
    )
    op.create_table(
        "billing_batch",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("control", sa.LargeBinary(), nullable=False),
        sa.Column("control_hash", sa.Text(), nullable=False),
        sa.Column("exported_by", sa.Text(), nullable=False),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_billing_batch")),
    )
    op.create_table(
        "billing_document",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("bill_to", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("prepared_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=True),
        sa.Column("connection", sa.Text(), nullable=True),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("vendor_state", sa.Text(), nullable=True),
        sa.Column("their_total", sa.BigInteger(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=True),
        sa.Column("mismatch", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_billing_document")),
    )
    op.create_index("ix_billing_document_batch_id", "billing_document", ["batch_id"], unique=False)
    op.create_index("ix_billing_document_corrects", "billing_document", ["corrects"], unique=False)
    op.create_index("ix_billing_document_order_id", "billing_document", ["order_id"], unique=False)
    op.create_table(
        "billing_input",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("entered_by", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_input")),
    )
    op.create_index("ix_billing_input_line_id", "billing_input", ["line_id", "period_start"], unique=False)
    op.create_table(
        "billing_payment",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("native_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("by_document", sa.Text(), nullable=True),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "document_id", "native_id", name=op.f("pk_billing_payment")),
    )
    op.create_table(
        "billing_position",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.LargeBinary(), nullable=False),
        sa.Column("agency_billed", sa.Boolean(), nullable=False),
        sa.Column("tax_ppm", sa.Integer(), nullable=False),
        sa.Column("bonus", sa.Boolean(), nullable=False),
        sa.Column("corrects_number", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("document_id", "number", name=op.f("pk_billing_position")),
    )
    op.create_index("ix_billing_position_line_id", "billing_position", ["line_id", "period_start"], unique=False)
    op.create_table(
        "closed_period",
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("period_start", name=op.f("pk_closed_period")),
    )
    op.create_table(
        "line_period",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("news_hash", sa.Text(), nullable=False),
        sa.Column("problem_code", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("gross", sa.BigInteger(), nullable=True),
        sa.Column("commission", sa.BigInteger(), nullable=True),
        sa.Column("net", sa.BigInteger(), nullable=True),
        sa.Column("tax", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("prepared_by", sa.Text(), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_hash", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispute", sa.Text(), nullable=True),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("line_id", "period_start", name=op.f("pk_line_period")),
    )
    op.create_index("ix_line_period_document_id", "line_period", ["document_id"], unique=False)
    op.create_index("ix_line_period_order_id", "line_period", ["order_id"], unique=False)
    op.create_index("ix_line_period_period", "line_period", ["period_start", "status"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_line_period_period", table_name="line_period")
    op.drop_index("ix_line_period_order_id", table_name="line_period")
    op.drop_index("ix_line_period_document_id", table_name="line_period")
    op.drop_table("line_period")
    op.drop_table("closed_period")
    op.drop_index("ix_billing_position_line_id", table_name="billing_position")
    op.drop_table("billing_position")
    op.drop_table("billing_payment")
    op.drop_index("ix_billing_input_line_id", table_name="billing_input")
    op.drop_table("billing_input")
    op.drop_index("ix_billing_document_order_id", table_name="billing_document")
    op.drop_index("ix_billing_document_corrects", table_name="billing_document")
    op.drop_index("ix_billing_document_batch_id", table_name="billing_document")
    op.drop_table("billing_document")
    op.drop_table("billing_batch")
    op.drop_table("billing_approval")
