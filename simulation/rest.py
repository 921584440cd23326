"""Heal, drain, and check what must hold when nothing is under way any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from connectors.base import Operation
from hub.encoding import decode, encode
from hub.store import lane_moves, lanes
from hub.store.lanes import Lane
from hub.sync import projection
from hub.sync.prepare import Prepared, prepare
from mappings.errors import MappingDefect
from oms_schema.problems import Problems
from simulation import bookkeeping, questions
from simulation.ad_server import CREATE_ONLY, OWNED
from simulation.crm import STREAMS
from simulation.invariants import after_verb, by_mark, duplicates
from simulation.questions import answers
from simulation.steps import Step
from simulation.vendors import ADS, CRM
from simulation.world import World

ROUNDS = 60
"""A schedule that has not come to rest after so many rounds never will."""
RECOVERY_TRIES = 20
"""Times that settling may be tried until a recovery has ended."""
PATIENCE = 11.0
"""Seconds: the mirror tells an intermediate state no sooner."""
LONGEST_WAIT = 86_400.0
"""Seconds: no lease, pause or vendor's wish of these worlds is longer; what waits for longer was forgotten."""
WRITES_PER_EDIT = 40
"""c of I12: an edit of an order touches at most its companies, parts, four lines, statuses and their mirrors, retries too."""
_ENTITIES = {"Account": "party", "Opportunity": "order", "OpportunityLineItem": "line"}


def come_to_rest(world: World) -> None:
    """No more faults: leases run out, late requests land, everything due is done. Raises InvariantBroken."""
    world.step = -1
    world.heal()
    world.log("checker", "heal")
    world.clock.advance(700)
    world.catch_up()
    _drain(world, "intake")
    while answers(world.arena, questions.PARKED)[0]:
        before = answers(world.arena, questions.PENDING)[3]
        _drain(world, "replay", "intake")  # what waits is told anew by the next intake
        if answers(world.arena, questions.PENDING)[3] == before:
            break
    for _ in range(4):
        world.business.skip(1)
        _do(world, "deliver")
        if not world.ads.reports or not list(world.ads.reports.values())[-1].failed:
            break
    _drain(world)


def end_recovery(world: World) -> None:
    """No more faults: a recovery that stands ends by itself, as soon as nothing is under way; and what a restored store forgot of
    accounting is wanted again. Raises InvariantBroken."""
    if not answers(world.arena, questions.RECOVERY)[0] and not world.restored:
        return
    world.step = -1
    world.heal()
    for _ in range(RECOVERY_TRIES):
        if not answers(world.arena, questions.RECOVERY)[0]:
            break
        world.clock.advance(700)
        world.catch_up()
        _do(world, "settle_ads")
    else:
        world.broken("I19", "the recovery does not end")
    bookkeeping.prepare_again(world)


def compare(world: World) -> None:
    """What vendors took from a store that is gone differs from what is known: drift finds it, and writes the CRM's mirror again
    (the whole of it, because this CRM cannot be compared). Raises InvariantBroken."""
    _do(world, "drift_ads")
    with world.worker(0).hub.session.database.transaction() as cur:
        lane_moves.disavow(cur, [row[0] for row in answers(world.arena, questions.MIRRORED)[0]])
    come_to_rest(world)


def _do(world: World, what: str) -> None:
    world.run_verb(Step(what), world.worker(0))


def _drain(world: World, *first: str) -> None:
    """Do what is due until nothing is; time passes only when nothing can be done before."""
    for what in first:
        _do(world, what)
    edits, applied, patient = world.crm.edits, -1, False
    for _ in range(ROUNDS):
        if answers(world.arena, questions.RECOVERY)[0]:  # begun by a push, to have something counted again
            world.clock.advance(700)
            _do(world, "settle_ads")
        pending, ((stale,),), signature, _, _ = answers(world.arena, questions.PENDING)
        due = {(row[0], row[1]) for row in pending}
        if world.crm.edits != edits:
            edits = world.crm.edits
            _do(world, "intake")
        if (ADS, "in_doubt") in due or (ADS, "in_flight") in due:
            _do(world, "settle_ads")
        if due & {(ADS, "in_doubt"), (ADS, "in_flight"), (ADS, "ready")}:
            _do(world, "push_ads")
        if applied != world.ads.applied:
            applied = world.ads.applied
            _do(world, "observe")
        if (CRM, "in_doubt") in due or (CRM, "in_flight") in due:
            _do(world, "settle_crm")
        if not due and not stale:
            if _is_idle(world):
                return
            continue  # what has just been read makes work
        if not due & {(ADS, "in_doubt"), (ADS, "in_flight")}:
            _do(world, "push_crm")
        after, ((stale,),), unmoved, _, ((tried,),) = answers(world.arena, questions.PENDING)
        if unmoved != signature or stale or world.crm.edits != edits:
            patient = False  # the mirror has news again and may wait for more of it
            continue
        times = [at for at in (tried, *(at for row in after for at in row[3:5])) if at is not None and at > world.now()]
        if times:
            if min(times) > world.after(LONGEST_WAIT):
                world.broken("I19", f"the earliest work waits until {min(times):%Y-%m-%d %H:%M}: {after}")
            world.clock.advance((min(times) - world.now()).total_seconds() + 0.001)
        elif (CRM, "ready") in due and not patient:
            world.clock.advance(PATIENCE)
            patient = True
        else:
            return  # what is left waits for something that is missing or parked; `_lanes` judges it
    world.broken("I19", f"it does not come to rest: {answers(world.arena, questions.PENDING)[0]}")


def _is_idle(world: World) -> bool:
    """Whether nothing is due and no projection is stale."""
    pending, ((stale,),), _, _, _ = answers(world.arena, questions.PENDING)
    return not pending and not stale


# ---------------------------------------------------------------- what must hold now
def check(world: World) -> None:
    """Every promise at rest. Raises InvariantBroken."""
    after_verb(world)
    _nothing_more(world)
    found = duplicates(world)
    if found and world.assumptions_hold:
        world.broken("I1", f"live objects double: {'; '.join(found)}")
    _changes(world)
    open_lanes = _lanes(world)
    _vendor_state(world, open_lanes)
    _mirror(world, open_lanes)
    _delivery(world)
    _plan_is_empty(world)
    _audit(world)
    bookkeeping.check_posted(world)


def _nothing_more(world: World) -> None:
    """I12."""
    before = world.ads.applied + world.crm.applied, answers(world.arena, questions.PENDING)[2:4]
    for what in ("intake", "push_ads", "settle_ads", "push_crm", "settle_crm", "observe"):
        _do(world, what)
    world.clock.advance(PATIENCE)
    for what in ("push_ads", "push_crm"):
        _do(world, what)
    after = world.ads.applied + world.crm.applied, answers(world.arena, questions.PENDING)[2:4]
    if before != after:
        world.broken("I12", f"work goes on without any edit: {before} became {after}")
    edits = world.crm.edits + len(world.ads.delivered) + 1
    if world.ads.applied + world.crm.applied > WRITES_PER_EDIT * edits:
        world.broken("I12", f"{world.ads.applied + world.crm.applied} writes followed {edits} edits")


def _changes(world: World) -> None:
    """I3, I13, I14: the newest state of every source record is in the log with a true verdict."""
    (rows,) = answers(world.arena, questions.NEWEST_CHANGES)
    newest = {(row[0], row[1]): row[2:] for row in rows}
    mappings, _ = world.arena.mappings("salesforce")
    for stream in STREAMS:
        mapping = mappings[_ENTITIES[stream], "in"]
        for native_id, record in world.crm.records[stream].items():
            version = record.newest
            shown = world.crm.shown(version, mapping.native_fields)
            known = newest.get((stream, native_id))
            if known is None:
                world.broken("I14", f"{stream} {native_id} was never ingested")
                return
            deleted, native, status, waits_for, kind, entity_id, there, canonical = known
            if deleted != version.deleted or bytes(native) != encode(dict(shown)):
                world.broken("I14", f"{stream} {native_id}: the newest change in the log is not the newest state")
            if status == "held" and there:
                world.broken("I3", f"{stream} {native_id} waits for {waits_for}, which is there")
            if status in {"accepted", "unchanged"} and version.deleted:
                if canonical is not None and not _is_gone(decode(bytes(canonical))):
                    world.broken("I3", f"{kind} {entity_id} goes on, though {stream} {native_id} was deleted")
            elif status in {"accepted", "unchanged"}:
                expected = mapping.to_canonical(shown, CRM)
                if canonical is None or bytes(canonical) != expected.canonical_bytes():
                    world.broken("I3", f"{kind} {entity_id} is not what {stream} {native_id} says, though {status}")


def _is_gone(entity: Mapping[str, Any]) -> bool:
    """Whether an account is deleted, an order or a line cancelled."""
    return bool(entity.get("deleted") or entity.get("cancelled") or entity.get("status") == "cancelled")


def _lanes(world: World) -> list[int]:
    """I19: a lane that is not in sync is parked, or what it depends on is missing. Returns the lanes that are in sync."""
    rows, references, parties, gone = answers(world.arena, questions.LANES)
    cancelled = {row[0] for row in gone}
    known = {tuple(row[:4]) for row in references}
    in_sync: list[int] = []
    for lane_id, connection, kind, entity_id, facet, order_id, order_facet, state, done in rows:
        if state in {"in_flight", "in_doubt"}:
            world.broken("I19", f"lane {lane_id} ({kind} {entity_id}) is {state} for ever")
        if state == "parked":
            continue
        if done:
            in_sync.append(lane_id)
            continue
        if kind == "document":
            excused = False
        elif kind == "party" or kind.endswith("_projection"):
            excused = kind != "party" and (connection, kind.partition("_")[0], entity_id, "") not in known
        elif kind == "order":
            wanted = [(connection, "party", p[2], p[1]) for p in parties if p[0] == entity_id]
            excused = any(key not in known for key in wanted if key[3] in {"advertiser", "agency"})
        elif kind == "line":
            excused = (connection, "order", order_id, order_facet) not in known
        else:
            base = kind.partition("_")[0]
            part = [row for row in rows if row[1] == connection and row[5] == order_id and row[6] == order_facet]
            excused = (connection, base, entity_id, facet) not in known or (
                kind == "order_status"
                and (
                    (order_id not in cancelled and not any(row[2] == "line" and _created(row, known) for row in part))
                    or any(row[2] in {"order", "line"} and not row[8] and row[7] != "parked" for row in part)
                )
            )
        if excused and (connection, kind.partition("_")[0], entity_id, facet) not in known:
            excused = not _ends_uncreated(lane_id, rows, cancelled)
        if not excused:
            world.broken(
                "I19", f"lane {lane_id} ({kind} {entity_id} {facet}) is {state}, not in sync, and nothing hinders it"
            )
    return in_sync


def _ends_uncreated(lane_id: int, rows: Sequence[tuple[Any, ...]], cancelled: set[str]) -> bool:
    """Whether a lane without a record waits for nothing, because what it is for was cancelled before."""
    (lane,) = (row for row in rows if row[0] == lane_id)
    _, connection, kind, entity_id, facet, order_id, *_ = lane
    if kind not in {"order", "line", "order_status", "line_status"} or not {entity_id, order_id} & cancelled:
        return False
    base = kind.partition("_")[0]
    return not any(row[1:5] == (connection, base, entity_id, facet) and row[7] == "parked" for row in rows)


def _created(row: tuple[Any, ...], known: set[tuple[Any, ...]]) -> bool:
    return (row[1], "line", row[3], row[4]) in known


def _prepared(world: World, lane_ids: Sequence[int]) -> list[Prepared]:
    """What the engine would write now, computed from the newest canonical state."""
    session = world.worker(0).hub.session
    with session.database.transaction() as cur:
        wanted = lanes.by_ids(cur, lane_ids)
    done: list[Prepared] = []
    for name in (ADS, CRM):
        own: list[Lane] = [lane for lane in wanted if lane.connection == name]
        try:
            ready, refused = prepare(session, session.channel(name), own, planning=True)
        except (Problems, MappingDefect) as error:
            world.broken("I4", f"lanes in sync cannot be prepared: {error}")
            raise
        for item in refused:
            world.broken(
                "I4", f"lane {item.lane.id} ({item.name}) is in sync and cannot be prepared: {item.problems[0]}"
            )
        done += ready
    return done


def _vendor_state(world: World, in_sync: Sequence[int]) -> None:
    """I1 and I4: what is in sync is there exactly once and holds the newest canonical state in every owned field.

    What is cancelled is not written any more: it holds what was written last, and what was not there is not created.
    """
    rows, references, _, gone = answers(world.arena, questions.LANES)
    cancelled = {row[0] for row in gone}
    if world.assumptions_hold:
        _nothing_forgotten(world, rows, references, cancelled)
    living = {(row[1], row[5], row[6]) for row in rows if row[2] == "line" and row[3] not in cancelled}
    (created,) = answers(world.arena, questions.CREATED)
    for kind, entity_id, attempt, canonical in created:
        if _is_gone(decode(bytes(canonical))):
            world.broken("I4", f"{kind} {entity_id} was created by attempt {attempt} after it was cancelled")
    census = {record: by_mark(world, record) for record in OWNED}
    known = {row[4] for row in references if row[0] == ADS}
    parked = {tuple(row[2:5]) for row in rows if row[1] == ADS and row[7] == "parked"}
    # A person is asked whether it was created, because no look-up can tell, or is shown what a restored store does not want;
    # the answer, and what is wanted again, has its order approved again.
    unknown = {thing.id for thing in world.ads.live("LineItem") if thing.id not in known and thing.address in parked}
    unknown |= {vendor_id for (vendor_id,) in answers(world.arena, questions.FOR_NOBODY)[0]}
    for item in _prepared(world, in_sync):
        lane = item.lane
        if lane.connection != ADS:
            continue
        thing = world.ads.thing(item.record, lane.vendor_id)
        without_lines = lane.kind in {"order", "order_status"} and (ADS, lane.order_id, lane.order_facet) not in living
        if item.left_alone and not without_lines and not {lane.entity_id, lane.order_id} & cancelled:
            world.broken("I4", f"{lane.kind} {lane.entity_id} is left alone and not cancelled")
        if thing is None:
            if item.left_alone and lane.vendor_id is None:
                continue  # cancelled before it was sent
            if item.operation is Operation.ACT and item.action is None:
                continue
            world.broken("I1", f"{lane.kind} {lane.entity_id} is in sync and has no object")
            return
        if item.operation is Operation.ACT:
            _status(world, item, thing.status, thing.archived, bool(thing.archived_by_person), unknown)
            continue
        if thing.archived:
            continue
        # What was cancelled while it was not known what the vendor holds may hold anything of ours.
        expected = {} if item.held_by_vendor is None else decode(item.held_by_vendor)
        for name, value in expected.items():
            if name not in thing.touched and encode(thing.fields.get(name)) != encode(value):
                created_only = name in CREATE_ONLY.get(item.record, ())
                world.broken(
                    "I4",
                    f"{item.record} {thing.id}: {name} is {thing.fields.get(name)!r}, should be {value!r}"
                    + (" (set at creation only)" if created_only else ""),
                )
        for mark, ids in census[item.record].items():
            if thing.id in ids and len(ids) > 1 and world.assumptions_hold:
                world.broken("I1", f"{item.record} {', '.join(ids)} bear one mark {mark}")


def _nothing_forgotten(
    world: World, rows: Sequence[tuple[Any, ...]], references: Sequence[tuple[Any, ...]], cancelled: set[str]
) -> None:
    """I1: what was cancelled while its creation was in doubt is not live without anybody knowing it."""
    known = {row[4] for row in references if row[0] == ADS}
    given_up = {
        tuple(row[2:5])
        for row in rows
        if row[1] == ADS and row[7] == "ready" and row[8] and {row[3], row[5]} & cancelled
    }
    for thing in world.ads.live():
        if thing.id not in known and thing.address in given_up:
            world.broken("I1", f"{thing.record} {thing.id} is live, its deal was cancelled, and nothing refers to it")


def _status(world: World, item: Prepared, status: str, archived: bool, by_person: bool, unknown: Set[str]) -> None:
    """I4 for verbs. Lines `unknown` to the hub are left out."""
    if by_person or item.action is None:
        return
    reached = archived if item.action.startswith("Archive") else status == "APPROVED" or archived
    if not reached:
        world.broken("I4", f"{item.action} of {item.lane.entity_id} is acknowledged and the object shows {status}")
    if item.action == "ApproveOrders" and not archived:
        for line in world.ads.live("LineItem"):
            if line.id in unknown:
                continue
            if str(line.fields.get("orderId")) == item.lane.vendor_id and line.status == "DRAFT":
                world.broken("I4", f"line {line.id} of the approved order {item.lane.vendor_id} was never approved")


def _mirror(world: World, in_sync: Sequence[int]) -> None:
    """I22: the mirror's fields are the projection of what the hub knows now."""
    session = world.worker(0).hub.session
    named, stored = answers(world.arena, questions.PROJECTIONS)
    orders = [row[0] for row in named]
    fresh: dict[tuple[str, str], bytes] = {}
    with session.database.transaction() as cur:
        for view in projection.views(session, cur, orders):
            fresh["order_projection", view.order_id] = projection.project_order(view).canonical_bytes()
            for line in view.lines:
                fresh["line_projection", line.line_id] = projection.project_line(view.order_id, line).canonical_bytes()
    kept = {(row[0], row[1]): bytes(row[2]) for row in stored}
    for key, canonical in fresh.items():
        if kept.get(key) != canonical:
            world.broken("I22", f"the projection {key} is stale: {kept.get(key)!r} should be {canonical!r}")
    for item in _prepared(world, in_sync):
        lane = item.lane
        if lane.connection != CRM or lane.vendor_id is None:
            continue
        record = world.crm.records[item.record][lane.vendor_id]
        if record.newest.deleted:
            continue
        shown: Mapping[str, Any] = {name: record.mirror.get(name) for name in item.payload}
        if encode(shown) != encode(dict(item.payload)):
            world.broken("I22", f"{item.record} {lane.vendor_id} shows {shown}, should show {dict(item.payload)}")


def _delivery(world: World) -> None:
    """I15: the current numbers are the vendor's, summed over the objects of a line."""
    references, days, ((since,),) = answers(world.arena, questions.DELIVERED)
    if since is None or (world.ads.reports and list(world.ads.reports.values())[-1].failed):
        return
    owners = dict(references)
    expected: dict[tuple[str, Any], int] = {}
    for (vendor_id, day), units in world.ads.delivered.items():
        if vendor_id in owners and day >= since:
            key = owners[vendor_id], day
            expected[key] = expected.get(key, 0) + units
    current = {(line_id, day): units for line_id, day, units in days}
    for key in sorted({*expected, *current}):
        if expected.get(key) != current.get(key):
            world.broken(
                "I15", f"{key[0]} on {key[1]}: the vendor says {expected.get(key)}, the store {current.get(key)}"
            )
    strangers = [key for key in world.ads.delivered if key[0] in owners and key[0] in world.ads.foreign]
    if strangers:
        world.broken("I15", f"somebody else's delivery became a fact: {strangers}")


def _plan_is_empty(world: World) -> None:
    """I24: after apply a plan holds only what is blocked or waits for what is missing."""
    plan = world.worker(0).hub.plan()
    (rows,) = answers(world.arena, questions.OPEN_LANES)
    open_lanes = {tuple(row) for row in rows}
    for item in plan.items:
        if item.action in {"create", "update", "act"}:
            key = (item.connection, item.kind, item.entity_id, item.facet)
            if key not in open_lanes:
                world.broken("I24", f"the plan wants to {item.action} {item.kind} {item.entity_id}, which is in sync")


def _audit(world: World) -> None:
    """I21: the chain holds, and tells exactly what the store holds."""
    hub = world.worker(0).hub
    verdict = hub.verify_audit()
    if not verdict.sound:
        world.broken("I21", f"the audit chain is broken: {verdict.as_dict()}")
    for mismatch in hub.audit_mismatches():
        world.broken("I21", f"chain and store differ: {mismatch}")
