"""A shortfall over a line's life says how many of its months have no result yet: as long as there is one it is preliminary.

What was delivered in a month that is not final, in dispute or blocked is in the sum, and may still change.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _major(micros: str) -> str:
    """Micros as an exact decimal of major units; a division would keep 16 digits only."""
    return f"(({micros}) * 0.000001)::numeric(24, 6)"


def _shortfall(create: str, counted: str, shown: str) -> str:
    return f"""
{create} VIEW report.shortfall AS
WITH life AS (
  SELECT line_id, currency, sum(delivered_units) AS delivered_units, sum(billed) AS billed{counted} FROM report.line_month GROUP BY 1, 2
), owed AS (
  SELECT c.*, l.delivered_units, l.billed{shown}, s.short, v.earned - report.rounded(v.earned * c.deducted_ppm, 1000000, c.minor) AS earned,
         v.missing - report.rounded(v.missing * c.deducted_ppm, 1000000, c.minor) AS missing
  FROM report._contract c JOIN life l USING (line_id, currency)
  CROSS JOIN LATERAL (SELECT greatest(c.units - l.delivered_units, 0) AS short) s
  CROSS JOIN LATERAL (SELECT report.rounded(c.rate * l.delivered_units, c.per, c.minor) AS earned,
                             report.rounded(c.rate * s.short, c.per, c.minor) AS missing) v
  WHERE c.units IS NOT NULL AND c.stands
)
SELECT line_id, line, order_id, order_name, currency, unit, flight_end AT TIME ZONE zone AS ends_at, units::bigint AS booked_units,
       delivered_units::bigint AS delivered_units, short::bigint AS shortfall_units,
       {_major("missing")} AS shortfall, billed,
       greatest(billed - {_major("earned")}, 0) AS liability{shown}
FROM owed"""


def upgrade() -> None:
    counted = ", count(*) FILTER (WHERE billable IS NULL) AS not_calculated"
    op.execute(_shortfall("CREATE OR REPLACE", counted, ", not_calculated"))


def downgrade() -> None:
    # A column can be added to a view and not taken away. Nothing of ours stands on this one.
    op.execute("DROP VIEW report.shortfall")
    op.execute(_shortfall("CREATE", "", ""))
