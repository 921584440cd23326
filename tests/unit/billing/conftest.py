"""A hub with booked orders, reports of an ad server and a measurement company, and an ERP in memory that can misbehave."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    Native,
    Operation,
    Outcome,
    Page,
    PushItem,
    PushResult,
    ReadRecord,
    RecordCapability,
    RecordSchema,
)
from connectors.errors import OutcomeUnknown
from hub import Hub
from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
from hub.delivery.shape import ReportShape
from hub.encoding import fingerprint
from hub.session import Session
from hub.store import database, entities, journal
from hub.store.entities import NewVersion
from hub.store.journal import Entry
from hub.sync.page_writes import PageWrites
from oms_schema.billing_terms import BillingTerms
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order
from oms_schema.party import Party, PartyInRole, PartyRole
from oms_schema.status import CommercialStatus
from simulation import backup
from simulation.backup import Backup

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
FIRST, LAST = datetime.fromisoformat("2026-02-01"), datetime.fromisoformat("2026-03-01")
TABLES = (
    *("line_period", "billing_input", "billing_approval", "billing_document", "billing_position", "billing_batch"),
    *("billing_payment", "closed_period", "document", "lane", "attempt", "audit", "parked", "journal", "cursor"),
)


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class NoSettings(BaseModel):
    """The fakes need none."""


Misbehaviour = Callable[[PushItem], PushResult | None]


class FakeErp(Connector):
    """An ERP that numbers invoices, keeps the total it was sent, knows a document by its reference, and reports billing."""

    name = "tryton"
    title = "The ERP"
    config = NoSettings

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.documents: dict[str, dict[str, Any]] = {}
        self.creates: list[Mapping[str, Any]] = []
        self.misbehave: list[Misbehaviour] = []
        self.numbers = itertools.count(1)
        self.cents_off = Decimal(0)

    @property
    def capabilities(self) -> Capabilities:
        record = RecordCapability(
            batch=1,
            operations=frozenset({Operation.CREATE}),
            create=CreateProtocol.PROBE,
            marker="reference",
            max_in_flight=60,
        )
        return Capabilities(records={"Invoice": record})

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        return {}

    def check(self, used: object = None, written: object = None) -> CheckReport:
        return CheckReport("ledger 1")

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        (item,) = items
        self.creates.append(dict(item.payload))
        if self.misbehave:
            answer = self.misbehave.pop(0)(item)
            if answer is not None:
                return [answer]
        return [self.apply(item)]

    def apply(self, item: PushItem) -> PushResult:
        """Post one document; the same reference again would be a second one."""
        sent = item.payload
        assert sum(line["amount"] for line in sent["lines"]) == sent["total"]
        vendor_id = str(len(self.documents) + 1)
        sign = -1 if sent["kind"] == "credit_memo" else 1
        total = sign * (sent["total"] + self.cents_off)
        prefix = "CRN" if sign < 0 else "INV"
        self.documents[vendor_id] = {
            "id": vendor_id,
            "reference": sent["reference"],
            "number": f"{prefix}-{next(self.numbers):04}",
            "state": "posted",
            "currency": sent["currency"],
            "date": sent["date"],
            "total": total,
            "balance": total,
            "payments": [],
            "corrects": sent.get("corrects"),
            "changed": self.clock.now(),
            "sent": dict(sent),
        }
        return PushResult(item.key, Outcome.CREATED, vendor_id)

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        return [
            next(((i, d) for i, d in self.documents.items() if d["reference"] == item.payload["reference"]), None)
            for item in items
        ]

    def billing(self, cursor: str | None) -> Iterator[Page]:
        records = [
            ReadRecord(vendor_id, known["changed"], {k: v for k, v in known.items() if k not in ("sent", "changed")})
            for vendor_id, known in self.documents.items()
        ]
        yield Page(records, self.clock.now().isoformat(), last=True)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every document, one page."""
        yield [CensusRow(vendor_id, marker=str(known["reference"])) for vendor_id, known in self.documents.items()]

    # ------------------------------------------------------------ what finance does there
    def of(self, reference: str) -> dict[str, Any]:
        (found,) = [one for one in self.documents.values() if one["reference"] == reference]
        return found

    def pay(self, reference: str, amount: str, native_id: str = "p1") -> None:
        one = self.of(reference)
        one["payments"].append({"id": native_id, "date": date(2026, 3, 20), "amount": Decimal(amount)})
        one["balance"] -= Decimal(amount)
        one["state"] = "paid" if one["balance"] == 0 else "posted"

    def lose_reply(self) -> None:
        """Apply the next document, then lose the answer."""

        def lost(item: PushItem) -> None:
            self.apply(item)
            raise OutcomeUnknown("TIMEOUT", "no answer")

        self.misbehave.append(lost)

    def refuse(self, code: str, message: str, reason: str) -> None:
        """Refuse the next document."""
        self.misbehave.append(
            lambda item: PushResult(item.key, Outcome.REJECTED, code=code, message=message, reason=reason)
        )

    def total(self, currency: str = "USD") -> Decimal:
        return sum((one["total"] for one in self.documents.values() if one["currency"] == currency), Decimal(0))


def shape(counted_by: str) -> ReportShape:
    columns = {"day": "day", "line": "line", "impressions": "impressions", "clicks": "clicks"}
    return ReportShape.model_validate(
        {
            "columns": columns,
            "zone": "UTC",
            "counted_by": counted_by,
            "complete_by": "gzip",
            "line_ids": "orderhub",
            "outlier_floor": 10**12,
        }
    )


@dataclass
class Office:
    """A hub, its ERP, and short words for what tests do."""

    hub: Hub
    erp: FakeErp
    clock: HandClock
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    party: str = canonical_id(EntityKind.PARTY, "sfdc", "acme")

    # ------------------------------------------------------------ contracts
    def order(
        self,
        name: str = "Spring",
        *,
        currency: str = "USD",
        status: CommercialStatus = CommercialStatus.BOOKED,
        roles: Sequence[PartyRole] = (PartyRole.ADVERTISER,),
        **terms: Any,
    ) -> str:
        order_id = canonical_id(EntityKind.ORDER, "sfdc", name)
        order = Order(
            id=order_id,
            name=name,
            number=f"IO-{name}",
            status=status,
            currency=currency,
            parties=tuple(PartyInRole(role=role, party_id=self.party) for role in roles),
            terms=BillingTerms(**terms),
        )
        self.keep(EntityKind.ORDER, order_id, order, name, order_id=order_id, status=status)
        return order_id

    def line(
        self,
        order_id: str,
        name: str = "Home page",
        *,
        rate: str = "12",
        goal: int = 1_000_000,
        start: datetime = FIRST,
        end: datetime = LAST,
        currency: str = "USD",
        method: CostMethod = CostMethod.CPM,
        unit: GoalUnit = GoalUnit.IMPRESSIONS,
        **more: Any,
    ) -> str:
        line_id = canonical_id(EntityKind.LINE, "sfdc", f"{order_id}/{name}")
        micros = int(Decimal(rate) * 1_000_000)
        line = Line(
            id=line_id,
            order_id=order_id,
            name=name,
            external_id=f"ext-{name}",
            flight=Flight(start=start, end=end, zone="UTC"),
            price=Price(method=method, rate=micros, currency=currency, **more.pop("price", {})),
            goal=Goal(unit=unit, quantity=goal),
            **more,
        )
        self.keep(EntityKind.LINE, line_id, line, name, order_id=order_id, external_id=line.external_id)
        return line_id

    def keep(self, kind: EntityKind, entity_id: str, body: Any, name: str, **more: Any) -> None:
        usual = {"order_id": None, "status": None, "external_id": None}
        with self.hub.session.database.transaction() as cur:
            known = entities.get(cur, kind, entity_id)
            writes = PageWrites()
            writes.put(
                cur,
                NewVersion(
                    kind=kind,
                    entity_id=entity_id,
                    version=1 if known is None else known.version + 1,
                    canonical=body.canonical_bytes(),
                    content_hash=fingerprint(body.canonical_bytes()),
                    source="sfdc",
                    native_id=entity_id[-12:],
                    name=name,
                    change_id=None,
                    now=self.clock.now(),
                    **{**usual, **more},
                ),
            )
            writes.flush(cur)
            version = 1 if known is None else known.version + 1
            told = Entry("sfdc", f"{kind} accepted as version {version}", entity_kind=kind, entity_id=entity_id)
            journal.write(cur, [told], self.clock.now(), self.clock.now())

    # ------------------------------------------------------------ delivery
    def report(
        self, days: Mapping[str, Mapping[str, int]], *, source: str = "ads", month: str = "2026-02", final: bool = True
    ) -> None:
        """A whole report of a month: impressions by line and day of the month (`{"lin_…": {"03": 5}}`)."""
        first = date.fromisoformat(f"{month}-01")
        last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        rows = [
            f"{month}-{day},{line},{impressions},0"
            for line, numbers in days.items()
            for day, impressions in numbers.items()
        ]
        file = self.folder / f"{source}-{next(self.numbers)}.csv.gz"
        file.write_bytes(gzip.compress("\n".join(["day,line,impressions,clicks", *rows, ""]).encode()))
        self.clock.time += timedelta(minutes=1)
        self.hub.load_report(source, file, since=first, until=last, final=final)

    def delivered(self, line: str, impressions: int, **more: Any) -> None:
        """All of a line's month on one day; other lines of that source are left out of the report."""
        self.report({line: {"10": impressions}}, **more)

    # ------------------------------------------------------------ billing
    def close(self, period: str = "2026-02", approved_by: str | None = "Grace", **more: Any) -> Any:
        return self.hub.billing.close(period, prepared_by="Ada", approved_by=approved_by, **more)

    def status(self, line: str, period: str = "2026-02") -> str:
        ((status,),) = self.rows(
            "SELECT status FROM line_period WHERE line_id = %s AND period_start = %s",
            [line, date.fromisoformat(f"{period}-01")],
        )
        return str(status)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        return list(self.hub.session.database.rows(statement, parameters))

    def everything(self) -> dict[str, Any]:
        """All that billing may write, to compare before and after."""
        return {table: sorted(map(repr, self.rows(f"SELECT * FROM {table}"))) for table in TABLES}

    def backup(self) -> Backup:
        """The store as a dump would keep it."""
        return backup.take(self.hub.session.database.url)

    def restore(self, kept: Backup) -> None:
        """The store as it was, and a hub that begins anew."""
        self.hub.close()
        backup.put_back(self.hub.session.database.url, kept)
        self.hub.session.database.head = None

    def second_worker(self) -> Hub:
        """Another worker on the same store and ERP."""
        mine = self.hub.session
        store = database.Database(mine.database.url)
        return Hub(Session(mine.configuration, store, self.clock, self.clock, mine.sleep, connect=mine.connect))


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    """An advertiser, two sources (`ads`, `moat`) and a ledger (`erp`); the 10th of March 2026."""
    database.migrate(database_url)
    clock = HandClock()
    erp = FakeErp(clock)
    connections = {
        "ads": ConnectionSettings(connector="report_api", report=shape("seller")),
        "moat": ConnectionSettings(connector="report_api", report=shape("measurement")),
        "erp": ConnectionSettings(connector="tryton"),
    }
    configuration = Configuration(Path("t.yaml"), HubSettings(store=StoreSettings(url=database_url)), connections, {})

    def sleep(seconds: float) -> None:
        clock.time += timedelta(seconds=seconds)

    def connect(name: str, settings: ConnectionSettings) -> Connector:
        if name == "erp":
            return erp
        return Reporter()

    session = Session(configuration, database.Database(database_url), clock, clock, sleep, connect=connect)
    made = Office(Hub(session), erp, clock, tmp_path)
    with made.hub:
        party = Party(id=made.party, name="Acme Inc")
        made.keep(EntityKind.PARTY, made.party, party, "Acme Inc")
        yield made


class Reporter(Connector):
    """A source of report files that is never called."""

    name = "report_api"
    title = "A source"
    config = NoSettings

    def __init__(self, settings: BaseModel | None = None) -> None:
        return

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        return {}

    def check(self, used: object = None, written: object = None) -> CheckReport:
        return CheckReport("source")


__all__ = ["FakeErp", "HandClock", "Office"]
