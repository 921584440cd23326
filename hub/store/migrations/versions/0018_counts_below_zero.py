"""Whether a source counted less than nothing of a line in a month: reconciliation leaves such a line to the billing rules.

Reports with such counts are refused; what was written past them is found by reading the months anew that have any.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "delivery_life", sa.Column("below_zero", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.execute(
        "INSERT INTO delivery_touched (source, period_start) "
        "SELECT DISTINCT source, date_trunc('month', day::timestamp)::date FROM delivery_day "
        "WHERE least(impressions, clicks, completed_views, viewable_impressions) < 0"
    )


def downgrade() -> None:
    op.drop_column("delivery_life", "below_zero")
