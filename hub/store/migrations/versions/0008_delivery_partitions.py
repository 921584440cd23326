"""Delivery by (source, day): partitions of detail rows, superseded facts apart from the newest, a quarantine that can be claimed.

`delivery_fact` becomes the view of all versions: the newest of each day stand in `delivery_day` anyway, and writing every
first version twice cost as much as loading it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UNITS = "impressions, clicks, completed_views, viewable_impressions"
COLUMNS = f"source, line_id, day, as_of, {UNITS}"
ALL_VERSIONS = (
    f"CREATE VIEW delivery_fact AS SELECT {COLUMNS} FROM delivery_day "
    f"UNION ALL SELECT {COLUMNS} FROM delivery_superseded"
)


def upgrade() -> None:
    _facts_apart()
    _quarantine()
    op.create_table(
        "delivery_source",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("counted_by", sa.Text(), nullable=False),
        sa.Column("counting", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_delivery_source")),
    )
    op.create_table(
        "delivery_partition",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("source", "day", name=op.f("pk_delivery_partition")),
    )
    op.create_table(
        "delivery_report",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("days_changed", sa.BigInteger(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "report", "as_of", name=op.f("pk_delivery_report")),
    )
    op.execute(sa.schema.CreateSequence(sa.Sequence("delivery_part")))
    op.create_table(
        "delivery_detail",
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("line_vendor_id", sa.Text(collation="C"), nullable=False),
        sa.Column("ad_unit", sa.Text(), nullable=True),
        sa.Column("creative", sa.Text(), nullable=True),
        sa.Column("impressions", sa.BigInteger(), nullable=False),
        sa.Column("clicks", sa.BigInteger(), nullable=True),
        sa.Column("completed_views", sa.BigInteger(), nullable=True),
        sa.Column("viewable_impressions", sa.BigInteger(), nullable=True),
        postgresql_partition_by="LIST (part)",
    )


def _versions(name: str) -> None:
    op.create_table(
        name,
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(unit, sa.BigInteger(), nullable=False) for unit in UNITS.split(", ")),
        sa.PrimaryKeyConstraint("source", "line_id", "day", "as_of", name=op.f(f"pk_{name}")),
    )


def _facts_apart() -> None:
    _versions("delivery_superseded")
    op.execute(
        f"INSERT INTO delivery_superseded ({COLUMNS}) SELECT {COLUMNS} FROM delivery_fact f WHERE NOT EXISTS (SELECT 1 "
        "FROM delivery_day d WHERE d.line_id = f.line_id AND d.source = f.source AND d.day = f.day AND d.as_of = f.as_of)"
    )
    op.drop_table("delivery_fact")
    op.execute(ALL_VERSIONS)


def _quarantine() -> None:
    op.execute(
        "DELETE FROM delivery_quarantine q USING delivery_quarantine n WHERE n.connection = q.connection "
        "AND n.line_vendor_id = q.line_vendor_id AND n.day = q.day AND n.id > q.id"
    )
    op.add_column("delivery_quarantine", sa.Column("as_of", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE delivery_quarantine q SET as_of = coalesce((SELECT j.as_of FROM delivery_job j "
        "WHERE j.connection = q.connection AND j.job = q.job), 'epoch')"
    )
    op.alter_column("delivery_quarantine", "as_of", nullable=False)
    for unit in ("completed_views", "viewable_impressions"):
        zero = sa.text("0")
        op.add_column("delivery_quarantine", sa.Column(unit, sa.BigInteger(), server_default=zero, nullable=False))
    op.drop_index("ix_delivery_quarantine_line", table_name="delivery_quarantine")
    op.create_index(
        "uq_delivery_quarantine_line", "delivery_quarantine", ["connection", "line_vendor_id", "day"], unique=True
    )


def downgrade() -> None:
    op.drop_table("delivery_detail")
    op.execute(sa.schema.DropSequence(sa.Sequence("delivery_part")))
    for table in ("delivery_report", "delivery_partition", "delivery_source"):
        op.drop_table(table)
    op.drop_index("uq_delivery_quarantine_line", table_name="delivery_quarantine")
    op.create_index("ix_delivery_quarantine_line", "delivery_quarantine", ["connection", "line_vendor_id"])
    for column in ("viewable_impressions", "completed_views", "as_of"):
        op.drop_column("delivery_quarantine", column)
    op.execute("CREATE TEMP TABLE kept AS SELECT * FROM delivery_fact")
    op.execute("DROP VIEW delivery_fact")
    op.drop_table("delivery_superseded")
    _versions("delivery_fact")
    op.execute(f"INSERT INTO delivery_fact ({COLUMNS}) SELECT {COLUMNS} FROM kept")
    op.execute("DROP TABLE kept")
