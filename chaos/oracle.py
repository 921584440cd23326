"""The verdict, from the vendors' true state: what is doubled, what is lost, which references lie, what is still under way.

What should be at the ad server is told by what the CRM holds, not by what the hub believes. Excused is only what the hub
shows as parked because of bad input; anything else that stays parked at rest, after a replay, is a loss with a notice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from chaos.ground import Ground
from cli.demo.engine import AD_SERVER, SOURCE
from cli.demo.figures import AdServerImage, by_id, duplicates, order_mark
from hub import Hub
from hub.results import ParkedItem
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.problems import Reason

Native = Mapping[str, Any]
BAD_INPUT = frozenset({Reason.VALIDATION, Reason.PICKLIST, Reason.LENGTH, Reason.MAPPING, Reason.REFERENCE_MISSING})
"""Why a record may stay parked: no replay can send what its source wrote wrongly."""
ORDER_TOKEN = 12
"""Characters of an order's id that stand in its name."""


@dataclass
class Verdict:
    """Sentences about everything that is not as promised."""

    duplicates: int = 0
    lost: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    under_way: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    parked: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    lines: int = 0
    documents: int = 0

    @property
    def held(self) -> bool:
        """Whether everything is as promised."""
        return not (self.duplicates or self.lost or self.stuck or self.references or self.under_way or self.history)

    def sentences(self) -> list[str]:
        """All that is wrong."""
        doubled = [f"{self.duplicates} vendor objects beyond one per canonical object"] if self.duplicates else []
        return [*doubled, *self.lost, *self.stuck, *self.references, *self.under_way, *self.history]


@dataclass(frozen=True)
class Crm:
    """The CRM's true records by id, deleted ones left out."""

    accounts: Mapping[str, Native]
    orders: Mapping[str, Native]
    lines: Mapping[str, Native]


def ask(ground: Ground) -> Verdict:
    """Compare both vendors and the hub's store, all at rest."""
    ad_server = AdServerImage(*(by_id(ground.people.ad_server.objects(n)) for n in ("Company", "Order", "LineItem")))
    crm = Crm(*(_living(ground.people.crm.objects(n)) for n in ("Account", "Opportunity", "OpportunityLineItem")))
    hub = ground.hub
    items = hub.parked()
    parked = excused_entities(items)
    verdict = Verdict(duplicates=duplicates(ad_server), orders=len(crm.orders), lines=len(crm.lines))
    verdict.parked = counted(items)
    verdict.stuck += stuck(items)
    verdict.lost += lost_at_ad_server(crm, ad_server, parked)
    verdict.lost += lost_in_mirror(hub, crm, ad_server, parked)
    verdict.lost += not_in_step(hub)
    verdict.references += wrong_references(hub, ad_server)
    verdict.under_way += still_under_way(hub)
    verdict.history += broken_history(hub)
    return verdict


def excused_entities(items: Sequence[ParkedItem]) -> frozenset[str]:
    """Entities that wait for a person because what their source says cannot be sent."""
    return frozenset(item.entity_id for item in items if item.reason in BAD_INPUT)


def counted(items: Sequence[ParkedItem]) -> dict[str, int]:
    """Parked items by reason and code."""
    return dict(Counter(f"{item.reason} {item.code}" for item in items))


def stuck(items: Sequence[ParkedItem]) -> list[str]:
    """What is parked for another reason than bad input: the faults are over, and a replay did not help."""
    return [
        f"stuck: {item.kind} {item.entity_id} at {item.connection} stays parked ({item.reason} {item.code}): {item.sentence}"
        for item in items
        if item.reason not in BAD_INPUT
    ]


def lost_at_ad_server(crm: Crm, ad_server: AdServerImage, parked: frozenset[str]) -> list[str]:
    """What the CRM sold and the ad server lacks or holds otherwise, unless it is parked."""
    found: list[str] = []
    lines = _by_mark(ad_server.lines, lambda line: str(line.get("externalId") or ""))
    orders = _by_mark(ad_server.orders, lambda order: _mark("Order", order))
    companies = {(str(c.get("externalId")), c.get("type")): c for c in ad_server.companies.values()}
    for native_id, opportunity in crm.orders.items():
        order_id = canonical_id(EntityKind.ORDER, SOURCE, native_id)
        accounts = [opportunity.get(name) for name in ("AccountId", "Agency__c") if opportunity.get(name)]
        parties = [canonical_id(EntityKind.PARTY, SOURCE, str(account)) for account in accounts]
        sold = [line for line in crm.lines.values() if line["OpportunityId"] == native_id]
        excused = order_id in parked or bool(parked.intersection(parties))
        if not opportunity.get("IsWon"):
            found += _wrongly_live(order_id, orders, opportunity, excused)
            continue
        placed = 0
        for line in sold:
            line_id = canonical_id(EntityKind.LINE, SOURCE, str(line["Id"]))
            if excused or line_id in parked:
                continue
            placed += 1
            found += _line_differs(line_id, line, lines.get(line_id, []))
        if not placed:
            continue
        found += _order_differs(order_id, opportunity, orders.get(_expected("Order", order_id), []))
        for account, party, kind in zip(accounts, parties, ("ADVERTISER", "AGENCY"), strict=False):
            name = str(crm.accounts[str(account)]["Name"])
            company = companies.get((party, kind))
            if company is None:
                found.append(f"lost: {kind} {party} ({name}) is not at the ad server")
            elif _squeezed(str(company["name"])) != _squeezed(name):
                found.append(f"lost: {kind} {party} is named {company['name']!r}, the CRM says {name!r}")
    return found


def _line_differs(line_id: str, line: Native, there: Sequence[Native]) -> list[str]:
    if not there:
        return [f"lost: line {line_id} is not at the ad server"]
    goal = int(there[0]["primaryGoal"]["units"])
    micros = int(there[0]["costPerUnit"]["microAmount"])
    wanted_goal = int(line["Goal_Impressions__c"])
    wanted_micros = int((Decimal(str(line["CPM__c"])) * 1_000_000).to_integral_value(ROUND_HALF_UP))
    found = []
    if goal != wanted_goal:
        found.append(f"lost: line {line_id} has goal {goal}, the CRM says {wanted_goal}")
    if micros != wanted_micros:
        found.append(f"lost: line {line_id} has rate {micros}, the CRM says {wanted_micros}")
    return found


def _order_differs(order_id: str, opportunity: Native, there: Sequence[Native]) -> list[str]:
    if not there:
        return [f"lost: order {order_id} is not at the ad server"]
    found = []
    for order in there:
        if (order.get("poNumber") or None) != (opportunity.get("PO_Number__c") or None):
            found.append(
                f"lost: order {order_id} has number {order.get('poNumber')}, the CRM says {opportunity.get('PO_Number__c')}"
            )
        if order.get("status") != "APPROVED":
            found.append(f"lost: order {order_id} is {order.get('status')}, and all its lines are settled")
    return found


def _wrongly_live(
    order_id: str, orders: Mapping[str, Sequence[Native]], opportunity: Native, excused: bool
) -> list[str]:
    """A lost deal may not go on at the ad server."""
    live = [order for order in orders.get(_expected("Order", order_id), []) if not order.get("isArchived")]
    if excused or not live or not opportunity.get("IsClosed"):
        return []
    return [f"lost: the deal of order {order_id} was lost, and the order is {live[0].get('status')} at the ad server"]


def lost_in_mirror(hub: Hub, crm: Crm, ad_server: AdServerImage, parked: frozenset[str]) -> list[str]:
    """What the CRM user should see and does not: the version of the order, the ids at the ad server."""
    found: list[str] = []
    versions = {str(row[0]): int(row[1]) for row in hub.session.database.rows("SELECT id, version FROM entity")}
    places: dict[str, list[str]] = {}
    for vendor_id, line in ad_server.lines.items():
        places.setdefault(str(line.get("externalId") or ""), []).append(f"{AD_SERVER}:{vendor_id}")
    for native_id, opportunity in crm.orders.items():
        order_id = canonical_id(EntityKind.ORDER, SOURCE, native_id)
        if order_id not in versions or order_id in parked:
            continue
        shown = opportunity.get("Hub_Version__c")
        if shown is None or int(shown) != versions[order_id]:
            found.append(f"lost: the CRM shows version {shown} of order {order_id}, the hub has {versions[order_id]}")
    for native_id, line in crm.lines.items():
        line_id = canonical_id(EntityKind.LINE, SOURCE, native_id)
        if line_id not in versions or line_id in parked:
            continue
        shown = line.get("Hub_Ad_Server_Id__c") or ""
        if shown != ", ".join(places.get(line_id, [])):
            found.append(f"lost: the CRM shows {shown!r} for line {line_id}, the ad server has {places.get(line_id)}")
    return found


def not_in_step(hub: Hub) -> list[str]:
    """Lanes whose vendor was never told the newest, with what is known of their last try."""
    rows = hub.session.database.rows(
        "SELECT l.connection, l.kind, l.entity_id, l.state, l.tries, l.not_before, last.outcome, last.code FROM lane l "
        "LEFT JOIN LATERAL (SELECT outcome, code FROM attempt WHERE lane_id = l.id ORDER BY id DESC LIMIT 1) last ON true "
        "WHERE l.desired_hash IS DISTINCT FROM l.acked_hash AND l.state <> 'parked' ORDER BY l.id"
    )
    # A record that points to a parked one waits with it.
    waiting = {str(item.entity_id) for item in hub.plan().items if item.action in {"waiting", "blocked"}}
    return [
        f"lost: {kind} {entity} at {connection} is {state} and not sent (tries {tries}, due {due or 'now'}, last answer "
        f"{outcome or 'none'} {code or ''})"
        for connection, kind, entity, state, tries, due, outcome, code in rows
        if entity not in waiting
    ]


def wrong_references(hub: Hub, ad_server: AdServerImage) -> list[str]:
    """References to nothing or to somebody else's object, and objects of ours that nothing refers to."""
    rows = hub.session.database.rows(
        "SELECT record, entity_id, facet, vendor_id FROM reference WHERE connection = %s AND superseded_at IS NULL",
        (AD_SERVER,),
    )
    tables: Mapping[str, Mapping[str, Native]] = {
        "Company": ad_server.companies,
        "Order": ad_server.orders,
        "LineItem": ad_server.lines,
    }
    found: list[str] = []
    referred: set[tuple[str, str]] = set()
    for record, entity_id, facet, vendor_id in rows:
        native = tables[record].get(vendor_id)
        if native is None:
            found.append(f"reference: {entity_id} points to {record} {vendor_id}, which does not exist")
        elif _mark(record, native) != _expected(record, entity_id):
            found.append(f"reference: {entity_id} points to {record} {vendor_id}, marked {_mark(record, native)!r}")
        elif (record, vendor_id) in referred:
            found.append(f"reference: {record} {vendor_id} is referred to twice ({entity_id} {facet})")
        referred.add((record, vendor_id))
    for record, table in tables.items():
        for vendor_id, native in table.items():
            if _mark(record, native) and (record, vendor_id) not in referred:
                found.append(f"reference: nothing refers to {record} {vendor_id} of {_mark(record, native)}")
    return found


def still_under_way(hub: Hub) -> list[str]:
    """Lanes and attempts whose end nobody wrote down."""
    database = hub.session.database
    lanes = database.rows(
        "SELECT connection, kind, entity_id, state FROM lane WHERE state IN ('in_flight', 'in_doubt') ORDER BY id"
    )
    attempts = database.rows(
        "SELECT l.connection, l.kind, l.entity_id, a.id FROM attempt a JOIN lane l ON l.id = a.lane_id "
        "WHERE a.outcome IS NULL ORDER BY a.id"
    )
    return [f"under way: {row[1]} {row[2]} at {row[0]} is {row[3]}" for row in lanes] + [
        f"under way: attempt {row[3]} for {row[1]} {row[2]} at {row[0]} has no outcome" for row in attempts
    ]


def broken_history(hub: Hub) -> list[str]:
    """Attempts that overlapped: a second one for the same lane before the first one's outcome was written down.

    What a look-up found out later of an attempt in doubt is its last outcome; the audit chain knows when it had its first.
    """
    rows = hub.session.database.rows(
        "SELECT l.connection, l.kind, l.entity_id, b.id FROM attempt a JOIN attempt b ON b.lane_id = a.lane_id AND b.id > a.id "
        "JOIN lane l ON l.id = a.lane_id WHERE b.invoked_at < a.finished_at AND NOT EXISTS (SELECT 1 FROM audit e "
        "WHERE e.subject = 'attempt:' || a.id AND convert_from(e.event, 'UTF8')::jsonb ->> 'what' = 'attempt finished' "
        "AND e.at <= b.invoked_at) ORDER BY b.id"
    )
    return [f"history: attempt {row[3]} for {row[1]} {row[2]} at {row[0]} began before the last ended" for row in rows]


def _mark(record: str, native: Native) -> str:
    """What our objects carry: an order the token of its id in its name, without the number of its part."""
    if record == "Order":
        return order_mark(native).partition(" ")[0]
    return str(native.get("externalId") or "")


def _expected(record: str, entity_id: str) -> str:
    """The mark of an entity's object; an order's is the beginning of its id (mapping `gam.order`)."""
    return entity_id.partition("_")[2][:ORDER_TOKEN] if record == "Order" else entity_id


def _by_mark(table: Mapping[str, Native], mark: Any) -> dict[str, list[Native]]:
    found: dict[str, list[Native]] = {}
    for native in table.values():
        found.setdefault(mark(native), []).append(native)
    return found


def _living(records: Sequence[Native]) -> dict[str, Native]:
    return {str(record["Id"]): record for record in records if not record.get("IsDeleted")}


def _squeezed(name: str) -> str:
    """A name without what cannot be seen: the hub writes visible text only."""
    return "".join(character for character in name if character.isalnum() and ord(character) <= 0xFFFF).casefold()
