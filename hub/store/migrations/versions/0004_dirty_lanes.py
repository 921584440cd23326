"""Whether a lane's vendor lacks what it should have, as a column: the server then knows how few such lanes there are.

The index of dirty lanes is in the order in which they are claimed; that of live references answers with the vendor's id.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LIVE = ("connection", "kind", "entity_id", "facet")
DIRTY = "desired_hash IS DISTINCT FROM acked_hash"


def upgrade() -> None:
    op.drop_index("ix_lane_dirty", table_name="lane")
    op.add_column("lane", sa.Column("dirty", sa.Boolean(), sa.Computed(DIRTY, persisted=True), nullable=False))
    op.create_index(
        "ix_lane_dirty", "lane", ["connection", "kind", "order_id", "id"], postgresql_where=sa.text("dirty")
    )
    _replace_live_references(["vendor_id"])


def downgrade() -> None:
    op.drop_index("ix_lane_dirty", table_name="lane", postgresql_where=sa.text("dirty"))
    op.drop_column("lane", "dirty")
    op.create_index("ix_lane_dirty", "lane", ["connection", "stage", "id"], postgresql_where=sa.text(DIRTY))
    _replace_live_references([])


def _replace_live_references(answered: list[str]) -> None:
    only_live = sa.text("superseded_at IS NULL")
    op.drop_index("uq_reference_live", table_name="reference", postgresql_where=only_live)
    op.create_index(
        "uq_reference_live",
        "reference",
        list(LIVE),
        unique=True,
        postgresql_where=only_live,
        postgresql_include=answered,
    )
