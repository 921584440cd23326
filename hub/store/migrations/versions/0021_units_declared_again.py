"""Every month of a source is read anew when the units change that it declares.

`delivery_life` keeps nothing of a unit that its source does not declare. Declared again, it was 0 in the months that no load
touched since. Which rows that already happened to cannot be told, so that all months are read anew once.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# What was ever loaded of a source, not what stands in delivery_life: a run that is at work adds months there unseen.
_MONTHS = (
    "SELECT r.source, m::date FROM (SELECT source, since, until FROM delivery_report UNION ALL "
    "SELECT connection, since, until FROM delivery_job WHERE state = 'loaded') r "
    "CROSS JOIN LATERAL generate_series(date_trunc('month', r.since::timestamp), r.until::timestamp, interval '1 month') m"
)

STATEMENTS = (
    f"""
CREATE FUNCTION delivery_source_touches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO delivery_touched (source, period_start) {_MONTHS} WHERE r.source = NEW.source GROUP BY 1, 2;
  RETURN NULL;
END $$""",
    "CREATE TRIGGER touches AFTER UPDATE ON delivery_source FOR EACH ROW WHEN (OLD.metrics IS DISTINCT FROM NEW.metrics) "
    "EXECUTE FUNCTION delivery_source_touches()",
    f"INSERT INTO delivery_touched (source, period_start) {_MONTHS} JOIN delivery_source USING (source) GROUP BY 1, 2",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER touches ON delivery_source")
    op.execute("DROP FUNCTION delivery_source_touches()")
