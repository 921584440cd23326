"""The tables of what was delivered and what is billed."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    event,
    text,
)

from hub.store.columns import metadata, moment, numbered, words

# ---------------------------------------------------------------- what was delivered
delivery_superseded = Table(
    "delivery_superseded",
    metadata,
    words("source"),
    words("line_id"),
    Column("day", Date, nullable=False),
    moment("as_of"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("completed_views", BigInteger, nullable=False),
    Column("viewable_impressions", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "line_id", "day", "as_of"),
)

delivery_day = Table(
    "delivery_day",
    metadata,
    words("source"),
    words("line_id"),
    Column("day", Date, nullable=False),
    moment("as_of"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("completed_views", BigInteger, nullable=False),
    Column("viewable_impressions", BigInteger, nullable=False),
    PrimaryKeyConstraint("line_id", "source", "day"),
)

delivery_job = Table(
    "delivery_job",
    metadata,
    words("connection"),
    words("job"),
    Column("since", Date, nullable=False),
    Column("until", Date, nullable=False),
    moment("as_of"),
    words("state"),
    moment("requested_at"),
    moment("loaded_at", nullable=True),
    Column("rows", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("connection", "job"),
)

delivery_quarantine = Table(
    "delivery_quarantine",
    metadata,
    numbered(),
    words("connection"),
    words("job"),
    Column("day", Date, nullable=False),
    words("line_vendor_id"),
    words("order_vendor_id"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    moment("as_of"),
    Column("completed_views", BigInteger, nullable=False, server_default=text("0")),
    Column("viewable_impressions", BigInteger, nullable=False, server_default=text("0")),
    Index("uq_delivery_quarantine_line", "connection", "line_vendor_id", "day", unique=True),
)

delivery_source = Table(
    "delivery_source",
    metadata,
    words("source"),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    words("counted_by"),
    words("counting"),
    words("zone"),
    words("metrics"),
    PrimaryKeyConstraint("source"),
)

delivery_partition = Table(
    "delivery_partition",
    metadata,
    words("source"),
    Column("day", Date, nullable=False),
    Column("part", BigInteger, nullable=True),
    moment("as_of"),
    Column("rows", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("final", Boolean, nullable=False),
    PrimaryKeyConstraint("source", "day"),
)

delivery_report = Table(
    "delivery_report",
    metadata,
    words("source"),
    words("report"),
    moment("as_of"),
    Column("since", Date, nullable=False),
    Column("until", Date, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("days_changed", BigInteger, nullable=False),
    moment("loaded_at"),
    PrimaryKeyConstraint("source", "report", "as_of"),
)

delivery_set_aside = Table(
    "delivery_set_aside",
    metadata,
    words("source"),
    words("report"),
    Column("digest", LargeBinary, nullable=False),
    moment("as_of"),
    words("code"),
    words("sentence"),
    moment("since"),
    moment("loaded_at", nullable=True),
    PrimaryKeyConstraint("source", "report", "digest"),
)

delivery_part = Sequence("delivery_part", metadata=metadata)

_DETAIL_TEXTS = ("ad_unit", "creative")
_DETAIL_UNITS = ("impressions", "clicks", "completed_views", "viewable_impressions")
delivery_packed = Table(
    "delivery_packed",
    metadata,
    Column("part", BigInteger, nullable=False),
    Column("line_vendor_id", Text(collation="C"), nullable=False),
    *(Column(name, SmallInteger, nullable=True) for name in (*_DETAIL_TEXTS, *_DETAIL_UNITS)),
    Column("detail", Text, nullable=False),
    postgresql_partition_by="LIST (part)",
)
"""The newest detail rows, those of one line as one text. `detail`: each row ends with U+001E, and before each of its cells
stands U+001F (`hub.store.partitions`). The other columns say which cell is theirs, from 2; null: the source does not report it.
Each partition is one (source, day) of `delivery_partition`, made by `hub.store.partitions`; `delivery_detail` is the view of the
single rows."""


def _detail_view() -> str:
    """As migration 0016 makes it."""
    cell = "split_part(r.row, E'\\x1f', p.{name})"
    text = (
        f"replace(replace(replace({cell}, E'\\x1b2', E'\\x1e'), E'\\x1b1', E'\\x1f'), E'\\x1b0', E'\\x1b') AS {{name}}"
    )
    columns = [text.format(name=name) for name in _DETAIL_TEXTS]
    columns += [f"{cell}::bigint AS {{name}}".format(name=name) for name in _DETAIL_UNITS]
    return (
        f"CREATE VIEW delivery_detail AS SELECT p.part, p.line_vendor_id, {', '.join(columns)} FROM delivery_packed p "
        "CROSS JOIN LATERAL string_to_table(p.detail, E'\\x1e') AS r(row) WHERE r.row <> ''"
    )


event.listen(metadata, "after_create", DDL(_detail_view()))  # type: ignore[no-untyped-call]

_VERSION = "source, line_id, day, as_of, impressions, clicks, completed_views, viewable_impressions"
event.listen(
    metadata,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        f"CREATE VIEW delivery_fact AS SELECT {_VERSION} FROM delivery_day UNION ALL SELECT {_VERSION} FROM delivery_superseded"
    ),
)

# ---------------------------------------------------------------- what is billed
_AMOUNTS = ("gross", "commission", "net", "tax", "total")


def _amounts(nullable: bool = False) -> list[Column[int]]:
    """The five components of an amount, in micros."""
    return [Column(name, BigInteger, nullable=nullable) for name in _AMOUNTS]


line_period = Table(
    "line_period",
    metadata,
    words("line_id"),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),
    words("order_id"),
    words("currency"),
    words("status"),
    Column("inputs", LargeBinary),
    Column("result", LargeBinary),
    words("content_hash"),
    words("news_hash"),
    words("problem_code"),
    words("problem"),
    Column("quantity", BigInteger, nullable=True),
    *_amounts(nullable=True),
    words("prepared_by", nullable=True),
    moment("prepared_at", nullable=True),
    words("approved_by", nullable=True),
    words("approved_hash", nullable=True),
    moment("approved_at", nullable=True),
    words("dispute", nullable=True),
    words("document_id", nullable=True),
    PrimaryKeyConstraint("line_id", "period_start"),
    Index("ix_line_period_period", "period_start", "status"),
    Index("ix_line_period_order_id", "order_id"),
    Index("ix_line_period_document_id", "document_id"),
)

billing_input = Table(
    "billing_input",
    metadata,
    numbered(),
    words("line_id"),
    Column("period_start", Date, nullable=False),
    words("kind"),
    Column("body", LargeBinary, nullable=False),
    words("entered_by"),
    moment("entered_at"),
    words("approved_by", nullable=True),
    moment("approved_at", nullable=True),
    Index("ix_billing_input_line_id", "line_id", "period_start"),
)
"""Overrides, manual counts and settlements; the newest approved one of its kind counts."""

billing_approval = Table(
    "billing_approval",
    metadata,
    words("review_hash"),
    Column("period_start", Date, nullable=False),
    words("approved_by"),
    moment("approved_at"),
    Column("line_periods", Integer, nullable=False),
    Column("documents", Integer, nullable=False),
    PrimaryKeyConstraint("review_hash"),
)

billing_document = Table(
    "billing_document",
    metadata,
    words("document_id"),
    words("kind"),
    words("order_id"),
    words("bill_to"),
    words("currency"),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),
    words("corrects", nullable=True),
    words("state"),
    Column("body", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    words("content_hash"),
    *_amounts(),
    words("prepared_by"),
    words("approved_by", nullable=True),
    moment("created_at"),
    words("batch_id", nullable=True),
    words("connection", nullable=True),
    words("number", nullable=True),
    words("vendor_state", nullable=True),
    Column("their_total", BigInteger, nullable=True),
    Column("balance", BigInteger, nullable=True),
    words("mismatch"),
    moment("read_at", nullable=True),
    PrimaryKeyConstraint("document_id"),
    Index("ix_billing_document_order_id", "order_id"),
    Index("ix_billing_document_corrects", "corrects"),
    Index("ix_billing_document_batch_id", "batch_id"),
)

billing_position = Table(
    "billing_position",
    metadata,
    words("document_id"),
    Column("number", Integer, nullable=False),
    words("line_id"),
    Column("period_start", Date, nullable=False),
    Column("quantity", BigInteger, nullable=True),
    *_amounts(),
    Column("price", LargeBinary, nullable=False),
    Column("agency_billed", Boolean, nullable=False),
    Column("tax_ppm", Integer, nullable=False),
    Column("bonus", Boolean, nullable=False),
    Column("corrects_number", Integer, nullable=True),
    PrimaryKeyConstraint("document_id", "number"),
    Index("ix_billing_position_line_id", "line_id", "period_start"),
)

billing_batch = Table(
    "billing_batch",
    metadata,
    words("batch_id"),
    Column("period_start", Date, nullable=False),
    Column("control", LargeBinary, nullable=False),
    words("control_hash"),
    words("exported_by"),
    moment("exported_at"),
    moment("posted_at", nullable=True),
    PrimaryKeyConstraint("batch_id"),
)

billing_payment = Table(
    "billing_payment",
    metadata,
    words("connection"),
    words("document_id"),
    words("native_id"),
    Column("amount", BigInteger, nullable=False),
    words("currency"),
    Column("received_on", Date, nullable=True),
    words("by_document", nullable=True),
    Column("gone", Boolean, nullable=False),
    PrimaryKeyConstraint("connection", "document_id", "native_id"),
)

billing_shown = Table(
    "billing_shown",
    metadata,
    words("connection"),
    words("native_id"),
    words("document_id"),
    Column("native", LargeBinary, nullable=False),
    Column("gone", Boolean, nullable=False),
    PrimaryKeyConstraint("connection", "native_id"),
    Index("ix_billing_shown_document_id", "document_id"),
)

closed_period = Table(
    "closed_period",
    metadata,
    Column("period_start", Date, nullable=False),
    words("closed_by"),
    moment("closed_at"),
    PrimaryKeyConstraint("period_start"),
)
"""Accounting periods that Finance closed: nothing is dated into them any more."""
