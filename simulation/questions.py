"""What the checker asks the store: read-only statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulation.arena import Arena


def _each(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def answers(arena: Arena, statements: Sequence[str], values: Sequence[Any] = ()) -> list[Sequence[tuple[Any, ...]]]:
    """The rows of several statements; those whose tables nobody wrote to since are not asked for again."""
    return [arena.ask(statement, values) for statement in statements]


AFTER_VERB = _each("""
SELECT kind, entity_id, facet, record, vendor_id FROM reference
 WHERE connection = 'ads' AND superseded_at IS NULL ORDER BY vendor_id;
SELECT * FROM (SELECT l.id, l.kind, l.entity_id, l.acked_version,
 l.acked_payload IS NOT NULL AND l.kind NOT IN ('order_status', 'line_status') AND NOT EXISTS (
 SELECT 1 FROM attempt a WHERE a.lane_id = l.id AND a.outcome IN ('created', 'updated', 'unchanged')
 AND a.payload = l.acked_payload) AS unproven,
 l.state NOT IN ('ready', 'in_flight', 'in_doubt', 'parked') AS stateless,
 l.state = 'parked' AND NOT EXISTS (
 SELECT 1 FROM parked p WHERE p.lane_id = l.id AND p.resolved_at IS NULL) AS silent
 FROM lane l OFFSET 0) w WHERE unproven OR stateless OR silent ORDER BY id;
SELECT v.kind, v.id, v.version FROM entity_version v JOIN entity_version p ON p.kind = v.kind AND p.id = v.id
 AND p.version = v.version - 1 WHERE p.content_hash = v.content_hash UNION ALL
SELECT e.kind, e.id, NULL FROM entity e WHERE e.version <> (
 SELECT count(*) FROM entity_version v WHERE v.kind = e.kind AND v.id = e.id) ORDER BY 1, 2, 3;
SELECT * FROM (SELECT c.id, c.waits_for,
 c.status NOT IN ('accepted', 'unchanged', 'rejected', 'held', 'superseded') AS unjudged,
 c.status = 'rejected' AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.resolved_at IS NULL
 AND p.subject = 'change:' || c.connection || ':' || c.stream || ':' || c.native_id) AS refused,
 c.status = 'held' AND EXISTS (SELECT 1 FROM entity e WHERE e.id = c.waits_for) AS held
 FROM change c OFFSET 0) w WHERE unjudged OR refused OR held ORDER BY id;
SELECT source, line_id, day, as_of, impressions, clicks FROM delivery_fact ORDER BY 1, 2, 3, 4;
SELECT d.line_id, d.day FROM delivery_day d LEFT JOIN LATERAL (
 SELECT f.as_of, f.impressions, f.clicks FROM delivery_fact f WHERE f.source = d.source AND f.line_id = d.line_id
 AND f.day = d.day ORDER BY f.as_of DESC LIMIT 1) f ON true
 WHERE (f.as_of, f.impressions, f.clicks) IS DISTINCT FROM (d.as_of, d.impressions, d.clicks);
SELECT document_id, record, payload FROM document ORDER BY 1;
SELECT f.line_id, f.day, f.as_of FROM delivery_fact f WHERE NOT EXISTS (
 SELECT 1 FROM delivery_job j WHERE j.connection = f.source AND j.as_of = f.as_of) ORDER BY 1, 2, 3;
SELECT l.id, l.kind, l.entity_id, r.record, r.vendor_id, l.acked_payload FROM lane l JOIN reference r
 ON r.connection = l.connection AND r.kind = l.kind AND r.entity_id = l.entity_id AND r.facet = l.facet
 AND r.superseded_at IS NULL WHERE l.connection = 'ads' AND l.kind IN ('party', 'order', 'line') AND l.state = 'ready'
 AND l.acked_payload IS NOT NULL ORDER BY l.id
""")
"""References · lanes acknowledged without evidence, in no state, parked in silence · versions without news, or missing (no
number) · changes without a verdict, refused in silence, waiting for what is there · facts · current numbers that are not the
newest · documents · facts of no report · what was acknowledged of lanes at rest or due."""

DOCUMENTS = _each("SELECT document_id FROM document ORDER BY 1")
"""The documents that are to be posted, or were."""

MIRRORED = _each("SELECT id FROM lane WHERE connection = 'crm' AND state = 'ready' AND NOT dirty ORDER BY order_id, id")
"""The lanes that hold the CRM's mirror as it should be, as far as is known."""

RECOVERY = _each("SELECT connection FROM recovery WHERE ended_at IS NULL")
"""The connections in recovery."""

PENDING = _each("""
SELECT connection, state, count(*), min(not_before), min(lease_until) FROM lane
 WHERE desired_hash IS DISTINCT FROM acked_hash OR state IN ('in_flight', 'in_doubt') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM stale_projection;
SELECT md5(string_agg(l.id || l.state || l.fence || coalesce(l.acked_hash::text, '') || l.desired_hash::text, '|'
 ORDER BY l.id)) FROM lane l;
SELECT count(*), count(*) FILTER (WHERE status IN ('accepted', 'unchanged')) FROM change;
SELECT min(until) FROM breaker WHERE state <> 'closed'
""")
"""Lanes that are not in sync · stale projections · a signature of all lanes · changes · when a broken vendor is tried."""

OPEN_SINCE = _each("SELECT 1 FROM attempt WHERE outcome IS NULL AND invoked_at >= %s LIMIT 1")
"""Whether an attempt was written at an instant or later and has no outcome."""

PARKED = _each("SELECT 1 FROM parked WHERE resolved_at IS NULL LIMIT 1")

PARKED_DUPLICATES = _each(
    "SELECT DISTINCT entity_id FROM parked WHERE reason IN ('duplicate', 'ambiguous') AND resolved_at IS NULL ORDER BY 1"
)

FOR_NOBODY = _each("""
SELECT value FROM parked WHERE code = 'MARKED-FOR-NOBODY' AND resolved_at IS NULL ORDER BY 1
""")
"""The vendor's ids of what a census found in a recovery and a person is shown."""

PARKED_DOCUMENTS = _each("""
SELECT document_id FROM document ORDER BY 1;
SELECT DISTINCT entity_id FROM parked WHERE resolved_at IS NULL AND entity_kind = 'document' ORDER BY 1
""")
"""Documents that are wanted · those of which somebody is told."""

NEWEST_CHANGES = _each("""
SELECT DISTINCT ON (c.stream, c.native_id) c.stream, c.native_id, c.deleted, c.native, c.status, c.waits_for, c.entity_kind,
 c.entity_id, w.id IS NOT NULL, e.canonical FROM change c LEFT JOIN entity w ON w.id = c.waits_for
 LEFT JOIN entity e ON e.kind = c.entity_kind AND e.id = c.entity_id ORDER BY c.stream, c.native_id, c.id DESC
""")

LANES = _each("""
SELECT id, connection, kind, entity_id, facet, order_id, order_facet, state,
 desired_hash IS NOT DISTINCT FROM acked_hash AS in_sync FROM lane ORDER BY id;
SELECT connection, kind, entity_id, facet, vendor_id FROM reference WHERE superseded_at IS NULL ORDER BY 1, 2, 3, 4;
SELECT order_id, role, party_id FROM order_party ORDER BY 1, 2, 3;
SELECT id FROM entity WHERE kind IN ('order', 'line') AND status = 'cancelled' ORDER BY 1
""")
"""Lanes · what exists at the vendors · the parties of orders · orders and lines that are cancelled."""

CREATED = _each("""
SELECT l.kind, l.entity_id, a.id, v.canonical FROM attempt a JOIN lane l ON l.id = a.lane_id JOIN entity_version v
 ON v.kind = l.kind AND v.id = l.entity_id AND v.version = a.version WHERE a.operation = 'create'
 AND l.kind IN ('order', 'line') AND NOT EXISTS (SELECT 1 FROM entity_version n WHERE n.kind = v.kind AND n.id = v.id
 AND n.version = v.version + 1 AND n.accepted_at <= a.invoked_at) ORDER BY a.id
""")
"""Creates of orders and lines with the content they were sent as, where it was the newest until they were sent."""

PROJECTIONS = _each("""
SELECT DISTINCT order_id FROM lane WHERE order_id <> '' ORDER BY 1;
SELECT kind, entity_id, canonical FROM projection ORDER BY 1, 2
""")

DELIVERED = _each("""
SELECT r.vendor_id, r.entity_id FROM reference r WHERE r.connection = 'ads' AND r.kind = 'line' ORDER BY 1;
SELECT line_id, day, impressions FROM delivery_day WHERE source = 'ads' ORDER BY 1, 2;
SELECT min(since) FROM delivery_job WHERE state = 'loaded'
""")

OPEN_LANES = _each("SELECT connection, kind, entity_id, facet FROM lane WHERE desired_hash IS DISTINCT FROM acked_hash")

DIGEST = _each("""
SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM lane t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM attempt t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM change t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM journal t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM parked t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.kind, t.id, t.version)) FROM entity_version t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.connection, t.record, t.vendor_id, t.since)) FROM reference t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.source, t.line_id, t.day, t.as_of)) FROM delivery_fact t;
SELECT md5(string_agg(t::text, '|' ORDER BY t.connection, t.document_id)) FROM document t;
SELECT coalesce(encode(hash, 'hex'), '') FROM audit_head
""")

ATTEMPTS = (
    "SELECT a.lane_id, a.id, a.key, a.operation, a.outcome, a.invoked_at, a.version, a.payload, a.fence, l.fence, l.kind, "
    "l.entity_id, l.facet FROM attempt a JOIN lane l ON l.id = a.lane_id WHERE l.connection = %s AND a.lane_id IN "
    "(SELECT lane_id FROM attempt WHERE key = ANY(%s) AND outcome IS NULL) ORDER BY a.id"
)
"""Every attempt of the lanes that have an open one under these keys."""
