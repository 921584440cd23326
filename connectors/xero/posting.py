"""Posts documents exactly once, many in a call: look up, draft, compare to the cent, authorise, set credits off.

Every step begins from what is there: a draft that an earlier try left is compared and authorised, an authorised document is
taken as it is, a credit note that is not set off yet is set off. So sending the same document again is safe. Against an
earlier request that is applied late stand the idempotency key, and Xero's own rule that numbers are unique.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.base import Native, Outcome, PushItem, PushResult
from connectors.billing_document import Kind
from connectors.errors import (
    ConnectorError,
    OutcomeUnknown,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
)
from connectors.on_the_way import OnTheWay
from connectors.xero.contacts import Contacts, UnknownContact
from connectors.xero.documents import Document, document, draft
from connectors.xero.elements import Keys, answers, elements, is_uuid, one_element
from connectors.xero.error_table import Effect, refusal, unreadable, validation_words
from connectors.xero.session import Call, XeroSession
from connectors.xero.settings import XeroSettings
from connectors.xero.wire import quoted
from oms_schema.problems import Reason

BATCH = 50
"""Elements of one request; Xero's page on limits recommends at most 50."""

_LOOKED_UP_AT_ONCE = 25
_POSTED = frozenset({"AUTHORISED", "PAID"})
_FULL = {"unitdp": "4"}
_WRITE = {"summarizeErrors": "false", **_FULL}


@dataclass(frozen=True, slots=True)
class Ledger:
    """How Xero names one kind of document."""

    path: str
    id: str
    number: str
    type: str


LEDGERS: Mapping[Kind, Ledger] = {
    Kind.INVOICE: Ledger("Invoices", "InvoiceID", "InvoiceNumber", "ACCREC"),
    Kind.CREDIT_MEMO: Ledger("CreditNotes", "CreditNoteID", "CreditNoteNumber", "ACCRECCREDIT"),
}


@dataclass(slots=True)
class _Task:
    """One document on its way: its place in the batch, and its element in Xero once there is one."""

    place: int
    item: PushItem
    wanted: Document
    there: dict[str, Any] | None = None
    made: bool = False
    """Whether this call made the draft."""
    thrown_away: tuple[str, ...] = ()
    """Ids of deleted drafts of the same number: with them a new draft has another key, so Xero does not answer from memory."""


class _Batch(OnTheWay[_Task]):
    """The documents of one call; most of those that end early are rejected."""

    def reject(self, task: _Task, code: str, message: str, reason: Reason, path: str = "") -> None:
        self.end(task, _rejected(task.item, code, message, reason, path))


class Posting:
    """Posts documents through one session."""

    def __init__(self, session: XeroSession, contacts: Contacts, settings: XeroSettings) -> None:
        self._session = session
        self._contacts = contacts
        self._settings = settings

    def post(self, items: Sequence[PushItem], kinds: frozenset[Kind]) -> list[PushResult]:
        """One result per document, in order. `kinds` are those the record takes.

        Raises what the first request raises; once an item has a result, a failing request's documents get the outcome
        that its error means.
        """
        batch = _Batch()
        self._read_in(batch, items, kinds)
        for kind in (Kind.INVOICE, Kind.CREDIT_MEMO):
            tasks = [task for task in batch.open if task.wanted.kind is kind]
            if not tasks:
                continue
            try:
                self._post(batch, LEDGERS[kind], tasks)
            except RecordRejected as error:
                left = batch.left(tasks)
                for task in left:
                    batch.end(task, _refused_together(task.item, error, alone=len(left) > 1))
            except ConnectorError as error:
                if not batch.results and len(tasks) == len(items):
                    raise
                for task in list(batch.open):
                    batch.end(task, _shared_fate(task.item, error))
                break
        return [batch.results[place] for place in range(len(items))]

    def find(self, items: Sequence[PushItem], kinds: frozenset[Kind]) -> list[tuple[str, Native] | None]:
        """For each document the posted one of its number; a draft is none yet, so that the next try posts it."""
        found: list[tuple[str, Native] | None] = [None] * len(items)
        for kind in kinds:
            ledger = LEDGERS[kind]
            tasks: list[_Task] = []
            for place, item in enumerate(items):
                try:
                    wanted = document(item.payload)
                except ValueError:
                    continue  # it never left, so it is nowhere
                if wanted.kind is kind:
                    tasks.append(_Task(place, item, wanted))
            there = self._by_number(ledger, [task.wanted.reference for task in tasks])
            for task in tasks:
                element = there.get(task.wanted.reference)
                if element is None or element.get("Status") not in _POSTED or differences(task.wanted, element):
                    continue
                if kind is Kind.CREDIT_MEMO and self._to_set_off(task.wanted, element):
                    continue
                found[task.place] = (str(element[ledger.id]), element)
        return found

    # ------------------------------------------------------------ steps
    def _read_in(self, batch: _Batch, items: Sequence[PushItem], kinds: frozenset[Kind]) -> None:
        numbers: dict[tuple[Kind, str], str] = {}
        for place, item in enumerate(items):
            try:
                wanted = document(item.payload)
                if wanted.kind not in kinds:
                    raise ValueError(f"kind: a {wanted.kind} is another record")
            except ValueError as error:
                batch.results[place] = _rejected(
                    item,
                    "DOCUMENT-SHAPE",
                    f"The document cannot be sent to Xero: {error}. Nothing was created. Integration corrects what makes it.",
                    Reason.MAPPING,
                )
                continue
            number = (wanted.kind, wanted.reference)
            if number in numbers:
                batch.results[place] = _rejected(
                    item,
                    "REFERENCE-TWICE",
                    f"The reference {wanted.reference} comes twice in one batch. This one was not sent. Billing gives each "
                    "document a reference of its own.",
                    Reason.DUPLICATE,
                    "reference",
                )
                continue
            numbers[number] = item.key
            batch.open.append(_Task(place, item, wanted))

    def _post(self, batch: _Batch, ledger: Ledger, tasks: list[_Task]) -> None:
        deleted: dict[str, list[str]] = {}
        there = self._by_number(ledger, [task.wanted.reference for task in tasks], deleted)
        corrected = self._corrected(tasks) if ledger.type == "ACCRECCREDIT" else {}
        for task in tasks:
            task.there = there.get(task.wanted.reference)
            task.thrown_away = tuple(deleted.get(task.wanted.reference, ()))
            if task.wanted.kind is Kind.CREDIT_MEMO and _unsettled(task) and task.wanted.corrects not in corrected:
                batch.reject(
                    task,
                    "CORRECTED-UNKNOWN",
                    f"The invoice {task.wanted.corrects} that {task.wanted.reference} credits is not posted in Xero. Nothing was "
                    "created. Operations replays it once the other is posted.",
                    Reason.REFERENCE_MISSING,
                    "corrects",
                )
        self._draft(batch, ledger, [task for task in batch.left(tasks) if task.there is None])
        for task in batch.left(tasks):
            self._compare(batch, ledger, task)
        self._authorise(batch, ledger, [t for t in batch.left(tasks) if _status(t) not in _POSTED])
        for task in batch.left(tasks):
            if ledger.type == "ACCRECCREDIT":
                self._set_off(batch, task, corrected)
            else:
                batch.end(task, _created(task, ledger))

    def _draft(self, batch: _Batch, ledger: Ledger, tasks: list[_Task]) -> None:
        if not tasks:
            return
        keys = Keys([task.item.key for task in tasks])
        contacts = self._contacts.ids([task.wanted.party for task in tasks], keys)
        sent: list[_Task] = []
        drafts: list[dict[str, Any]] = []
        for task in tasks:
            contact = contacts[task.wanted.party.code]
            if isinstance(contact, UnknownContact):
                batch.reject(task, contact.code, contact.message, Reason.REFERENCE_MISSING, "party.code")
                continue
            sent.append(task)
            drafts.append(draft(task.wanted, contact, self._settings))
        if not sent:
            return
        body = {ledger.path: drafts}
        parts = [part for task in sent for part in (task.item.key, *task.thrown_away)]
        call = Call(ledger.path, "PUT", _WRITE, body, key=Keys(parts).key("draft", body))
        made = answers(self._session.send(call), ledger.path, call, len(sent))
        # The whole answer is checked before any of it is used: one foreign element says that it is not ours.
        for task, element in zip(sent, made, strict=True):
            foreign = element.get(ledger.number) != task.wanted.reference
            if foreign or (not _words(element) and not is_uuid(element.get(ledger.id))):
                raise unreadable("another document than the one sent", call.name, Effect.WRITE)
        for task, element in zip(sent, made, strict=True):
            words = _words(element)
            if not words:
                task.there, task.made = element, True
                continue
            self._refused(batch, task, words, "No draft was made.")

    def _compare(self, batch: _Batch, ledger: Ledger, task: _Task) -> None:
        element = task.there or {}
        number, status = task.wanted.reference, str(element.get("Status"))
        if status == "VOIDED":
            batch.reject(
                task,
                "NUMBER-SPENT",
                f"The number {number} belongs to a document that is voided in Xero. Nothing was posted. Finance and billing "
                "find out why; the document then needs another reference.",
                Reason.VENDOR_STATE,
                "reference",
            )
            return
        unlike = differences(task.wanted, element)
        if task.made and element.get("Date") != task.wanted.date:
            # Only of a draft just made: finance may give an older one another date, where a period is locked.
            unlike.append(f"date is {element.get('Date')} there, {task.wanted.date} was billed")
        if not unlike:
            return
        first = unlike[0].partition(" ")[0]
        if status in _POSTED:
            code, reason = "POSTED-DIFFERENTLY", Reason.DUPLICATE
            effect = "Nothing was posted. Finance and billing find out which is right; a credit memo corrects it."
        else:
            code, reason = ("TOTAL-MISMATCH" if first == "total" else "DRAFT-DIFFERS"), Reason.VALIDATION
            effect = "The draft is not posted. Finance and billing find out which is right; operations then replays the document."
        batch.reject(
            task,
            code,
            f"Xero's {status} document {number} ({element.get(ledger.id)}) is not what was billed: {'; '.join(unlike)}. {effect}",
            reason,
            first,
        )

    def _authorise(self, batch: _Batch, ledger: Ledger, tasks: list[_Task]) -> None:
        if not tasks:
            return
        body = {ledger.path: [{ledger.id: (t.there or {})[ledger.id], "Status": "AUTHORISED"} for t in tasks]}
        call = Call(ledger.path, "POST", _WRITE, body, key=Keys([t.item.key for t in tasks]).key("authorise", body))
        told = answers(self._session.send(call), ledger.path, call, len(tasks))
        for task, element in zip(tasks, told, strict=True):
            if element.get(ledger.id) != (task.there or {}).get(ledger.id):
                raise unreadable("another document than the one sent", call.name, Effect.WRITE)
            if not _words(element) and (element.get("Status") not in _POSTED or differences(task.wanted, element)):
                raise unreadable("success, but not the document as billed", call.name, Effect.WRITE)
        for task, element in zip(tasks, told, strict=True):
            if words := _words(element):
                self._refused(batch, task, words, "The draft stays.")
            else:
                task.there = element

    def _set_off(self, batch: _Batch, task: _Task, corrected: Mapping[str, dict[str, Any]]) -> None:
        """Allocate what is left of a credit note to what is due on the invoice; the rest stays as the buyer's credit."""
        note = task.there or {}
        invoice = corrected.get(str(task.wanted.corrects))
        if invoice is None or not self._to_set_off(task.wanted, note):
            batch.end(task, _created(task, LEDGERS[Kind.CREDIT_MEMO]))
            return
        amount = min(_amount(note, "RemainingCredit"), _amount(invoice, "AmountDue"))
        if amount <= 0:
            batch.end(task, _created(task, LEDGERS[Kind.CREDIT_MEMO]))
            return
        # An allocation may not lie before either document.
        day = max(day for day in (task.wanted.date, note.get("Date"), invoice.get("Date")) if isinstance(day, date))
        body = {"Allocations": [{"Invoice": {"InvoiceID": invoice["InvoiceID"]}, "Amount": amount, "Date": day}]}
        path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
        call = Call(path, "PUT", {"summarizeErrors": "false"}, body, key=Keys([task.item.key]).key("allocate", body))
        try:
            told = one_element(self._session.send(call), "Allocations", call)
            words = _words(told)
        except RecordRejected as error:
            words = error.message
        except ConnectorError as error:
            batch.end(task, _shared_fate(task.item, error))
            return
        if words:
            batch.reject(
                task,
                "ALLOCATION-REFUSED",
                f"The credit note {task.wanted.reference} is posted in Xero, but could not be set off against "
                f"{task.wanted.corrects}: {words} It stays open. Finance sets it off in Xero; operations then replays it.",
                refusal(words).reason,
                "corrects",
            )
            return
        invoice["AmountDue"] = _amount(invoice, "AmountDue") - amount
        batch.end(task, _created(task, LEDGERS[Kind.CREDIT_MEMO], set_off=amount))

    @staticmethod
    def _to_set_off(wanted: Document, note: Native) -> bool:
        """Whether nothing of a credit note is set off yet: then it is ours to do, once."""
        applied = note.get("Allocations")
        return wanted.total > 0 and not applied and _amount(note, "RemainingCredit") > 0

    def _refused(self, batch: _Batch, task: _Task, words: str, effect: str) -> None:
        found = refusal(words)
        if found.again and self._by_number(LEDGERS[task.wanted.kind], [task.wanted.reference]):
            # A request that was thought lost has made it meanwhile; the next try begins with it.
            message = f"Xero says: {words} {effect} The hub looks it up and goes on."
            batch.end(task, PushResult(task.item.key, Outcome.RETRY, code=found.code, message=message, after=1.0))
            return
        batch.reject(task, found.code, f"Xero refused it: {words} {effect} {found.fix}", found.reason, found.path)

    # ------------------------------------------------------------ look-ups
    def _by_number(
        self, ledger: Ledger, numbers: Iterable[str], deleted: dict[str, list[str]] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Customer documents by number, but for deleted drafts: those give their number free, and their ids go to `deleted`.

        Raises RetryLater when a number is there twice.
        """
        wanted = sorted({number for number in numbers if number})
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
            some = wanted[start : start + _LOOKED_UP_AT_ONCE]
            params = {**_FULL, "page": "1", "pageSize": "100"}
            if ledger.path == "Invoices":
                params["InvoiceNumbers"] = ",".join(some)
            else:
                params["where"] = " OR ".join(f"{ledger.number}=={quoted(number)}" for number in some)
            call = Call(ledger.path, params=params)
            for element in elements(self._session.send(call), ledger.path, call):
                number = element.get(ledger.number)
                if number not in some or element.get("Type") != ledger.type:
                    continue  # bills of suppliers may carry the same number
                if element.get("Status") == "DELETED":
                    if deleted is not None:
                        deleted.setdefault(str(number), []).append(str(element[ledger.id]))
                    continue
                if number in found:
                    raise unreadable(f"two documents of the number {number}", call.name, Effect.READ)
                found[str(number)] = element
        return found

    def _corrected(self, tasks: Sequence[_Task]) -> dict[str, dict[str, Any]]:
        """The posted invoices that credit memos correct, by number."""
        there = self._by_number(LEDGERS[Kind.INVOICE], [str(task.wanted.corrects) for task in tasks])
        return {number: element for number, element in there.items() if element.get("Status") in _POSTED}


def differences(wanted: Document, element: Native) -> list[str]:
    """What Xero's document says otherwise than the billed one, in words, the total first."""
    contact = element.get("Contact")
    code = contact.get("ContactNumber") if isinstance(contact, Mapping) else None
    said: list[tuple[str, object, object]] = [
        ("total", wanted.gross, element.get("Total")),
        ("tax", wanted.tax, element.get("TotalTax")),
        ("currency", wanted.currency, element.get("CurrencyCode")),
    ]
    if code:  # shown only where the contact is shown in full
        said.append(("party", wanted.party.code, code))
    unlike = [f"{name} is {shown} there, {billed} was billed" for name, billed, shown in said if billed != shown]
    lines = element.get("LineItems")
    if isinstance(lines, list) and lines:
        theirs = [line.get("LineAmount") for line in lines if isinstance(line, Mapping)]
        numbers = [amount for amount in theirs if isinstance(amount, Decimal | int)]
        if sorted(line.amount for line in wanted.lines) != sorted(numbers):
            unlike.append("lines have other amounts there")
    return unlike


def _status(task: _Task) -> str:
    return str((task.there or {}).get("Status"))


def _unsettled(task: _Task) -> bool:
    """Whether a credit memo still needs the invoice it corrects."""
    return task.there is None or not task.there.get("Allocations")


def _amount(element: Native, name: str) -> Decimal:
    value = element.get(name)
    return Decimal(value) if isinstance(value, Decimal | int) else Decimal(0)


def _words(element: Native) -> str:
    """The refusal of an element, in a reply with HTTP 200; empty when it was accepted."""
    if element.get("StatusAttributeString") == "ERROR" or element.get("HasErrors") is True:
        return validation_words(element) or "no reason given."
    return validation_words(element)


def _created(task: _Task, ledger: Ledger, set_off: Decimal | None = None) -> PushResult:
    element = task.there or {}
    evidence = {
        "number": element.get(ledger.number),
        "state": element.get("Status"),
        "total": str(element.get("Total")),
        "reference": task.wanted.reference,
    }
    if set_off is not None:
        evidence["set_off"] = str(set_off)
    return PushResult(task.item.key, Outcome.CREATED, vendor_id=str(element[ledger.id]), evidence=evidence)


def _shared_fate(item: PushItem, error: ConnectorError) -> PushResult:
    """What an error of a request means for one of its documents; every step can begin again."""
    if isinstance(error, OutcomeUnknown):
        return PushResult(
            item.key, Outcome.IN_DOUBT, code=error.code, message=error.message, reason=str(Reason.PROTOCOL)
        )
    after = error.after if isinstance(error, RetryLater | QuotaExhausted) else None
    message = f"The document was not posted, because a request for it failed: {error.message}"
    return PushResult(item.key, Outcome.RETRY, code=error.code, message=message, after=after)


def _refused_together(item: PushItem, error: RecordRejected, *, alone: bool) -> PushResult:
    """A request that was refused as a whole: alone each document shows whether it was the reason."""
    if alone:
        return PushResult(item.key, Outcome.RETRY, code=error.code, message=error.message, alone=True)
    return _rejected(item, error.code, error.message, refusal(error.message).reason, error.path)


def _rejected(item: PushItem, code: str, message: str, reason: Reason, path: str = "") -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, path=path or None, reason=str(reason))
