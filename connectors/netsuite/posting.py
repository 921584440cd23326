"""Posts one document exactly once: look up, save by external id, compare to the cent, approve, read back.

External ids are unique among transactions, and a save by external id (PUT …/eid:KEY) creates or changes the one record that
has it, so a request that arrives twice or late makes no second document. Lines have no keys of ours: without `replace=item`
a second save would add them once more. Every step begins from what is there, so sending a document again is always safe.

Where the account routes invoices through approval (Pending Approval posts nothing), the comparison comes before the
approval. Where it does not, saving is posting, and a document with another total is not counted as posted but parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.base import Native, Outcome, PushItem, PushResult
from connectors.billing_document import Kind
from connectors.errors import ConnectorError, OutcomeUnknown, RecordRejected, RetryLater
from connectors.netsuite.directory import Directory, UnknownName, eid
from connectors.netsuite.documents import RECORD_TYPES, Booking, Document, body, document
from connectors.netsuite.error_table import Absent, Effect, Refused, odd_reply, unknown_answer
from connectors.netsuite.session import AccountSession
from connectors.netsuite.suiteql import is_id
from oms_schema.problems import Reason

PENDING, APPROVED = "1", "2"


@dataclass(frozen=True, slots=True)
class Present:
    """A document as NetSuite shows it; amounts positive, also of a credit memo."""

    id: str
    number: str
    reference: str
    customer: str
    currency: str
    day: str
    total: Decimal
    tax: Decimal
    status: str
    approval: str | None
    amounts: tuple[Decimal, ...]
    remaining: Decimal

    @property
    def posted(self) -> bool:
        """Whether it stands in the books: approval is not asked for, or given."""
        return self.approval in (None, APPROVED)


class Posting:
    """Posts documents through one session."""

    def __init__(self, session: AccountSession, directory: Directory) -> None:
        self._session = session
        self._directory = directory

    def post(self, item: PushItem) -> PushResult:
        """Post one document. Raises OutcomeUnknown, RetryLater, AuthFailed, PermissionMissing, QuotaExhausted, SchemaDrift."""
        try:
            wanted = document(item.payload)
        except ValueError as error:
            return rejected(
                item,
                "DOCUMENT-SHAPE",
                f"The document cannot be sent to NetSuite: {error}. Nothing was created. Integration corrects what makes it.",
                Reason.MAPPING,
            )
        try:
            return self._post(item, wanted)
        except UnknownName as error:
            return rejected(item, error.code, error.message, Reason.REFERENCE_MISSING, error.path)
        except Refused as error:
            return rejected(item, error.code, error.message, Reason(error.reason), error.path)
        except RecordRejected as error:
            return rejected(item, error.code, error.message, Reason.VENDOR_STATE, error.path)

    def find(self, items: Sequence[PushItem]) -> list[tuple[str, Native] | None]:
        """For each document the posted one of its external id; one that waits for approval is finished by the next try."""
        found: list[tuple[str, Native] | None] = []
        for item in items:
            try:
                wanted = document(item.payload)
            except ValueError:
                found.append(None)
                continue
            there = self._present(wanted)
            if there is None or not there.posted or there.total != wanted.gross:
                found.append(None)
            else:
                found.append((there.id, {"id": there.id, "reference": there.reference, **evidence(there)}))
        return found

    # ------------------------------------------------------------ steps
    def _post(self, item: PushItem, wanted: Document) -> PushResult:
        there = self._present(wanted)
        booking = self._booking(wanted)
        if there is None:
            self._save(wanted, booking)
            there = self._read_back(wanted)
        unlike = differences(wanted, booking, there)
        if unlike:
            stands = "It is in the books there." if there.posted else "It waits there for approval and is not posted."
            return rejected(
                item,
                "TOTAL-MISMATCH" if unlike[0].startswith("total") else "DOCUMENT-DIFFERS",
                f"NetSuite's {there.number} for {wanted.reference} is not what was billed: {'; '.join(unlike)}. {stands} The hub "
                "does not count it as posted. Finance and billing find out which is right; finance corrects or deletes it, then "
                "operations replays the document.",
                Reason.VALIDATION,
                unlike[0].partition(" ")[0],
            )
        if there.approval == PENDING:
            there = self._approve(wanted, there)
        if not there.posted:
            return rejected(
                item,
                "NOT-APPROVED",
                f"NetSuite's {there.number} for {wanted.reference} was rejected in its approval. It is not posted. Finance "
                "approves or deletes it; operations then replays the document.",
                Reason.APPROVAL,
                "approvalStatus",
            )
        return PushResult(item.key, Outcome.CREATED, vendor_id=there.id, evidence=evidence(there))

    def _booking(self, wanted: Document) -> Booking:
        """The ids the document needs. Raises UnknownName when a corrected document is not posted in NetSuite."""
        directory = self._directory
        currency = directory.currency(wanted.currency)
        items = [directory.item(line.product) for line in wanted.lines]
        original = None
        if wanted.corrects is not None:
            original = self._by_reference(Kind.INVOICE, wanted.corrects)
            if original is None or not original.posted:
                raise UnknownName(
                    "CORRECTED-UNKNOWN",
                    f"The document {wanted.corrects} that {wanted.reference} corrects is not posted in NetSuite. Nothing was "
                    "created. Operations replays it once the other is posted.",
                    path="corrects",
                )
        try:
            customer = directory.customer(wanted.party)
        except (
            OutcomeUnknown
        ) as error:  # the customer may exist, the document does not; saving a customer again is harmless
            raise RetryLater(
                error.code,
                f"NetSuite did not say whether it created the customer {wanted.party.code}. No document was created. The hub "
                "tries again by itself.",
            ) from error
        if wanted.kind is Kind.INVOICE or original is None:
            return Booking(customer, currency, items)
        return Booking(customer, currency, items, original.id, min(original.remaining, wanted.gross))

    def _save(self, wanted: Document, booking: Booking) -> None:
        """Save the document. Raises what the write raises, unless the document is there nevertheless."""
        record = RECORD_TYPES[wanted.kind]
        try:
            if wanted.order is not None:
                path = f"record/v1/salesOrder/{eid(wanted.order)}/!transform/invoice"
                self._session.write("POST", path, body(wanted, booking), record=record, replace="item")
            else:
                replace = "item,apply" if wanted.kind is Kind.CREDIT_MEMO else "item"
                path = f"record/v1/{record}/{eid(wanted.reference)}"
                self._session.write("PUT", path, body(wanted, booking), record=record, replace=replace)
        except RecordRejected as error:
            # A script that runs after the save may refuse what is saved; and another worker may have been faster.
            if self._seen_after_write(wanted) is None:
                if isinstance(error, Absent):
                    raise UnknownName(
                        "ORDER-UNKNOWN",
                        f"NetSuite has no sales order with the external id {wanted.order}. Nothing was created. Finance creates "
                        "it; operations then replays the document.",
                        path="order",
                    ) from error
                raise

    def _approve(self, wanted: Document, there: Present) -> Present:
        try:
            self._session.write(
                "PATCH",
                f"record/v1/{RECORD_TYPES[wanted.kind]}/{there.id}",
                {"approvalStatus": {"id": APPROVED}},
                record=RECORD_TYPES[wanted.kind],
            )
        except RecordRejected as error:
            after = self._read_back(wanted)
            if not after.posted:
                message = (
                    f"{error.message} It stays in NetSuite as {there.number}, waiting for approval and not posted."
                )
                reason = error.reason if isinstance(error, Refused) else str(Reason.VENDOR_STATE)
                raise Refused(error.code, message, error.path, reason) from error
        after = self._read_back(wanted)
        if after.id != there.id or after.total != wanted.gross or after.approval == PENDING:
            raise odd_reply("the approval left the document as it was", Effect.WRITE)
        return after

    # ------------------------------------------------------------ look-ups
    def _read_back(self, wanted: Document) -> Present:
        """What NetSuite shows after a save; never inferred from the reply alone."""
        there = self._seen_after_write(wanted)
        if there is None:
            raise odd_reply("a saved document is not found", Effect.WRITE)
        return there

    def _seen_after_write(self, wanted: Document) -> Present | None:
        try:
            return self._present(wanted)
        except ConnectorError as error:  # saved or not, what follows begins with the look-up
            said = f"The document could not be read back ({error.message})"
            raise unknown_answer(error.code, said, Effect.WRITE) from error

    def _present(self, wanted: Document) -> Present | None:
        return self._by_reference(wanted.kind, wanted.reference)

    def _by_reference(self, kind: Kind, reference: str) -> Present | None:
        try:
            found = self._session.get(RECORD_TYPES[kind], eid(reference))
        except Absent:
            return None
        return present(found)


def present(found: dict[str, Any]) -> Present:
    """A record of the REST service as a document. Raises RetryLater when it is none."""
    lines = found.get("item")
    rows = lines.get("items") if isinstance(lines, dict) else None
    if not isinstance(rows, list) or not is_id(found.get("id")):
        raise odd_reply("a document has no id or no lines")
    if isinstance(lines, dict) and (lines.get("hasMore") is True or lines.get("totalResults", len(rows)) != len(rows)):
        raise odd_reply("a document came without all of its lines")
    approval = found.get("approvalStatus")
    return Present(
        id=found["id"],
        number=str(found.get("tranId") or ""),
        reference=str(found.get("externalId") or ""),
        customer=_reference(found, "entity"),
        currency=_reference(found, "currency"),
        day=str(found.get("tranDate") or "")[:10],
        total=_amount(found, "total"),
        tax=_amount(found, "taxTotal", missing=Decimal(0)),
        status=str((found.get("status") or {}).get("refName") if isinstance(found.get("status"), dict) else ""),
        approval=_reference(found, "approvalStatus") if approval is not None else None,
        amounts=tuple(_amount(row, "amount") for row in rows if isinstance(row, dict)),
        remaining=_amount(found, "amountRemaining", missing=Decimal(0)),
    )


def _reference(found: dict[str, Any], name: str) -> str:
    named = found.get(name)
    id_ = named.get("id") if isinstance(named, dict) else None
    if not isinstance(id_, str):
        raise odd_reply(f"a document has no {name}")
    return id_


def _amount(found: dict[str, Any], name: str, missing: Decimal | None = None) -> Decimal:
    value = found.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise odd_reply(f"the {name} of a document is no number")
    return Decimal(value)


def differences(wanted: Document, booking: Booking, there: Present) -> list[str]:
    """What NetSuite's document says otherwise than the billed one, in words, the total first."""
    said: list[tuple[str, object, object]] = [
        ("total", wanted.gross, there.total),
        ("tax", wanted.tax, there.tax),
        ("currency", booking.currency, there.currency),
        ("party", booking.customer, there.customer),
        ("date", wanted.date.isoformat(), there.day),
    ]
    unlike = [f"{name} is {shown} there, {billed} was billed" for name, billed, shown in said if billed != shown]
    if sorted(line.amount for line in wanted.lines) != sorted(there.amounts):
        unlike.append("lines have other amounts there")
    return unlike


def evidence(there: Present) -> dict[str, str]:
    """What a posting is remembered by."""
    return {"number": there.number, "state": there.status, "total": str(there.total), "reference": there.reference}


def rejected(item: PushItem, code: str, message: str, reason: Reason, path: str | None = None) -> PushResult:
    """A document that is parked."""
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, path=path or None, reason=str(reason))
