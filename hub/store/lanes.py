"""Lanes: per (entity, facet, connection) the newest version the vendor should have, and how far that has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from hub.errors import DocumentChanged
from hub.store import parking
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.lane_conditions import AWAKE as _AWAKE
from hub.store.lane_conditions import LOOK_UP_AT as _LOOK_UP_AT
from hub.store.lane_conditions import MIRROR_PATIENCE
from hub.store.lane_conditions import READY_TO_SEND as _READY_TO_SEND
from hub.store.lane_conditions import WITHDRAWN as _WITHDRAWN
from hub.store.seen_plans import GOES, SeenPlan

READY, IN_FLIGHT, IN_DOUBT, PARKED = "ready", "in_flight", "in_doubt", "parked"

DOCUMENT = "document"
"""The kind of lanes whose content never changes: an invoice, a credit memo, an envelope."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane as claimed or read."""

    id: int
    connection: str
    kind: str
    entity_id: str
    facet: str
    order_id: str
    order_facet: str
    desired_version: int
    desired_hash: UUID
    acked_hash: UUID | None
    acked_payload: bytes | None
    state: str
    not_before: datetime | None
    fence: int
    tries: int
    probes: int
    alone: bool
    vendor_id: str | None


_COLUMNS = (
    "l.id, l.connection, l.kind, l.entity_id, l.facet, l.order_id, l.order_facet, l.desired_version, l.desired_hash, "
    "l.acked_hash, l.acked_payload, l.state, l.not_before, l.fence, l.tries, l.probes, l.alone, r.vendor_id"
)
# The record a lane writes: a status lane acts on the record its entity already has. LATERAL with LIMIT 1 is one index look-up
# for each lane found; as a plain join the server reads every reference there is (measured with 1 % dirty lanes).
_JOIN = (
    "LEFT JOIN LATERAL (SELECT vendor_id FROM reference WHERE connection = l.connection AND entity_id = l.entity_id AND "
    "facet = l.facet AND superseded_at IS NULL AND kind = CASE l.kind WHEN 'order_status' THEN 'order' "
    "WHEN 'order_projection' THEN 'order' WHEN 'line_status' THEN 'line' WHEN 'line_projection' THEN 'line' ELSE l.kind END "
    "LIMIT 1) r ON true"
)


def subject(lane_id: int) -> str:
    """How parked work and the audit chain name a lane."""
    return f"lane:{lane_id}"


def _lane(row: tuple[object, ...]) -> Lane:
    values = list(row)
    values[10] = None if values[10] is None else bytes(values[10])  # type: ignore[call-overload]
    return Lane(*values)  # type: ignore[arg-type]


class Want(NamedTuple):
    """What a vendor should have of one lane."""

    kind: str
    entity_id: str
    facet: str
    order_id: str
    order_facet: str
    stage: int
    version: int
    desired_hash: UUID


def want(
    cur: Cursor,
    *,
    connection: str,
    kind: str,
    entity_id: str,
    facet: str,
    order_id: str,
    order_facet: str,
    stage: int,
    version: int,
    desired_hash: UUID,
    now: datetime,
) -> bool:
    """Say what the vendor should have; True when that is news. See `want_all`."""
    one = Want(kind, entity_id, facet, order_id, order_facet, stage, version, desired_hash)
    return want_all(cur, connection, [one], now) == 1


def want_all(cur: Cursor, connection: str, wants: Sequence[Want], now: datetime) -> int:
    """Say what the vendor should have, one lane after the other; how many got news. News wakes a parked lane: its cause may
    be gone.

    A parked lane whose last send never got an answer is looked up first: news does not prove that nothing exists.
    """
    news = 0
    batch: dict[tuple[str, str, str], Want] = {}
    for each in wants:
        key = (each.kind, each.entity_id, each.facet)
        before = batch.get(key)
        if before is not None:  # one statement cannot touch a lane twice
            if before.desired_hash == each.desired_hash:
                continue
            news += _want(cur, connection, batch, now)
            batch = {}
        batch[key] = each
    return news + (_want(cur, connection, batch, now) if batch else 0)


def _want(cur: Cursor, connection: str, wants: Mapping[tuple[str, str, str], Want], now: datetime) -> int:
    cur.execute(
        "INSERT INTO lane (connection, kind, entity_id, facet, order_id, order_facet, stage, desired_version, desired_hash, "
        "wanted_at, state) SELECT %(c)s, w.k, w.e, w.f, w.o, w.p, w.s, w.v, w.h, %(now)s, 'ready' FROM unnest(%(kind)b::text[], "
        "%(entity_id)b::text[], %(facet)b::text[], %(order_id)b::text[], %(order_facet)b::text[], %(stage)b::int[], "
        "%(version)b::int[], %(desired_hash)b::uuid[]) WITH ORDINALITY AS w(k, e, f, o, p, s, v, h, place) ORDER BY w.place "
        "ON CONFLICT (connection, kind, entity_id, facet) DO UPDATE SET desired_version = excluded.desired_version, "
        "desired_hash = excluded.desired_hash, tries = 0, "
        "wanted_at = CASE WHEN lane.desired_hash IS DISTINCT FROM lane.acked_hash THEN lane.wanted_at "
        "ELSE excluded.wanted_at END, "
        f"not_before = CASE lane.state WHEN 'ready' THEN NULL WHEN 'parked' THEN {_LOOK_UP_AT} ELSE lane.not_before END, "
        f"state = CASE WHEN lane.state = 'parked' THEN {_AWAKE} ELSE lane.state END "
        "WHERE lane.desired_hash <> excluded.desired_hash AND lane.kind <> 'document' RETURNING kind, entity_id, facet, id, "
        "state, xmax = 0, state IN ('ready', 'in_doubt') AND "
        "EXISTS (SELECT 1 FROM parked p WHERE p.lane_id = lane.id AND p.resolved_at IS NULL)",
        {
            "c": connection,
            "now": now,
            **dict(zip(Want._fields, (list(column) for column in zip(*wants.values(), strict=True)), strict=True)),
        },
    )
    got = {(row[0], row[1], row[2]): row[3:] for row in cur.fetchall()}
    for key, each in wants.items():
        if key not in got:
            if each.kind == DOCUMENT:
                _same_document(cur, connection, each.entity_id, each.facet, each.desired_hash)
            continue
        lane_id, state, fresh, was_parked = got[key]
        what = {"version": each.version, "hash": each.desired_hash.hex, "state": state}
        if fresh:
            note(cur, subject(lane_id), "lane opened", lane="/".join((connection, *key)), **what)
        else:
            note(cur, subject(lane_id), "lane wanted", **what)
        if was_parked:
            parking.resolve(cur, now, "news", subject=subject(lane_id))
    return len(got)


def _same_document(cur: Cursor, connection: str, document_id: str, facet: str, desired_hash: UUID) -> None:
    cur.execute(
        "SELECT desired_hash FROM lane WHERE connection = %s AND kind = 'document' AND entity_id = %s AND facet = %s",
        (connection, document_id, facet),
    )
    row = cur.fetchone()
    if row is not None and row[0] != desired_hash:
        raise DocumentChanged(
            f"The document {document_id} of {connection} is wanted with other content already. Nothing was changed. A correction "
            "is a document of its own."
        )


class Wanted(NamedTuple):
    """What a lane wants already: which content, of which (part of which) order."""

    desired_hash: UUID
    order_id: str
    order_facet: str


def wanted(
    cur: Cursor, connection: str, order_ids: Sequence[str], party_ids: Sequence[str] = ()
) -> dict[tuple[str, str, str], Wanted]:
    """By (kind, entity, facet): what each lane of these orders and parties wants; what is wanted already is no news."""
    cur.execute(
        "SELECT kind, entity_id, facet, desired_hash, order_id, order_facet FROM lane WHERE connection = %(c)s "
        "AND order_id = ANY(%(o)s) UNION ALL SELECT kind, entity_id, facet, desired_hash, order_id, order_facet FROM lane "
        "WHERE connection = %(c)s AND kind = 'party' AND entity_id = ANY(%(p)s)",
        {"c": connection, "o": list(order_ids), "p": list(party_ids)},
        prepare=False,  # planned for as many as there are
    )
    return {(row[0], row[1], row[2]): Wanted(*row[3:]) for row in cur.fetchall()}


def claim(
    cur: Cursor,
    connection: str,
    kind: str,
    limit: int,
    now: datetime,
    lease_until: datetime,
    *,
    updates: bool,
    seen: SeenPlan | None = None,
) -> list[Lane]:
    """Take up to `limit` due lanes of one kind whose record exists (`updates`) or not; each gets a new fence.

    With a plan that was `seen`, only what it showed. Look-ups that found nothing belong to the send before; what is sent now
    has to be looked up anew.
    """
    cur.execute(
        f"WITH due AS (SELECT l.id, r.vendor_id FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.kind = %(k)s "
        f"  AND l.dirty AND l.state = 'ready' AND {_NOT_PAUSED} "
        "  AND (l.not_before IS NULL OR l.not_before <= %(now)s) AND (r.vendor_id IS NOT NULL) = %(u)s "
        f"  {'' if seen is None else f'AND {GOES} '}AND {_READY_TO_SEND} "
        "  ORDER BY l.order_id, l.id LIMIT %(n)s FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE lane l SET state = 'in_flight', lease_until = %(lease)s, fence = l.fence + 1, probes = 0 FROM due "
        f"WHERE l.id = due.id RETURNING {_COLUMNS.replace('r.vendor_id', 'due.vendor_id')}",
        {
            "c": connection,
            "k": kind,
            "n": limit,
            "now": now,
            "lease": lease_until,
            "u": updates,
            "patience": now - MIRROR_PATIENCE,
            **({} if seen is None else seen.parameters),
        },
    )
    return _claimed(cur, "lane claimed")


def kinds_due(cur: Cursor, connection: str, until: datetime) -> frozenset[tuple[str, bool]]:
    """(kind, whether the record exists) of what may be sent until then; of the others a push need not claim."""
    cur.execute(
        f"SELECT DISTINCT l.kind, r.vendor_id IS NOT NULL FROM lane l {_JOIN} WHERE l.connection = %s AND l.dirty "
        "AND l.state = 'ready' AND (l.not_before IS NULL OR l.not_before <= %s)",
        (connection, until),
    )
    return frozenset((row[0], row[1]) for row in cur.fetchall())


def kinds_unsettled(cur: Cursor, connection: str) -> frozenset[str]:
    """The kinds of which something is in doubt or in flight."""
    cur.execute(
        "SELECT DISTINCT kind FROM lane WHERE connection = %s AND state IN ('in_doubt', 'in_flight')", (connection,)
    )
    return frozenset(row[0] for row in cur.fetchall())


def _claimed(cur: Cursor, what: str) -> list[Lane]:
    lanes = sorted((_lane(row) for row in cur.fetchall()), key=lambda lane: (lane.order_id, lane.id))
    for lane in lanes:
        note(cur, subject(lane.id), what, state=lane.state, fence=lane.fence)
    return lanes


_NOT_PAUSED = "NOT EXISTS (SELECT 1 FROM connection_state s WHERE s.connection = %(c)s AND s.paused_at IS NOT NULL)"


def hold(cur: Cursor, lanes: Sequence[Lane], lease_until: datetime) -> frozenset[tuple[int, int]]:
    """Renew the lease of claimed lanes; (number, fence) of those that nobody took meanwhile. Only these may be sent.

    The fence is part of the answer: a slow worker may hold a lane twice, once as lost and once as claimed anew.
    """
    cur.execute(
        "WITH held AS (SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::bigint[]) AS w(id, fence) "
        "  ON l.id = w.id AND l.fence = w.fence WHERE l.state = 'in_flight' ORDER BY l.order_id, l.id FOR UPDATE OF l) "
        "UPDATE lane l SET lease_until = %s FROM held WHERE l.id = held.id RETURNING l.id, l.fence",
        ([lane.id for lane in lanes], [lane.fence for lane in lanes], lease_until),
    )
    return frozenset((row[0], row[1]) for row in cur.fetchall())


def release(
    cur: Cursor,
    lanes: Sequence[Lane],
    not_before: datetime | None,
    *,
    tried: bool = False,
    alone: bool = False,
    undecided: bool = False,
) -> None:
    """Give claimed lanes back, due again at `not_before`; `alone`: to be sent in a call of its own; `undecided`: only those
    still in flight, not one that its worker has taken to be in doubt, parked or acknowledged meanwhile."""
    still = f"AND l.state = '{IN_FLIGHT}' " if undecided else ""
    cur.execute(
        # Locked in the order in which every other statement locks several lanes: two workers never wait for each other.
        "WITH held AS (SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::bigint[]) AS w(id, fence) "
        f"  ON l.id = w.id AND l.fence = w.fence {still}ORDER BY l.order_id, l.id FOR UPDATE OF l) "
        "UPDATE lane l SET state = 'ready', lease_until = NULL, not_before = %s, tries = l.tries + %s, alone = %s "
        "FROM held WHERE l.id = held.id RETURNING l.id",
        ([lane.id for lane in lanes], [lane.fence for lane in lanes], not_before, int(tried), alone),
    )
    for lane_id in sorted(row[0] for row in cur.fetchall()):
        note(cur, subject(lane_id), "lane released", state=READY, not_before=not_before)


def send_again(cur: Cursor, lane: Lane) -> None:
    """Give a lane back whose last write may or may not have been applied; what was acknowledged before counts no more.

    Else a record that went back to an older state would look in sync while the vendor holds what was in doubt.
    """
    cur.execute(
        "UPDATE lane SET state = 'ready', lease_until = NULL, not_before = NULL, acked_version = NULL, acked_hash = NULL, "
        "acked_payload = NULL, acked_at = NULL WHERE id = %s AND fence = %s RETURNING id",
        (lane.id, lane.fence),
    )
    if cur.fetchone() is not None:
        note(cur, subject(lane.id), "lane sent again", state=READY)


def acknowledge(
    cur: Cursor,
    lane: Lane,
    payload: bytes | None,
    sent_hash: UUID,
    version: int,
    now: datetime,
    *,
    why: str = "in sync",
) -> bool:
    """Record that the vendor holds what was sent, and close what is parked for the lane, saying `why`.

    `payload` is None where nothing is to be sent any more and what the vendor holds, if anything, is not known.
    False when another worker took the lane meanwhile: only an observation.
    """
    cur.execute(
        "UPDATE lane SET acked_version = %s, acked_hash = %s, acked_payload = %s, acked_at = %s, tries = 0, probes = 0, "
        "alone = false, state = 'ready', lease_until = NULL, not_before = NULL WHERE id = %s AND fence = %s "
        "RETURNING EXISTS (SELECT 1 FROM parked p WHERE p.lane_id = lane.id AND p.resolved_at IS NULL)",
        (version, sent_hash, payload, now, lane.id, lane.fence),
    )
    row = cur.fetchone()
    if row is None:
        return False
    note(cur, subject(lane.id), "lane acknowledged", state=READY, version=version, hash=sent_hash.hex)
    if row[0]:
        parking.resolve(cur, now, why, subject=subject(lane.id))
    return True


def acknowledge_late(
    cur: Cursor, lane: Lane, payload: bytes, attempt_id: int, vendor_id: str | None, now: datetime
) -> None:
    """The vendor took what this attempt sent, as its worker tells after it lost the lane: that is acknowledged, whatever the
    lane waits for now, unless a later attempt was taken or another record stands for the entity.

    Else a change that was taken back meanwhile would look in sync with what was acknowledged before.
    """
    cur.execute(
        f"WITH late AS (SELECT l.id FROM lane l {_JOIN} WHERE l.id = %(lane)s AND r.vendor_id = %(vendor_id)s AND NOT EXISTS ("
        "  SELECT 1 FROM attempt a WHERE a.lane_id = l.id AND a.id > %(attempt)s "
        "  AND a.outcome IN ('created', 'updated', 'unchanged')) FOR UPDATE OF l) "
        "UPDATE lane SET acked_version = %(version)s, acked_hash = %(hash)s, acked_payload = %(payload)s, acked_at = %(now)s "
        "FROM late WHERE lane.id = late.id RETURNING state",
        {
            "lane": lane.id,
            "vendor_id": vendor_id,
            "attempt": attempt_id,
            "version": lane.desired_version,
            "hash": lane.desired_hash,
            "payload": payload,
            "now": now,
        },
    )
    row = cur.fetchone()
    if row is not None:
        hashed = lane.desired_hash.hex
        note(cur, subject(lane.id), "lane acknowledged late", state=row[0], version=lane.desired_version, hash=hashed)


def still_claimed(cur: Cursor, claimed: Sequence[Lane]) -> list[Lane]:
    """Those of which nothing was decided since they were claimed, locked for this transaction."""
    cur.execute(
        "SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::bigint[]) AS w(id, fence) ON l.id = w.id AND l.fence = w.fence "
        "WHERE l.lease_until IS NOT NULL ORDER BY l.order_id, l.id FOR UPDATE OF l",
        ([lane.id for lane in claimed], [lane.fence for lane in claimed]),
    )
    left = {row[0] for row in cur.fetchall()}
    return [lane for lane in claimed if lane.id in left]


def doubt(cur: Cursor, lane: Lane, not_before: datetime) -> None:
    """Put a lane in doubt; it is looked up, never resent, and not before `not_before`. One that was given back stays so."""
    cur.execute(
        "UPDATE lane SET state = 'in_doubt', lease_until = NULL, not_before = %s, probes = 0 "
        "WHERE id = %s AND fence = %s AND state IN ('in_flight', 'in_doubt') RETURNING id",
        (not_before, lane.id, lane.fence),
    )
    if cur.fetchone() is not None:
        note(cur, subject(lane.id), "lane in doubt", state=IN_DOUBT, not_before=not_before)


def park(cur: Cursor, lane: Lane) -> bool:
    """Take a lane out of work until a person or news brings it back. False when another worker took it meanwhile."""
    cur.execute(
        "UPDATE lane SET state = 'parked', lease_until = NULL, not_before = NULL WHERE id = %s AND fence = %s RETURNING id",
        (lane.id, lane.fence),
    )
    if cur.fetchone() is None:
        return False
    note(cur, subject(lane.id), "lane parked", state=PARKED)
    return True


def count_probe(cur: Cursor, lane: Lane, not_before: datetime) -> None:
    """One more look-up found nothing; look again at `not_before`."""
    cur.execute(
        "UPDATE lane SET probes = probes + 1, not_before = %s, lease_until = NULL, state = 'in_doubt' "
        "WHERE id = %s AND fence = %s RETURNING probes",
        (not_before, lane.id, lane.fence),
    )
    row = cur.fetchone()
    if row is not None:
        note(cur, subject(lane.id), "lane probed", state=IN_DOUBT, probes=row[0], not_before=not_before)


def count_failed_look_up(cur: Cursor, lane: Lane, not_before: datetime) -> None:
    """A look-up could not be made: it tells nothing, and neither do those before it. Look again at `not_before`."""
    cur.execute(
        "UPDATE lane SET tries = tries + 1, probes = 0, not_before = %s, lease_until = NULL, state = 'in_doubt' "
        "WHERE id = %s AND fence = %s RETURNING tries",
        (not_before, lane.id, lane.fence),
    )
    row = cur.fetchone()
    if row is not None:
        note(cur, subject(lane.id), "lane in doubt", state=IN_DOUBT, tries=row[0], not_before=not_before)


def claim_doubtful(
    cur: Cursor, connection: str, kind: str, limit: int, now: datetime, lease_until: datetime
) -> list[Lane]:
    """Take lanes in doubt that are due for a look-up, and lanes whose worker died (lease over) in flight."""
    cur.execute(
        f"WITH due AS (SELECT l.id, r.vendor_id FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.kind = %(k)s "
        f"  AND {_NOT_PAUSED} AND ("
        "  (l.state = 'in_doubt' AND l.not_before <= %(now)s AND (l.lease_until IS NULL OR l.lease_until < %(now)s)) "
        "  OR (l.state = 'in_flight' AND l.lease_until < %(now)s)) "
        "  ORDER BY l.order_id, l.id LIMIT %(n)s FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE lane l SET lease_until = %(lease)s, fence = l.fence + 1 FROM due WHERE l.id = due.id "
        f"RETURNING {_COLUMNS.replace('r.vendor_id', 'due.vendor_id')}",
        {"c": connection, "k": kind, "n": limit, "now": now, "lease": lease_until},
    )
    return _claimed(cur, "lane examined")


def dirty(cur: Cursor, connection: str) -> list[Lane]:
    """Every lane whose vendor does not have what it should, in sending order; the plan's first question."""
    # In the order of the index: putting whole kinds in order here costs less than sorting wide rows there. Binary values
    # spare the payloads their hexadecimal form.
    cur.execute(
        f"SELECT {_COLUMNS}, l.stage FROM lane l {_JOIN} WHERE l.connection = %s AND l.dirty "
        f"AND (l.state <> 'parked' OR NOT {_WITHDRAWN.format('l')}) ORDER BY l.kind, l.order_id, l.id",
        (connection,),
        binary=True,
    )
    return [_lane(row[:-1]) for row in sorted(cur.fetchall(), key=itemgetter(-1))]


def by_ids(cur: Cursor, lane_ids: Sequence[int]) -> list[Lane]:
    """Lanes by number."""
    cur.execute(f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.id = ANY(%s) ORDER BY l.id", (list(lane_ids),))
    return [_lane(row) for row in cur.fetchall()]


def wake(cur: Cursor, lane_ids: Sequence[int], now: datetime, why: str) -> list[int]:
    """Put parked lanes back to work; one whose last send never got an answer is looked up first. Returns which woke."""
    cur.execute(
        "WITH due AS (SELECT id FROM lane WHERE id = ANY(%(ids)s) AND state = 'parked' ORDER BY order_id, id FOR UPDATE) "
        f"UPDATE lane SET state = {_AWAKE}, not_before = {_LOOK_UP_AT}, tries = 0, probes = 0 FROM due "
        "WHERE lane.id = due.id RETURNING lane.id, state",
        {"now": now, "ids": list(lane_ids)},
    )
    woken = sorted(cur.fetchall())
    for lane_id, state in woken:
        note(cur, subject(lane_id), "lane woken", state=state, why=why)
    return [lane_id for lane_id, _ in woken]


def any_of_order(cur: Cursor, order_id: str) -> bool:
    """Whether anything of an order or its lines was ever wanted at a vendor, also at one that is no longer configured."""
    cur.execute("SELECT EXISTS (SELECT 1 FROM lane WHERE order_id = %s AND kind IN ('order', 'line'))", (order_id,))
    row = cur.fetchone()
    return row is not None and bool(row[0])


_OF_ORDER = (
    "(order_id = %(o)s OR (kind = 'party' AND entity_id IN (SELECT party_id FROM order_party WHERE order_id = %(o)s)))"
)
"""An order's lanes: its own, those of its lines, and those of its parties."""


def elsewhere(cur: Cursor, order_id: str, connections: Sequence[str]) -> dict[str, int]:
    """How many lanes an order, its lines and its parties have at connections other than these."""
    cur.execute(
        f"SELECT connection, count(*) FROM lane WHERE {_OF_ORDER} AND NOT connection = ANY(%(c)s) GROUP BY 1 ORDER BY 1",
        {"o": order_id, "c": list(connections)},
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def renew(cur: Cursor, order_id: str, now: datetime, *, connections: Sequence[str], leave: Sequence[int]) -> list[int]:
    """Forget what these vendors acknowledged of an order, its lines and its parties, so that all of it is sent anew.

    Returns which lanes. What is in flight or in doubt keeps its state; parked lanes wake, except those in `leave`.
    """
    cur.execute(
        "UPDATE lane SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL, wanted_at = %(now)s, "
        f"not_before = CASE state WHEN 'ready' THEN NULL WHEN 'parked' THEN {_LOOK_UP_AT} ELSE not_before END, "
        f"tries = 0, state = CASE WHEN state = 'parked' THEN {_AWAKE} ELSE state END "
        f"WHERE {_OF_ORDER} AND connection = ANY(%(c)s) AND NOT id = ANY(%(leave)s) RETURNING id, state",
        {"o": order_id, "now": now, "c": list(connections), "leave": list(leave)},
    )
    renewed = sorted(cur.fetchall())
    for lane_id, state in renewed:
        note(cur, subject(lane_id), "lane renewed", state=state)
    return [lane_id for lane_id, _ in renewed]


def of_entity(cur: Cursor, connection: str, entity_id: str) -> list[Lane]:
    """The lanes that carry an entity's own records at a connection, locked for this transaction."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.connection = %s AND l.entity_id = %s "
        "AND l.kind IN ('party', 'order', 'line', 'document') ORDER BY l.facet, l.id FOR UPDATE OF l",
        (connection, entity_id),
    )
    return [_lane(row) for row in cur.fetchall()]


def answer(cur: Cursor, lane: Lane) -> bool:
    """A person said what is true of a lane's record: it is written anew. False when a worker took it meanwhile."""
    cur.execute(
        "UPDATE lane SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL, state = 'ready', "
        "lease_until = NULL, not_before = NULL, tries = 0, probes = 0, fence = fence + 1 "
        "WHERE id = %s AND fence = %s AND state <> 'in_flight' RETURNING fence",
        (lane.id, lane.fence),
    )
    row = cur.fetchone()
    if row is None:
        return False
    note(cur, subject(lane.id), "lane answered", state=READY, fence=row[0])
    return True
