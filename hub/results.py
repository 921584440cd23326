"""What the verbs of the hub answer: plain data that a table, a JSON line or a task log can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """Base of all answers."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready except for datetimes, which stay aware datetimes."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CheckResult(Result):
    """Whether a connection can be used; `findings` are (severity, subject, sentence)."""

    connection: str
    usable: bool
    account: str
    findings: Sequence[tuple[str, str, str]] = ()


@dataclass(frozen=True, slots=True)
class IntakeResult(Result):
    """What one reading of a source brought. `accepted` became new versions, `held` wait for a parent record.

    `echoes` of the `unchanged` show nothing but what the hub itself wrote.
    """

    connection: str
    read: int = 0
    accepted: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0
    held: int = 0
    lanes_touched: int = 0
    echoes: int = 0


@dataclass(frozen=True, slots=True)
class PlanItem(Result):
    """One intended vendor write, or the reason why it cannot be made.

    `action` is create, update, act, unchanged, waiting or blocked; `changes` are (field, before, after);
    `problems` are sentences; `losses` are (path, value, why) of values the vendor cannot express. `version` and `content`
    (a hash) say what is wanted; both are empty for a change that never became a version.
    """

    connection: str
    kind: str
    entity_id: str
    facet: str
    name: str
    action: str
    changes: Sequence[tuple[str, Any, Any]] = ()
    problems: Sequence[str] = ()
    losses: Sequence[tuple[str, str, str]] = ()
    version: int = 0
    content: str = ""


@dataclass(frozen=True, slots=True)
class PlanResult(Result):
    """All differences and all validation errors at once. `plan_hash` is of all items shown; `apply` may be bound to it.

    `unusable` holds, by connection, the sentence that says why its writes are not shown: its vendor could not be asked.
    """

    items: Sequence[PlanItem]
    plan_hash: str
    blocked: int
    values_asked: int
    values_expressed: int
    values_lost: int
    unusable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PushSummary(Result):
    """What one push did, by outcome. `waiting` lanes are not due yet; `next_due` is machine time, UTC.

    Of a push that was bound to a plan: `not_in_plan` lanes want something that the plan did not show and were left,
    `plan_moved` of them it showed with other content. `silent` says why the vendor did not answer the last call, if it did not.
    """

    connection: str
    calls: int = 0
    records: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    parked: int = 0
    in_doubt: int = 0
    next_due: datetime | None = None
    not_in_plan: int = 0
    plan_moved: int = 0
    silent: str = ""


@dataclass(frozen=True, slots=True)
class SettleSummary(Result):
    """What became of writes in doubt: found and adopted, or proven absent and queued again.

    `retried`: parked work, of any connection, that the hub put back by itself.
    """

    connection: str
    examined: int = 0
    adopted: int = 0
    resent: int = 0
    waiting: int = 0
    parked: int = 0
    next_due: datetime | None = None
    retried: int = 0


@dataclass(frozen=True, slots=True)
class ObserveSummary(Result):
    """What the vendor's present state of our records taught us."""

    connection: str
    examined: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class CensusSummary(Result):
    """What counting everything at a vendor showed.

    `gone`: records we refer to that are not there any more; `duplicates`: marks that two live records carry; `adopted`: ours
    that nobody referred to; `waiting`: ours that a worker is about; `vanished`, `never_read`: source records without a
    tombstone, and behind the cursor. `unknown`: (record, vendor id, mark) of live ones that carry our mark for nothing we know.
    """

    connection: str
    counted: int = 0
    gone: int = 0
    duplicates: int = 0
    adopted: int = 0
    waiting: int = 0
    vanished: int = 0
    never_read: int = 0
    unknown: Sequence[tuple[str, str, str]] = ()

    @property
    def agrees(self) -> bool:
        """Whether vendor and hub hold the same, apart from what was put right."""
        return not (self.gone or self.duplicates or self.unknown)


@dataclass(frozen=True, slots=True)
class DriftItem(Result):
    """One field that shows something else than the vendor acknowledged, and what was done about it."""

    kind: str
    entity_id: str
    facet: str
    record: str
    vendor_id: str
    name: str
    path: str
    wanted: Any
    present: Any
    done: str


@dataclass(frozen=True, slots=True)
class DriftDefect(Result):
    """One record that could not be compared, because the connector failed over it; `sentence` says how and who acts."""

    kind: str
    entity_id: str
    facet: str
    record: str
    vendor_id: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DriftResult(Result):
    """What a comparison of everything at rest showed; `examined` records were compared, those of `defects` were not."""

    connection: str
    examined: int
    items: Sequence[DriftItem] = ()
    defects: Sequence[DriftDefect] = ()


@dataclass(frozen=True, slots=True)
class AcceptResult(Result):
    """How many records of an order, and fields of them, keep what somebody set at the vendor."""

    order_id: str
    records: int
    fields: int


@dataclass(frozen=True, slots=True)
class RecoverySummary(Result):
    """How far a recovery is: `until` (UTC) something sent before may still be applied; `under_way` lanes are not settled."""

    connection: str
    ended: bool
    until: datetime | None = None
    under_way: int = 0
    census: CensusSummary | None = None


@dataclass(frozen=True, slots=True)
class ApprovalResult(Result):
    """A held plan that a person let go; `already`: somebody had done so before, `by` says who."""

    plan_hash: str
    connection: str
    records: int
    by: str
    already: bool = False


@dataclass(frozen=True, slots=True)
class DeliverySummary(Result):
    """One delivery report loaded: rows read, days replaced, facts new or restated, rows for unknown lines."""

    connection: str
    job: str
    state: str
    rows: int = 0
    facts_new: int = 0
    facts_restated: int = 0
    quarantined: int = 0
    lanes_touched: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionStatus(Result):
    """One connection on the status table.

    `echoes` are values that were read back as the hub wrote them; `near_misses` are fields that somebody rewrote before.
    """

    name: str
    connector: str
    state: str
    message: str
    lanes: Mapping[str, int]
    in_doubt: int
    parked: int
    last_read: datetime | None
    last_pushed: datetime | None
    echoes: int = 0
    near_misses: int = 0


@dataclass(frozen=True, slots=True)
class ParkedGroup(Result):
    """Parked work with one cause: how many, one sentence, who acts, and one sample id.

    `key` is what `replay` and `ignore` take; `since` (UTC) is when the trouble began, tries included; `retry` says when the
    hub tries again by itself.
    """

    reason: str
    code: str
    connection: str
    count: int
    sentence: str
    owner: str
    sample: str
    since: datetime
    key: str = ""
    fix: str = ""
    path: str = ""
    value: str = ""
    retry: str = ""


@dataclass(frozen=True, slots=True)
class ParkedItem(Result):
    """One parked piece of work: an entity at a connection, the field that is wrong, and who does what. `since` is UTC."""

    connection: str
    kind: str
    entity_id: str
    order_id: str | None
    reason: str
    code: str
    path: str
    value: str
    sentence: str
    fix: str
    owner: str
    since: datetime
    key: str = ""
    subject: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class AdoptResult(Result):
    """What a person answered: the entity stands for this vendor object from now on; None: it does not exist there."""

    connection: str
    kind: str
    entity_id: str
    facet: str
    record: str
    vendor_id: str | None


@dataclass(frozen=True, slots=True)
class ResyncResult(Result):
    """How many lanes of an order are sent anew; `left` are the sentences of those that wait for a person's answer.

    `elsewhere` counts what stays as it is at connections that the configuration no longer names.
    """

    order_id: str
    lanes: int
    left: Sequence[str] = ()
    elsewhere: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditFault(Result):
    """One thing wrong with the audit chain: at which event, which kind, and the sentence that says so."""

    kind: str
    sequence: int
    sentence: str


@dataclass(frozen=True, slots=True)
class AuditResult(Result):
    """What walking the chain found. `head` is the newest event's number, `hash` its hash in hexadecimal; `faults` are at most
    100 of `faults_found`; `anchors` are the lines of the anchor file that were compared."""

    events: int
    head: int
    hash: str
    faults: Sequence[AuditFault] = ()
    faults_found: int = 0
    anchors: int = 0
    since: datetime | None = None
    until: datetime | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return self.faults_found == 0


@dataclass(frozen=True, slots=True)
class AnchorResult(Result):
    """The end of the chain as written to a file outside the database; `at` is machine time, UTC."""

    file: str
    sequence: int
    hash: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StatusResult(Result):
    """The whole hub on one page."""

    connections: Sequence[ConnectionStatus]
    parked: Sequence[ParkedGroup]
    orders: Mapping[str, int]
    lines: Mapping[str, int]
    delivered: int
    business_time: datetime
    delivery_missing: Sequence[str] = ()
    """One sentence for each source of delivery of which a day has not arrived whole."""


@dataclass(frozen=True, slots=True)
class TraceEvent(Result):
    """One line of a trace: machine time (UTC), where (connection or `hub`), what happened, and its evidence."""

    at: datetime
    where: str
    subject: str
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TraceResult(Result):
    """Everything known about one order, oldest first; `systems` is one state per connection; `sentence` the CRM's."""

    order_id: str
    name: str
    version: int
    sentence: str
    next_step: str
    systems: Sequence[tuple[str, str]]
    vendor_ids: Sequence[tuple[str, str, str]]
    events: Sequence[TraceEvent]
