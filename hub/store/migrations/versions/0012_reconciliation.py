"""Reconciliation of many line-months at once: contracts and counts in the shape it reads, and what a run found.

`billing_contract` and `delivery_life` repeat nothing that is not in `entity` and `delivery_day`; a run brings them up to date
before it reads them. Triggers note lines, orders and months that changed in the transaction that changes them, so that a run can
never miss one. What was there before is noted here.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TRIGGERS = (
    """
CREATE FUNCTION delivery_months_touched(named text, since date, until date) RETURNS void LANGUAGE sql AS $$
  INSERT INTO delivery_touched (source, period_start)
  SELECT named, m::date FROM generate_series(date_trunc('month', since::timestamp), until::timestamp, interval '1 month') m
$$""",
    """
CREATE FUNCTION delivery_report_touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM delivery_months_touched(NEW.source, NEW.since, NEW.until); RETURN NULL; END $$""",
    """
CREATE FUNCTION delivery_job_touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM delivery_months_touched(NEW.connection, NEW.since, NEW.until); RETURN NULL; END $$""",
    """
CREATE FUNCTION delivery_quarantine_touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO delivery_touched (source, period_start)
  SELECT DISTINCT connection, date_trunc('month', day::timestamp)::date FROM gone;
  RETURN NULL;
END $$""",
    """
CREATE FUNCTION contract_touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO contract_touched (kind, entity_id) VALUES (coalesce(NEW.kind, OLD.kind), coalesce(NEW.id, OLD.id));
  RETURN NULL;
END $$""",
    "CREATE TRIGGER touches_new AFTER INSERT ON entity FOR EACH ROW WHEN (NEW.kind IN ('line', 'order')) "
    "EXECUTE FUNCTION contract_touches()",
    "CREATE TRIGGER touches_gone AFTER DELETE ON entity FOR EACH ROW WHEN (OLD.kind IN ('line', 'order')) "
    "EXECUTE FUNCTION contract_touches()",
    "CREATE TRIGGER touches_changed AFTER UPDATE ON entity FOR EACH ROW WHEN (NEW.kind IN ('line', 'order') AND "
    "(OLD.content_hash, OLD.status, OLD.order_id) IS DISTINCT FROM (NEW.content_hash, NEW.status, NEW.order_id)) "
    "EXECUTE FUNCTION contract_touches()",
    "CREATE TYPE reconciliation_month AS (m int, status int, tolerance int, seller bigint, other bigint, chosen bigint, "
    "quantity bigint, gross bigint, commission bigint)",
    "CREATE TRIGGER touches AFTER INSERT ON delivery_report FOR EACH ROW EXECUTE FUNCTION delivery_report_touches()",
    "CREATE TRIGGER touches AFTER INSERT OR UPDATE ON delivery_job FOR EACH ROW WHEN (NEW.state = 'loaded') "
    "EXECUTE FUNCTION delivery_job_touches()",
    "CREATE TRIGGER touches AFTER DELETE ON delivery_quarantine REFERENCING OLD TABLE AS gone FOR EACH STATEMENT "
    "EXECUTE FUNCTION delivery_quarantine_touches()",
)


def upgrade() -> None:
    op.create_table(
        "billing_contract",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("line_hash", sa.Uuid(), nullable=False),
        sa.Column("order_hash", sa.Uuid(), nullable=False),
        sa.Column("order_status", sa.Text(), nullable=True),
        sa.Column("apart", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("per", sa.Integer(), nullable=False),
        sa.Column("commission_ppm", sa.Integer(), nullable=False),
        sa.Column("net_rate", sa.Boolean(), nullable=False),
        sa.Column("third_party", sa.Boolean(), nullable=False),
        sa.Column("cap", sa.SmallInteger(), nullable=False),
        sa.Column("tolerance_ppm", sa.Integer(), nullable=False),
        sa.Column("variance_base", sa.SmallInteger(), nullable=False),
        sa.Column("unit", sa.SmallInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("prepaid", sa.Boolean(), nullable=False),
        sa.Column("fallback_days", sa.Integer(), nullable=True),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("closing", sa.Text(), nullable=False),
        sa.Column("first_month", sa.Integer(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("first_live", sa.Date(), nullable=False),
        sa.Column("first_until", sa.Date(), nullable=False),
        sa.Column("last_since", sa.Date(), nullable=False),
        sa.Column("last_live", sa.Date(), nullable=False),
        sa.Column("goals", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("live", sa.BigInteger(), nullable=False),
        sa.Column("fixed_units", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("fixed_gross", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("fixed_commission", ARRAY(sa.BigInteger()), nullable=True),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_billing_contract")),
    )
    op.create_table(
        "delivery_life",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("seller", sa.Boolean(), nullable=False),
        sa.Column("first_month", sa.Integer(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=True),
        sa.Column("impressions", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("clicks", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("completed_views", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("viewable_impressions", ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("active_days", ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("line_id", "source", name=op.f("pk_delivery_life")),
    )
    op.create_table(
        "delivery_touched",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_touched")),
    )
    op.create_table(
        "contract_touched",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_touched")),
    )
    op.create_table(
        "reconciliation_run",
        sa.Column("run", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lines", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("line_months", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("by_library", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("exceptions", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("digest", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_reconciliation_run")),
    )
    op.create_table(
        "reconciliation_line",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("line_months", sa.Integer(), nullable=False),
        sa.Column("billable_months", sa.Integer(), nullable=False),
        sa.Column("exceptions", sa.Integer(), nullable=False),
        sa.Column("by_library", sa.Text(), nullable=False),
        sa.Column("seller_units", sa.BigInteger(), nullable=False),
        sa.Column("other_units", sa.BigInteger(), nullable=False),
        sa.Column("billable_units", sa.BigInteger(), nullable=False),
        sa.Column("capped_units", sa.BigInteger(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "line_id", name=op.f("pk_reconciliation_line")),
    )
    op.create_table(
        "reconciliation_exception",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("tolerance", sa.Text(), nullable=False),
        sa.Column("seller_units", sa.BigInteger(), nullable=True),
        sa.Column("other_units", sa.BigInteger(), nullable=True),
        sa.Column("chosen_units", sa.BigInteger(), nullable=True),
        sa.Column("billable_units", sa.BigInteger(), nullable=False),
        sa.Column("capped_units", sa.BigInteger(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("commission", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "line_id", "period_start", name=op.f("pk_reconciliation_exception")),
    )
    for statement in TRIGGERS:
        op.execute(statement)
    op.execute(
        "INSERT INTO delivery_touched (source, period_start) "
        "SELECT DISTINCT source, date_trunc('month', day::timestamp)::date FROM delivery_day"
    )
    op.execute(
        "INSERT INTO contract_touched (kind, entity_id) SELECT kind, id FROM entity WHERE kind IN ('line', 'order')"
    )


def downgrade() -> None:
    for table in ("delivery_report", "delivery_job", "delivery_quarantine"):
        op.execute(f"DROP TRIGGER touches ON {table}")
    for trigger in ("touches_new", "touches_gone", "touches_changed"):
        op.execute(f"DROP TRIGGER {trigger} ON entity")
    op.execute("DROP FUNCTION contract_touches()")
    for name in ("delivery_report_touches", "delivery_job_touches", "delivery_quarantine_touches"):
        op.execute(f"DROP FUNCTION {name}()")
    op.execute("DROP FUNCTION delivery_months_touched(text, date, date)")
    for table in (
        *("reconciliation_exception", "reconciliation_line", "reconciliation_run"),
        *("contract_touched", "delivery_touched", "delivery_life", "billing_contract"),
    ):
        op.drop_table(table)
    op.execute("DROP TYPE reconciliation_month")
