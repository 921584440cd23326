"""A simulated ad server: its true state, its rules, and every way in which its answers may lie.

Rules (Google Ad Manager's, as far as the engine depends on them): company names are unique per type, order names in the
network, archived orders included; line items are not unique; a call is applied whole or not at all; an archived object
refuses changes; approving an order readies its lines. An invoice's idempotency key is known for `key_age`:
until then the same key gives the same invoice, later a second one; credit memos know no keys. A request may be applied after its
caller gave up, but no later than `max_in_flight` after its attempt; a new object may be hidden from look-ups for `index_lag`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from connectors.base import CreateProtocol, DeliveryRow, Native, Operation, Outcome, PushItem, PushResult
from simulation.terms import Terms

Address = tuple[str, str, str]
"""(kind, entity id, facet): which vendor object of which canonical entity."""
Marker = tuple[str, ...]

OWNED = {
    "Company": frozenset({"name", "type", "externalId"}),
    "Order": frozenset({"name", "advertiserId", "agencyId", "traffickerId", "poNumber", "notes"}),
    "LineItem": frozenset(
        {
            "orderId", "name", "externalId", "lineItemType", "startDateTime", "endDateTime", "unlimitedEndDateTime",
            "costType", "costPerUnit", "primaryGoal", "creativePlaceholders", "creativeRotationType", "targeting", "notes",
        }
    ),
    "Invoice": frozenset({"number", "total_micros", "currency"}),
    "CreditMemo": frozenset({"number", "total_micros", "currency"}),
}  # fmt: skip
"""What the hub may write here; written down apart from the mappings, so that a mapping cannot widen it unseen."""
CREATE_ONLY = {"Company": frozenset({"type"}), "Order": frozenset(), "LineItem": frozenset({"orderId"})}
DOCUMENTS = ("Invoice", "CreditMemo")
"""Records that are posted and never changed, as an ERP takes them."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What the store says about one item that is being sent."""

    address: Address
    lane_kind: str
    version: int
    invoked_at: datetime


@dataclass(slots=True)
class Thing:
    """One object at the vendor. `address` is the entity it was created for, None for somebody else's."""

    id: str
    record: str
    fields: dict[str, Any]
    visible_at: datetime
    address: Address | None
    status: str = "DRAFT"
    archived: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    """Fields that a person changed here after the hub wrote them, each with the number of the edit."""
    archived_by_person: bool = False

    def native(self) -> dict[str, Any]:
        """As a query shows it."""
        return {
            **self.fields,
            "id": self.id,
            "status": self.status,
            "isArchived": self.archived,
            "isMissingCreatives": False,
        }


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A request that its caller gave up and that is still going to be applied."""

    due: datetime
    number: int
    record: str
    operation: Operation
    items: tuple[PushItem, ...]
    intents: tuple[Intent, ...]
    lag: float


@dataclass(slots=True)
class Report:
    """One report job: the truth at the time it was asked for, and how often it is still running."""

    rows: list[DeliveryRow]
    polls: int
    failed: bool


class AdServer:
    """True state. Only the connector of a worker, the disturber and the checker touch it."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.things: dict[str, dict[str, Thing]] = {record: {} for record in OWNED}
        self.under_way: list[UnderWay] = []
        self.applied = 0
        self.broken: list[tuple[str, str]] = []
        """(invariant, sentence) of what happened here against the promises."""
        self.misses: list[tuple[datetime, str, Marker]] = []
        """Look-ups that were answered with "not found": when, record, marker."""
        self.taken: set[tuple[str, Marker]] = set()
        """Unique markers that a look-up showed to be a stranger's: nothing of ours can be created under them."""
        self.calls: list[datetime] = []
        self.delivered: dict[tuple[str, date], int] = {}
        self.foreign: set[str] = set()
        self.reports: dict[str, Report] = {}
        self.edits = 0
        """Edits of people so far."""
        self.visible: int | None = None
        """How many of them the worker whose request is being applied could see when it began; None while late ones are."""
        self._ids = itertools.count(1001)
        self._numbers = itertools.count(1)
        self._keys: dict[str, tuple[str, datetime]] = {}

    # ---------------------------------------------------------------- what is there
    def thing(self, record: str, vendor_id: str | None) -> Thing | None:
        """One object by id."""
        return self.things[record].get(vendor_id or "")

    def live(self, record: str | None = None) -> Iterator[Thing]:
        """Objects that are not archived."""
        for name, table in self.things.items():
            if record in {None, name}:
                yield from (thing for thing in table.values() if not thing.archived)

    def units_of(self, vendor_id: str) -> int:
        """Units that a line, or an order through its lines, delivered so far."""
        order = {line.id: str(line.fields.get("orderId")) for line in self.things["LineItem"].values()}
        return sum(units for (line, _), units in self.delivered.items() if vendor_id in {line, order.get(line)})

    def stranger(self, fields: Mapping[str, Any], now: datetime) -> None:
        """A company that somebody else books by hand, unless one of this name and type is there."""
        taken = [self.marker("Company", thing.fields) for thing in self.things["Company"].values()]
        if self.marker("Company", fields) not in taken:
            vendor_id = str(next(self._ids))
            self.things["Company"][vendor_id] = Thing(vendor_id, "Company", dict(fields), now, None)

    @staticmethod
    def marker(record: str, payload: Mapping[str, Any]) -> Marker:
        """What a look-up goes by."""
        if record == "Company":
            return str(payload.get("name")), str(payload.get("type"))
        if record == "Order":
            return (str(payload.get("name")),)
        if record in DOCUMENTS:
            return (str(payload.get("number")),)
        return str(payload.get("orderId")), str(payload.get("externalId"))

    def find(self, record: str, items: Sequence[PushItem], now: datetime) -> list[tuple[str, Native] | None]:
        """By marker, as far as the index shows it; a live object is preferred, then the oldest."""
        found: list[tuple[str, Native] | None] = []
        for item in items:
            wanted = self.marker(record, item.payload)
            hits = [
                thing
                for thing in self.things[record].values()
                if thing.visible_at <= now and self.marker(record, thing.fields) == wanted
            ]
            hits.sort(key=lambda thing: (thing.archived, int(thing.id)))
            found.append((hits[0].id, hits[0].native()) if hits else None)
            if not hits:
                self.misses.append((now, record, wanted))
            elif self._unique(record) and hits[0].address is None:
                self.taken.add((record, wanted))
        return found

    # ---------------------------------------------------------------- writes
    def apply(
        self,
        record: str,
        operation: Operation,
        items: Sequence[PushItem],
        intents: Sequence[Intent],
        now: datetime,
        lag: float,
        refused: Mapping[int, PushResult] | None = None,
    ) -> list[PushResult]:
        """One call, whole or not at all; `refused` are items that the vendor finds fault with this time."""
        verdicts = dict(refused or {})
        for at, item in enumerate(items):
            if at not in verdicts and (verdict := self._fault(record, operation, item, items[:at], now)) is not None:
                verdicts[at] = verdict
        if verdicts:
            return [
                verdicts.get(at)
                or PushResult(item.key, Outcome.RETRY, item.vendor_id, "BATCH-ATOMIC", "not written", after=0.0)
                for at, item in enumerate(items)
            ]
        return [
            self._do(record, operation, item, intent, now, lag) for item, intent in zip(items, intents, strict=True)
        ]

    def _fault(
        self, record: str, operation: Operation, item: PushItem, before: Sequence[PushItem], now: datetime
    ) -> PushResult | None:
        if operation is Operation.CREATE:
            if self._known_key(record, item.key, now) is not None:
                return None
            others = [self.marker(record, thing.fields) for thing in self.things[record].values()]
            others += [self.marker(record, other.payload) for other in before]
            if self._unique(record) and self.marker(record, item.payload) in others:
                return PushResult(item.key, Outcome.IN_DOUBT, code="UniqueError.NOT_UNIQUE", reason="duplicate")
            if record == "LineItem":
                order = self.thing("Order", str(item.payload.get("orderId")))
                if order is None:
                    return _rejected(item, "CommonError.NOT_FOUND", "reference_missing")
                if order.archived:
                    return _rejected(item, "OrderError.UPDATE_ARCHIVED_ORDER_NOT_ALLOWED", "vendor_state")
            return None
        thing = self.thing(record, item.vendor_id)
        if thing is None or (operation is Operation.UPDATE and thing.visible_at > now):  # an update looks first
            return _rejected(item, "CommonError.NOT_FOUND", "reference_missing")
        if operation is Operation.UPDATE:
            if all(thing.fields.get(name) == value for name, value in item.payload.items()):
                return None
            if thing.archived:
                return _rejected(item, f"{record}Error.UPDATE_ARCHIVED_NOT_ALLOWED", "vendor_state")
            wanted = self.marker(record, {**thing.fields, **item.payload})
            if self._unique(record) and any(
                self.marker(record, other.fields) == wanted
                for other in self.things[record].values()
                if other.id != thing.id
            ):
                return _rejected(item, "UniqueError.NOT_UNIQUE", "duplicate")
            return None
        if thing.archived and not str(item.action).startswith("Archive"):
            return _rejected(item, "OrderActionError.IS_ARCHIVED", "vendor_state")
        return None

    def _unique(self, record: str) -> bool:
        if record == "LineItem":
            return self.terms.line_protocol is CreateProtocol.UNIQUE_FIELD
        return record not in DOCUMENTS

    def _known_key(self, record: str, key: str, now: datetime) -> str | None:
        """The invoice that was made under a key, as long as the vendor remembers."""
        known = self._keys.get(key) if record == "Invoice" else None
        return known[0] if known is not None and now < known[1] + timedelta(seconds=self.terms.key_age) else None

    def _do(
        self, record: str, operation: Operation, item: PushItem, intent: Intent, now: datetime, lag: float
    ) -> PushResult:
        if operation is Operation.CREATE:
            return self._create(record, item, intent, now, lag)
        thing = self.things[record][item.vendor_id or ""]
        seen = thing.versions.get(intent.lane_kind, 0)
        if intent.version < seen:
            self.broken.append(
                ("I6", f"{record} {thing.id} went from version {seen} back to {intent.version} ({intent.lane_kind})")
            )
        thing.versions[intent.lane_kind] = max(seen, intent.version)
        if operation is Operation.UPDATE:
            self._check_fields(record, item, CREATE_ONLY[record])
            if all(thing.fields.get(name) == value for name, value in item.payload.items()):
                return PushResult(item.key, Outcome.UNCHANGED, thing.id)
            self._check_overwritten(record, thing, item)
            thing.fields.update(item.payload)
            thing.touched = {name: number for name, number in thing.touched.items() if name not in item.payload}
            self.applied += 1
            return PushResult(item.key, Outcome.UPDATED, thing.id)
        return self._act(thing, item, now)

    def _create(self, record: str, item: PushItem, intent: Intent, now: datetime, lag: float) -> PushResult:
        known = self._known_key(record, item.key, now)
        if known is not None:
            if self.things[record][known].fields != dict(item.payload):
                self.broken.append(("I16", f"{record} {known} was posted again under its key with other content"))
            return PushResult(item.key, Outcome.CREATED, known)
        self._check_fields(record, item, frozenset())
        twins = [thing.id for thing in self.live(record) if thing.address == intent.address]
        vendor_id = str(next(self._ids))
        self._keys[item.key] = vendor_id, now
        self.things[record][vendor_id] = Thing(
            vendor_id,
            record,
            dict(item.payload),
            now + timedelta(seconds=lag),
            intent.address,
            versions={intent.lane_kind: intent.version},
        )
        self.applied += 1
        if twins:
            self.broken.append(("I1", f"{record} {vendor_id} doubles {', '.join(twins)} ({'/'.join(intent.address)})"))
        return PushResult(item.key, Outcome.CREATED, vendor_id)

    def _check_fields(self, record: str, item: PushItem, frozen: frozenset[str]) -> None:
        foreign = (set(item.payload) - OWNED[record]) | (set(item.payload) & frozen)
        if foreign:
            self.broken.append(
                ("I5", f"a write of {record} names {', '.join(sorted(foreign))}, which is not the hub's")
            )

    def edit(self, thing: Thing, name: str, value: object) -> None:
        """A person changes a field."""
        self.edits += 1
        thing.fields[name] = value
        thing.touched[name] = self.edits

    def _check_overwritten(self, record: str, thing: Thing, item: PushItem) -> None:
        """I13: who looks before it writes overwrites no edit that was there before it began."""
        if self.visible is None or not self.terms.compares:
            return
        lost = [
            name
            for name, number in sorted(thing.touched.items())
            if number <= self.visible and name in item.payload and thing.fields.get(name) != item.payload[name]
        ]
        if lost:
            self.broken.append(("I13", f"{record} {thing.id}: {', '.join(lost)} was edited here and is overwritten"))

    def _act(self, thing: Thing, item: PushItem, now: datetime) -> PushResult:
        """What is stored counts, hidden or not; but where everything that shows is as wanted, nothing is done at all."""
        action = str(item.action)
        lines = [line for line in self.things["LineItem"].values() if str(line.fields.get("orderId")) == thing.id]
        if thing.visible_at <= now and _looks_done(thing, action, [line for line in lines if line.visible_at <= now]):
            return PushResult(item.key, Outcome.UNCHANGED, thing.id)
        changed = False
        if action == "ApproveOrders":
            open_lines = [line for line in lines if line.status in {"DRAFT", "PAUSED"} and not line.archived]
            changed = thing.status != "APPROVED" or bool(open_lines)
            thing.status = "APPROVED"
            for line in open_lines:
                line.status = "READY"
        elif action == "PauseOrders":
            for line in lines:
                changed |= line.status == "READY"
                line.status = "PAUSED" if line.status == "READY" else line.status
        else:
            changed = not thing.archived
            thing.archived = True
            if thing.record == "Order":
                for line in lines:
                    line.archived = True
        self.applied += changed
        return PushResult(item.key, Outcome.UPDATED if changed else Outcome.UNCHANGED, thing.id)

    # ---------------------------------------------------------------- requests under way
    def postpone(
        self,
        due: datetime,
        record: str,
        operation: Operation,
        items: Sequence[PushItem],
        intents: Sequence[Intent],
        lag: float,
    ) -> None:
        """This request will be applied at `due`, whoever still waits for it."""
        number = next(self._numbers)
        self.under_way.append(UnderWay(due, number, record, operation, tuple(items), tuple(intents), lag))

    def catch_up(self, now: datetime) -> int:
        """Apply what has come due; returns how many requests."""
        due = sorted((late for late in self.under_way if late.due <= now), key=lambda late: (late.due, late.number))
        self.under_way = [late for late in self.under_way if late.due > now]
        for late in due:
            self.apply(late.record, late.operation, late.items, late.intents, late.due, late.lag)
        return len(due)

    # ---------------------------------------------------------------- delivery
    def ask_report(self, since: date, until: date, rng: Random) -> str:
        """A job over the days asked for; its rows are the truth of this moment."""
        orders = {line.id: str(line.fields.get("orderId")) for line in self.things["LineItem"].values()}
        rows = [
            DeliveryRow(day, vendor_id, orders.get(vendor_id, "1"), units, units // 100)
            for (vendor_id, day), units in sorted(self.delivered.items())
            if since <= day <= until
        ]
        rng.shuffle(rows)
        job = f"job-{next(self._numbers)}"
        self.reports[job] = Report(rows, rng.choice([0, 0, 1, 2]), rng.random() < 0.1)
        return job

    def as_at_rest(self) -> list[str]:
        """The whole state in lines, for the event log."""
        return [
            f"{thing.record} {thing.id} {thing.status} {thing.archived} {sorted(thing.fields.items(), key=str)}"
            for table in self.things.values()
            for thing in table.values()
        ]


def _rejected(item: PushItem, code: str, reason: str) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, item.vendor_id, code, "refused by rule", reason=reason)


def _looks_done(thing: Thing, action: str, shown: Sequence[Thing]) -> bool:
    if action == "ApproveOrders":
        waiting = [line for line in shown if line.status in {"DRAFT", "PAUSED"} and not line.archived]
        return thing.status == "APPROVED" and not waiting
    if action == "PauseOrders":
        return all(line.status != "READY" for line in shown)
    return thing.archived
