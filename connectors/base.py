"""What a connector is: a small required class, and optional protocols for what its vendor can do.

A connector speaks one vendor's API. It knows requests, pages, batches and errors; it knows no canonical order and no
database. The engine finds out what a connector can do by `isinstance` against the protocols here and by its declared
`Capabilities`; a new ability is a new optional protocol, never a new required method.

Rules for every connector: exactly one attempt per call, no sleep, no retry; results in the order and length of the batch;
a write whose outcome is not certain raises or reports `IN_DOUBT`; 200 is no success until the body says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel

from connectors.record_schema import FieldSchema as FieldSchema
from connectors.record_schema import FieldType as FieldType
from connectors.record_schema import RecordSchema as RecordSchema

Native = Mapping[str, Any]
"""A record in the vendor's own shape and spelling. Exists only at this border."""


# ---------------------------------------------------------------- what comes back from a write
class Outcome(StrEnum):
    """The six outcomes of a push (architecture, decision 3)."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    RETRY = "retry"
    IN_DOUBT = "in_doubt"


class Operation(StrEnum):
    """What is asked of the vendor; one batch holds one operation on one record type."""

    CREATE = "create"
    UPDATE = "update"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class PushItem:
    """One record to write. `key` is the idempotency key; `vendor_id` is None exactly when the operation is CREATE.

    For ACT, `action` names the vendor's verb (`ApproveOrders`) and `payload` holds its arguments.
    """

    key: str
    payload: Native
    vendor_id: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of one item, at the same position as the item in its batch.

    `code` is the vendor's error code, `message` its words in one line, `path` its field path, `after` the seconds to wait
    before a retry when the vendor names them, `evidence` a small redacted excerpt of the answer.
    """

    key: str
    outcome: Outcome
    vendor_id: str | None = None
    code: str | None = None
    message: str | None = None
    path: str | None = None
    reason: str | None = None
    """A value of `oms_schema.problems.Reason` when the connector can tell why a record was rejected."""
    after: float | None = None
    alone: bool = False
    """For RETRY: the vendor refused the batch without saying which record it meant; send this one by itself next time."""
    evidence: Native = field(default_factory=dict)


# ---------------------------------------------------------------- what a connector declares
class CreateProtocol(StrEnum):
    """How a lost create is told from a lost reply; the engine chooses its protocol by this."""

    NATIVE_KEY = "native_key"
    UNIQUE_FIELD = "unique_field"
    PROBE = "probe"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class JobCapability:
    """How many records go as one bulk job: when more than `above` are due, up to `batch` of them and about `size` bytes."""

    above: int
    batch: int
    size: int


@dataclass(frozen=True, slots=True)
class RecordCapability:
    """How one vendor record type is written.

    `batch` records at most in one call; `atomic`: a call is applied whole or not at all. `marker` is the field that
    look-ups of UNIQUE_FIELD and PROBE go by; `mark` the field that holds our canonical id, which tells our record from a
    stranger's of the same marker (None: the marker itself contains the id). `index_lag` and `max_in_flight`, in seconds:
    how long a new record may be invisible to look-ups, and how long a request may still be applied after its caller gave
    up. `children` limits child records per parent record (`{"LineItem": 450}`). `actions` are the verbs `act` understands.
    `jobs`: creates and updates of so many that a bulk job is cheaper than calls (the connector then `RunsBulkJobs`).
    """

    batch: int
    operations: frozenset[Operation]
    create: CreateProtocol = CreateProtocol.NONE
    marker: str | None = None
    mark: str | None = None
    atomic: bool = False
    index_lag: float = 0.0
    max_in_flight: float = 0.0
    key_age: float = 0.0
    """For NATIVE_KEY: the seconds for which the vendor remembers a key; 0: nobody knows, so it is never relied on."""
    children: Mapping[str, int] = field(default_factory=dict)
    actions: frozenset[str] = frozenset()
    jobs: JobCapability | None = None


@dataclass(frozen=True, slots=True)
class StreamCapability:
    """A stream of changes: `overlap` seconds are read again behind the cursor; `parent` streams are read first."""

    record: str
    overlap: float
    deletes: bool
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """A known vendor limit, held by the store's token bucket for all workers of one credential.

    `limit` tokens per `per` seconds, at most `burst` at once. Every request costs one token; with `operations`, only the first
    one of each call of these methods.
    """

    name: str
    limit: float
    per: float
    burst: int
    operations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this connector does, how it was verified, and what it cannot do; printed in the capability matrix.

    `longest_request`: seconds after which one request has ended in any case, answered or given up; 0: not said. The engine
    compares its lease with it.
    """

    streams: Mapping[str, StreamCapability] = field(default_factory=dict)
    records: Mapping[str, RecordCapability] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    max_concurrency: int = 1
    longest_request: float = 0.0
    verified_by: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()


# ---------------------------------------------------------------- what comes back from a read
@dataclass(frozen=True, slots=True)
class ReadRecord:
    """One record of a stream: its vendor id, the vendor's time of last change (aware), and whether it is gone."""

    native_id: str
    modified_at: datetime
    native: Native
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in cursor order and the cursor to save once all of them are durable.

    `cursor` is opaque to everyone but the connector; the engine hands it back unchanged.
    """

    records: Sequence[ReadRecord]
    cursor: str
    last: bool = False


class Severity(StrEnum):
    """How bad a finding of a check is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check saw: `subject` is a field, a right, a limit; `sentence` says what, its effect and the remedy."""

    severity: Severity
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found. `account` fingerprints the vendor account (network code, org id), to refuse mixed-up ids."""

    account: str
    findings: tuple[Finding, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing found is an error."""
        return all(f.severity is not Severity.ERROR for f in self.findings)


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field whose present value is not the wanted one: the vendor's dotted `path`, and both values in its spelling."""

    path: str
    wanted: Any
    present: Any


@dataclass(frozen=True, slots=True)
class CensusRow:
    """One record as a census counts it.

    `mark` is our canonical id where the record holds it in a field of its own; `marker` the value that look-ups go by.
    `scope` tells apart records that may rightly carry one mark (a company as advertiser and as agency). `archived`: put away
    or in a recycle bin, but still there. `delivered`: units the vendor says it delivered, None where it does not say.
    """

    vendor_id: str
    mark: str = ""
    marker: str = ""
    archived: bool = False
    scope: str = ""
    delivered: int | None = None


class JobState(StrEnum):
    """Where a report or bulk job stands at the vendor."""

    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which delivery is wanted: days inclusive, in the vendor account's own time zone."""

    since: date
    until: date


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """Delivered units of one line on one day of the vendor's own zone, not cumulative."""

    day: date
    line_vendor_id: str
    order_vendor_id: str
    impressions: int
    clicks: int = 0
    completed_views: int = 0
    viewable_impressions: int = 0


# ---------------------------------------------------------------- the required class
class Connector(ABC):
    """One vendor account in use. Construction makes no request; every method may.

    `config` is the pydantic model of the connection's settings (secrets are `SecretStr`, unknown settings an error).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    config: ClassVar[type[BaseModel]]
    pace: Callable[[], None] = staticmethod(lambda: None)
    """Called before every request that the vendor counts; the engine puts its token buckets behind it. Raises Paced."""

    @abstractmethod
    def __init__(self, settings: BaseModel) -> None: ...

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this connection can do with its present settings; no request."""

    @classmethod
    @abstractmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """The vendor's record types as data, for checking mappings without a connection; no request."""

    @abstractmethod
    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """Try the account and, by record type, the fields in use and those among them that are written. Writes nothing.

        Raises AuthFailed, Misconfigured, RetryLater or QuotaExhausted when the account cannot even be asked.
        """

    def close(self) -> None:
        """Give back sockets; the connector is not used afterwards."""
        return


# ---------------------------------------------------------------- optional protocols
@runtime_checkable
class ReadsChanges(Protocol):
    """Tells what changed since a cursor."""

    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Pages in (modified, id) order, starting `overlap` seconds behind `cursor`; None reads from the beginning.

        `fields` are the vendor field paths wanted besides id and modification time.
        Raises RetryLater, QuotaExhausted, AuthFailed, PermissionMissing, SchemaDrift.
        """
        ...

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of named records; ids the vendor does not know are absent from the answer."""
        ...


@runtime_checkable
class PushesRecords(Protocol):
    """Writes records and finds them again."""

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """One vendor call for at most `batch` items; one result per item, in order.

        May raise instead when the whole call shares one fate: RetryLater, QuotaExhausted, AuthFailed, PermissionMissing,
        SchemaDrift (all: certainly not applied) or OutcomeUnknown (the whole batch is in doubt).
        """
        ...

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """For each item the live vendor record that carries its marker: (vendor id, record), or None; in order.

        A record that carries the marker's unique value but is somebody else's is reported with its record, so that the
        engine can see the difference. Raises like a read.
        """
        ...


@runtime_checkable
class RunsBulkJobs(Protocol):
    """Writes thousands of records as one job, in three resumable steps: a job takes minutes, and a connector never waits."""

    def start_bulk(self, record: str, operation: Operation, items: Sequence[PushItem]) -> str:
        """Send items as one job; returns its id, empty when none of them can be sent.

        Raises OutcomeUnknown when the job may have been started; every other error means that nothing will be applied.
        """
        ...

    def bulk_state(self, job: str) -> JobState:
        """Where the job stands; FAILED jobs have results too. Raises like a read."""
        ...

    def bulk_results(
        self, record: str, operation: Operation, items: Sequence[PushItem], job: str
    ) -> Sequence[PushResult]:
        """One result per item, in order, of an ended job that was started with the same items. Raises like a read."""
        ...


@runtime_checkable
class ObservesRecords(Protocol):
    """Shows the vendor's present state of records the hub wrote."""

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        """Present state by vendor id; unknown ids are absent."""
        ...


@runtime_checkable
class ComparesRecords(Protocol):
    """Knows when two values of its vendor are the same thing; makes no request."""

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        """The wanted fields that `observe` shows otherwise.

        Another spelling of the same value is no difference, nor is a default the vendor fills in, nor a field that is hidden
        from this account: absent is not null wherever the vendor tells them apart.
        """
        ...


@runtime_checkable
class CountsRecords(Protocol):
    """Counts what there is, because neither streams nor single look-ups show what vanished or exists twice."""

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every record of a type, archived and recycled ones too, each once; a page costs one request. Raises like a read.

        Records made or deleted meanwhile may be counted or not.
        """
        ...


@runtime_checkable
class ChecksDeclaredFields(Protocol):
    """Compares what mappings say of an account's own fields with what the account says; such fields stand in no list."""

    def check_declared(
        self, read: Mapping[str, Sequence[FieldSchema]], written: Mapping[str, Sequence[FieldSchema]]
    ) -> Sequence[Finding]:
        """Findings about type, values and length, by record type; a field that is not there is told by `check`. Writes nothing.

        Raises as `check`.
        """
        ...


@runtime_checkable
class ResolvesNames(Protocol):
    """Turns names into the vendor's own ids through its look-up tables."""

    def resolve(self, table: str, names: Sequence[str], scope: str = "") -> Mapping[str, str]:
        """Ids by name as asked for; a name that is unknown or ambiguous is absent. `scope` narrows (a country, a key)."""
        ...


@runtime_checkable
class ReportsDelivery(Protocol):
    """Reports delivered units through a report job, in three resumable steps."""

    def delivery_zone(self) -> str:
        """The IANA zone whose days the reports count."""
        ...

    def start_delivery(self, query: DeliveryQuery) -> str:
        """Ask for a report; returns the job's id. Raises RetryLater, QuotaExhausted, AuthFailed, PermissionMissing."""
        ...

    def delivery_state(self, job: str) -> JobState:
        """Where the job stands."""
        ...

    def read_delivery(self, job: str) -> Iterator[DeliveryRow]:
        """Rows of a READY job, streamed. Raises OutcomeUnknown when the file is cut short or malformed."""
        ...


@runtime_checkable
class OffersReportPages(Protocol):
    """Hands out whole delivery reports as JSON pages, from a source whose reports need no job."""

    def report_pages(self, query: DeliveryQuery) -> Iterator[bytes]:
        """Every page of the report, as the vendor's bytes, one request each; what is in them is declared, not known here.

        Ends after the last page. Raises RetryLater, QuotaExhausted, AuthFailed, Misconfigured; ConnectorError for a page that
        nobody can read on from.
        """
        ...


@runtime_checkable
class ForecastsAvailability(Protocol):
    """Says what inventory is left before a line is booked."""

    def availability(self, record: str, prospective: Native) -> Mapping[str, int]:
        """Units `matched`, `available` and `possible` for a record that need not exist yet."""
        ...


@runtime_checkable
class ReportsBilling(Protocol):
    """Brings billing documents and payments back."""

    def billing(self, cursor: str | None) -> Iterator[Page]:
        """Documents changed since the cursor."""
        ...


@runtime_checkable
class RequestsSignatures(Protocol):
    """Sends documents to be signed and tells how far they are."""

    def request_signature(self, item: PushItem, document: bytes) -> PushResult:
        """Send one envelope."""
        ...

    def envelopes(self, cursor: str | None) -> Iterator[Page]:
        """Envelopes changed since the cursor."""
        ...
