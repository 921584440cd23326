"""The Xero connector: what the engine calls, and how the parts of this package answer it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CensusRow,
    CheckReport,
    Connector,
    CreateProtocol,
    FieldDifference,
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
from connectors.billing_document import Kind
from connectors.errors import Misconfigured, SchemaDrift
from connectors.position import BEGINNING
from connectors.xero import preflight, schemas
from connectors.xero.changes import read_changes
from connectors.xero.contacts import Contacts
from connectors.xero.documents import document
from connectors.xero.elements import elements, is_uuid, last_page
from connectors.xero.error_table import DAY, MINUTE, unreadable
from connectors.xero.natives import NATIVES
from connectors.xero.posting import BATCH, Posting
from connectors.xero.session import Call, XeroSession
from connectors.xero.settings import XeroSettings

_BY_ID_AT_ONCE = 40  # 40 ids of 36 characters keep an address under 2,000 characters
_BURST_SHARE = (
    3  # a third of a minute's calls may go at once; the rest is spread, so that no minute holds more than all
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a record is read."""

    path: str
    id: str
    where: str = ""
    params: tuple[tuple[str, str], ...] = ()


_UNIT = (("unitdp", "4"),)
_SOURCES: Mapping[str, _Source] = {
    "Party": _Source("Contacts", "ContactID", params=(("includeArchived", "true"),)),
    "Invoice": _Source("Invoices", "InvoiceID", 'Type=="ACCREC"', _UNIT),
    "CreditMemo": _Source("CreditNotes", "CreditNoteID", 'Type=="ACCRECCREDIT"', _UNIT),
    "Payment": _Source("Payments", "PaymentID"),
}
_PARENTS = {"Party": (), "Invoice": ("Party",), "CreditMemo": ("Party",), "Payment": ("Invoice",)}
_KINDS = {"Invoice": frozenset(Kind), "CreditMemo": frozenset({Kind.CREDIT_MEMO})}
_BILLING = ("Invoice", "CreditMemo")


class XeroConnector(Connector):
    """One Xero organisation in use, by one worker thread. Posts documents, finds them, and reads what became of them."""

    name: ClassVar[str] = "xero"
    title: ClassVar[str] = "Xero"
    config: ClassVar[type[BaseModel]] = XeroSettings

    def __init__(self, settings: BaseModel) -> None:
        if not isinstance(settings, XeroSettings):
            raise TypeError(f"XeroConnector takes XeroSettings, not {type(settings).__name__}")
        self._settings = settings
        self._session = XeroSession(settings, lambda: self.pace())
        self._contacts = Contacts(self._session, settings)
        self._posting = Posting(self._session, self._contacts, settings)

    def __repr__(self) -> str:
        return f"XeroConnector({self._settings.tenant_id})"

    @property
    def capabilities(self) -> Capabilities:
        """The same for every organisation, but for its limits."""
        settings = self._settings
        creates = frozenset({Operation.CREATE})

        def posted(marker: str, batch: int) -> RecordCapability:
            return RecordCapability(
                batch,
                creates,
                CreateProtocol.NATIVE_KEY,
                marker=marker,
                max_in_flight=settings.max_in_flight_seconds,
                key_age=settings.key_age_seconds,
            )

        return Capabilities(
            streams={
                name: StreamCapability(name, settings.overlap_seconds, deletes=False, parents=parents)
                for name, parents in _PARENTS.items()
            },
            records={
                "Party": posted("code", 1),
                "Invoice": posted("reference", BATCH),
                "CreditMemo": posted("reference", BATCH),
            },
            rates=self._rates(),
            max_concurrency=settings.max_concurrency,
            longest_request=settings.connect_timeout_seconds + settings.timeout_seconds,
            verified_by=(
                "Xero's OpenAPI file 16.1: every request and reply of the contract suite is validated against its schemas",
                "Xero's pages on limits, idempotent requests, lock dates, rounding and webhooks, as prose",
                "the Xero sandbox of this project; no real organisation yet",
            ),
            cannot=(
                "register payments: finance does; they are read with the invoice and as a stream",
                "prices that include tax; tax is computed by Xero and must be the document's own",
                "change documents or contacts once they exist, or void them",
                "set a credit note off against more than the invoice it corrects; what is left stays the buyer's credit",
                "tracking categories, branding themes and exchange rates of our own",
                "see in one read more than a page of records of one second while one of them changes again",
                "receive webhooks: they can be verified and read, but the hub has no public address; it asks for changes",
            ),
        )

    def _rates(self) -> tuple[Rate, ...]:
        """Tokens and burst together never exceed what any window of the vendor's holds."""
        settings = self._settings
        day = settings.daily_call_limit - settings.daily_call_reserve
        minute = settings.minute_call_limit
        minute_burst, day_burst = max(1, minute // _BURST_SHARE), max(1, day // 10)
        return (
            Rate(MINUTE, limit=float(minute - minute_burst), per=60.0, burst=minute_burst),
            Rate(DAY, limit=float(max(1, day - day_burst)), per=86_400.0, burst=day_burst),
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """Party, Invoice, CreditMemo and Payment."""
        return schemas.record_schemas()

    @property
    def day_left(self) -> int | None:
        """Calls left today, as the newest reply said; None before the first."""
        return self._session.day_left

    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """As the contract says; asks for the organisation, its account, its tax type and its lock dates."""
        return preflight.run(self._session, self._settings, used or {}, written or {})

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._session.close()

    # ------------------------------------------------------------ writing
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """Create one contact, or post up to 50 documents: several requests, each sent once, all safe to begin again.

        Record `Invoice` takes both kinds of document, `CreditMemo` only credit memos. Raises OutcomeUnknown when any request
        may have been applied without our knowing, and the rest of the contract's errors when none was.
        """
        most = 1 if record == "Party" else BATCH
        if record not in ("Party", *_KINDS) or operation is not Operation.CREATE or len(items) > most:
            raise Misconfigured(
                "OPERATION",
                f"The connector creates up to {most} {record} a call; {len(items)} to {operation} were asked for. Nothing was "
                "sent. Integration corrects the caller.",
            )
        if record == "Party":
            return [self._contacts.push(item) for item in items]
        return self._posting.post(items, _KINDS[record])

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Contacts by code; documents by reference once they are posted and set off. Raises like a read."""
        if record in _KINDS:
            return self._posting.find(items, _KINDS[record])
        _known(record)
        codes = [str(item.payload.get("code", "")) for item in items]
        known = self._contacts.by_code(codes)
        return [(str(known[code]["ContactID"]), known[code]) if code in known else None for code in codes]

    # ------------------------------------------------------------ reading
    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Pages of what changed; an invoice comes with its payments and with the credits that were set off.

        Raises RetryLater, QuotaExhausted, AuthFailed, PermissionMissing, SchemaDrift; Misconfigured for a cursor that is none.
        """
        source = _checked(stream, fields)
        size = self._settings.page_size

        def ask(since: datetime | None, page: int) -> list[dict[str, Any]]:
            headers = {} if since is None else {"If-Modified-Since": since.strftime("%Y-%m-%dT%H:%M:%S")}
            params = {**dict(source.params), "order": "UpdatedDateUTC ASC", "page": str(page), "pageSize": str(size)}
            if source.where:
                params["where"] = source.where
            call = Call(source.path, params=params, headers=headers)
            said = self._session.send(call)
            found = elements(said, source.path, call)
            last_page(said, found, page, size, call)
            return found

        return read_changes(
            ask,
            source.id,
            cursor,
            overlap=timedelta(seconds=self._settings.overlap_seconds),
            page_size=size,
            native=lambda element: _only(NATIVES[stream](element), fields),
        )

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of named records; unknown ids are absent. Credit notes are found under `Invoice` too."""
        _checked(record, fields)
        ids = [native_id for native_id in dict.fromkeys(native_ids) if is_uuid(native_id)]
        found = self._by_id(record, ids)
        missing = [native_id for native_id in ids if native_id not in found]
        if record == "Invoice" and missing:
            found |= self._by_id("CreditMemo", missing)
        return {native_id: _only(native, fields) for native_id, native in found.items()}

    def observe(self, record: str, vendor_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of records, with every field. Raises like a read."""
        _known(record)
        return self.fetch(record, _readable(record), vendor_ids)

    def differences(self, record: str, wanted: Native, present: Native) -> Sequence[FieldDifference]:
        """What a posted document shows otherwise: reference, party, currency, date, total and tax. Other records: nothing."""
        if record not in _KINDS:
            return []
        try:
            billed = document(wanted)
        except ValueError:
            return []
        values = {
            "reference": billed.reference,
            "party": billed.party.code,
            "currency": billed.currency,
            "date": billed.date,
            "total": billed.gross * billed.sign,
            "tax": billed.tax * billed.sign,
        }
        return [
            FieldDifference(name, value, present[name])
            for name, value in values.items()
            if name in present and present[name] is not None and present[name] != value
        ]

    def billing(self, cursor: str | None) -> Iterator[Page]:
        """Invoices with their payments, then credit memos, changed since the cursor, with every field."""
        cursors = _cursors(cursor)
        for stream in _BILLING:
            for page in self.read(stream, _readable(stream), cursors[stream]):
                cursors[stream] = page.cursor
                last = page.last and stream == _BILLING[-1]
                yield replace(page, cursor=json.dumps(cursors, separators=(",", ":"), sort_keys=True), last=last)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every contact or customer document, voided, deleted and archived ones too. Raises like a read.

        Pages are in the order of ids, which never change: a record made meanwhile only moves others back, to be met again.
        """
        source = _known(record)
        marker = {
            "Party": "ContactNumber",
            "Invoice": "InvoiceNumber",
            "CreditMemo": "CreditNoteNumber",
            "Payment": "Reference",
        }
        page, seen = 1, set[str]()
        while True:
            params = {**dict(source.params), "order": f"{source.id} ASC", "page": str(page)}
            params |= {"pageSize": str(self._settings.page_size)} | ({"where": source.where} if source.where else {})
            call = Call(source.path, params=params)
            said = self._session.send(call)
            rows = elements(said, source.path, call)
            last = last_page(said, rows, page, self._settings.page_size, call)
            if len(rows) == self._settings.page_size and all(row[source.id] in seen for row in rows):
                raise unreadable("the same page over and over", call.name, call.effect)
            yield [
                CensusRow(
                    str(row[source.id]),
                    marker=str(row.get(marker[record]) or ""),
                    archived=row.get("Status", row.get("ContactStatus")) in ("DELETED", "VOIDED", "ARCHIVED"),
                )
                for row in rows
                if row[source.id] not in seen
            ]
            seen |= {str(row[source.id]) for row in rows}
            if last:
                return
            page += 1

    # ------------------------------------------------------------ parts
    def _by_id(self, record: str, ids: Sequence[str]) -> dict[str, Native]:
        source = _SOURCES[record]
        found: dict[str, Native] = {}
        for start in range(0, len(ids), _BY_ID_AT_ONCE):
            some = ids[start : start + _BY_ID_AT_ONCE]
            params = {**dict(source.params), "page": "1", "pageSize": str(_BY_ID_AT_ONCE)}
            if record in ("Invoice", "Party"):
                params["IDs"] = ",".join(some)
            else:
                params["where"] = " OR ".join(f'{source.id}==guid("{native_id}")' for native_id in some)
            call = Call(source.path, params=params)
            for element in elements(self._session.send(call), source.path, call):
                if element[source.id] in some and (record != "Invoice" or element.get("Type") == "ACCREC"):
                    found[str(element[source.id])] = NATIVES[record](element)
        return found


def _known(record: str) -> _Source:
    if record not in _SOURCES:
        raise Misconfigured(
            "RECORD-UNKNOWN",
            f"The Xero connector knows no {record}. Nothing was sent. Choose one of {', '.join(sorted(_SOURCES))}.",
        )
    return _SOURCES[record]


def _readable(record: str) -> list[str]:
    return [name for name, field in schemas.record_schemas()[record].fields.items() if field.readable]


def _checked(record: str, fields: Iterable[str]) -> _Source:
    source = _known(record)
    readable = {"id", *_readable(record)}
    for name in fields:
        if name not in readable:
            raise SchemaDrift(
                "FIELD-UNKNOWN",
                f"The field {name} of {record} cannot be read. Nothing was read. Integration corrects the mapping.",
                field=name,
            )
    return source


def _only(native: Native, fields: Sequence[str]) -> Native:
    wanted = {"id", *fields}
    return {name: value for name, value in native.items() if name in wanted}


def _cursors(cursor: str | None) -> dict[str, str | None]:
    if cursor is None or cursor == BEGINNING:
        return dict.fromkeys(_BILLING)
    try:
        kept = json.loads(cursor)
        return {stream: None if kept[stream] is None else str(kept[stream]) for stream in _BILLING}
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(
            "CURSOR-UNREADABLE",
            "The stored cursor is not one of this connector's. Nothing is read. An administrator resets the cursor; reading from "
            "the beginning loses nothing.",
        ) from error
