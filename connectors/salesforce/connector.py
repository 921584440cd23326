"""The Salesforce connector: what the engine calls, and how the parts of this package answer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CensusRow,
    CheckReport,
    Connector,
    CreateProtocol,
    FieldDifference,
    FieldSchema,
    Finding,
    JobCapability,
    JobState,
    Native,
    Operation,
    Page,
    PushItem,
    PushResult,
    Rate,
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.errors import Misconfigured
from connectors.salesforce import preflight, schemas
from connectors.salesforce.bulk import MAX_UPLOAD, BulkIngest, check_columns, unsendable
from connectors.salesforce.changes import read_changes
from connectors.salesforce.comparing import differences
from connectors.salesforce.counting import census
from connectors.salesforce.describes import Describes
from connectors.salesforce.error_table import DAILY_CALLS
from connectors.salesforce.session import OrgSession, odd_reply
from connectors.salesforce.settings import WRITTEN, SalesforceSettings
from connectors.salesforce.soql import checked_fields, chunks, is_id, one_of, select
from connectors.salesforce.writes import BATCH, Target, prepared, push_collections

CURRENCY = "CurrencyIsoCode"
_STREAM_PARENTS: Mapping[str, tuple[str, ...]] = {
    "Account": (),
    "Product2": (),
    "Opportunity": ("Account",),
    "OpportunityLineItem": ("Opportunity", "Product2"),
}
_BURST_SHARE = (
    10  # a tenth of the day's calls may go at once; the rest is spread, so that no 24 hours hold more than all
)


class SalesforceConnector(Connector):
    """One Salesforce org in use, by one worker thread. Reads, writes, finds and observes; creates by external id only."""

    name: ClassVar[str] = "salesforce"
    title: ClassVar[str] = "Salesforce"
    config: ClassVar[type[BaseModel]] = SalesforceSettings

    def __init__(self, settings: BaseModel) -> None:
        if not isinstance(settings, SalesforceSettings):
            raise TypeError(f"SalesforceConnector takes SalesforceSettings, not {type(settings).__name__}")
        self._settings = settings
        self._session = OrgSession(settings, lambda: self.pace())
        self._describes = Describes(self._session)
        self._bulk = BulkIngest(self._session.send, self._session.send_json, settings.quota_pause_seconds)

    def __repr__(self) -> str:
        return f"SalesforceConnector({self._settings.domain}, API {self._settings.api_version})"

    @property
    def capabilities(self) -> Capabilities:
        """What this connection can do. Creating needs `external_id_fields`; the rest is the same for every org."""
        settings = self._settings
        usable = float(settings.usable_daily_calls)
        burst = max(1, int(usable) // _BURST_SHARE)
        return Capabilities(
            streams={
                name: StreamCapability(name, overlap=settings.overlap_seconds, deletes=True, parents=parents)
                for name, parents in _STREAM_PARENTS.items()
            },
            records={record: self._record_capability(record) for record in WRITTEN},
            rates=(Rate(DAILY_CALLS, limit=max(1.0, usable - burst), per=86_400.0, burst=burst),),
            max_concurrency=settings.max_concurrency,
            longest_request=settings.connect_timeout_seconds + settings.timeout_seconds,
            verified_by=(
                "recorded describes and exchanges of real orgs (cumulusci)",
                "the Salesforce sandbox of this project",
                "REST API, Bulk API 2.0 and SOQL guides",
            ),
            cannot=(
                "create records without a unique external id field: a lost reply could double them",
                "read or write objects other than Account, Opportunity, OpportunityLineItem and Product2",
                "carry compound fields (addresses, locations) or files",
                "see records deleted for good (emptied from the recycle bin) between two reads",
                "tell an update that changed nothing from one that did: both are reported as updated",
                "subscribe to change events",
            ),
        )

    def _record_capability(self, record: str) -> RecordCapability:
        marker = self._settings.external_id_fields.get(record)
        above, most = self._settings.bulk_threshold, self._settings.bulk_batch
        return RecordCapability(
            batch=BATCH,
            operations=frozenset({Operation.UPDATE, Operation.CREATE} if marker else {Operation.UPDATE}),
            create=CreateProtocol.UNIQUE_FIELD if marker else CreateProtocol.NONE,
            marker=marker,
            atomic=False,
            index_lag=0.0,  # a query sees what is committed
            max_in_flight=self._settings.max_in_flight_seconds,  # the platform ends any request after 10 minutes
            jobs=JobCapability(above, most, MAX_UPLOAD // 2) if above < most else None,  # a CSV quotes more than JSON
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """The standard fields; custom fields (`__c`) may exist beyond them."""
        return schemas.record_schemas()

    @property
    def quota(self) -> tuple[int, int] | None:
        """API calls used and allowed in 24 hours, from the newest reply's Sforce-Limit-Info; None before the first."""
        return self._session.usage

    def check(
        self,
        used: Mapping[str, Sequence[str]] | None = None,
        written: Mapping[str, Sequence[str]] | None = None,
    ) -> CheckReport:
        """As the contract says. `written` names the fields that will be written, so that a missing right is an error."""
        with self._session.into_reserve():
            return preflight.run(self._session, self._describes, self._settings, used or {}, written or {})

    def check_declared(
        self, read: Mapping[str, Sequence[FieldSchema]], written: Mapping[str, Sequence[FieldSchema]]
    ) -> Sequence[Finding]:
        """Findings about the fields that mappings declare (`native_fields`), from the describes that `check` asked for."""
        with self._session.into_reserve():
            return preflight.declared(self._describes, read, written)

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._session.close()

    # ------------------------------------------------------------ reading
    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Pages of what changed, deleted and merged records included (`MasterRecordId` of an Account names the winner).

        Raises RetryLater, QuotaExhausted, AuthFailed, PermissionMissing, SchemaDrift, and Misconfigured for a cursor
        that is none.
        """
        wanted = self._asked(stream, (*fields, "MasterRecordId") if stream == "Account" else fields)
        yield from read_changes(
            lambda soql: [
                self._completed(row, fields)
                for row in self._session.query(soql, most=self._settings.page_size, record=stream, path="queryAll")
            ],
            stream,
            wanted,
            cursor,
            overlap=timedelta(seconds=self._settings.overlap_seconds),
            page_size=self._settings.page_size,
        )

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of named records by the id asked for; deleted and unknown ones are absent."""
        wanted = self._asked(record, fields)
        known = [i for i in dict.fromkeys(native_ids) if is_id(i)]
        rows: dict[str, Native] = {}
        for group in chunks(known, BATCH):
            found = self._rows(record, wanted, one_of("Id", group), most=len(group))
            rows |= {str(row["Id"])[:15]: self._completed(row, fields) for row in found}
        return {i: rows[i[:15]] for i in known if i[:15] in rows}

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        """Fields hidden from this account are no difference; null and a value are one."""
        return differences(wanted, present)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """The Id of every record, `archived` for those in the recycle bin. Raises like a read."""
        name = _known(record, _STREAM_PARENTS)
        size = self._settings.page_size
        return census(lambda soql: self._session.query(soql, most=size, record=name, path="queryAll"), name, size)

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of records, with every field the org shows. Raises like a read."""
        names = self._describes.known(_known(record, WRITTEN)).carried()
        rows: dict[str, dict[str, Any]] = {}
        for part in chunks(names, len(names) or 1):
            for vendor_id, native in self.fetch(record, part, vendor_ids).items():
                rows.setdefault(vendor_id, {}).update(native)
        return rows

    # ------------------------------------------------------------ writing
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """Write records in collections of 200; one result per item, in order.

        Besides the contract's errors SchemaDrift may be raised (a field is gone; certainly not applied).
        """
        target = self._target(record, operation)
        return push_collections(self._session.send_json, target, items, pause=self._settings.quota_pause_seconds)

    def start_bulk(self, record: str, operation: Operation, items: Sequence[PushItem]) -> str:
        """Send items as one bulk job and return its id, to be asked about later; items that cannot be sent are left out, and
        without any other one there is no job.

        Raises OutcomeUnknown when the job may have been started; every other error means that nothing is applied. A column
        that the org does not show would end the whole job, record by record unprocessed, so it is SchemaDrift before.
        """
        target = self._target(record, operation)
        rows, _ = prepared(target, items)
        refused = unsendable(rows)
        sent = [row for row in rows if row.place not in refused]
        if not sent:
            return ""
        check_columns(self._describes.fresh(record), target, sent)
        return self._bulk.start(target, sent)

    def bulk_state(self, job: str) -> JobState:
        """Where a bulk job stands; FAILED jobs have results too."""
        return self._bulk.state(job)

    def bulk_results(
        self, record: str, operation: Operation, items: Sequence[PushItem], job: str
    ) -> Sequence[PushResult]:
        """One result per item, in order, of an ended job that was started with the same items."""
        return self._bulk.results(self._target(record, operation), job, items)

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """For each item the live record with its id, or with its external id; None when there is none.

        The record holds the fields of the items' payloads, and the external id.
        """
        marker = self._settings.external_id_fields.get(_known(record, WRITTEN))
        named = dict.fromkeys(name for item in items for name, value in item.payload.items() if not _nested(value))
        fields = [*named, *((marker,) if marker else ())]
        by_id = self.fetch(record, fields, [i.vendor_id for i in items if i.vendor_id is not None])
        by_marker = self._by_marker(record, fields, marker, items) if marker else {}
        found: list[tuple[str, Native] | None] = []
        for item in items:
            native = by_id.get(item.vendor_id) if item.vendor_id is not None else None
            if item.vendor_id is None and marker is not None:
                native = by_marker.get(str(item.payload.get(marker, "")).casefold())
            found.append(None if native is None else (str(native["Id"]), native))
        return found

    def _by_marker(
        self, record: str, fields: Sequence[str], marker: str, items: Iterable[PushItem]
    ) -> dict[str, Native]:
        """Live records by external id in lower case: Salesforce compares external ids without regard to case."""
        values = [item.payload.get(marker) for item in items if item.vendor_id is None]
        wanted = self._asked(record, fields)
        rows: dict[str, Native] = {}
        for group in chunks(list(dict.fromkeys(v for v in values if isinstance(v, str) and v)), BATCH):
            for row in self._rows(record, wanted, one_of(marker, group), most=self._settings.page_size):
                rows[str(row.get(marker, "")).casefold()] = self._completed(row, fields)
        return rows

    # ------------------------------------------------------------ parts
    def _target(self, record: str, operation: Operation) -> Target:
        _known(record, WRITTEN)
        marker = self._settings.external_id_fields.get(record)
        if operation is Operation.UPDATE:
            return Target(record, operation)
        if operation is Operation.CREATE and marker is not None:
            return Target(record, operation, marker)
        raise Misconfigured(
            "OPERATION",
            f"The connection cannot {operation} {record}. Nothing was sent. The hub's administrator names a unique external "
            f"id field in external_id_fields.{record} to allow creating.",
        )

    def _asked(self, record: str, fields: Iterable[str]) -> tuple[str, ...]:
        """The fields to select; CurrencyIsoCode is left out where it does not exist."""
        wanted = checked_fields(_known(record, _STREAM_PARENTS), ("Id", *fields))
        if self._settings.multi_currency:
            return wanted
        return tuple(name for name in wanted if name != CURRENCY)

    def _completed(self, row: Native, fields: Iterable[str]) -> Native:
        """The row, with the org's only currency where the mapping asks for one."""
        if self._settings.multi_currency or CURRENCY not in fields:
            return row
        return {**row, CURRENCY: self._settings.currency}

    def _rows(self, record: str, wanted: Sequence[str], where: str, *, most: int) -> list[Native]:
        rows = self._session.query(select(record, wanted, where), most=most, record=record)
        if not all(is_id(row.get("Id")) for row in rows):
            raise odd_reply("a record has no Id")
        return rows


def _nested(value: object) -> bool:
    return isinstance(value, Mapping)


def _known(record: str, known: Iterable[str]) -> str:
    if record not in known:
        raise Misconfigured(
            "RECORD-UNKNOWN",
            f"This connector does not handle {record!r:.60} here. Nothing was done. Whoever keeps the mapping chooses one of "
            f"{', '.join(known)}.",
        )
    return record
