"""The journey of an order book through two vendors and back, and the checks at its end.

Knows no processes: whoever starts the sandboxes and the hub (the demo, a test) hands over their ends. The engine that
lets the hub work is Airflow or this process itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cli.demo.control import WRITE_KINDS, Calls, SandboxControl, other_calls, writes
from cli.demo.crm_client import CrmClient
from cli.demo.crm_seed import Seeded, seed_crm
from cli.demo.engine import SOURCE, Engine
from cli.demo.figures import (
    BAD_INPUT,
    AdServerImage,
    Cause,
    CrmImage,
    by_id,
    changed_records,
    duplicates,
    fewest_calls,
    first_cause,
    live_lines,
    spend_difference,
    spend_of,
)
from cli.demo.order_book import BookLine, BookOrder, OrderBook
from cli.demo.people import People, TrueDelivery
from hub import Hub
from oms_schema.ids import EntityKind, canonical_id

HEAD_START = timedelta(days=1)
"""How long before the earliest flight the vendors' clocks start."""
AFTERMATH = timedelta(days=4)
"""Days after the last delivery until figures are final (billing terms: 3) and the last report is read."""
STOPS = (0.5,)
"""Where between the first flight and the last delivery the clock halts on its way, as shares of the span."""
MALFORMED_ROW = "malformed_row"
REFUSED_BY_CRM = "refused_by_crm"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the demo: its name, whether it held, and the figures behind it."""

    name: str
    held: bool
    detail: str


@dataclass
class Outcome:
    """What the journey came to; the field names are those of the demo's JSON."""

    orders: int = 0
    lines: int = 0
    lines_live: int = 0
    lines_usable: int = 0
    """Lines whose row has a price, something to deliver and time to do it; its names may still be refused."""
    duplicates: int = 0
    parked: dict[str, int] = field(default_factory=dict)
    delivered: int = 0
    delivered_in_file: int = 0
    delivered_in_whole_file: int = 0
    mirrored: int = 0
    second_run_writes: int = 0
    vendor_calls: int = 0
    fewest_calls: int = 0
    vendor_calls_by_operation: dict[str, int] = field(default_factory=dict)
    fewest_calls_by_operation: dict[str, int] = field(default_factory=dict)
    other_calls: dict[str, int] = field(default_factory=dict)
    spend_difference: dict[str, str] = field(default_factory=dict)
    spend_parked: dict[str, str] = field(default_factory=dict)
    """By currency, the file's spend of readable lines that are not live: they bill nothing."""
    not_placed: int = 0
    told_order: str | None = None
    """Canonical id of the order whose trace is worth showing."""
    checks: list[Check] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return all(check.held for check in self.checks)


@dataclass(frozen=True)
class Stage:
    """Everything the journey needs, already running. `heard` is told what happens, for a person to read."""

    book: OrderBook
    hub: Hub
    engine: Engine
    people: People
    crm: CrmClient
    faults: bool = False
    heard: Callable[[str], None] = lambda sentence: None

    @property
    def vendors(self) -> tuple[SandboxControl, SandboxControl]:
        """The ad server and the CRM."""
        return self.people.ad_server, self.people.crm


@dataclass(frozen=True, slots=True)
class Ids:
    """What the book's orders and lines are called by the hub; the canonical ids are pure functions of the CRM's."""

    orders: Mapping[str, BookOrder]
    lines: Mapping[str, tuple[BookOrder, BookLine]]
    opportunities: Mapping[str, str]
    line_items: Mapping[str, str]
    suspects: Mapping[str, Sequence[str]]


def play(stage: Stage) -> Outcome:
    """Let the whole book travel and come back, then count. Raises what the engine, the hub and the sandboxes raise."""
    schedule = clock_stops(stage.book)
    stage.people.prepare_vendors(stage.book)
    _pass_time(stage, schedule[0])
    seeded = seed_crm(stage.crm, stage.book)
    stage.heard(f"The CRM holds {len(seeded.opportunities)} won deals with {len(seeded.lines)} lines.")
    for vendor in stage.vendors:
        vendor.reset_calls()
    if stage.faults:
        stage.people.misbehave()
    cycles: list[Mapping[tuple[str, str], int]] = []
    before = images(stage)

    def cycle_ends() -> None:
        nonlocal before
        after = images(stage)
        cycles.append(changed_records(before, after))
        before = after

    def mirrored() -> None:
        """The CRM alone: while the first push is under way the ad server's cycle is not over."""
        nonlocal before
        after = before[0], crm_image(stage)
        cycles.append(changed_records(before, after))
        before = after

    stage.engine.travel(mirrored)
    cycle_ends()
    stage.heard(f"{len(before[0].lines)} line items are in the ad server.")
    stage.people.attach_creatives()
    ids = identify(stage.book, seeded)
    stage.people.see_ads(true_delivery(stage.book, ids, live=set(_by_external_id(before[0]))))
    for stop in schedule[1:]:
        _pass_time(stage, stop)
        stage.engine.come_back(cycle_ends)
        stage.heard(f"It is {stop:%d %B %Y}: {stage.hub.status().delivered:,} impressions delivered.")
    calls = [call for vendor in stage.vendors for call in vendor.calls()]
    if stage.faults:
        stage.people.behave()
    outcome = count(stage, ids, seeded, before[0], calls, cycles)
    outcome.second_run_writes = second_run(stage)
    outcome.checks = checks(outcome, per_order_differences(stage, ids))
    return outcome


def clock_stops(book: OrderBook) -> list[datetime]:
    """When the clock halts: a day before the first flight, on the way, and after everything is final."""
    begin, end = book.first_start, last_delivery(book)
    return [begin - HEAD_START, *(begin + share * (end - begin) for share in STOPS), end + AFTERMATH]


def last_delivery(book: OrderBook) -> datetime:
    """Until when lines without an end deliver: a day after the last instant that the book names."""
    return book.last_instant + timedelta(days=1)


def identify(book: OrderBook, seeded: Seeded) -> Ids:
    """Names of everything in the book that reached the CRM."""
    orders: dict[str, BookOrder] = {}
    lines: dict[str, tuple[BookOrder, BookLine]] = {}
    opportunities: dict[str, str] = {}
    line_items: dict[str, str] = {}
    suspects: dict[str, Sequence[str]] = {}
    for order in book.orders:
        opportunity = seeded.opportunities.get(order.key)
        if opportunity is None:
            continue
        order_id = canonical_id(EntityKind.ORDER, SOURCE, opportunity)
        orders[order_id] = order
        opportunities[order_id] = opportunity
        accounts = [seeded.accounts.get(name) for name in (order.key.advertiser, order.key.agency)]
        parties = [canonical_id(EntityKind.PARTY, SOURCE, account) for account in accounts if account]
        for line in order.lines:
            if line.ad_id in seeded.lines:
                line_id = canonical_id(EntityKind.LINE, SOURCE, seeded.lines[line.ad_id])
                lines[line_id] = (order, line)
                line_items[line_id] = seeded.lines[line.ad_id]
                suspects[line_id] = (line_id, order_id, *parties)
    return Ids(orders, lines, opportunities, line_items, suspects)


def true_delivery(book: OrderBook, ids: Ids, live: set[str]) -> list[TrueDelivery]:
    """What each line in the ad server will deliver: the impressions of its row, over its flight."""
    until = last_delivery(book)
    return [
        TrueDelivery(line_id, line.start, line.flight_end or until, line.delivers)
        for line_id, (_, line) in ids.lines.items()
        if line_id in live and line.has_time
    ]


def images(stage: Stage) -> tuple[AdServerImage, CrmImage]:
    """The true state of both vendors now."""
    ad_server = stage.people.ad_server
    return AdServerImage(*(by_id(ad_server.objects(name)) for name in ("Company", "Order", "LineItem"))), crm_image(
        stage
    )


def crm_image(stage: Stage) -> CrmImage:
    """The true state of the CRM now."""
    return CrmImage(*(by_id(stage.people.crm.objects(name), "Id") for name in ("Opportunity", "OpportunityLineItem")))


def count(
    stage: Stage,
    ids: Ids,
    seeded: Seeded,
    ad_server: AdServerImage,
    calls: Sequence[Calls],
    cycles: Sequence[Mapping[tuple[str, str], int]],
) -> Outcome:
    """The figures, by their definitions in the README."""
    book = stage.book
    live = live_lines(ad_server)
    fewest = fewest_calls(cycles)
    live_ids = [line_id for line_id in ids.lines if live.get(line_id)]
    live_ads = {ids.lines[line_id][1].ad_id for line_id in live_ids}
    delivered = delivered_by_hub(stage.hub, list(ids.lines))
    return Outcome(
        orders=len(book.orders),
        lines=len(book.lines) + len(book.refused),
        lines_live=len(live_ids),
        lines_usable=sum(line.usable for order in book.orders if order.key.advertiser for line in order.lines),
        duplicates=duplicates(ad_server),
        parked=parked_by_reason(book, ids, seeded, parked_causes(stage.hub), set(live_ids)),
        delivered=sum(delivered.values()),
        delivered_in_file=sum(ids.lines[line_id][1].delivers for line_id in live_ids),
        delivered_in_whole_file=sum(line.impressions for line in book.lines),
        mirrored=sum(mirrored(stage.crm, "Opportunity").values()),
        vendor_calls=writes(calls),
        fewest_calls=sum(fewest.values()),
        vendor_calls_by_operation={each.operation: each.calls for each in calls if each.kind in WRITE_KINDS},
        fewest_calls_by_operation=fewest,
        other_calls=other_calls(calls),
        spend_difference=spend_difference(
            (order.key.currency, line, delivered.get(line_id, 0))
            for line_id, (order, line) in ids.lines.items()
            if live.get(line_id)
        ),
        spend_parked=spend_of(
            (order.key.currency, line) for order in book.orders for line in order.lines if line.ad_id not in live_ads
        ),
        not_placed=len(seeded.unplaced),
        told_order=_worth_telling(Counter(ids.suspects[line_id][1] for line_id in live_ids)),
    )


def parked_by_reason(
    book: OrderBook, ids: Ids, seeded: Seeded, causes: Mapping[str, Cause], live: set[str]
) -> dict[str, int]:
    """How many lines are not live, by the reason why; a line without a reason is `unexplained`."""
    found: Counter[str] = Counter()
    if book.refused:
        found[MALFORMED_ROW] = len(book.refused)
    if seeded.refused:
        found[REFUSED_BY_CRM] = len(seeded.refused)
    for line_id, suspects in ids.suspects.items():
        if line_id not in live:
            cause = first_cause(causes, suspects)
            found[UNEXPLAINED if cause is None else cause.word] += 1
    return dict(sorted(found.items()))


def parked_causes(hub: Hub) -> dict[str, Cause]:
    """Why each parked entity is parked, by its id; the first item of each holds."""
    causes: dict[str, Cause] = {}
    for item in hub.parked():
        causes.setdefault(item.entity_id, Cause(item.reason, item.code, item.connection))
    return causes


def delivered_by_hub(hub: Hub, line_ids: Sequence[str]) -> dict[str, int]:
    """Impressions the hub holds, by canonical line id."""
    return dict(hub.delivered(line_ids))


def mirrored(crm: CrmClient, record: str) -> dict[str, int]:
    """What the CRM shows as delivered, by record id; read back through its own API."""
    soql = f"SELECT Id, Hub_Delivered__c FROM {record} WHERE Hub_Delivered__c != null"  # noqa: S608 - one of two names
    return {str(row["Id"]): int(row["Hub_Delivered__c"]) for row in crm.query(soql)}


def per_order_differences(stage: Stage, ids: Ids) -> list[str]:
    """Orders whose delivered number differs between file, hub, CRM order and the CRM's lines; a sentence for each."""
    delivered = delivered_by_hub(stage.hub, list(ids.lines))
    orders, lines = mirrored(stage.crm, "Opportunity"), mirrored(stage.crm, "OpportunityLineItem")
    live = live_lines(images(stage)[0])
    sums: dict[str, list[int]] = {
        order_id: [0, 0, orders.get(id_, 0), 0] for order_id, id_ in ids.opportunities.items()
    }
    order_of = {line_id: suspects[1] for line_id, suspects in ids.suspects.items()}
    for line_id, (_, line) in ids.lines.items():
        numbers = sums[order_of[line_id]]
        numbers[0] += line.delivers if line_id in live else 0
        numbers[1] += delivered.get(line_id, 0)
        numbers[3] += lines.get(ids.line_items[line_id], 0)
    return [
        f"{ids.orders[order_id].key}: file {numbers[0]}, hub {numbers[1]}, CRM order {numbers[2]}, CRM lines {numbers[3]}"
        for order_id, numbers in sums.items()
        if len(set(numbers)) > 1
    ]


def second_run(stage: Stage) -> int:
    """The same work again, clocks held, everything drained before: how many vendor writes that costs."""
    stage.people.hold_time(True)
    for vendor in stage.vendors:
        vendor.reset_calls()
    stage.engine.travel()
    stage.engine.come_back()
    written = sum(writes(vendor.calls()) for vendor in stage.vendors)
    stage.people.hold_time(False)
    return written


def checks(outcome: Outcome, differences: Sequence[str]) -> list[Check]:
    """What the demo promises, each with its figures."""
    parked = sum(outcome.parked.values())
    allowed = BAD_INPUT | {MALFORMED_ROW, REFUSED_BY_CRM}
    strange = {reason: number for reason, number in outcome.parked.items() if reason not in allowed}
    sums = (outcome.delivered_in_file, outcome.delivered, outcome.mirrored)
    return [
        Check(
            "every line is live or parked",
            outcome.lines == outcome.lines_live + parked,
            f"{outcome.lines} = {outcome.lines_live} live + {parked} parked",
        ),
        Check(
            "usable lines are live",
            outcome.lines_live > 0 or outcome.lines_usable == 0,
            f"{outcome.lines_usable} of the file's lines are usable, {outcome.lines_live} lines are live",
        ),
        Check("every parked line has a bad-input reason", not strange, _words(outcome.parked)),
        Check("nothing is doubled", outcome.duplicates == 0, f"{outcome.duplicates} duplicates"),
        Check(
            "file, hub and CRM agree on what was delivered",
            len(set(sums)) == 1,
            f"file {sums[0]:,}, hub {sums[1]:,}, CRM {sums[2]:,}",
        ),
        Check("… and order by order", not differences, "; ".join(differences[:3]) or "no order differs"),
        Check("a second run writes nothing", outcome.second_run_writes == 0, f"{outcome.second_run_writes} writes"),
    ]


_NOT_FIGURES = {"checks", "told_order"}


def outcome_as_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome for the last line of `--json`."""
    data = {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__ if name not in _NOT_FIGURES}
    return {**data, "checks": {check.name: check.held for check in outcome.checks}, "held": outcome.held}


def _pass_time(stage: Stage, now: datetime) -> None:
    """Forward only: a demo that goes on from an earlier one must not turn the vendors' clocks back."""
    later = max(now, *(vendor.now() for vendor in stage.vendors)) if _was_played(stage) else now
    stage.people.set_time(later)
    stage.hub.set_business_time(later)


def _was_played(stage: Stage) -> bool:
    return bool(stage.people.ad_server.objects("Order"))


def _worth_telling(lines_by_order: Counter[str]) -> str | None:
    """The first order with two or three live lines: enough to see, few enough to read; else the smallest."""
    short = (order_id for order_id, lines in lines_by_order.items() if 2 <= lines <= 3)
    return next(short, min(lines_by_order, key=lines_by_order.__getitem__, default=None))


def _by_external_id(image: AdServerImage) -> dict[str, str]:
    return {str(line["externalId"]): id_ for id_, line in image.lines.items() if line.get("externalId")}


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in counts.items()) or "nothing is parked"
