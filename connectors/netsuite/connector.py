"""The NetSuite connector: what the engine calls, and how the parts of this package answer it."""

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
    Rate,
    RecordCapability,
    RecordSchema,
    StreamCapability,
)
from connectors.billing_document import Kind, validated
from connectors.errors import Misconfigured, RecordRejected, SchemaDrift
from connectors.netsuite import billing, preflight, schemas
from connectors.netsuite.billing import COLUMNS, CREDIT, FROM, INVOICE, PAYMENT
from connectors.netsuite.changes import read_changes
from connectors.netsuite.directory import Directory, UnknownName
from connectors.netsuite.documents import Party
from connectors.netsuite.error_table import REQUESTS, Refused, odd_reply
from connectors.netsuite.posting import Posting, rejected
from connectors.netsuite.session import AccountSession, Row
from connectors.netsuite.settings import NetSuiteSettings
from connectors.netsuite.suiteql import is_id, moment, one_of_ids
from oms_schema.problems import Reason

_TYPES: Mapping[str, tuple[str, ...]] = {"Invoice": (INVOICE,), "CreditMemo": (CREDIT,)}
_CUSTOMER_COLUMNS = "u.id, u.externalid, u.companyname, u.isinactive, " + moment("u.lastmodifieddate", "changed")
_BURST_SHARE = 4


class NetSuiteConnector(Connector):
    """One NetSuite account in use, by one worker thread. Posts documents, finds them again, reads what became of them."""

    name: ClassVar[str] = "netsuite"
    title: ClassVar[str] = "NetSuite"
    config: ClassVar[type[BaseModel]] = NetSuiteSettings

    def __init__(self, settings: BaseModel) -> None:
        if not isinstance(settings, NetSuiteSettings):
            raise TypeError(f"NetSuiteConnector takes NetSuiteSettings, not {type(settings).__name__}")
        self._settings = settings
        self._session = AccountSession(settings, lambda: self.pace())
        self._directory = Directory(self._session, settings)
        self._posting = Posting(self._session, self._directory)

    def __repr__(self) -> str:
        return f"NetSuiteConnector({self._settings.account})"

    @property
    def capabilities(self) -> Capabilities:
        """The same for every account. One document a call, because each is posted or refused by itself."""
        settings = self._settings
        record = RecordCapability(
            1,
            frozenset({Operation.CREATE}),
            CreateProtocol.UNIQUE_FIELD,
            marker="reference",
            atomic=True,
            max_in_flight=settings.max_in_flight_seconds,  # NetSuite may commit 5 minutes after a time-out
        )
        customer = RecordCapability(
            1,
            record.operations,
            CreateProtocol.UNIQUE_FIELD,
            marker="code",
            atomic=True,
            max_in_flight=settings.max_in_flight_seconds,
        )
        overlap = settings.overlap_seconds
        per_minute = settings.requests_per_minute
        burst = max(1, per_minute // _BURST_SHARE)
        return Capabilities(
            streams={
                "Customer": StreamCapability("Customer", overlap, deletes=False),
                "Invoice": StreamCapability("Invoice", overlap, deletes=False, parents=("Customer",)),
                "CreditMemo": StreamCapability("CreditMemo", overlap, deletes=False, parents=("Invoice",)),
            },
            records={"Customer": customer, "Invoice": record, "CreditMemo": record},
            rates=(Rate(REQUESTS, limit=max(1.0, float(per_minute - burst)), per=60.0, burst=burst),),
            max_concurrency=settings.max_concurrency,
            longest_request=settings.connect_timeout_seconds + settings.timeout_seconds,
            verified_by=(
                "the NetSuite online help (prose): record service, SuiteQL, OAuth 2.0 client credentials, error handling",
                "the NetSuite sandbox of this project, which is written from the same pages",
                "never against a NetSuite account",
            ),
            cannot=(
                "compare before posting where the account does not route invoices through approval, and for credit memos: "
                "NetSuite posts them as it saves them, so a wrong total is parked, not prevented",
                "register payments: finance does; they are read with the invoice",
                "send taxes: NetSuite computes them; a document whose tax is not the expected one is not counted as posted",
                "write custom fields, departments, classes and locations",
                "write customers' addresses: they are put in the comments",
                "change or delete documents once they exist",
                "link the lines of a credit memo with those of the invoice; the memo is applied to the invoice as a whole",
                "see deleted records except by a census",
                "use SOAP, RESTlets or asynchronous requests",
            ),
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """Customer, Invoice and CreditMemo."""
        return schemas.record_schemas()

    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """As the contract says; asks for the rights to query, the item and an open period. Writes nothing."""
        return preflight.run(self._session, self._directory, self._settings, used or {}, written or {})

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._session.close()

    # ------------------------------------------------------------ writing
    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        """Create one customer, or post one document: several requests, each sent once, all safe to begin again.

        An `Invoice` whose kind is credit_memo is posted as one, so that one payload serves every ERP. Raises OutcomeUnknown
        when any request may have been applied without our knowing.
        """
        _known(record)
        if operation is not Operation.CREATE or len(items) > 1:
            raise Misconfigured(
                "OPERATION",
                f"The connector creates one {record} a call; {len(items)} to {operation} were asked for. Nothing was sent. "
                "Integration corrects the caller.",
            )
        if record == "Customer":
            return [self._create_customer(item) for item in items]
        return [self._posting.post(item) if _fits(record, item) else _wrong_kind(item) for item in items]

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        """Customers by external id; documents by external id once they are posted. Raises like a read."""
        if _known(record) != "Customer":
            return self._posting.find(items)
        found: list[tuple[str, Native] | None] = []
        for item in items:
            code = item.payload.get("code")
            known = self._directory.present_customer(code) if isinstance(code, str) and code else None
            found.append(None if known is None else (known.id, {"id": known.id, "code": code, "name": known.name}))
        return found

    def _create_customer(self, item: PushItem) -> PushResult:
        try:
            wanted = validated(Party, item.payload)
        except ValueError as error:
            message = f"The customer cannot be sent to NetSuite: {error}. Nothing was created. Integration corrects it."
            return rejected(item, "CUSTOMER-SHAPE", message, Reason.MAPPING)
        known = self._directory.present_customer(wanted.code)
        if known is None:
            try:
                return PushResult(item.key, Outcome.CREATED, vendor_id=self._directory.create_customer(wanted))
            except UnknownName as error:
                return rejected(item, error.code, error.message, Reason.REFERENCE_MISSING)
            except Refused as error:
                return rejected(item, error.code, error.message, Reason(error.reason), error.path)
            except RecordRejected as error:
                return rejected(item, error.code, error.message, Reason.VENDOR_STATE, error.path)
        if known.name != wanted.name:
            return rejected(
                item,
                "CODE-TAKEN",
                f"The external id {wanted.code} belongs to another customer in NetSuite, {known.id}. Nothing was created. "
                "Finance says which of the two names is right, or gives the customer another code.",
                Reason.DUPLICATE,
            )
        return PushResult(item.key, Outcome.CREATED, vendor_id=known.id, evidence={"existed": True})

    # ------------------------------------------------------------ reading
    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        """Pages of what changed; an invoice comes with its payments, also when only these changed.

        Raises RetryLater, QuotaExhausted, AuthFailed, PermissionMissing, SchemaDrift, and Misconfigured for a bad cursor.
        """
        _checked(stream, fields)
        if stream == "Customer":
            return self._changes(
                f"{_CUSTOMER_COLUMNS} FROM customer u WHERE",
                "u",
                cursor,
                lambda rows: [[(row["id"], _only(_customer(row), fields))] for row in rows],
            )
        return self._documents(_TYPES[stream], fields, cursor)

    def billing(self, cursor: str | None) -> Iterator[Page]:
        """Invoices and credit memos changed since the cursor, or touched by a payment since, with every field."""
        return self._documents((INVOICE, CREDIT), list(schemas.record_schemas()["Invoice"].fields), cursor)

    def _documents(self, types: tuple[str, ...], fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        triggers = (INVOICE, CREDIT, PAYMENT) if INVOICE in types else types
        asked = ", ".join(f"'{name}'" for name in triggers)

        def show(rows: Sequence[Row]) -> Sequence[Sequence[tuple[str, Native]]]:
            return self._shown(rows, types, fields)

        return self._changes(f"{COLUMNS} FROM {FROM} WHERE t.type IN ({asked}) AND", "t", cursor, show)

    def _changes(self, head: str, column: str, cursor: str | None, show: Any) -> Iterator[Page]:
        size = self._settings.page_size

        def ask(condition: str) -> list[Row]:
            statement = f"SELECT {head} {condition} ORDER BY {column}.lastmodifieddate, {column}.id"
            return self._session.query(statement, most=size, record="transaction")

        return read_changes(
            ask,
            cursor,
            show,
            column=column,
            zone=self._settings.zone,
            overlap=timedelta(seconds=self._settings.overlap_seconds),
            page_size=size,
        )

    def _shown(
        self, rows: Sequence[Row], types: tuple[str, ...], fields: Sequence[str]
    ) -> Sequence[Sequence[tuple[str, Native]]]:
        """For each changed row the documents it is about: itself, and the invoices that a payment or credit is applied to."""
        own = {row["id"]: row for row in rows if row.get("type") in types}
        touched: dict[str, list[str]] = {}
        if INVOICE in types:
            appliers = [row["id"] for row in rows if row.get("type") in (CREDIT, PAYMENT)]
            for link in billing.applied_to(self._session, appliers):
                touched.setdefault(link["nextdoc"], []).append(link["previousdoc"])
        missing = sorted({id_ for ids in touched.values() for id_ in ids} - set(own), key=int)
        documents = [*own.values()]
        for start in range(0, len(missing), 500):
            documents += billing.by_ids(self._session, missing[start : start + 500])
        documents = [row for row in documents if row.get("type") in types]
        natives = {
            row["id"]: _only(native, fields)
            for row, native in zip(documents, billing.natives(self._session, documents), strict=True)
        }
        return [
            [(id_, natives[id_]) for id_ in (row["id"], *touched.get(row["id"], ())) if id_ in natives] for row in rows
        ]

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        """The present state of named records; unknown ids are absent."""
        _checked(record, fields)
        ids = [id_ for id_ in dict.fromkeys(native_ids) if is_id(id_)]
        found: dict[str, Native] = {}
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            if record == "Customer":
                statement = f"SELECT {_CUSTOMER_COLUMNS} FROM customer u WHERE {one_of_ids('u.id', some)}"  # noqa: S608
                rows = self._session.query(statement, most=1000, record="customer")
                natives: Sequence[Native] = [_customer(row) for row in rows]
            else:
                rows = [row for row in billing.by_ids(self._session, some) if row.get("type") in _TYPES[record]]
                natives = billing.natives(self._session, rows)
            found |= {str(native["id"]): _only(native, fields) for native in natives}
        return found

    def census(self, record: str) -> Iterator[Sequence[CensusRow]]:
        """Every customer or document once, inactive and voided ones too. Raises like a read."""
        size, last = self._settings.page_size, "0"
        while True:
            if _known(record) == "Customer":
                head, flag = "u.id, u.externalid, u.isinactive FROM customer u WHERE u.id", "isinactive"
            else:
                kind = _TYPES[record][0]
                head = f"u.id, u.externalid, u.voided FROM transaction u WHERE u.type = '{kind}' AND u.id"
                flag = "voided"
            statement = f"SELECT {head} > {last} ORDER BY u.id"
            rows = self._session.query(statement, most=size, record=record)
            ids = [row.get("id") for row in rows]
            if not all(is_id(id_) and int(str(id_)) > int(last) for id_ in ids) or len(set(ids)) != len(ids):
                raise odd_reply("a census has rows without an id, or twice")
            yield [
                CensusRow(row["id"], marker=row.get("externalid", ""), archived=row.get(flag) == "T") for row in rows
            ]
            if len(rows) < size:
                return
            last = max((row["id"] for row in rows), key=int)


def _fits(record: str, item: PushItem) -> bool:
    return record == "Invoice" or item.payload.get("kind") == Kind.CREDIT_MEMO


def _wrong_kind(item: PushItem) -> PushResult:
    message = "A record CreditMemo has the kind invoice. Nothing was created. Integration corrects what makes it."
    return rejected(item, "DOCUMENT-KIND", message, Reason.MAPPING, "kind")


def _known(record: str) -> str:
    if record not in schemas.record_schemas():
        raise Misconfigured(
            "RECORD-UNKNOWN",
            f"The NetSuite connector knows no {record}. Nothing was sent. Choose one of "
            f"{', '.join(sorted(schemas.record_schemas()))}.",
        )
    return record


def _checked(record: str, fields: Iterable[str]) -> None:
    known = schemas.record_schemas()[_known(record)].fields
    for name in fields:
        if name not in known or not known[name].readable:
            raise SchemaDrift(
                "FIELD-UNKNOWN",
                f"The field {name} of {record} cannot be read. Nothing was read. Integration corrects the mapping.",
                field=name,
            )


def _customer(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "code": row.get("externalid"),
        "name": row.get("companyname"),
        "active": row.get("isinactive") != "T",
    }


def _only(native: Native, fields: Sequence[str]) -> Native:
    return {name: value for name, value in native.items() if name == "id" or name in fields}
