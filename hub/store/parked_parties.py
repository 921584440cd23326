"""What is parked of a party at a connection, for the orders that are not created there while it is.

A party's lane belongs to no order, so nothing of it is found by an order's number. An order that exists at the vendor does
without: that a company could not be renamed is not its trouble.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.store.database import Cursor, Row

_WAITING = """
FROM parked p
JOIN lane held ON held.id = p.lane_id AND held.kind = 'party'
JOIN order_party op ON op.party_id = held.entity_id AND op.role = held.facet
JOIN lane l ON l.connection = held.connection AND l.kind = 'order' AND l.entity_id = op.order_id AND l.dirty
WHERE NOT EXISTS (SELECT 1 FROM reference r WHERE r.connection = l.connection AND r.kind = 'order' AND r.entity_id = l.entity_id
  AND r.facet = l.facet AND r.superseded_at IS NULL)
"""


def of_orders(cur: Cursor, order_ids: Sequence[str]) -> list[Row]:
    """(order, code, owner, sentence) of what is parked now, the oldest first."""
    cur.execute(
        f"SELECT DISTINCT op.order_id, p.code, p.owner, p.sentence, p.id {_WAITING} "
        "AND p.resolved_at IS NULL AND op.order_id = ANY(%s) ORDER BY p.id",
        (list(order_ids),),
        prepare=False,  # planned for as many as there are
    )
    return [row[:4] for row in cur.fetchall()]


def orders_of(cur: Cursor, item_ids: Sequence[int]) -> list[str]:
    """The orders that these items, open or closed just now, hold up."""
    cur.execute(f"SELECT DISTINCT op.order_id {_WAITING} AND p.id = ANY(%s)", (list(item_ids),), prepare=False)
    return [row[0] for row in cur.fetchall()]
