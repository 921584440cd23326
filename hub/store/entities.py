"""Canonical entities: the newest version of each, all its versions, and who plays which part on an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from hub.store.audit import note
from hub.store.database import Cursor
from oms_schema.ids import EntityKind


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """The newest version of one entity; `canonical` are its canonical bytes."""

    kind: str
    id: str
    version: int
    canonical: bytes
    content_hash: UUID
    source: str
    native_id: str
    name: str
    order_id: str | None
    status: str | None
    external_id: str | None


_COLUMNS = "kind, id, version, canonical, content_hash, source, native_id, name, order_id, status, external_id"


def _entity(row: tuple[object, ...]) -> StoredEntity:
    values = list(row)
    values[3] = bytes(values[3])  # type: ignore[call-overload]
    return StoredEntity(*values)  # type: ignore[arg-type]


def get(cur: Cursor, kind: EntityKind, entity_id: str, *, lock: bool = False) -> StoredEntity | None:
    """One entity, locked for this transaction when asked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM entity WHERE kind = %s AND id = %s" + (" FOR UPDATE" if lock else ""),
        (kind, entity_id),
    )
    row = cur.fetchone()
    return None if row is None else _entity(row)


def many(cur: Cursor, kind: EntityKind, entity_ids: Sequence[str], *, lock: bool = False) -> dict[str, StoredEntity]:
    """Entities by id, locked in the order of their ids when asked; unknown ids are absent."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM entity WHERE kind = %s AND id = ANY(%s)" + (" ORDER BY id FOR UPDATE" if lock else ""),
        (kind, list(entity_ids)),
        prepare=False,  # planned for as many as there are
    )
    return {row[1]: _entity(row) for row in cur.fetchall()}


def lines_of(cur: Cursor, order_ids: Sequence[str]) -> list[StoredEntity]:
    """All lines of these orders, in the order they were first accepted."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM entity WHERE kind = 'line' AND order_id = ANY(%s) ORDER BY order_id, accepted_at, id",
        (list(order_ids),),
        prepare=False,  # planned for as many as there are
    )
    return [_entity(row) for row in cur.fetchall()]


def cancelled_orders(cur: Cursor, order_ids: Iterable[str]) -> frozenset[str]:
    """Which of these orders are cancelled."""
    cur.execute(
        "SELECT id FROM entity WHERE kind = 'order' AND id = ANY(%s) AND status = 'cancelled'", (sorted(order_ids),)
    )
    return frozenset(row[0] for row in cur.fetchall())


class Named(NamedTuple):
    """An entity and the name it bears."""

    entity_id: str
    native_id: str
    name: str


def of_names(
    cur: Cursor, kind: EntityKind, names: Sequence[str], source: str
) -> tuple[dict[str, str], dict[str, dict[str, Named]]]:
    """These names in lower case as the database writes it, and, by that, the living entities of a source that bear it."""
    # OFFSET has each name looked up in the index, also where PostgreSQL takes the table for smaller than it is.
    cur.execute(
        "SELECT w.name, lower(w.name), e.id, e.native_id, e.name FROM unnest(%b::text[]) AS w(name) LEFT JOIN LATERAL ("
        "SELECT id, native_id, name FROM entity WHERE lower(name) = lower(w.name) AND kind = %s AND source = %s "
        "AND status IS DISTINCT FROM 'deleted' OFFSET 0) e ON true",
        (list(names), kind, source),
        prepare=False,  # planned for as many as there are
    )
    lowered: dict[str, str] = {}
    bearers: dict[str, dict[str, Named]] = {}
    for name, lower, entity_id, native_id, borne in cur.fetchall():
        lowered[name] = lower
        if entity_id is not None:
            bearers.setdefault(lower, {})[entity_id] = Named(entity_id, native_id, borne)
    return lowered, bearers


class NewVersion(NamedTuple):
    """One accepted version of an entity."""

    kind: str
    entity_id: str
    version: int
    canonical: bytes
    content_hash: UUID
    source: str
    native_id: str
    name: str
    order_id: str | None
    status: str | None
    external_id: str | None
    now: datetime
    change_id: int | None


def put_all(cur: Cursor, new: Sequence[NewVersion]) -> None:
    """Write versions, at most one of each entity, and make each the newest; nothing is noted."""
    if not new:
        return
    columns = [list(column) for column in zip(*new, strict=True)]
    cur.execute(
        "INSERT INTO entity (kind, id, version, canonical, content_hash, source, native_id, name, order_id, status, "
        "external_id, accepted_at) SELECT * FROM unnest(%b::text[], %b::text[], %b::int[], %b::bytea[], %b::uuid[], "
        "%b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[]) "
        "ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, canonical = excluded.canonical, "
        "content_hash = excluded.content_hash, name = excluded.name, order_id = excluded.order_id, "
        "status = excluded.status, external_id = excluded.external_id",
        columns[:12],
    )
    kind, entity_id, version, canonical, content_hash = columns[:5]
    cur.execute(
        "INSERT INTO entity_version (kind, id, version, canonical, content_hash, change_id, accepted_at) SELECT * FROM "
        "unnest(%b::text[], %b::text[], %b::int[], %b::bytea[], %b::uuid[], %b::bigint[], %b::timestamptz[])",
        (kind, entity_id, version, canonical, content_hash, columns[12], columns[11]),
    )


def note_version(cur: Cursor, new: NewVersion) -> None:
    """Tell the audit chain of an accepted version."""
    subject = f"{new.kind}:{new.entity_id}"
    note(cur, subject, "version accepted", version=new.version, hash=new.content_hash.hex, change=new.change_id)


def by_mark(cur: Cursor, mark: str) -> list[str]:
    """Entities whose vendor record carries this mark: their canonical or external id."""
    cur.execute("SELECT id FROM entity WHERE id = %(m)s OR external_id = %(m)s ORDER BY id", {"m": mark})
    return [row[0] for row in cur.fetchall()]


def set_parties(cur: Cursor, parties: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Who plays which (role, party id) on these orders."""
    if not parties:
        return
    cur.execute("DELETE FROM order_party WHERE order_id = ANY(%s)", (list(parties),), prepare=False)
    rows = [(order_id, str(role), party_id) for order_id, roles in parties.items() for role, party_id in roles]
    cur.execute(
        "INSERT INTO order_party (order_id, role, party_id) SELECT * FROM unnest(%b::text[], %b::text[], %b::text[])",
        [[row[at] for row in rows] for at in range(3)],
    )


def orders_of_parties(cur: Cursor, party_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By party, the orders on which it plays any part; one that plays none is absent."""
    cur.execute(
        "SELECT party_id, array_agg(DISTINCT order_id) FROM order_party WHERE party_id = ANY(%s) GROUP BY party_id",
        (list(party_ids),),
        prepare=False,  # planned for as many as there are
    )
    return {row[0]: tuple(row[1]) for row in cur.fetchall()}


def count_by_status(cur: Cursor, kind: EntityKind) -> dict[str, int]:
    """How many entities of a kind are in each status."""
    cur.execute("SELECT coalesce(status, ''), count(*) FROM entity WHERE kind = %s GROUP BY 1", (kind,))
    return {row[0]: row[1] for row in cur.fetchall()}


def find_order_ids(cur: Cursor, text: str) -> list[str]:
    """Orders that any id, name, number or vendor id in `text` leads to (canonical, source's, vendor's, external)."""
    cur.execute(
        "SELECT DISTINCT order_id FROM ("
        "  SELECT CASE WHEN kind = 'order' THEN id ELSE order_id END AS order_id FROM entity "
        "   WHERE kind IN ('order', 'line') AND (id = %(t)s OR native_id = %(t)s OR external_id = %(t)s OR "
        "         (kind = 'order' AND lower(name) = lower(%(t)s) AND name = %(t)s))"
        "  UNION SELECT l.order_id FROM reference r JOIN lane l USING (connection, kind, entity_id, facet) "
        "   WHERE r.vendor_id = %(t)s AND r.kind IN ('order', 'line')"
        "  UNION SELECT order_id FROM parked WHERE entity_id = %(t)s OR order_id = %(t)s"
        ") found WHERE order_id IS NOT NULL ORDER BY order_id LIMIT 20",
        {"t": text},
    )
    return [row[0] for row in cur.fetchall()]


class Shown(NamedTuple):
    """One projection as it is kept and mirrored."""

    kind: str
    entity_id: str
    order_id: str
    version: int
    canonical: bytes


def put_projections(cur: Cursor, shown: Sequence[Shown]) -> None:
    """Keep what the CRM should see of orders and lines."""
    if not shown:
        return
    kinds, entity_ids, order_ids, versions, canonical = zip(*shown, strict=True)
    cur.execute(
        "INSERT INTO projection (kind, entity_id, order_id, version, canonical) "
        "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[], %s::bytea[]) "
        "ON CONFLICT (kind, entity_id) DO UPDATE SET order_id = excluded.order_id, version = excluded.version, "
        "canonical = excluded.canonical",
        (list(kinds), list(entity_ids), list(order_ids), list(versions), list(canonical)),
    )


def projections_of_orders(cur: Cursor, order_ids: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """What is kept of these orders and their lines, by (kind, entity)."""
    cur.execute("SELECT kind, entity_id, canonical FROM projection WHERE order_id = ANY(%s)", (list(order_ids),))
    return {(row[0], row[1]): bytes(row[2]) for row in cur.fetchall()}


def projections(cur: Cursor, kind: str, entity_ids: Sequence[str]) -> dict[str, bytes]:
    """Projections by entity id."""
    cur.execute(
        "SELECT entity_id, canonical FROM projection WHERE kind = %s AND entity_id = ANY(%s)", (kind, list(entity_ids))
    )
    return {row[0]: bytes(row[1]) for row in cur.fetchall()}


def count_parts(cur: Cursor, connection: str, order_ids: Sequence[str]) -> dict[str, int]:
    """How many vendor orders each of these orders is split into at a connection."""
    cur.execute(
        "SELECT entity_id, count(*) FROM lane WHERE connection = %s AND kind = 'order' AND entity_id = ANY(%s) GROUP BY 1",
        (connection, list(order_ids)),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def first_flight(cur: Cursor) -> datetime | None:
    """The start of the earliest flight that was ever accepted, as an instant; None when there is no line."""
    cur.execute(
        "SELECT min((flight->>'start')::timestamp AT TIME ZONE (flight->>'zone')) FROM (SELECT "
        "convert_from(canonical, 'UTF8')::jsonb->'flight' AS flight FROM entity WHERE kind = 'line') f"
    )
    row = cur.fetchone()
    return None if row is None else row[0]


def all_ids(cur: Cursor, kind: EntityKind) -> list[str]:
    """Every id of a kind, sorted."""
    cur.execute("SELECT id FROM entity WHERE kind = %s ORDER BY id", (kind,))
    return [row[0] for row in cur.fetchall()]
