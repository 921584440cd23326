"""The tables, as SQLAlchemy Core metadata; Alembic migrates them, psycopg runs the statements."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from hub.store import (
    money_tables,  # noqa: F401 – its tables join the same schema
    reconciliation_tables,
)
from hub.store.columns import metadata, moment, numbered, words

__all__ = ["metadata"]

# ---------------------------------------------------------------- what sources told us
change = Table(
    "change",
    metadata,
    numbered(),
    words("connection"),
    words("stream"),
    words("native_id"),
    moment("modified_at"),
    moment("received_at"),
    Column("deleted", Boolean, nullable=False),
    Column("native", LargeBinary, nullable=False),
    Column("native_hash", Uuid, nullable=False),
    words("status"),
    words("entity_kind"),
    words("entity_id"),
    Column("version", Integer),
    words("waits_for", nullable=True),
    Index("ix_change_source", "connection", "stream", "native_id", "id"),
    Index("ix_change_entity", "entity_id"),
    Index("ix_change_waits_for", "waits_for", postgresql_where=text("waits_for IS NOT NULL")),
)

source_row = Table(
    "source_row",
    metadata,
    words("connection"),
    words("stream"),
    words("native_id"),
    Column("native_hash", Uuid, nullable=False),
    moment("modified_at"),
    Column("deleted", Boolean, nullable=False),
    Column("change_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("connection", "stream", "native_id"),
)

cursor = Table(
    "cursor",
    metadata,
    words("connection"),
    words("stream"),
    words("position"),
    moment("updated_at"),
    PrimaryKeyConstraint("connection", "stream"),
)

# ---------------------------------------------------------------- what we hold to be true
entity = Table(
    "entity",
    metadata,
    words("kind"),
    words("id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("content_hash", Uuid, nullable=False),
    words("source"),
    words("native_id"),
    words("name"),
    words("order_id", nullable=True),
    words("status", nullable=True),
    words("external_id", nullable=True),
    moment("accepted_at"),
    PrimaryKeyConstraint("kind", "id"),
    Index("ix_entity_order_id", "order_id", "kind"),
    Index("ix_entity_name", "kind", text("lower(name)")),
    Index("ix_entity_external_id", "external_id", postgresql_where=text("external_id IS NOT NULL")),
    Index("ix_entity_native_id", "native_id"),
)

entity_version = Table(
    "entity_version",
    metadata,
    words("kind"),
    words("id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    Column("content_hash", Uuid, nullable=False),
    Column("change_id", BigInteger),
    moment("accepted_at"),
    PrimaryKeyConstraint("kind", "id", "version"),
)

order_party = Table(
    "order_party",
    metadata,
    words("order_id"),
    words("role"),
    words("party_id"),
    PrimaryKeyConstraint("order_id", "role", "party_id"),
    Index("ix_order_party_party_id", "party_id"),
)

# ---------------------------------------------------------------- what vendors should have, and have
reference = Table(
    "reference",
    metadata,
    words("connection"),
    words("kind"),
    words("entity_id"),
    words("facet"),
    words("record"),
    words("vendor_id"),
    words("account"),
    Column("attempt_id", BigInteger),
    moment("since"),
    moment("superseded_at", nullable=True),
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
    numbered(),
    words("connection"),
    words("kind"),
    words("entity_id"),
    words("facet"),
    words("order_id"),
    words("order_facet"),
    Column("stage", Integer, nullable=False),
    Column("desired_version", Integer, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    moment("wanted_at"),
    Column("acked_version", Integer),
    Column("acked_hash", Uuid),
    Column("acked_payload", LargeBinary),
    moment("acked_at", nullable=True),
    words("state"),
    moment("not_before", nullable=True),
    moment("lease_until", nullable=True),
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
    numbered(),
    Column("lane_id", BigInteger, nullable=False),
    words("key"),
    words("record"),
    words("operation"),
    words("action", nullable=True),
    Column("version", Integer, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    words("vendor_id", nullable=True),
    Column("fence", BigInteger, nullable=False),
    moment("invoked_at"),
    moment("finished_at", nullable=True),
    words("outcome", nullable=True),
    words("code", nullable=True),
    words("message", nullable=True),
    Column("evidence", LargeBinary),
    Index("ix_attempt_lane_id", "lane_id", "id"),
    Index("ix_attempt_open", "lane_id", postgresql_where=text("outcome IS NULL")),
)

bucket = Table(
    "bucket",
    metadata,
    words("credential"),
    words("name"),
    Column("tokens", Double, nullable=False),
    moment("updated_at"),
    moment("closed_until", nullable=True),
    Column("claims", JSONB, nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("credential", "name"),
)

breaker = Table(
    "breaker",
    metadata,
    words("connection"),
    words("operation"),
    words("state"),
    moment("since"),
    Column("failures", Integer, nullable=False),
    Column("successes", Integer, nullable=False),
    Column("pauses", Integer, nullable=False),
    moment("until", nullable=True),
    moment("opened_at", nullable=True),
    words("cause"),
    PrimaryKeyConstraint("connection", "operation"),
)

lookup = Table(
    "lookup",
    metadata,
    words("connection"),
    words("table_name"),
    words("scope"),
    words("name"),
    words("vendor_id", nullable=True),
    moment("looked_up_at"),
    PrimaryKeyConstraint("connection", "table_name", "scope", "name"),
)

# ---------------------------------------------------------------- what waits for a person
parked = Table(
    "parked",
    metadata,
    numbered(),
    words("connection"),
    words("subject"),
    Column("change_id", BigInteger),
    Column("lane_id", BigInteger),
    words("entity_kind"),
    words("entity_id"),
    words("order_id", nullable=True),
    words("reason"),
    words("code"),
    words("path"),
    words("value"),
    words("sentence"),
    words("fix"),
    words("owner"),
    moment("opened_at"),
    moment("resolved_at", nullable=True),
    words("resolution", nullable=True),
    words("group_key"),
    moment("since"),
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
    words("key"),
    moment("at"),
    words("actor"),
    words("note"),
    Column("count", Integer, nullable=False),
    PrimaryKeyConstraint("key"),
)

# ---------------------------------------------------------------- what a person allowed, or has to
accepted_value = Table(
    "accepted_value",
    metadata,
    Column("lane_id", BigInteger, nullable=False),
    words("field"),
    Column("wanted", LargeBinary, nullable=False),
    Column("present", LargeBinary, nullable=False),
    words("by"),
    moment("at"),
    PrimaryKeyConstraint("lane_id", "field"),
)

guard_plan = Table(
    "guard_plan",
    metadata,
    words("hash"),
    words("connection"),
    words("why"),
    Column("records", Integer, nullable=False),
    moment("made_at"),
    words("state"),
    moment("decided_at", nullable=True),
    words("decided_by", nullable=True),
    PrimaryKeyConstraint("hash"),
    Index("ix_guard_plan_connection", "connection", "state"),
)

guard_lane = Table(
    "guard_lane",
    metadata,
    words("hash"),
    Column("lane_id", BigInteger, nullable=False),
    Column("desired_hash", Uuid, nullable=False),
    PrimaryKeyConstraint("hash", "lane_id"),
    Index("ix_guard_lane_lane_id", "lane_id"),
)

recovery = Table(
    "recovery",
    metadata,
    words("connection"),
    moment("since"),
    words("cause"),
    moment("ended_at", nullable=True),
    PrimaryKeyConstraint("connection"),
)

lost_anchor = Table(
    "lost_anchor",
    metadata,
    Column("hash", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    moment("noticed_at"),
    PrimaryKeyConstraint("hash"),
)

# ---------------------------------------------------------------- what we wrote ourselves, and what is written once only
write_ledger = Table(
    "write_ledger",
    metadata,
    numbered(),
    words("connection"),
    words("record"),
    words("vendor_id"),
    words("field"),
    Column("value_hash", Uuid, nullable=False),
    Column("attempt_id", BigInteger, nullable=False),
    moment("written_at"),
    Index("ix_write_ledger_vendor_id", "connection", "record", "vendor_id"),
    Index("ix_write_ledger_attempt_id", "attempt_id"),
    Index("ix_write_ledger_written_at", "connection", "written_at"),
)

echo = Table(
    "echo",
    metadata,
    words("connection"),
    Column("echoes", BigInteger, nullable=False),
    Column("near_misses", BigInteger, nullable=False),
    PrimaryKeyConstraint("connection"),
)

document = Table(
    "document",
    metadata,
    words("connection"),
    words("document_id"),
    words("record"),
    words("name"),
    Column("payload", LargeBinary, nullable=False),
    moment("written_at"),
    PrimaryKeyConstraint("connection", "document_id"),
)

# ---------------------------------------------------------------- what was seen at vendors
observation = Table(
    "observation",
    metadata,
    words("connection"),
    words("kind"),
    words("entity_id"),
    words("facet"),
    Column("observed", LargeBinary, nullable=False),
    words("status"),
    Column("archived", Boolean, nullable=False),
    moment("observed_at"),
    PrimaryKeyConstraint("connection", "kind", "entity_id", "facet"),
)

# ---------------------------------------------------------------- housekeeping
projection = Table(
    "projection",
    metadata,
    words("kind"),
    words("entity_id"),
    words("order_id"),
    Column("version", Integer, nullable=False),
    Column("canonical", LargeBinary, nullable=False),
    PrimaryKeyConstraint("kind", "entity_id"),
    Index("ix_projection_order_id", "order_id"),
)

stale_projection = Table(
    "stale_projection",
    metadata,
    words("order_id", nullable=False),
    PrimaryKeyConstraint("order_id"),
)

journal = Table(
    "journal",
    metadata,
    numbered(),
    moment("at"),
    moment("business_at"),
    words("place"),
    words("order_id", nullable=True),
    words("entity_kind", nullable=True),
    words("entity_id", nullable=True),
    words("what"),
    words("detail"),
    Index("ix_journal_order_id", "order_id", "id"),
    Index("ix_journal_entity_id", "entity_id", "id"),
)

connection_state = Table(
    "connection_state",
    metadata,
    words("connection"),
    words("state"),
    words("message"),
    words("account", nullable=True),
    moment("changed_at"),
    moment("last_read_at", nullable=True),
    moment("paused_at", nullable=True),
    words("paused_by", nullable=True),
    words("pause_note", nullable=True),
    PrimaryKeyConstraint("connection"),
)

business_clock = Table(
    "business_clock",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    moment("now"),
)

# ---------------------------------------------------------------- what cannot be changed afterwards unseen
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, autoincrement=False, nullable=False),
    moment("at"),
    words("actor"),
    words("subject"),
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
