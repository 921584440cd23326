"""What reconciliation in columns reads of a line, ready to be sent: its terms, its goals, what every source counted, in one row.

`reconciliation_input` repeats nothing that is not in `billing_contract` and `delivery_life`. Triggers on both name the lines
whose row is no longer true (`reconciliation_input_stale`); a run makes those anew before it reads.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_CHANGES = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
_TABLES = ("billing_contract", "delivery_life")

FUNCTIONS = (
    """
CREATE FUNCTION reconciliation_input_ages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reconciliation_input_stale (line_id) SELECT DISTINCT line_id FROM changed ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$""",
    """
CREATE FUNCTION reconciliation_inputs_age() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reconciliation_input_stale (line_id)
  SELECT line_id FROM reconciliation_input UNION SELECT line_id FROM billing_contract ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$""",
)

TRIGGERS = (
    *(
        f"CREATE TRIGGER ages_{change.lower()} AFTER {change} ON {table} REFERENCING {rows} TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_input_ages()"
        for table in _TABLES
        for change, rows in _CHANGES
    ),
    *(
        f"CREATE TRIGGER ages_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION reconciliation_inputs_age()"
        for table in _TABLES
    ),
)


def upgrade() -> None:
    op.create_table(
        "reconciliation_input",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("order_status", sa.Text(), nullable=True),
        sa.Column("apart", sa.Text(), nullable=False),
        sa.Column("first_month", sa.Integer(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("goals", sa.LargeBinary(), nullable=True),
        sa.Column("lives", sa.LargeBinary(), nullable=True),
        sa.Column("totals", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_reconciliation_input")),
    )
    op.create_table(
        "reconciliation_input_stale",
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_reconciliation_input_stale")),
    )
    for statement in (*FUNCTIONS, *TRIGGERS):
        op.execute(statement)
    op.execute("INSERT INTO reconciliation_input_stale (line_id) SELECT line_id FROM billing_contract")


def downgrade() -> None:
    for table in _TABLES:
        for change in (*(change for change, _ in _CHANGES), "TRUNCATE"):
            op.execute(f"DROP TRIGGER ages_{change.lower()} ON {table}")
    for name in ("reconciliation_input_ages", "reconciliation_inputs_age"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("reconciliation_input_stale")
    op.drop_table("reconciliation_input")
