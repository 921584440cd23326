"""What is true of a lane, as SQL over `lane l` and `r`, the record it writes: may it be sent, is nothing to be created of it."""

from __future__ import annotations

from datetime import timedelta

MIRROR_PATIENCE = timedelta(seconds=10)
"""How long the mirror lets an order come to rest at the ad servers before it tells an intermediate state."""

# A line whose newest change waits for its order contradicts it (another currency): nothing of it is sent until they agree.
AGREES_WITH_ITS_ORDER = (
    "NOT EXISTS (SELECT 1 FROM change h WHERE h.waits_for = {0}.order_id AND h.entity_id = {0}.entity_id "
    "AND h.status IN ('held', 'rejected'))"
)

# A document that people took back keeps its lane as history, and is never sent.
WITHDRAWN = (
    "EXISTS (SELECT 1 FROM billing_document w WHERE {0}.kind = 'document' AND w.document_id = {0}.entity_id "
    "AND w.state = 'withdrawn')"
)

# One value each, not EXISTS: for many lanes the server would read every order or line there is into a hash table for that.
_ORDER_IS_CANCELLED = (
    "(SELECT e.status FROM entity e WHERE e.kind = 'order' AND e.id = l.order_id) IS NOT DISTINCT FROM 'cancelled'"
)
_LINE_IS_CANCELLED = (
    "(SELECT e.status FROM entity e WHERE e.kind = 'line' AND e.id = l.entity_id) IS NOT DISTINCT FROM 'cancelled'"
)
# Of the (part of the) order that an order's lane or its status is for: whether a line of it is not cancelled, or exists.
_HAS_A_LIVING_LINE = (
    "(SELECT true FROM lane c JOIN entity e ON e.kind = 'line' AND e.id = c.entity_id AND e.status <> 'cancelled' "
    "WHERE c.order_id = l.order_id AND c.connection = l.connection AND c.kind = 'line' AND c.order_facet = l.order_facet "
    "LIMIT 1) IS TRUE"
)
HAS_A_LINE_THERE = (
    "EXISTS (SELECT 1 FROM lane c JOIN reference cr ON cr.connection = c.connection AND cr.kind = 'line' "
    "AND cr.entity_id = c.entity_id AND cr.facet = c.facet AND cr.superseded_at IS NULL "
    "WHERE c.order_id = l.order_id AND c.connection = l.connection AND c.kind = 'line' AND c.order_facet = l.order_facet)"
)
# Whether the lane that a status belongs to has come to rest: nobody may be creating its record any more.
_ITS_RECORD_IS_SETTLED = (
    "(SELECT b.state = 'ready' AND NOT b.dirty FROM lane b WHERE b.connection = l.connection AND b.entity_id = l.entity_id "
    "AND b.facet = l.facet AND b.kind = replace(l.kind, '_status', '')) IS TRUE"
)

_ORDER_NOT_CREATED = f"r.vendor_id IS NULL AND ({_ORDER_IS_CANCELLED} OR NOT {_HAS_A_LIVING_LINE})"
_LINE_NOT_CREATED = f"r.vendor_id IS NULL AND ({_LINE_IS_CANCELLED} OR {_ORDER_IS_CANCELLED})"
_WITHOUT_A_LINE = (
    f"r.vendor_id IS NOT NULL AND NOT ({_ORDER_IS_CANCELLED} OR {_HAS_A_LIVING_LINE} OR {HAS_A_LINE_THERE})"
)

NOT_CREATED = f"""
CASE l.kind
  WHEN 'order' THEN {_ORDER_NOT_CREATED}
  WHEN 'line' THEN {_LINE_NOT_CREATED}
  WHEN 'line_status' THEN {_LINE_NOT_CREATED}
  WHEN 'order_status' THEN {_ORDER_NOT_CREATED} OR {_WITHOUT_A_LINE}
  ELSE false
END
"""
"""Whether the vendor has no record of a lane and is to get none: it was cancelled before, and so was what it is the status of.

An order of which every line was cancelled is not created either, and one that is there is not approved without a line.
"""

LEFT_ALONE = f"(l.kind NOT IN ('order_status', 'line_status') OR {_ITS_RECORD_IS_SETTLED}) AND ({NOT_CREATED})"
"""Whether a lane may be acknowledged with nothing sent: NOT_CREATED, and no worker may be creating its record just now."""

# Whether everything a lane's record points to already exists at the vendor. A status waits until its lines are settled and
# one of them exists, whatever it holds: one that refuses what was in doubt is acknowledged no more, but it is there. A deal
# that was lost before any of its lines was created gets none any more, and its order still goes out of the market.
# What is not created any more waits for nothing but its own record: while that is parked, its status would be claimed in vain.
# A projection waits until its order is at rest, but not for ever: else every step of one push costs a CRM call.
READY_TO_SEND = f"""
CASE l.kind
  WHEN 'order' THEN NOT EXISTS (
    SELECT 1 FROM order_party p WHERE p.order_id = l.entity_id AND p.role IN ('advertiser', 'agency') AND NOT EXISTS (
      SELECT 1 FROM reference pr WHERE pr.connection = l.connection AND pr.kind = 'party' AND pr.entity_id = p.party_id
        AND pr.facet = p.role AND pr.superseded_at IS NULL)) OR {_ORDER_NOT_CREATED}
  WHEN 'line' THEN EXISTS (
    SELECT 1 FROM reference o WHERE o.connection = l.connection AND o.kind = 'order' AND o.entity_id = l.order_id
      AND o.facet = l.order_facet AND o.superseded_at IS NULL)
      AND ({AGREES_WITH_ITS_ORDER.format("l")} OR {_ORDER_IS_CANCELLED}) OR {_LINE_NOT_CREATED}
  WHEN 'order_status' THEN r.vendor_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM lane c WHERE c.order_id = l.order_id AND c.connection = l.connection AND c.kind IN ('line', 'order')
      AND c.order_facet = l.order_facet AND c.desired_hash IS DISTINCT FROM c.acked_hash AND c.state <> 'parked'
      AND (c.kind <> 'line' OR c.state <> 'ready' OR {AGREES_WITH_ITS_ORDER.format("c")}))
    AND ({HAS_A_LINE_THERE} OR {_ORDER_IS_CANCELLED} OR NOT {_HAS_A_LIVING_LINE} AND {_ITS_RECORD_IS_SETTLED})
    OR r.vendor_id IS NULL AND {_ITS_RECORD_IS_SETTLED} AND {_ORDER_NOT_CREATED}
  WHEN 'party' THEN true
  WHEN 'document' THEN NOT {WITHDRAWN.format("l")}
  WHEN 'line_status' THEN r.vendor_id IS NOT NULL OR {_ITS_RECORD_IS_SETTLED} AND {_LINE_NOT_CREATED}
  ELSE r.vendor_id IS NOT NULL AND (l.wanted_at <= %(patience)s OR NOT EXISTS (
    SELECT 1 FROM lane c WHERE c.order_id = l.order_id AND c.connection <> l.connection
      AND c.desired_hash IS DISTINCT FROM c.acked_hash AND c.state IN ('ready', 'in_flight')
      AND (c.not_before IS NULL OR c.not_before <= %(now)s)))
END
"""

# Where a parked lane goes when it is woken: back to work, or, when its last send never got an answer, to be looked up first.
AWAKE = (
    "CASE WHEN EXISTS (SELECT 1 FROM (SELECT a.outcome FROM attempt a WHERE a.lane_id = lane.id ORDER BY a.id DESC LIMIT 1) "
    "last WHERE last.outcome IS NULL OR last.outcome = 'in_doubt') THEN 'in_doubt' ELSE 'ready' END"
)
LOOK_UP_AT = f"CASE WHEN ({AWAKE}) = 'in_doubt' THEN %(now)s::timestamptz END"
