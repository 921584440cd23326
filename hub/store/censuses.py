"""What a census is compared with: the live references of a connection, and the source records that were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor

DUPLICATES = "census"
"""How the subject of twins begins: `census:<connection>:<record>:<mark>`."""
UNKNOWN = "unknown"
"""How the subject of a record begins that is marked for nobody: `unknown:<connection>:<record>:<vendor id>`."""


@dataclass(frozen=True, slots=True)
class Held:
    """One live reference: which vendor record stands for which entity, and since when (machine time)."""

    vendor_id: str
    entity_id: str
    facet: str
    since: datetime


def held(cur: Cursor, connection: str, kind: str) -> dict[str, Held]:
    """All live references of a kind, by vendor id."""
    cur.execute(
        "SELECT vendor_id, entity_id, facet, since FROM reference WHERE connection = %s AND kind = %s "
        "AND superseded_at IS NULL",
        (connection, kind),
    )
    return {row[0]: Held(*row) for row in cur.fetchall()}


def entity_orders(cur: Cursor, kind: str, entity_ids: Sequence[str]) -> dict[str, tuple[str | None, str | None, str]]:
    """(order, status, name) of these entities; unknown ones are absent."""
    cur.execute(
        "SELECT id, order_id, status, name FROM entity WHERE kind = %s AND id = ANY(%s)", (kind, list(entity_ids))
    )
    return {row[0]: (row[1], row[2], row[3]) for row in cur.fetchall()}


def source_records(cur: Cursor, connection: str, stream: str) -> dict[str, bool]:
    """Every record of a stream that was ever read, and whether it was seen deleted."""
    cur.execute("SELECT native_id, deleted FROM source_row WHERE connection = %s AND stream = %s", (connection, stream))
    return dict(cur.fetchall())


def open_subjects(cur: Cursor, what: str, connection: str, record: str) -> list[str]:
    """What earlier censuses parked of a record type and is still open."""
    prefix = f"{what}:{connection}:{record}:"
    cur.execute(
        "SELECT DISTINCT subject FROM parked WHERE connection = %s AND resolved_at IS NULL AND starts_with(subject, %s)",
        (connection, prefix),
    )
    return [row[0] for row in cur.fetchall()]


def unknown_of(cur: Cursor, connection: str, entity_id: str) -> list[str]:
    """The open subjects of records that carry an entity's mark and that nobody knew."""
    cur.execute(
        "SELECT DISTINCT subject FROM parked WHERE connection = %s AND entity_id = %s AND resolved_at IS NULL "
        "AND starts_with(subject, %s) ORDER BY subject",
        (connection, entity_id, f"{UNKNOWN}:"),
    )
    return [row[0] for row in cur.fetchall()]


def orders_of(cur: Cursor, entity_ids: Sequence[str]) -> dict[str, str]:
    """The orders of these orders and lines, as far as they are known, by the entities' ids."""
    cur.execute("SELECT id, order_id FROM entity WHERE id = ANY(%s) AND order_id IS NOT NULL", (list(entity_ids),))
    return dict(cur.fetchall())
