"""How long one accepted change takes to the ad server and back into the CRM, with Airflow running as in the demo.

Salespeople raise one line's goal at a time. The clock starts when the hub wrote the change down as received, in the
transaction that accepted it (machine time, UTC), and stops when the true state of the simulated vendor shows the new goal:
the line item's units at the ad server, the line's status sentence in the CRM. Both vendors answer without delay, so this
is the hub's and Airflow's own time. Afterwards nothing happens for a while, and nothing may be written.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.result import Measurement
from cli.demo.airflow_api import AirflowApi
from cli.demo.control import other_calls, writes
from cli.demo.crm_seed import Seeded, seed_crm
from cli.demo.engine import AD_SERVER, SOURCE, AirflowEngine
from cli.demo.generated_book import generated_book
from cli.demo.journey import Stage, clock_stops, identify, images
from cli.demo.machinery import Machinery, running
from cli.demo.order_book import BookLine, OrderBook, parse_order_book
from cli.demo.run import chosen_book
from cli.demo.signals import stopping_on_signals
from hub.store import changes

LIMIT = 15.0
"""Seconds at the median, from accepted to mirrored."""
IDLE_SECONDS = 35.0
"""Longer than the demo's slowest clock that reads a vendor often (intake, 30 s), so that it ran."""
PATIENCE = 120.0
"""Seconds after which a change that has not arrived is a failure of the measurement."""
GLANCE = 0.05
"""Seconds between two looks at a vendor: the resolution of the figures."""
STEP = 1_000
"""Impressions by which a goal is raised; the book's goals are whole thousands."""


class LatencyError(Exception):
    """A change did not arrive, so there is no figure; the message says which and how far it came."""


@dataclass(frozen=True, slots=True)
class Target:
    """A line to change: its canonical id, its CRM record, its order's id at the ad server, its present goal."""

    line_id: str
    record_id: str
    order_vendor_id: str
    goal: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One change: seconds from its acceptance to the ad server and to the CRM's mirror, and from the edit to the mirror."""

    ad_server: float
    mirror: float
    from_edit: float


def run(*, rounds: int, full: bool) -> list[Measurement]:
    """Ten generated orders and three changes a round; with `full`, 100 orders of the book and six changes a round.

    Raises LatencyError and what the demo's machinery raises.
    """
    book = chosen_book(None).first(100) if full else parse_order_book(generated_book(10), source="generated")
    each = 6 if full else 3
    with tempfile.TemporaryDirectory() as scratch, stopping_on_signals():
        state = Path(scratch) / "latency"
        state.mkdir()
        with running(state, clock_stops(book)[0], with_airflow=True, heard=lambda _: None) as machinery:
            targets = prepared(machinery, book)
            with _airflow(machinery) as api:
                trips = [
                    [raised(machinery, api, targets[(number * each + step) % len(targets)]) for step in range(each)]
                    for number in range(rounds)
                ]
                idle = resting(machinery, api)
    about = f"{len(book.orders)} orders, {len(book.lines)} lines, {rounds * each} single changes, Airflow with LocalExecutor"
    return [
        _measurement("accepted change to the ad server", trips, lambda trip: trip.ad_server, about),
        _measurement("accepted change to the CRM's mirror", trips, lambda trip: trip.mirror, about),
        idle,
    ]


def prepared(machinery: Machinery, book: OrderBook) -> list[Target]:
    """Let the book travel to the ad server; returns the lines that are live there, of as many orders as possible first."""
    begin = clock_stops(book)[0]
    machinery.people.prepare_vendors(book)
    machinery.people.set_time(begin)
    machinery.hub.set_business_time(begin)
    seeded = seed_crm(machinery.crm, book)
    machinery.engine.travel()
    machinery.people.attach_creatives()
    machinery.engine.come_back()  # what they changed at the ad server is mirrored before, not while a change is timed
    return targets_of(machinery, book, seeded)


def targets_of(machinery: Machinery, book: OrderBook, seeded: Seeded) -> list[Target]:
    """Lines with a goal that the ad server holds, round robin over the orders."""
    stage = Stage(book, machinery.hub, machinery.engine, machinery.people, machinery.crm)
    placed = {str(line["externalId"]): str(line["orderId"]) for line in images(stage)[0].lines.values()}
    ids = identify(book, seeded)
    by_order: dict[str, list[Target]] = {}
    for line_id, (_, line) in ids.lines.items():
        if line_id in placed:
            target = Target(line_id, ids.line_items[line_id], placed[line_id], goal_of(line))
            by_order.setdefault(ids.suspects[line_id][1], []).append(target)
    deepest = max((len(each) for each in by_order.values()), default=0)
    found = [each[depth] for depth in range(deepest) for each in by_order.values() if depth < len(each)]
    if not found:
        raise LatencyError("No line of the book is in the ad server, so there is nothing to change.")
    return found


def goal_of(line: BookLine) -> int:
    """The goal the CRM was given: impressions up to the next thousand."""
    return -(-line.impressions // 1_000) * 1_000


def raised(machinery: Machinery, api: AirflowApi, target: Target) -> Trip:
    """Raise a goal in the CRM, start the intake, and watch where it arrives. Raises LatencyError."""
    api.wait_until_at_rest(calm=1.0)
    goal = present_goal(machinery, target) + STEP
    edited = datetime.now(UTC)
    saved = machinery.crm.update("OpportunityLineItem", [{"Id": target.record_id, "Goal_Impressions__c": goal}])[0]
    if saved.id is None:
        raise LatencyError(f"The CRM refused the new goal of {target.record_id}: {saved.code} {saved.message}")
    api.trigger(f"intake__{SOURCE}")
    until = time.monotonic() + PATIENCE
    at_ad_server = _when(lambda: present_goal(machinery, target) == goal, until, f"{target.line_id} at the ad server")
    at_mirror = _when(lambda: mirrors(machinery, target, goal), until, f"{target.line_id} in the CRM")
    accepted = accepted_at(machinery, target, since=edited)
    return Trip(
        ad_server=(at_ad_server - accepted).total_seconds(),
        mirror=(max(at_mirror, at_ad_server) - accepted).total_seconds(),
        from_edit=(max(at_mirror, at_ad_server) - edited).total_seconds(),
    )


def present_goal(machinery: Machinery, target: Target) -> int:
    """The line item's units in the ad server's true state."""
    rows = machinery.people.ad_server.get(
        "state", type="LineItem", order_id=target.order_vendor_id, fields="externalId,primaryGoal"
    )
    return next(int(row["primaryGoal"]["units"]) for row in rows if row["externalId"] == target.line_id)


def mirrors(machinery: Machinery, target: Target, goal: int) -> bool:
    """Whether the CRM's user sees the new goal, and that it is no longer on its way."""
    soql = f"SELECT Hub_Status__c, Hub_Status_Text__c FROM OpportunityLineItem WHERE Id = '{target.record_id}'"
    row = next(iter(machinery.crm.query(soql)))
    return f" of {goal:,} " in str(row["Hub_Status_Text__c"]) and row["Hub_Status__c"] not in {"Sending", "In doubt"}


def accepted_at(machinery: Machinery, target: Target, *, since: datetime) -> datetime:
    """When the hub wrote the newest accepted change of the line down. Raises LatencyError when there is none."""
    with machinery.hub.session.database.transaction() as cur:
        rows = changes.of_entity(cur, [target.line_id])
    accepted = [row[0] for row in rows if row[4] == "accepted" and row[0] >= since]
    if not accepted:
        raise LatencyError(f"The hub holds no accepted change of {target.line_id} since {since}.")
    return accepted[-1]


def resting(machinery: Machinery, api: AirflowApi) -> Measurement:
    """Whether anything is written to a vendor while nothing happens; the schedules of the demo go on."""
    api.wait_until_at_rest()
    vendors = (machinery.people.ad_server, machinery.people.crm)
    for vendor in vendors:
        vendor.reset_calls()
    time.sleep(IDLE_SECONDS)
    calls = [call for vendor in vendors for call in vendor.calls()]
    count = float(writes(calls))
    return Measurement(
        name="vendor writes while idle",
        ratio=count,
        spread=(count, count),
        rounds=1,
        method=f"creates, updates and actions at {AD_SERVER} and {SOURCE} within {IDLE_SECONDS:g} s after all work came to rest",
        limit=0.0,
        sense="at_most",
        figures={"other_calls": other_calls(calls)},
        unit="calls",
    )


def _when(arrived: Callable[[], bool], until: float, what: str) -> datetime:
    while not arrived():
        if time.monotonic() > until:
            raise LatencyError(f"The change of {what} had not arrived after {PATIENCE:.0f} s.")
        time.sleep(GLANCE)
    return datetime.now(UTC)


@contextmanager
def _airflow(machinery: Machinery) -> Iterator[AirflowApi]:
    if machinery.url is None or machinery.password is None or not isinstance(machinery.engine, AirflowEngine):
        raise LatencyError("The machinery runs without Airflow, so there is nothing to measure.")
    api = AirflowApi(machinery.url, "admin", machinery.password)
    try:
        yield api
    finally:
        api.close()


def _measurement(
    name: str, trips: Sequence[Sequence[Trip]], seconds: Callable[[Trip], float], about: str
) -> Measurement:
    """The median over all changes; the spread is that of the rounds' medians, for the limit speaks of a median."""
    every = sorted(seconds(trip) for round_ in trips for trip in round_)
    medians = [statistics.median(seconds(trip) for trip in round_) for round_ in trips]
    return Measurement(
        name=name,
        ratio=round(statistics.median(every), 2),
        spread=(round(min(medians), 2), round(max(medians), 2)),
        rounds=len(trips),
        method=f"{about}; from the change's receipt by the hub to the vendor's true state, looked at every {GLANCE:g} s",
        limit=LIMIT,
        sense="at_most",
        figures={
            "changes": len(every),
            "fastest": round(every[0], 2),
            "slowest": round(every[-1], 2),
            "ninth_decile": round(every[min(len(every) - 1, len(every) * 9 // 10)], 2),
            "median_from_edit_to_mirror": round(statistics.median(t.from_edit for r in trips for t in r), 2),
        },
        unit="seconds",
    )
