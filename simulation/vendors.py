"""The connectors that the engine sees: one pair per worker, speaking to the simulated vendors and lying as told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

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
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.discovery import load
from connectors.errors import AuthFailed, OutcomeUnknown, PermissionMissing, QuotaExhausted, RetryLater
from hub.encoding import encode
from simulation import bookkeeping
from simulation.ad_server import Intent
from simulation.crm import STREAMS
from simulation.steps import CallFault, Fate, Point

if TYPE_CHECKING:
    from simulation.workers import Worker

ADS, CRM = "ads", "crm"
_EVERY = frozenset(Operation)
_POSTED = frozenset({Operation.CREATE})


class NoSettings(BaseModel):
    """Simulated vendors need none."""


class ConnectorStumbledError(ValueError):
    """What a defective connector might raise; nothing that the engine can know."""


class _Simulated(Connector):
    """What both connectors share: the points around a call, and the faults of reads."""

    config = NoSettings
    connection = ""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.world = worker.world

    def check(self, used: object = None, written: object = None) -> CheckReport:
        """The account answers."""
        self._ask("check")
        return CheckReport(f"account of {self.connection}")

    def _ask(self, what: str, lies: frozenset[Fate] = frozenset()) -> CallFault | None:
        """A read arrives: counted, stopped or failed as the schedule says. A fault among `lies` is left to the caller."""
        self.worker.reach(Point.SEND)
        fault = self.worker.next_fault(patient=_NOT_CUT if what in _BEFORE_REPORT else frozenset())
        self.world.catch_up()
        self.world.called(self.connection)
        if fault is None:
            self.world.log(self.worker.name, f"{self.connection} {what}")
            return None
        self.world.count_fault(f"read {fault.fate}")
        self.world.log(self.worker.name, f"{self.connection} {what} {fault.fate}")
        if fault.fate in lies:
            return fault
        rng = Random(fault.salt)
        match fault.fate:
            case Fate.QUOTA:
                raise QuotaExhausted("QUOTA", "used up", after=rng.choice([1.0, 20.0, 200.0]))
            case Fate.AUTH:
                raise AuthFailed("AUTH", "expired")
            case Fate.PERMISSION:
                raise PermissionMissing("PERMISSION", "not for you")
            case Fate.SLOW | Fate.LATE_COMMIT | Fate.LAGGING_INDEX:
                self.world.clock.advance(rng.choice([5, 40, 200]))
            case Fate.LOST_REPLY | Fate.GARBLED_REPLY | Fate.GARBLED_READ:
                raise OutcomeUnknown("HTTP-200-HTML", "no answer that can be read")
            case Fate.CONNECTOR_BUG:
                raise ConnectorStumbledError("the connector stumbled")
            case Fate.UNREACHABLE | Fate.LOST_REQUEST | Fate.REFUSE_ALL:
                raise RetryLater("HTTP-503", "not now", after=rng.choice([None, 1.0, 45.0]))
            case _:
                pass
        return None

    def _answered(self) -> None:
        self.worker.reach(Point.SENT)


_WRONG_COUNT = frozenset({Fate.SHORT, Fate.LONG})
_CUT = frozenset({Fate.GARBLED_READ, Fate.SHORT})
_NOT_CUT = frozenset({Fate.SHORT})
_BEFORE_REPORT = frozenset({"delivery_zone", "start_delivery", "delivery_state"})
"""Calls that nothing is missing from; a report that ends in the middle without a word is the next one's."""
_MARKERS = {"LineItem": "externalId", "Invoice": "number", "CreditMemo": "number"}
_ONE_ANSWER = frozenset({Fate.SHUFFLED})


class SimulatedAdServer(_Simulated):
    """Google Ad Manager's shape for the engine."""

    name = "gam"
    title = "Ad server"
    connection = ADS

    @property
    def capabilities(self) -> Capabilities:
        """As the schedule's terms declare."""
        terms = self.world.terms
        waits: dict[str, Any] = {"index_lag": terms.index_lag, "max_in_flight": terms.max_in_flight}
        unique = CreateProtocol.UNIQUE_FIELD
        rates: tuple[Rate, ...] = ()
        if terms.requests_per_second:
            rates = (Rate("requests", terms.requests_per_second, 1.0, max(1, int(terms.requests_per_second))),)
        return Capabilities(
            records={
                "Company": RecordCapability(terms.batch, _EVERY, unique, "name", "externalId", atomic=True, **waits),
                "Order": RecordCapability(
                    terms.batch,
                    _EVERY,
                    unique,
                    "name",
                    atomic=True,
                    children={"LineItem": terms.lines_per_order},
                    actions=frozenset({"ApproveOrders", "PauseOrders", "ArchiveOrders"}),
                    **waits,
                ),
                "LineItem": RecordCapability(
                    terms.batch,
                    _EVERY,
                    terms.line_protocol,
                    "externalId",
                    "externalId",
                    atomic=True,
                    actions=frozenset({"ArchiveLineItems"}),
                    **waits,
                ),
                "Invoice": RecordCapability(
                    1,
                    _POSTED,
                    CreateProtocol.NATIVE_KEY,
                    "number" if terms.invoice_marker else None,
                    key_age=terms.key_age,
                    **waits,
                ),
                "CreditMemo": RecordCapability(1, _POSTED, CreateProtocol.NONE, **waits),
            },
            rates=rates,
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """The real connector's."""
        return load("gam").record_schemas()

    # ---------------------------------------------------------------- reads
    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Look-up by marker; told to, it answers for another number of records."""
        fault = self._ask("find", _WRONG_COUNT)
        known = len(self.world.ads.misses)
        found = self.world.ads.find(record, items, self.world.now())
        self.world.log(self.worker.name, f"found {[hit and hit[0] for hit in found]}")
        if fault is not None:
            del self.world.ads.misses[known:]  # nobody may conclude anything from such an answer
            found = found[:-1] if fault.fate is Fate.SHORT else [*found, None]
        self._answered()
        return found

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        """Present state by id."""
        self._ask("observe")
        table = self.world.ads.things[record]
        seen = {vendor_id: table[vendor_id].native() for vendor_id in vendor_ids if vendor_id in table}
        self._answered()
        return seen

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        """Field by field; nothing is spelled otherwise here."""
        return [
            FieldDifference(name, value, present.get(name))
            for name, value in sorted(wanted.items())
            if encode(present.get(name)) != encode(value)
        ]

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every object of a type in id order, archived ones too, a few on each page."""
        rows = [
            CensusRow(
                thing.id,
                mark=str(thing.fields.get("externalId") or ""),
                marker=str(thing.fields.get(_MARKERS.get(record, "name")) or ""),
                archived=thing.archived,
                scope=str(thing.fields.get("type") or ""),
                delivered=None if record == "Company" else self.world.ads.units_of(thing.id),
            )
            for thing in self.world.ads.things[record].values()
        ]
        for start in range(0, max(1, len(rows)), self.world.terms.page_size):
            self._ask("census")
            self._answered()
            yield rows[start : start + self.world.terms.page_size]

    def resolve(self, table: str, names: Sequence[str], scope: str = "") -> Mapping[str, str]:
        """Every name but `Nowhere` is known."""
        self._ask("resolve")
        known = {name: str(2000 + sum(name.encode()) % 500) for name in names if name != "Nowhere"}
        self._answered()
        return known

    def delivery_zone(self) -> str:
        """UTC, as the flights."""
        self._ask("delivery_zone")
        return "UTC"

    def start_delivery(self, query: DeliveryQuery) -> str:
        """A job over the truth of this moment."""
        self._ask("start_delivery")
        job = self.world.ads.ask_report(query.since, query.until, self.world.rng("report"))
        self._answered()
        return job

    def delivery_state(self, job: str) -> JobState:
        """Running for a while, then ready; some fail."""
        self._ask("delivery_state")
        report = self.world.ads.reports[job]
        report.polls -= 1
        self._answered()
        return JobState.RUNNING if report.polls >= 0 else JobState.FAILED if report.failed else JobState.READY

    def read_delivery(self, job: str) -> Iterator[DeliveryRow]:
        """The rows; told to, the file ends in the middle, and says so at its end or does not."""
        fault = self._ask("read_delivery", _CUT)
        rows = self.world.ads.reports[job].rows
        if fault is not None:
            yield from rows[: Random(fault.salt).randint(0, len(rows))]
            if fault.fate is Fate.GARBLED_READ:
                raise OutcomeUnknown("REPORT-SHORT", "the file ends early")
            return
        yield from rows
        self._answered()

    # ---------------------------------------------------------------- writes
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """One call, applied whole or not at all, now, later or never; and an answer that may or may not arrive."""
        world, ads = self.world, self.world.ads
        self.worker.reach(Point.SEND)
        self.worker.sent += 1
        fault = self.worker.next_fault(patient=_ONE_ANSWER if len(items) < 2 else frozenset())
        world.catch_up()
        world.called(ADS)
        intents = world.intents(ADS, record, operation, items)
        told = f"ads {operation} {record} {[intent.address[1] + '/' + intent.lane_kind for intent in intents]}"
        rng = Random(fault.salt) if fault is not None else world.rng("push")
        lag = rng.choice([0.0, 0.0, 0.5, 1.0]) * world.terms.index_lag
        fate = None if fault is None else fault.fate
        world.log(self.worker.name, f"{told} {fate or ''}")
        bookkeeping.check_sent(world, record, operation, intents, items)
        if fate is not None:
            world.count_fault(str(fate))
            _not_applied(fate, rng)
        applied = not _never_applied(fate)
        results: list[PushResult] = []
        if fate is Fate.LATE_COMMIT:
            due = due_of(intents, world.terms.max_in_flight, world.now(), rng, world.terms.breaks_timing)
            ads.postpone(due, record, operation, items, intents, lag)
            applied = False
        if fate is Fate.SLOW:
            world.pass_within(rng.choice([1.0, 20.0, 45.0]), intents, world.terms.max_in_flight)
        if fate is Fate.LAGGING_INDEX:
            lag = world.terms.index_lag * world.terms.breaks_timing
        if fate is Fate.NO_FORECAST and operation is Operation.ACT:
            results = [_retry(item, "NO_FORECAST_YET", 30.0) for item in items]
            applied = False
        if applied:
            refused = _refusals(fate, items, rng)
            ads.visible = self.worker.visible
            results = ads.apply(record, operation, items, intents, world.now(), lag, refused)
            ads.visible = None
        world.stop_if_broken()
        answer = lie(fate, list(items), results, rng)
        self.worker.reach(Point.SENT)
        world.log(
            self.worker.name, f"answer {[(str(result.outcome), result.vendor_id, result.code) for result in answer]}"
        )
        return answer


class SimulatedCrm(_Simulated):
    """Salesforce's shape for the engine."""

    name = "salesforce"
    title = "CRM"
    connection = CRM

    @property
    def capabilities(self) -> Capabilities:
        """As the schedule's terms declare."""
        terms = self.world.terms
        update = frozenset({Operation.UPDATE})
        waits: dict[str, Any] = {"max_in_flight": terms.crm_in_flight}
        return Capabilities(
            streams={name: StreamCapability(name, terms.overlap, True, parents) for name, parents in STREAMS.items()},
            records={name: RecordCapability(terms.crm_batch, update, **waits) for name in STREAMS if name != "Account"},
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """The real connector's."""
        return load("salesforce").record_schemas()

    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """What changed."""
        pages = self.world.crm.read(stream, fields, cursor, self.world.now)
        while True:
            self._ask(f"read {stream}")
            page = next(pages, None)
            self._answered()
            if page is None:
                return
            self.world.log(self.worker.name, f"page {[record.native_id for record in page.records]} {page.cursor}")
            yield page
            if page.last:
                return

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """Present state of named records."""
        self._ask("fetch")
        table = self.world.crm.records[record]
        return {
            native_id: self.world.crm.shown(version, fields)
            for native_id in native_ids
            if native_id in table and (version := table[native_id].seen_at(self.world.now())) is not None
        }

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Nothing is created here, so nothing is looked for."""
        self._ask("find")
        return [None for _ in items]

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """Row by row."""
        world, crm = self.world, self.world.crm
        self.worker.reach(Point.SEND)
        self.worker.sent += 1
        fault = self.worker.next_fault(patient=_ONE_ANSWER if len(items) < 2 else frozenset())
        world.catch_up()
        world.called(CRM)
        intents = world.intents(CRM, record, operation, items)
        versions = [intent.version for intent in intents]
        fate = None if fault is None else fault.fate
        rng = Random(fault.salt) if fault is not None else world.rng("mirror")
        world.log(self.worker.name, f"crm update {record} {[item.vendor_id for item in items]} {fate or ''}")
        if fate is not None:
            world.count_fault(str(fate))
            _not_applied(fate, rng)
        results: list[PushResult] = []
        if fate is Fate.LATE_COMMIT:
            due = due_of(intents, world.terms.crm_in_flight, world.now(), rng, world.terms.breaks_timing)
            crm.postpone(due, record, items, versions)
        elif not _never_applied(fate):
            if fate is Fate.SLOW:
                world.pass_within(rng.choice([1.0, 20.0, 100.0]), intents, world.terms.crm_in_flight)
            locked = frozenset[int]()
            if fate in {Fate.LOCKED_ROWS, Fate.REFUSE_ONE, Fate.REFUSE_ALL, Fate.NO_FORECAST}:
                locked = frozenset(at for at in range(len(items)) if rng.random() < 0.6)
            results = crm.write(record, items, versions, world.now(), locked)
        world.stop_if_broken()
        answer = lie(fate, list(items), results, rng)
        self.worker.reach(Point.SENT)
        world.log(
            self.worker.name, f"answer {[(str(result.outcome), result.vendor_id, result.code) for result in answer]}"
        )
        return answer


# ---------------------------------------------------------------- what a vendor can do to a call
def _not_applied(fate: Fate, rng: Random) -> None:
    """Faults that say so: nothing was applied, and the vendor lets it be known."""
    match fate:
        case Fate.UNREACHABLE:
            raise RetryLater("HTTP-503", "not now", after=rng.choice([None, 0.0, 5.0, 70.0]))
        case Fate.QUOTA:
            raise QuotaExhausted("QUOTA", "used up", after=rng.choice([1.0, 4.0, 20.0, 200.0]))
        case Fate.AUTH:
            raise AuthFailed("AUTH", "expired")
        case Fate.PERMISSION:
            raise PermissionMissing("PERMISSION", "not for you")
        case _:
            return


def _never_applied(fate: Fate | None) -> bool:
    return fate in {Fate.LOST_REQUEST, Fate.UNLISTED_NOT_APPLIED, Fate.GARBLED_READ}


def due_of(intents: Sequence[Intent], flight: float, now: datetime, rng: Random, breaks: float) -> datetime:
    """When a request that its caller gave up is applied: within its time in flight, counted from its attempt."""
    end = min(intent.invoked_at for intent in intents) + timedelta(seconds=flight * breaks)
    room = max(0.0, (end - now).total_seconds())
    return now + timedelta(seconds=round(room * rng.choice([0.1, 0.5, 0.9, 0.99]), 3))


def _refusals(fate: Fate | None, items: Sequence[PushItem], rng: Random) -> dict[int, PushResult]:
    """Items that the vendor finds fault with this time, whatever they hold."""
    if fate is Fate.REFUSE_ALL:
        return {at: _refused(item) for at, item in enumerate(items)}
    if fate is Fate.REFUSE_ONE:
        at = rng.randrange(len(items))
        return {at: _refused(items[at])}
    if fate is Fate.LOCKED_ROWS:
        return {at: _retry(item, "SERVER_BUSY", rng.choice([None, 2.0])) for at, item in enumerate(items)}
    return {}


def _refused(item: PushItem) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, item.vendor_id, "SIMULATED_REFUSAL", "no", reason="validation")


def _retry(item: PushItem, code: str, after: float | None) -> PushResult:
    return PushResult(item.key, Outcome.RETRY, item.vendor_id, code, "later", after=after)


def lie(fate: Fate | None, items: list[PushItem], results: list[PushResult], rng: Random) -> list[PushResult]:
    """What the caller gets to see of `results`."""
    match fate:
        case Fate.LOST_REQUEST | Fate.LOST_REPLY | Fate.LATE_COMMIT:
            raise OutcomeUnknown("TIMEOUT", "no answer")
        case Fate.GARBLED_REPLY | Fate.GARBLED_READ:
            raise OutcomeUnknown("HTTP-200-HTML", "an answer that nobody can read")
        case Fate.UNLISTED_APPLIED | Fate.UNLISTED_NOT_APPLIED:
            return [PushResult(i.key, Outcome.IN_DOUBT, i.vendor_id, "ERROR_GENERATING_RESPONSE", "?") for i in items]
        case Fate.CONNECTOR_BUG:
            raise ConnectorStumbledError("the connector stumbled over the answer")
        case Fate.SHORT:
            return results[:-1]
        case Fate.LONG:
            return [*results, results[-1]]
        case Fate.SHUFFLED:
            return [results[-1], *results[:-1]]
        case Fate.NO_ID:
            return [
                PushResult(result.key, result.outcome) if result.outcome is Outcome.CREATED else result
                for result in results
            ]
        case _:
            return results
