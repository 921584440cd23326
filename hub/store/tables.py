"""The tables, as SQLAlchemy Core metadata; Alembic migrates them, psycopg runs the statements."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from hub.store import reconciliation_tables

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _when(name: str, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _text(name: str, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _identity() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


# ---------------------------------------------------------------- what sources told us
change = Table(
    "change",
    metadata,
    _identity(),
    _text("connection"),
    _text("stream"),
    _text("native_id"),
    _when("modified_at"),
    _when("received_at"),
    Column("deleted", Boolean, nullable=False),
    Column("native", LargeBinary, nullable=False),
    Column("native_hash", Uuid, nullable=False),
    _text("status"),
    _text("entity_kind"),
    _text("entity_id"),
    Column("version", Integer),
    _text("waits_for", nullable=True),
    Index("ix_change_source", "connection", "stream", "native_id", "id"),
    Index("ix_change_entity", "entity_id"),
    Index("ix_change_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL")),
)

source_row = Table(
    "source_row",
    metadata,
    _text("connection"),
    _text("stream"),
    _text("native_id"),
    Column("native_hash", Uuid, nullable=False),
    _when("modified_at"),
    Column("deleted", Boolean, nullable=False),
    Column("change_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("connection", "stream", "native_id"),
)

cursor = Table(
    "cursor",
    metadata,
    _text("connection"),
    _text("stream"),
    _text("position"),
    _when("updated_at"),
    PrimaryKeyConstraint("connection", "stream"),
)

# ---------------------------------------------------------------- what we hold to be true
entity = Table(
    "entity",
    metadata,
    _text("kind"),
    _text("id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("content_hash", Uuid, nullable=False),
    _text("source"),
    _text("native_id"),
    _text("name"),
    _text("order_id", nullable=True),
    _text("status", nullable=True),
    _text("external_id", nullable=True),
    _when("accepted_at"),
    PrimaryKeyConstraint("kind", "id"),
    Index("ix_entity_order_id", "order_id", "kind"),
    Index("ix_entity_name", "kind", "name"),
    Index("ix_entity_external_id", "external_id", postgresql_where=text("external_id IS NOT NULL")),
    Index("ix_entity_native_id", "native_id"),
)

entity_version = Table(
    "entity_version",
    metadata,
    _text("kind"),
    _text("id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("content_hash", Uuid, nullable=False),
    Column("change_id", BigInteger),
    _when("accepted_at"),
    PrimaryKeyConstraint("kind", "id", "version"),
)

order_party = Table(
    "order_party",
    metadata,
    _text("order_id"),
    _text("role"),
    _text("party_id"),
    PrimaryKeyConstraint("order_id", "role", "party_id"),
    Index("ix_order_party_party_id", "party_id"),
)

# ---------------------------------------------------------------- what vendors should have, and have
reference = Table(
    "reference",
    metadata,
    _text("connection"),
    _text("kind"),
    _text("entity_id"),
    _text("facet"),
    _text("record"),
    _text("vendor_id"),
    _text("account"),
    Column("attempt_id", BigInteger),
    _when("since"),
    _when("superseded_at", nullable=True),
    Index(
        "uq_reference_live",
        "connection",
        "kind",
        "entity_id",
        "facet",
        unique=True,
        postgresql_where=text("superseded_at IS NULL"),
        postgresql_include=["vendor_id"],
    ),
    Index(
        "uq_reference_vendor",
        "connection",
        "record",
        "vendor_id",
        unique=True,
        postgresql_where=text("superseded_at IS NULL"),
    ),
    Index("ix_reference_vendor_id", "vendor_id"),
)

lane = Table(
    "lane",
    metadata,
    _identity(),
    _text("connection"),
    _text("kind"),
    _text("entity_id"),
    _text("facet"),
    _text("order_id"),
    _text("order_facet"),
    Column("stage", Integer, nullable=False),
    Column("desired_version", Integer, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    _when("wanted_at"),
    Column("acked_version", Integer),
    Column("acked_hash", Uuid),
    Column("acked_payload", LargeBinary),
    _when("acked_at", nullable=True),
    _text("state"),
    _when("not_before", nullable=True),
    _when("lease_until", nullable=True),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("probes", Integer, nullable=False, server_default=text("0")),
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    # A column of its own has statistics; without them the server takes nearly every lane for dirty and reads them all.
    Column("dirty", Boolean, Computed("desired_hash IS DISTINCT FROM acked_hash", persisted=True), nullable=False),
    UniqueConstraint("connection", "kind", "entity_id", "facet"),
    Index("ix_lane_dirty", "connection", "kind", "order_id", "id", postgresql_where=text("dirty")),
    Index("ix_lane_order", "order_id", "connection"),
    Index("ix_lane_unsettled", "connection", "state", postgresql_where=text("state <> 'ready'")),
)

attempt = Table(
    "attempt",
    metadata,
    _identity(),
    Column("lane_id", BigInteger, nullable=False),
    _text("key"),
    _text("record"),
    _text("operation"),
    _text("action", nullable=True),
    Column("version", Integer, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    _text("vendor_id", nullable=True),
    Column("fence", BigInteger, nullable=False),
    _when("invoked_at"),
    _when("finished_at", nullable=True),
    _text("outcome", nullable=True),
    _text("code", nullable=True),
    _text("message", nullable=True),
    Column("evidence", LargeBinary),
    Index("ix_attempt_lane_id", "lane_id", "id"),
    Index("ix_attempt_open", "lane_id", postgresql_where=text("outcome IS NULL")),
)

bucket = Table(
    "bucket",
    metadata,
    _text("credential"),
    _text("name"),
    Column("tokens", Double, nullable=False),
    _when("updated_at"),
    _when("closed_until", nullable=True),
    Column("claims", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("credential", "name"),
)

breaker = Table(
    "breaker",
    metadata,
    _text("connection"),
    _text("operation"),
    _text("state"),
    _when("since"),
    Column("failures", Integer, nullable=False),
    Column("successes", Integer, nullable=False),
    Column("pauses", Integer, nullable=False),
    _when("until", nullable=True),
    _when("opened_at", nullable=True),
    _text("cause"),
    PrimaryKeyConstraint("connection", "operation"),
)

lookup = Table(
    "lookup",
    metadata,
    _text("connection"),
    _text("table_name"),
    _text("scope"),
    _text("name"),
    _text("vendor_id", nullable=True),
    _when("looked_up_at"),
    PrimaryKeyConstraint("connection", "table_name", "scope", "name"),
)

# ---------------------------------------------------------------- what waits for a person
parked = Table(
    "parked",
    metadata,
    _identity(),
    _text("connection"),
    _text("subject"),
    Column("change_id", BigInteger),
    Column("lane_id", BigInteger),
    _text("entity_kind"),
    _text("entity_id"),
    _text("order_id", nullable=True),
    _text("reason"),
    _text("code"),
    _text("path"),
    _text("value"),
    _text("sentence"),
    _text("fix"),
    _text("owner"),
    _when("opened_at"),
    _when("resolved_at", nullable=True),
    _text("resolution", nullable=True),
    _text("group_key"),
    _when("since"),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Index("ix_parked_open", "connection", "reason", "code", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_parked_entity_id", "entity_id"),
    Index("ix_parked_order_id", "order_id"),
    Index("ix_parked_lane_id", "lane_id"),
    Index("ix_parked_subject", "subject", "id"),
    Index("ix_parked_group_key", "group_key", "id"),
)

mass_replay = Table(
    "mass_replay",
    metadata,
    _text("key"),
    _when("at"),
    _text("actor"),
    _text("note"),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("key"),
)

# ---------------------------------------------------------------- what a person allowed, or has to
accepted_value = Table(
    "accepted_value",
    metadata,
    Column("lane_id", BigInteger, nullable=False),
    _text("field"),
    Column("wanted", LargeBinary, nullable=False),
    Column("present", LargeBinary, nullable=False),
    _text("by"),
    _when("at"),
    PrimaryKeyConstraint("lane_id", "field"),
)

guard_plan = Table(
    "guard_plan",
    metadata,
    _text("hash"),
    _text("connection"),
    _text("why"),
    Column("records", Integer, nullable=False),
    _when("made_at"),
    _text("state"),
    _when("decided_at", nullable=True),
    _text("decided_by", nullable=True),
    PrimaryKeyConstraint("hash"),
    Index("ix_guard_plan_connection", "connection", "state"),
)

guard_lane = Table(
    "guard_lane",
    metadata,
    _text("hash"),
    Column("lane_id", BigInteger, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    PrimaryKeyConstraint("hash", "lane_id"),
    Index("ix_guard_lane_lane_id", "lane_id"),
)

recovery = Table(
    "recovery",
    metadata,
    _text("connection"),
    _when("since"),
    _text("cause"),
    PrimaryKeyConstraint("connection"),
)

lost_anchor = Table(
    "lost_anchor",
    metadata,
    Column("hash", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    _when("noticed_at"),
    PrimaryKeyConstraint("hash"),
)

# ---------------------------------------------------------------- what we wrote ourselves, and what is written once only
write_ledger = Table(
    "write_ledger",
    metadata,
    _identity(),
    _text("connection"),
    _text("record"),
    _text("vendor_id"),
    _text("field"),
    Column("value_hash", Uuid, nullable=False),
    Column("attempt_id", BigInteger, nullable=False),
    _when("written_at"),
    Index("ix_write_ledger_vendor_id", "connection", "record", "vendor_id"),
    Index("ix_write_ledger_attempt_id", "attempt_id"),
    Index("ix_write_ledger_written_at", "connection", "written_at"),
)

echo = Table(
    "echo",
    metadata,
    _text("connection"),
    Column("echoes", BigInteger, nullable=False),
    Column("near_misses", BigInteger, nullable=False),
    PrimaryKeyConstraint("connection"),
)

document = Table(
    "document",
    metadata,
    _text("connection"),
    _text("document_id"),
    _text("record"),
    _text("name"),
    Column("payload", LargeBinary, nullable=False),
    _when("written_at"),
    PrimaryKeyConstraint("connection", "document_id"),
)

# ---------------------------------------------------------------- what was delivered
delivery_superseded = Table(
    "delivery_superseded",
    metadata,
    _text("source"),
    _text("line_id"),
    Column("day", Date, nullable=False),
    _when("as_of"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("completed_views", BigInteger, nullable=False),
    Column("viewable_impressions", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "line_id", "day", "as_of"),
)

delivery_day = Table(
    "delivery_day",
    metadata,
    _text("source"),
    _text("line_id"),
    Column("day", Date, nullable=False),
    _when("as_of"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    Column("completed_views", BigInteger, nullable=False),
    Column("viewable_impressions", BigInteger, nullable=False),
    PrimaryKeyConstraint("line_id", "source", "day"),
)

delivery_job = Table(
    "delivery_job",
    metadata,
    _text("connection"),
    _text("job"),
    Column("since", Date, nullable=False),
    Column("until", Date, nullable=False),
    _when("as_of"),
    _text("state"),
    _when("requested_at"),
    _when("loaded_at", nullable=True),
    Column("rows", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("connection", "job"),
)

delivery_quarantine = Table(
    "delivery_quarantine",
    metadata,
    _identity(),
    _text("connection"),
    _text("job"),
    Column("day", Date, nullable=False),
    _text("line_vendor_id"),
    _text("order_vendor_id"),
    Column("impressions", BigInteger, nullable=False),
    Column("clicks", BigInteger, nullable=False),
    _when("as_of"),
    Column("completed_views", BigInteger, nullable=False, server_default=text("0")),
    Column("viewable_impressions", BigInteger, nullable=False, server_default=text("0")),
    Index("uq_delivery_quarantine_line", "connection", "line_vendor_id", "day", unique=True),
)

delivery_source = Table(
    "delivery_source",
    metadata,
    _text("source"),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    _text("counted_by"),
    _text("counting"),
    _text("zone"),
    _text("metrics"),
    PrimaryKeyConstraint("source"),
)

delivery_partition = Table(
    "delivery_partition",
    metadata,
    _text("source"),
    Column("day", Date, nullable=False),
    Column("part", BigInteger, nullable=True),
    _when("as_of"),
    Column("rows", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("final", Boolean, nullable=False),
    PrimaryKeyConstraint("source", "day"),
)

delivery_report = Table(
    "delivery_report",
    metadata,
    _text("source"),
    _text("report"),
    _when("as_of"),
    Column("since", Date, nullable=False),
    Column("until", Date, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("days_changed", BigInteger, nullable=False),
    _when("loaded_at"),
    PrimaryKeyConstraint("source", "report", "as_of"),
)

delivery_part = Sequence("delivery_part", metadata=metadata)

delivery_packed = Table(
    "delivery_packed",
    metadata,
    Column("part", BigInteger, nullable=False),
    Column("line_vendor_id", Text(collation="C"), nullable=False),
    Column("ad_unit", ARRAY(Text), nullable=True),
    Column("creative", ARRAY(Text), nullable=True),
    Column("impressions", ARRAY(BigInteger), nullable=False),
    Column("clicks", ARRAY(BigInteger), nullable=True),
    Column("completed_views", ARRAY(BigInteger), nullable=True),
    Column("viewable_impressions", ARRAY(BigInteger), nullable=True),
    postgresql_partition_by="LIST (part)",
)
"""The newest detail rows, those of one line side by side as arrays of one length; a column that the source does not report is
null. Each partition is one (source, day) of `delivery_partition`, made by `hub.store.partitions`; `delivery_detail` is the
view of the single rows."""

_DETAIL = "ad_unit, creative, impressions, clicks, completed_views, viewable_impressions"
event.listen(
    metadata,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        f"CREATE VIEW delivery_detail AS SELECT p.part, p.line_vendor_id, {', '.join(f'r.{name}' for name in _DETAIL.split(', '))} "
        f"FROM delivery_packed p CROSS JOIN LATERAL unnest({', '.join(f'p.{name}' for name in _DETAIL.split(', '))}) AS r({_DETAIL})"
    ),
)

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
    _text("line_id"),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),
    _text("order_id"),
    _text("currency"),
    _text("status"),
    Column("inputs", LargeBinary),
    Column("result", LargeBinary),
    _text("content_hash"),
    _text("news_hash"),
    _text("problem_code"),
    _text("problem"),
    Column("quantity", BigInteger, nullable=True),
    *_amounts(nullable=True),
    _text("prepared_by", nullable=True),
    _when("prepared_at", nullable=True),
    _text("approved_by", nullable=True),
    _text("approved_hash", nullable=True),
    _when("approved_at", nullable=True),
    _text("dispute", nullable=True),
    _text("document_id", nullable=True),
    PrimaryKeyConstraint("line_id", "period_start"),
    Index("ix_line_period_period", "period_start", "status"),
    Index("ix_line_period_order_id", "order_id"),
    Index("ix_line_period_document_id", "document_id"),
)

billing_input = Table(
    "billing_input",
    metadata,
    _identity(),
    _text("line_id"),
    Column("period_start", Date, nullable=False),
    _text("kind"),
    Column("body", LargeBinary, nullable=False),
    _text("entered_by"),
    _when("entered_at"),
    _text("approved_by", nullable=True),
    _when("approved_at", nullable=True),
    Index("ix_billing_input_line_id", "line_id", "period_start"),
)
"""Overrides, manual counts and settlements; the newest approved one of its kind counts."""

billing_approval = Table(
    "billing_approval",
    metadata,
    _text("review_hash"),
    Column("period_start", Date, nullable=False),
    _text("approved_by"),
    _when("approved_at"),
    Column("line_periods", Integer, nullable=False),
    Column("documents", Integer, nullable=False),
    PrimaryKeyConstraint("review_hash"),
)

billing_document = Table(
    "billing_document",
    metadata,
    _text("document_id"),
    _text("kind"),
    _text("order_id"),
    _text("bill_to"),
    _text("currency"),
    Column("period_start", Date, nullable=False),
    Column("period_end", Date, nullable=False),
    _text("corrects", nullable=True),
    _text("state"),
    Column("body", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    _text("content_hash"),
    *_amounts(),
    _text("prepared_by"),
    _text("approved_by", nullable=True),
    _when("created_at"),
    _text("batch_id", nullable=True),
    _text("connection", nullable=True),
    _text("number", nullable=True),
    _text("vendor_state", nullable=True),
    Column("their_total", BigInteger, nullable=True),
    Column("balance", BigInteger, nullable=True),
    _text("mismatch"),
    _when("read_at", nullable=True),
    PrimaryKeyConstraint("document_id"),
    Index("ix_billing_document_order_id", "order_id"),
    Index("ix_billing_document_corrects", "corrects"),
    Index("ix_billing_document_batch_id", "batch_id"),
)

billing_position = Table(
    "billing_position",
    metadata,
    _text("document_id"),
    Column("number", Integer, nullable=False),
    _text("line_id"),
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
    _text("batch_id"),
    Column("period_start", Date, nullable=False),
    Column("control", LargeBinary, nullable=False),
    _text("control_hash"),
    _text("exported_by"),
    _when("exported_at"),
    _when("posted_at", nullable=True),
    PrimaryKeyConstraint("batch_id"),
)

billing_payment = Table(
    "billing_payment",
    metadata,
    _text("connection"),
    _text("document_id"),
    _text("native_id"),
    Column("amount", BigInteger, nullable=False),
    _text("currency"),
    Column("received_on", Date, nullable=True),
    _text("by_document", nullable=True),
    Column("gone", Boolean, nullable=False),
    PrimaryKeyConstraint("connection", "document_id", "native_id"),
)

closed_period = Table(
    "closed_period",
    metadata,
    Column("period_start", Date, nullable=False),
    _text("closed_by"),
    _when("closed_at"),
    PrimaryKeyConstraint("period_start"),
)
"""Accounting periods that Finance closed: nothing is dated into them any more."""

observation = Table(
    "observation",
    metadata,
    _text("connection"),
    _text("kind"),
    _text("entity_id"),
    _text("facet"),
    Column("observed", LargeBinary, nullable=False),
    _text("status"),
    Column("archived", Boolean, nullable=False),
    _when("observed_at"),
    PrimaryKeyConstraint("connection", "kind", "entity_id", "facet"),
)

# ---------------------------------------------------------------- housekeeping
projection = Table(
    "projection",
    metadata,
    _text("kind"),
    _text("entity_id"),
    _text("order_id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    PrimaryKeyConstraint("kind", "entity_id"),
    Index("ix_projection_order_id", "order_id"),
)

stale_projection = Table(
    "stale_projection",
    metadata,
    _text("order_id", nullable=False),
    PrimaryKeyConstraint("order_id"),
)

journal = Table(
    "journal",
    metadata,
    _identity(),
    _when("at"),
    _when("business_at"),
    _text("place"),
    _text("order_id", nullable=True),
    _text("entity_kind", nullable=True),
    _text("entity_id", nullable=True),
    _text("what"),
    _text("detail"),
    Index("ix_journal_order_id", "order_id", "id"),
    Index("ix_journal_entity_id", "entity_id", "id"),
)

connection_state = Table(
    "connection_state",
    metadata,
    _text("connection"),
    _text("state"),
    _text("message"),
    _text("account", nullable=True),
    _when("changed_at"),
    _when("last_read_at", nullable=True),
    _when("paused_at", nullable=True),
    _text("paused_by", nullable=True),
    _text("pause_note", nullable=True),
    PrimaryKeyConstraint("connection"),
)

business_clock = Table(
    "business_clock",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    _when("now"),
)

# ---------------------------------------------------------------- what cannot be changed afterwards unseen
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, autoincrement=False, nullable=False),
    _when("at"),
    _text("actor"),
    _text("subject"),
    Column("event", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("sequence"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

reconciliation_tables.define(metadata)
