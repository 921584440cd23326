"""Two vendors that live in memory and can be told to misbehave, on a real PostgreSQL, with clocks that only tests move."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CensusRow,
    CheckReport,
    Connector,
    CreateProtocol,
    DeliveryQuery,
    DeliveryRow,
    FieldDifference,
    JobState,
    Native,
    Operation,
    Outcome,
    Page,
    PushItem,
    PushResult,
    Rate,
    ReadRecord,
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.errors import OutcomeUnknown
from connectors.gam import GamConnector, comparing
from connectors.salesforce import SalesforceConnector
from connectors.salesforce import comparing as salesforce_comparing
from hub import Hub
from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
from hub.session import Session
from hub.store import audit, database
from hub.sync.documents import want_document
from oms_schema.ids import EntityKind, canonical_id
from simulation import backup
from simulation.backup import Backup

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class NoSettings(BaseModel):
    """The fakes need none."""


Misbehaviour = Callable[[str, Operation, Sequence[PushItem]], Sequence[PushResult] | None]


@dataclass
class Call:
    """One write that reached the vendor."""

    record: str
    operation: Operation
    items: list[PushItem]


class FakeAdServer(Connector):
    """Google Ad Manager's shape and rules that matter to the engine: unique names, one verb, true state."""

    name = "gam"
    title = "Google Ad Manager"
    config = NoSettings

    def __init__(self, settings: BaseModel | None = None) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"Company": {}, "Order": {}, "LineItem": {}}
        self.calls: list[Call] = []
        self.finds = 0
        self.observed = 0
        self.ids = itertools.count(1001)
        self.misbehave: list[Misbehaviour] = []
        self.report: list[DeliveryRow] = []
        self.lines_per_order = 450
        self.batch = 50
        self.rates: tuple[Rate, ...] = ()
        self.longest_request = 0.0
        self.names: dict[tuple[str, str], str] = {}
        self.line_protocol = CreateProtocol.PROBE

    @property
    def capabilities(self) -> Capabilities:
        every = frozenset(Operation)

        def record(create: CreateProtocol, marker: str, mark: str | None, **more: Any) -> RecordCapability:
            return RecordCapability(
                batch=self.batch,
                operations=every,
                create=create,
                marker=marker,
                mark=mark,
                index_lag=5,
                max_in_flight=60,
                **more,
            )

        return Capabilities(
            records={
                "Company": record(CreateProtocol.UNIQUE_FIELD, "name", "externalId"),
                "Order": record(
                    CreateProtocol.UNIQUE_FIELD,
                    "name",
                    None,
                    children={"LineItem": self.lines_per_order},
                    actions=frozenset({"ApproveOrders", "PauseOrders", "ArchiveOrders"}),
                ),
                "LineItem": record(
                    self.line_protocol, "externalId", "externalId", actions=frozenset({"ArchiveLineItems"})
                ),
            },
            rates=self.rates,
            longest_request=self.longest_request,
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        return GamConnector.record_schemas()

    def check(self, used: object = None, written: object = None) -> CheckReport:
        return CheckReport("network 123")

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        self.calls.append(Call(record, operation, list(items)))
        if self.misbehave:
            answer = self.misbehave.pop(0)(record, operation, items)
            if answer is not None:
                return answer
        return [self.apply(record, operation, item) for item in items]

    def apply(self, record: str, operation: Operation, item: PushItem) -> PushResult:
        """Do what was asked, with the vendor's own uniqueness rule."""
        table = self.objects[record]
        if operation is Operation.CREATE:
            twins = [o for o in table.values() if record != "LineItem" and self._same(record, o, item.payload)]
            if twins:
                return PushResult(item.key, Outcome.IN_DOUBT, code="UniqueError.NOT_UNIQUE")
            vendor_id = str(next(self.ids))
            table[vendor_id] = {**item.payload, "id": vendor_id, "status": "DRAFT"}
            return PushResult(item.key, Outcome.CREATED, vendor_id)
        assert item.vendor_id is not None
        if operation is Operation.UPDATE:
            table[item.vendor_id].update(item.payload)
        elif item.action == "ApproveOrders":
            table[item.vendor_id]["status"] = "APPROVED"
            for line in self.objects["LineItem"].values():
                if str(line["orderId"]) == item.vendor_id:
                    line["status"] = "READY"
        else:
            table[item.vendor_id]["status"] = str(item.action)
        return PushResult(item.key, Outcome.UPDATED, item.vendor_id)

    @staticmethod
    def _same(record: str, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
        return known["name"] == wanted["name"] and (record != "Company" or known["type"] == wanted["type"])

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        self.finds += 1
        marker = "externalId" if record == "LineItem" else "name"
        return [
            next(
                (
                    (vendor_id, known)
                    for vendor_id, known in self.objects[record].items()
                    if known.get(marker) == item.payload[marker]
                    and (record != "Company" or known["type"] == item.payload["type"])
                ),
                None,
            )
            for item in items
        ]

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        self.observed += 1
        return {
            vendor_id: {"isArchived": False, "isMissingCreatives": False, **self.objects[record][vendor_id]}
            for vendor_id in vendor_ids
            if vendor_id in self.objects[record]
        }

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        return comparing.differences(wanted, present)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        rows = [
            CensusRow(
                vendor_id,
                mark=str(known.get("externalId") or ""),
                marker=str(known.get("name" if record != "LineItem" else "externalId") or ""),
                archived=bool(known.get("isArchived")),
                scope=str(known.get("type", "")),
                delivered=known.get("delivered", 0 if record != "Company" else None),
            )
            for vendor_id, known in sorted(self.objects[record].items())
        ]
        for start in range(0, max(1, len(rows)), 3):
            yield rows[start : start + 3]

    def resolve(self, table: str, names: Sequence[str], scope: str = "") -> Mapping[str, str]:
        return {name: self.names[table, name] for name in names if (table, name) in self.names}

    def delivery_zone(self) -> str:
        return "America/New_York"

    def start_delivery(self, query: DeliveryQuery) -> str:
        return f"job-{query.since}-{query.until}-{next(self.ids)}"

    def delivery_state(self, job: str) -> JobState:
        return JobState.READY

    def read_delivery(self, job: str) -> Iterator[DeliveryRow]:
        yield from self.report

    def line_of(self, native_id: str) -> dict[str, Any]:
        """The line item of a CRM line."""
        mark = canonical_id(EntityKind.LINE, "sfdc", native_id)
        return next(line for line in self.objects["LineItem"].values() if line["externalId"] == mark)

    def live(self, record: str) -> list[dict[str, Any]]:
        """All objects of a type that exist."""
        return list(self.objects[record].values())

    def lose_reply(self) -> None:
        """Apply the next write, then lose the answer."""

        def lost(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
            for item in items:
                self.apply(record, operation, item)
            raise OutcomeUnknown("TIMEOUT", "no answer")

        self.misbehave.append(lost)

    def lose_request(self) -> None:
        """Lose the next write on its way."""

        def lost(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
            raise OutcomeUnknown("TIMEOUT", "no answer")

        self.misbehave.append(lost)


def make_erp(protocol: CreateProtocol, marker: str | None = "number", key_age: float = 86_400.0) -> Any:
    """An ad server that also takes invoices, as an ERP does: with idempotency keys, a unique number, or neither."""

    class Erp(FakeAdServer):
        def __init__(self) -> None:
            super().__init__()
            self.objects["Invoice"] = {}
            self.keys: dict[str, tuple[str, datetime]] = {}
            self.clock: Any = None
            self.forgets = False

        @property
        def capabilities(self) -> Capabilities:
            invoice = RecordCapability(
                batch=50,
                operations=frozenset({Operation.CREATE}),
                create=protocol,
                marker=marker,
                index_lag=5,
                max_in_flight=60,
                key_age=key_age if protocol is CreateProtocol.NATIVE_KEY else 0.0,
            )
            known = super().capabilities
            return replace(known, records={**known.records, "Invoice": invoice})

        def apply(self, record: str, operation: Operation, item: PushItem) -> PushResult:
            if record != "Invoice":
                return super().apply(record, operation, item)
            assert operation is Operation.CREATE
            if protocol is CreateProtocol.NATIVE_KEY and item.key in self.keys:
                vendor_id, since = self.keys[item.key]
                if self.clock.now() - since < timedelta(seconds=key_age):
                    assert self.objects[record][vendor_id]["payload"] == dict(item.payload), "same key, other content"
                    return PushResult(item.key, Outcome.CREATED, vendor_id)
            if protocol is CreateProtocol.UNIQUE_FIELD and any(
                o["number"] == item.payload["number"] for o in self.live(record)
            ):
                return PushResult(item.key, Outcome.IN_DOUBT, code="NOT_UNIQUE")
            vendor_id = str(next(self.ids))
            self.objects[record][vendor_id] = {**item.payload, "id": vendor_id, "payload": dict(item.payload)}
            self.keys[item.key] = (vendor_id, self.clock.now())
            return PushResult(item.key, Outcome.CREATED, vendor_id)

        def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
            if record != "Invoice":
                return super().find(record, items)
            self.finds += 1
            return [
                next(
                    (
                        (i, known)
                        for i, known in self.objects[record].items()
                        if known["number"] == item.payload["number"]
                    ),
                    None,
                )
                for item in items
            ]

        def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
            if record != "Invoice":
                yield from super().census(record)
                return
            for vendor_id, known in sorted(self.objects[record].items()):
                yield [CensusRow(vendor_id, marker=known["number"], archived=bool(known.get("isArchived")))]

    return Erp()


class FakeCrm(Connector):
    """Salesforce's shape: three streams of records that a test edits, and updates by id."""

    name = "salesforce"
    title = "Salesforce"
    config = NoSettings

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.records: dict[str, dict[str, ReadRecord]] = {"Account": {}, "Opportunity": {}, "OpportunityLineItem": {}}
        self.mirror: dict[str, dict[str, Any]] = {}
        self.calls: list[Call] = []

    @property
    def capabilities(self) -> Capabilities:
        update = frozenset({Operation.UPDATE})
        return Capabilities(
            streams={
                "Account": StreamCapability("Account", 0, True),
                "Opportunity": StreamCapability("Opportunity", 0, True, ("Account",)),
                "OpportunityLineItem": StreamCapability("OpportunityLineItem", 0, True, ("Opportunity",)),
            },
            records={
                "Opportunity": RecordCapability(batch=200, operations=update),
                "OpportunityLineItem": RecordCapability(batch=200, operations=update),
            },
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        return SalesforceConnector.record_schemas()

    def check(self, used: object = None, written: object = None) -> CheckReport:
        return CheckReport("org 00D")

    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        yield Page(list(self.records[stream].values()), self.clock.now().isoformat(), last=True)

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        return {i: one.native for i in native_ids if (one := self.records[record].get(i)) and not one.deleted}

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        return {i: dict(self.mirror[i]) for i in vendor_ids if i in self.mirror}

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        return salesforce_comparing.differences(wanted, present)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        yield [CensusRow(each.native_id, archived=each.deleted) for each in self.records[record].values()]

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        self.calls.append(Call(record, operation, list(items)))
        for item in items:
            assert item.vendor_id is not None
            self.mirror.setdefault(item.vendor_id, {}).update(item.payload)
        return [PushResult(item.key, Outcome.UPDATED, item.vendor_id) for item in items]

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        return [None for _ in items]

    def put(self, record: str, native_id: str, deleted: bool = False, **fields: Any) -> None:
        """Write a record as a CRM user would; fields not named keep their values."""
        known = dict(self.records[record][native_id].native) if native_id in self.records[record] else {}
        native = {**known, **fields, "Id": native_id}
        self.records[record][native_id] = ReadRecord(native_id, self.clock.now(), native, deleted)

    def account(self, native_id: str, name: str, **fields: Any) -> None:
        self.put("Account", native_id, Name=name, **fields)

    def opportunity(self, native_id: str, name: str, account: str | None, **fields: Any) -> None:
        won = {"StageName": "Closed Won", "IsWon": True, "IsClosed": True, "CurrencyIsoCode": "USD"}
        self.put("Opportunity", native_id, **{"Name": name, "AccountId": account, **won, **fields})

    def line(self, native_id: str, opportunity: str, **fields: Any) -> None:
        usual = {
            "Name": f"Line {native_id}",
            "OpportunityId": opportunity,
            "External_Line_Id__c": f"ad-{native_id}",
            "Flight_Start__c": "2026-02-01T00:00:00.000+0000",
            "Flight_End__c": "2026-02-28T23:59:59.000+0000",
            "CPM__c": Decimal("12.5"),
            "Goal_Impressions__c": Decimal(1000000),
            "Cost_Type__c": "CPM",
            "CurrencyIsoCode": "USD",
            "Product2Id": "01t000000000001AAA",
            "TotalPrice": Decimal("12500"),
        }
        self.put("OpportunityLineItem", native_id, **{**usual, **fields})


class Refusing:
    """An ad server that refuses records of one type by name, for one reason, until it is told otherwise."""

    def __init__(self, ads: FakeAdServer, record: str, reason: str, code: str) -> None:
        self.record, self.reason, self.code = record, reason, code
        self.on = True
        self.refused: list[str] = []
        ads.misbehave = [self.answer] * 10_000

    def answer(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        if record != self.record or not self.on:
            return None
        self.refused += [str(item.payload["name"]) for item in items]
        return [
            PushResult(item.key, Outcome.REJECTED, code=self.code, reason=self.reason, path=f"[{n}].tier", message="no")
            for n, item in enumerate(items)
        ]


@dataclass
class World:
    """A hub between the two fakes."""

    hub: Hub
    crm: FakeCrm
    ads: FakeAdServer
    machine: HandClock
    business: HandClock
    slept: list[float] = field(default_factory=list)

    def second_worker(self) -> Hub:
        """Another worker on the same store and vendors."""
        session = self.hub.session
        store = database.Database(session.database.url)
        return Hub(Session(session.configuration, store, self.machine, self.business, connect=session.connect))

    def book(self, lines: int = 2, order: str = "006A") -> None:
        """One won deal with some lines."""
        if "001A" not in self.crm.records["Account"]:
            self.crm.account("001A", "Acme")
        self.crm.opportunity(order, f"Acme spring {order}", "001A")
        for number in range(lines):
            self.crm.line(f"00k{order}{number:04}", order)

    def travel(self) -> None:
        """Read, send, settle and mirror until nothing is due."""
        self.hub.intake("sfdc")
        self.rest()

    def refuse(self, record: str = "LineItem", reason: str = "picklist", code: str = "ENUM") -> Refusing:
        """Have the ad server refuse records of one type."""
        return Refusing(self.ads, record, reason, code)

    def leave_unanswered(self, *, applied: bool) -> str:
        """A line whose create nobody answered, at a vendor that cannot look it up; returns its id."""
        self.ads.line_protocol = CreateProtocol.NONE
        self.book(lines=1)
        self.ads.misbehave = [lambda *_: None] * 2
        if applied:
            self.ads.lose_reply()
        else:
            self.ads.lose_request()
        self.travel()
        (item,) = self.hub.parked()
        assert item.reason == "ambiguous"
        return item.entity_id

    def events(self, what: str) -> list[audit.Link]:
        """The audit chain's events of one kind."""
        with self.hub.session.database.transaction() as cur:
            return [link for link in audit.walk(cur) if audit.decoded(link)["what"] == what]

    def invoice(self, number: str = "INV-1", **more: Any) -> bool:
        """Want an invoice of 12.50 posted; False when it is wanted already."""
        with self.hub.session.database.transaction() as cur:
            return want_document(
                self.hub.session,
                cur,
                connection="gam-main",
                document_id=f"doc_{number}",
                record="Invoice",
                name=f"Invoice {number}",
                payload={"number": number, "total_micros": 12_500_000, **more},
            )

    def invoices(self) -> list[dict[str, Any]]:
        """What the ledger holds."""
        return self.ads.live("Invoice")

    def backup(self) -> Backup:
        """The store as a dump would keep it."""
        return backup.take(self.hub.session.database.url)

    def restore(self, kept: Backup) -> None:
        """The store as it was, and a hub that begins anew."""
        self.hub.close()
        backup.put_back(self.hub.session.database.url, kept)
        self.hub.session.database.head = None

    def configure(self, name: str, **changes: Any) -> None:
        """Other settings of a connection, as after its file was edited."""
        session = self.hub.session
        changed = session.configuration.connections[name].model_copy(update=changes)
        connections = {**session.configuration.connections, name: changed}
        session.configuration = replace(session.configuration, connections=connections)
        session._channels.clear()

    def rest(self, rounds: int = 12) -> None:
        """Send and settle, letting machine time pass, until nothing waits."""
        for _ in range(rounds):
            pushed, settled = self.hub.push("gam-main"), self.hub.settle("gam-main")
            self.hub.push("sfdc")
            if not pushed.calls and not settled.examined and not pushed.waiting:
                return
            self.machine.advance(61)
        raise AssertionError("the hub did not come to rest")


def make_world(url: str, ads: FakeAdServer | None = None, **gam: Any) -> World:
    """A hub on an empty store; the store's schema is migrated."""
    database.migrate(url)
    machine, business = HandClock(), HandClock()
    crm, ad_server = FakeCrm(business), ads or FakeAdServer()
    settings = {"trafficker_id": "7", "root_ad_unit_id": "1"}
    connections = {
        "sfdc": ConnectionSettings(connector="salesforce"),
        "gam-main": ConnectionSettings(connector="gam", mapping_settings=settings, **gam),
    }
    configuration = Configuration(Path("test.yaml"), HubSettings(store=StoreSettings(url=url)), connections, {})
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        machine.advance(seconds)

    session = Session(
        configuration,
        database.Database(url),
        machine,
        business,
        sleep,
        connect=lambda name, _: crm if name == "sfdc" else ad_server,
    )
    return World(Hub(session), crm, ad_server, machine, business, slept)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """A hub between two vendors in memory."""
    made = make_world(database_url)
    with made.hub:
        yield made


@pytest.fixture
def erp_world(world: World, request: pytest.FixtureRequest) -> World:
    erp = make_erp(*request.param)
    erp.clock = world.machine
    world.ads = erp
    world.hub.session.connect = lambda name, _: world.crm if name == "sfdc" else erp
    return world


__all__ = ["Call", "FakeAdServer", "FakeCrm", "HandClock", "World", "date", "make_world"]


@pytest.fixture
def sound_audit(world: World) -> Iterator[None]:
    """The test ends with a chain that holds, and with an event for every transition."""
    yield
    assert world.hub.verify_audit().sound
    assert world.hub.audit_mismatches() == []
