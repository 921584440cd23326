"""Do transitions and audit events correspond one to one? Replays the chain and compares the outcome with the tables.

Both directions: a row without its event was changed behind the hub's back; an event without its row means that the row was
removed. Every lane's events must also form a legal path that ends where the lane stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hub.session import Session
from hub.store import audit
from hub.store.database import Cursor
from hub.store.lanes import IN_DOUBT, IN_FLIGHT, PARKED, READY
from oms_schema.machines import BILLING
from oms_schema.status import BillingStatus

_STATES = frozenset({READY, IN_FLIGHT, IN_DOUBT, PARKED})
_AWAY = frozenset({IN_FLIGHT, IN_DOUBT})
_BACK = frozenset({READY, IN_DOUBT})

# event -> (states it may come from, states it may lead to); None: the state stays, unless a parked lane wakes
_MOVES: Mapping[str, tuple[frozenset[str], frozenset[str] | None]] = {
    "lane wanted": (_STATES, None),
    "lane claimed": (frozenset({READY}), frozenset({IN_FLIGHT})),
    "lane examined": (_AWAY, None),
    "lane released": (_AWAY, frozenset({READY})),
    "lane sent again": (_AWAY, frozenset({READY})),
    "lane acknowledged": (_AWAY, frozenset({READY})),
    "lane acknowledged late": (_STATES, None),
    "lane in doubt": (_AWAY, frozenset({IN_DOUBT})),
    "lane probed": (_AWAY, frozenset({IN_DOUBT})),
    "lane parked": (_AWAY, frozenset({PARKED})),
    "lane woken": (frozenset({PARKED}), _BACK),
    "lane found by a census": (frozenset({READY, PARKED}), frozenset({IN_DOUBT})),
    "lane renewed": (_STATES, None),
    "lane held back": (frozenset({READY}), frozenset({PARKED})),
    "lane lost": (frozenset({READY, PARKED}), frozenset({READY, PARKED})),
    "lane answered": (frozenset({READY, IN_DOUBT, PARKED}), frozenset({READY})),
}
_OF_BILLS = frozenset({"billing document made", "billing document moved", "billing document read back"})
_FENCING = frozenset({"lane claimed", "lane examined", "lane answered"})
_FORGETTING = frozenset({"lane renewed", "lane answered", "lane lost", "lane sent again"})


@dataclass
class _Lane:
    state: str
    desired: str
    acked: str | None = None
    fences: int = 0


@dataclass
class _Told:
    """What the chain says the tables should hold."""

    lanes: dict[int, _Lane] = field(default_factory=dict)
    attempts: dict[int, str | None] = field(default_factory=dict)
    parked: dict[int, str | None] = field(default_factory=dict)
    parked_lanes: int = 0
    put: Counter[str] = field(default_factory=Counter)
    superseded: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    loads: Counter[str] = field(default_factory=Counter)
    billing: dict[str, str] = field(default_factory=dict)
    bills: dict[str, tuple[str, str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def mismatches(session: Session) -> list[str]:
    """Every disagreement between the chain and the tables, as a sentence; empty when they correspond."""
    told = _Told()
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for link in audit.walk(cur):
            _follow(told, link.subject, audit.decoded(link))
        _compare_lanes(cur, told)
        _compare_attempts(cur, told)
        _compare_parked(cur, told)
        _compare_counts(cur, told)
        _compare_billing(cur, told)
    return told.wrong


def _follow(told: _Told, subject: str, event: Mapping[str, Any]) -> None:
    what = str(event["what"])
    kind, _, name = subject.partition(":")
    if kind == "lane":
        _follow_lane(told, int(name), what, event)
    elif what == "attempt invoked":
        if int(name) in told.attempts:
            told.wrong.append(f"{subject} was invoked twice in the chain.")
        told.attempts[int(name)] = None
    elif what == "attempt finished":
        if int(name) not in told.attempts:
            told.wrong.append(f"{subject} was finished in the chain before it was invoked.")
        told.attempts[int(name)] = str(event["outcome"])
    elif what == "parked":
        told.parked[int(name)] = None
        told.parked_lanes += str(event["of"]).startswith("lane:")
    elif what == "no longer parked":
        if told.parked.get(int(name), "") is not None:
            told.wrong.append(f"{subject} was closed in the chain while it was not open.")
        told.parked[int(name)] = str(event["resolution"])
    elif what == "reference put":
        told.put[name] += 1
    elif what == "reference superseded":
        told.superseded[name] += 1
    elif what == "version accepted":
        told.versions[f"{subject} version {event['version']}"] += 1
    elif what == "facts loaded":
        told.loads[name] += 1
    elif what == "billing moved":
        _follow_billing(told, subject, event)
    elif what in _OF_BILLS:
        made = str(event["hash"]) if what == "billing document made" else told.bills.get(name, ("", ""))[0]
        told.bills[name] = (made, str(event["state"]))


def _follow_billing(told: _Told, subject: str, event: Mapping[str, Any]) -> None:
    source, steps = str(event["source"]), [str(step) for step in event["steps"]]
    known = told.billing.get(subject, str(BILLING.initial))
    for before, after in pairwise([source, *steps]):
        if source != known or after not in BILLING.targets(BillingStatus(before)):
            told.wrong.append(f"{subject} cannot go from {known} by {source} to {after} in the chain.")
            break
    told.billing[subject] = steps[-1]


def _follow_lane(told: _Told, lane_id: int, what: str, event: Mapping[str, Any]) -> None:
    state = str(event["state"])
    lane = told.lanes.get(lane_id)
    if what == "lane opened":
        if lane is not None:
            told.wrong.append(f"lane {lane_id} was opened twice in the chain.")
        told.lanes[lane_id] = _Lane(state, str(event["hash"]))
        return
    if lane is None:
        told.wrong.append(f"lane {lane_id} has the event {what!r} before it was opened.")
        return
    sources, targets = _MOVES.get(what, (frozenset(), frozenset()))
    stays = targets is None and (state == lane.state or (lane.state == PARKED and state in _BACK))
    if lane.state not in sources or not (stays or (targets is not None and state in targets)):
        told.wrong.append(f"lane {lane_id} cannot go from {lane.state} to {state} by {what!r}.")
    lane.state = state
    if what in _FENCING:
        lane.fences += 1
        if event["fence"] != lane.fences:
            told.wrong.append(f"lane {lane_id} has fence {event['fence']} in the chain; {lane.fences} is its turn.")
    if what == "lane wanted":
        lane.desired = str(event["hash"])
    if what in {"lane acknowledged", "lane acknowledged late"}:
        lane.acked = str(event["hash"])
    if what in _FORGETTING:
        lane.acked = None


def _compare_lanes(cur: Cursor, told: _Told) -> None:
    cur.execute("SELECT id, state, fence, desired_hash, acked_hash FROM lane ORDER BY id")
    rows = {row[0]: row for row in cur.fetchall()}
    told.wrong += [
        f"lane {lane_id} is in the chain and not in the store." for lane_id in sorted({*told.lanes} - {*rows})
    ]
    for lane_id, state, fence, desired, acked in rows.values():
        lane = told.lanes.get(lane_id)
        if lane is None:
            told.wrong.append(f"lane {lane_id} is in the store and not in the chain.")
            continue
        stored = (state, fence, desired.hex, None if acked is None else acked.hex)
        if stored != (lane.state, lane.fences, lane.desired, lane.acked):
            chain = (lane.state, lane.fences, lane.desired, lane.acked)
            told.wrong.append(f"lane {lane_id} is {stored} in the store and {chain} in the chain.")


def _compare_attempts(cur: Cursor, told: _Told) -> None:
    cur.execute("SELECT id, outcome FROM attempt ORDER BY id")
    _compare_maps(told, "attempt", dict(cur.fetchall()), told.attempts)


def _compare_parked(cur: Cursor, told: _Told) -> None:
    cur.execute("SELECT id, resolution FROM parked ORDER BY id")
    _compare_maps(told, "parked item", dict(cur.fetchall()), told.parked)
    cur.execute(
        "SELECT p.id, l.id, l.state FROM parked p JOIN lane l ON l.id = p.lane_id "
        "WHERE p.resolved_at IS NULL AND l.state <> 'parked' ORDER BY 1"
    )
    told.wrong += [f"parked item {row[0]} is open while lane {row[1]} is {row[2]}." for row in cur.fetchall()]
    cur.execute(
        "SELECT l.id FROM lane l WHERE l.state = 'parked' AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.lane_id = l.id "
        "AND (p.resolved_at IS NULL OR p.resolution LIKE 'ignored by %')) ORDER BY 1"
    )
    told.wrong += [f"lane {row[0]} is parked and nothing says why." for row in cur.fetchall()]


def _compare_billing(cur: Cursor, told: _Told) -> None:
    cur.execute(
        "SELECT concat('line_period:', line_id, '/', period_start), status FROM line_period WHERE status <> 'open' ORDER BY 1"
    )
    stored: dict[str, str] = dict(cur.fetchall())
    for subject in sorted({*stored} | {*told.billing}):
        here, chain = stored.get(subject, "open"), told.billing.get(subject, "open")
        if here != chain:
            told.wrong.append(f"{subject} is {here} in the store and {chain} in the chain.")
    cur.execute("SELECT document_id, content_hash, state FROM billing_document ORDER BY 1")
    bills = {row[0]: (row[1], row[2]) for row in cur.fetchall()}
    for name in sorted({*bills} | {*told.bills}):
        if bills.get(name) != told.bills.get(name):
            told.wrong.append(
                f"document {name} is {bills.get(name)} in the store and {told.bills.get(name)} in the chain."
            )


def _compare_maps(told: _Told, what: str, stored: Mapping[int, Any], chain: Mapping[int, Any]) -> None:
    for number in sorted({*stored} | {*chain}):
        if number not in chain:
            told.wrong.append(f"{what} {number} is in the store and not in the chain.")
        elif number not in stored:
            told.wrong.append(f"{what} {number} is in the chain and not in the store.")
        elif stored[number] != chain[number]:
            told.wrong.append(f"{what} {number} is {stored[number]!r} in the store and {chain[number]!r} in the chain.")


def _compare_counts(cur: Cursor, told: _Told) -> None:
    cur.execute(
        "SELECT concat_ws('/', connection, kind, entity_id, facet), count(*), count(superseded_at) FROM reference GROUP BY 1"
    )
    rows = cur.fetchall()
    _compare_tallies(told, "references", Counter({row[0]: row[1] for row in rows}), told.put)
    superseded = Counter({row[0]: row[2] for row in rows if row[2]})
    _compare_tallies(told, "superseded references", superseded, told.superseded)
    cur.execute("SELECT kind || ':' || id || ' version ' || version, count(*) FROM entity_version GROUP BY 1")
    _compare_tallies(told, "versions", Counter(dict(cur.fetchall())), told.versions)
    cur.execute("SELECT connection || '/' || job, count(*) FROM delivery_job WHERE state = 'loaded' GROUP BY 1")
    _compare_tallies(told, "loaded reports", Counter(dict(cur.fetchall())), told.loads)
    cur.execute(
        "SELECT count(*) FILTER (WHERE what LIKE '% accepted as version %'), count(*) FILTER (WHERE what LIKE '% parked') "
        "FROM journal"
    )
    row = cur.fetchone()
    assert row is not None
    for what, journal, chain in (
        ("accepted versions", row[0], told.versions.total()),
        ("parked writes", row[1], told.parked_lanes),
    ):
        if journal != chain:
            told.wrong.append(f"the journal tells of {journal} {what} and the chain of {chain}.")


def _compare_tallies(told: _Told, what: str, stored: Counter[str], chain: Counter[str]) -> None:
    for name in sorted({*stored} | {*chain}):
        if stored[name] != chain[name]:
            told.wrong.append(f"{what} of {name}: {stored[name]} in the store, {chain[name]} in the chain.")
