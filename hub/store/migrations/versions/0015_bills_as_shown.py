"""What the ERP last showed of every record under a bill's reference; and what it shows otherwise than billed counts as not billed."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def _major(micros: str) -> str:
    """Micros as an exact decimal of major units; a division would keep 16 digits only."""
    return f"(({micros}) * 0.000001)::numeric(24, 6)"


def _line_month(counts: str) -> str:
    """The view of 0010, with the documents that count as billed."""
    return f"""
CREATE OR REPLACE VIEW report.line_month AS
WITH delivered AS (
  SELECT c.line_id, c.currency, n.period_start, t.units,
         v.value - report.rounded(v.value * c.deducted_ppm, 1000000, c.minor) AS value
  FROM report._contract c JOIN report._counted n USING (line_id)
  CROSS JOIN LATERAL (SELECT CASE WHEN c.terms->>'source' = 'third_party' THEN n.other_units ELSE n.seller_units END AS units) t
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * t.units, c.per, c.minor) AS value) v
), billed AS (
  SELECT p.line_id, d.currency, p.period_start,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE {counts}) AS net,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.quantity ELSE p.quantity END)
           FILTER (WHERE {counts} AND NOT p.bonus) AS units,
         sum(CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END) FILTER (WHERE d.corrects IS NOT NULL) AS corrected
  FROM billing_position p JOIN billing_document d USING (document_id) WHERE d.state <> 'withdrawn' GROUP BY 1, 2, 3
), keys AS (
  SELECT line_id, currency, period_start FROM report._spread UNION SELECT line_id, currency, period_start FROM delivered
  UNION SELECT line_id, currency, period_start FROM billed UNION SELECT line_id, currency, period_start FROM line_period
)
SELECT k.line_id, coalesce(c.order_id, l.order_id) AS order_id, k.currency, k.period_start, l.status, l.problem_code, c.unit,
       {_major("coalesce(s.booked, 0)")} AS booked, d.units::bigint AS delivered_units, {_major("d.value")} AS delivered,
       l.quantity AS billable_units, {_major("l.net + coalesce(b.corrected, 0)")} AS billable,
       coalesce(b.units, 0)::bigint AS billed_units, {_major("coalesce(b.net, 0)")} AS billed
FROM keys k LEFT JOIN report._spread s USING (line_id, currency, period_start)
LEFT JOIN delivered d USING (line_id, currency, period_start)
LEFT JOIN line_period l USING (line_id, currency, period_start)
LEFT JOIN billed b USING (line_id, currency, period_start)
LEFT JOIN report._contract c ON c.line_id = k.line_id"""


def upgrade() -> None:
    op.create_table(
        "billing_shown",
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("native_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("native", sa.LargeBinary(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "native_id", name=op.f("pk_billing_shown")),
    )
    op.create_index("ix_billing_shown_document_id", "billing_shown", ["document_id"])
    op.execute(_line_month("d.state <> 'proposed' AND d.mismatch = ''"))


def downgrade() -> None:
    op.execute(_line_month("d.state <> 'proposed'"))
    op.drop_table("billing_shown")
