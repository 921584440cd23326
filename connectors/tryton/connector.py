"""The Tryton connector: what the engine calls, and how the parts of this package answer it."""

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
    Native,
    Operation,
    Outcome,
    Page,
    PushItem,
    PushResult,
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.billing_document import validated
from connectors.errors import Misconfigured, RecordRejected, SchemaDrift
from connectors.tryton import billing, preflight, schemas
from connectors.tryton.changes import ORDER, read_changes
from connectors.tryton.directory import Directory, Rows, UnknownName, rows
from connectors.tryton.documents import Party
from connectors.tryton.kinds import INVOICE, SALE
from connectors.tryton.posting import BATCH, Posting
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings
from oms_schema.problems import Reason

_MODELS = {"Invoice": INVOICE.model, "Party": "party.party", "Sale": SALE.model}
_FIELDS = {
    "Invoice": billing.FIELDS,
    "Party": ["last_modified_at", "code", "name", "active"],
    "Sale": [
        "last_modified_at",
        "number",
        "reference",
        "state",
        "sale_date",
        "total_amount",
        "party.code",
        "currency.code",
    ],
}
_MARKERS = {"Invoice": "reference", "Party": "code", "Sale": "reference"}
_ARCHIVED_TOO = {"active_test": False}


class TrytonConnector(Connector):
    """One Tryton company in use, by one worker thread. Posts documents, finds them again, and reads what became of them."""

    name: ClassVar[str] = "tryton"
    title: ClassVar[str] = "Tryton"
    config: ClassVar[type[BaseModel]] = TrytonSettings

    def __init__(self, settings: BaseModel) -> None:
        if not isinstance(settings, TrytonSettings):
            raise TypeError(f"TrytonConnector takes TrytonSettings, not {type(settings).__name__}")
        self._settings = settings
        self._session = RpcSession(settings)
        self._directory = Directory(self._session, settings)
        self._posting = {
            kind.record: Posting(self._session, self._directory, settings, kind) for kind in (INVOICE, SALE)
        }

    def __repr__(self) -> str:
        return f"TrytonConnector({self._settings.url}, {self._settings.database})"

    @property
    def capabilities(self) -> Capabilities:
        """The same for every company. Documents go many in a call, and each is posted or refused by itself."""
        settings = self._settings
        creates = frozenset({Operation.CREATE})
        return Capabilities(
            streams={
                "Party": StreamCapability("Party", settings.overlap_seconds, deletes=False),
                "Sale": StreamCapability("Sale", settings.overlap_seconds, deletes=False, parents=("Party",)),
                "Invoice": StreamCapability("Invoice", settings.overlap_seconds, deletes=False, parents=("Party",)),
            },
            records={
                # nothing is unique on a sale, not even its number
                "Sale": RecordCapability(
                    BATCH,
                    creates,
                    CreateProtocol.PROBE,
                    marker="reference",
                    max_in_flight=settings.max_in_flight_seconds,
                ),
                # party.code is unique in the database
                "Party": RecordCapability(1, creates, CreateProtocol.UNIQUE_FIELD, marker="code", atomic=True),
                # Nothing is unique on an invoice but its number, which Tryton gives at the posting
                "Invoice": RecordCapability(
                    BATCH,
                    creates,
                    CreateProtocol.PROBE,
                    marker="reference",
                    max_in_flight=settings.max_in_flight_seconds,
                ),
            },
            max_concurrency=settings.max_concurrency,
            longest_request=settings.connect_timeout_seconds + settings.timeout_seconds,
            verified_by=(
                "Tryton 8.0 itself, its own process on SQLite (tests/scenario/test_tryton.py)",
                "lost replies at every step of a posting, through a proxy that cuts the connection",
            ),
            cannot=(
                "register payments: finance does; they are read with the invoice",
                "answer a question that Tryton asks (UserWarning): the document is parked with its text",
                "match a credit memo with its invoice in the ledger; both point to each other and their balances add to zero",
                "taxes: a draft to which Tryton adds a tax is not posted",
                "link invoices to sales: a sale shows what was booked, invoices follow delivery",
                "change parties or documents once they exist",
                "see deleted drafts and parties except by a census",
            ),
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """Party, Sale and Invoice; credit memos are invoices whose kind says so."""
        return schemas.record_schemas()

    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """As the contract says; asks for the rights, the set-up of the accounts and an open period. Writes nothing."""
        return preflight.run(self._session, self._directory, self._settings, used or {}, written or {})

    def close(self) -> None:
        """Give back sockets and forget the session."""
        self._session.close()

    # ------------------------------------------------------------ writing
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """Create one party, or confirm sales or post documents: several requests, each sent once, all safe to begin again.

        Raises OutcomeUnknown when any of them may have been applied without our knowing, unless some of the documents have a
        result of their own.
        """
        _known(record)
        most = 1 if record == "Party" else BATCH
        if operation is not Operation.CREATE or len(items) > most:
            raise Misconfigured(
                "OPERATION",
                f"The connector creates up to {most} {record} a call; {len(items)} to {operation} were asked for. Nothing was "
                "sent. Integration corrects the caller.",
            )
        if record == "Party":
            return [self._create_party(item) for item in items]
        return self._posting[record].post(items)

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Parties by code; documents by reference once they are posted, sales once confirmed. Raises like a read."""
        if _known(record) in self._posting:
            return self._posting[record].find(items)
        codes = [str(item.payload.get("code", "")) for item in items]
        known = self._directory.parties(codes)
        return [(str(known[code]["id"]), known[code]) if code in known else None for code in codes]

    def _create_party(self, item: PushItem) -> PushResult:
        try:
            wanted = validated(Party, item.payload)
        except ValueError as error:
            return _rejected(
                item,
                "PARTY-SHAPE",
                f"The party cannot be sent to Tryton: {error}. Nothing was created. Integration corrects what makes it.",
                Reason.MAPPING,
            )
        known = self._directory.parties([wanted.code]).get(wanted.code)
        if known is None:
            try:
                return PushResult(item.key, Outcome.CREATED, vendor_id=str(self._directory.create_party(wanted)))
            except UnknownName as error:
                return _rejected(item, error.code, error.message, Reason.REFERENCE_MISSING)
            except RecordRejected as error:
                known = self._directory.parties([wanted.code]).get(wanted.code)  # another worker may have been faster
                if known is None:
                    return _rejected(item, error.code, error.message, Reason.VENDOR_STATE)
        if known["name"] != wanted.name:
            return _rejected(
                item,
                "CODE-TAKEN",
                f"The code {wanted.code} belongs to another party in Tryton, {known['id']}. Nothing was created. Finance says "
                "which of the two names is right and renames the party, or gives the customer another code.",
                Reason.DUPLICATE,
            )
        return PushResult(item.key, Outcome.CREATED, vendor_id=str(known["id"]), evidence={"existed": True})

    # ------------------------------------------------------------ reading
    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Pages of what changed; an invoice comes with its payments and with what corrects it.

        Raises RetryLater, QuotaExhausted, AuthFailed, SchemaDrift, and Misconfigured for a cursor that is none.
        """
        _checked(stream, fields)
        size = self._settings.page_size

        def ask(domain: list[Any]) -> Rows:
            ours = ["AND", domain, self._scope(stream)] if domain else self._scope(stream)
            return self._search(stream, ours, size, ORDER, _FIELDS[stream])

        return read_changes(
            ask,
            cursor,
            overlap=timedelta(seconds=self._settings.overlap_seconds),
            page_size=size,
            native=lambda found: [_only(native, fields) for native in self._natives(stream, found)],
        )

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of named records; unknown ids are absent."""
        _checked(record, fields)
        ids = [int(native_id) for native_id in dict.fromkeys(native_ids) if native_id.isdecimal()]
        found: dict[str, Native] = {}
        for start in range(0, len(ids), self._settings.page_size):
            some = ids[start : start + self._settings.page_size]
            domain = ["AND", [["id", "in", some]], self._scope(record)]
            for native in self._natives(
                record, self._search(record, domain, len(some), [["id", "ASC"]], _FIELDS[record])
            ):
                found[str(native["id"])] = _only(native, fields)
        return found

    def billing(self, cursor: str | None) -> Iterator[Page]:
        """Customer documents changed since the cursor, with every field."""
        return self.read("Invoice", [name for name, field in _readable("Invoice").items() if field], cursor)

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every party, sale or customer document once, cancelled and archived ones too. Raises like a read."""
        marker = _MARKERS[_known(record)]
        flag = "active" if record == "Party" else "state"
        last = 0
        while True:
            domain = ["AND", [["id", ">", last]], self._scope(record)]
            found = self._search(record, domain, self._settings.page_size, [["id", "ASC"]], [marker, flag])
            yield [
                CensusRow(
                    str(row["id"]),
                    marker=str(row.get(marker) or ""),
                    archived=not row.get(flag) if record == "Party" else row.get(flag) == "cancelled",
                )
                for row in found
            ]
            if len(found) < self._settings.page_size:
                return
            last = found[-1]["id"]

    # ------------------------------------------------------------ parts
    def _scope(self, record: str) -> list[Any]:
        """Our company's sales and customer documents; all parties, which companies share."""
        if record == "Party":
            return [["id", ">", 0]]
        kind = INVOICE if record == "Invoice" else SALE
        return [*(list(part) for part in kind.scope), ["company", "=", self._directory.company()]]

    def _search(self, record: str, domain: list[Any], most: int, order: list[Any], fields: list[str]) -> Rows:
        model = _MODELS[record]
        found = self._session.read(model, "search_read", domain, 0, most, order, ["id", *fields], context=_ARCHIVED_TOO)
        return rows(found, f"{model}.search_read")

    def _natives(self, record: str, found: Rows) -> Sequence[Native]:
        if record == "Invoice":
            return billing.natives(self._session, found)
        return [billing.sale_native(row) for row in found] if record == "Sale" else found


def _known(record: str) -> str:
    if record not in _MODELS:
        raise Misconfigured(
            "RECORD-UNKNOWN",
            f"The Tryton connector knows no {record}. Nothing was sent. Choose one of {', '.join(sorted(_MODELS))}.",
        )
    return record


def _readable(record: str) -> Mapping[str, bool]:
    return {name: field.readable for name, field in schemas.record_schemas()[record].fields.items()}


def _checked(record: str, fields: Iterable[str]) -> None:
    readable = _readable(_known(record))
    for name in fields:
        if not readable.get(name):
            raise SchemaDrift(
                "FIELD-UNKNOWN",
                f"The field {name} of {record} cannot be read. Nothing was read. Integration corrects the mapping.",
                field=name,
            )


def _only(native: Native, fields: Sequence[str]) -> Native:
    wanted = {"id", *fields}
    return {name: value for name, value in native.items() if name in wanted}


def _rejected(item: PushItem, code: str, message: str, reason: Reason) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, reason=str(reason))
