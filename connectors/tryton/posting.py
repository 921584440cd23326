"""Makes one document exactly once, an invoice or a sale: look up, draft, compare to the cent, post or confirm, read back.

Tryton has no unique reference on invoices (eight parallel creates with one `reference` made eight, seen), so nothing is
created before a look-up by reference, which the engine's lane keeps free of rivals. Every step begins from what is there: a
draft that an earlier try left is compared and posted, a posted document is taken as it is. So sending the same document
again is safe once the earlier request can no longer be applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from connectors.base import Native, Outcome, PushItem, PushResult
from connectors.billing_document import Kind
from connectors.errors import RecordRejected, RetryLater
from connectors.tryton.directory import Directory, Rows, UnknownName, rows
from connectors.tryton.documents import Booking, Document, document
from connectors.tryton.error_table import Effect, Question, refusal, unreadable
from connectors.tryton.kinds import INVOICE, DocumentKind
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings
from oms_schema.problems import Reason


class Posting:
    """Makes documents of one kind through one session."""

    def __init__(
        self, session: RpcSession, directory: Directory, settings: TrytonSettings, kind: DocumentKind = INVOICE
    ) -> None:
        self._kind = kind
        self._session = session
        self._directory = directory
        self._settings = settings

    def post(self, item: PushItem) -> PushResult:
        """Make one document. Raises OutcomeUnknown, RetryLater, AuthFailed, PermissionMissing, Misconfigured, QuotaExhausted."""
        try:
            wanted = self._wanted(item)
        except ValueError as error:
            return _rejected(
                item,
                "DOCUMENT-SHAPE",
                f"The document cannot be sent to Tryton: {error}. Nothing was created. Integration corrects what makes it.",
                Reason.MAPPING,
            )
        try:
            return self._post(item, wanted)
        except UnknownName as error:
            return _rejected(item, error.code, error.message, Reason.REFERENCE_MISSING, error.path)

    def find(self, items: Sequence[PushItem]) -> list[tuple[str, Native] | None]:
        """For each document the finished one of its reference and total; a draft is none yet, so the next try goes on with it."""
        references = [str(item.payload.get("reference", "")) for item in items]
        found: list[tuple[str, Native] | None] = []
        by_reference = self._by_reference(references)
        for item, reference in zip(items, references, strict=True):
            try:
                wanted = self._wanted(item)
            except ValueError:
                found.append(None)
                continue
            hits = [row for row in by_reference.get(reference, []) if self._kind.is_done(row)]
            same = [row for row in hits if row.get("total_amount") == wanted.booked_total]
            found.append((str(same[0]["id"]), same[0]) if same else None)
        return found

    def _wanted(self, item: PushItem) -> Document:
        wanted = document(item.payload)
        if self._kind is not INVOICE and (wanted.kind is not Kind.INVOICE or wanted.corrects is not None):
            raise ValueError(f"kind: a {self._kind.record} corrects nothing")
        return wanted

    # ------------------------------------------------------------ steps
    def _post(self, item: PushItem, wanted: Document) -> PushResult:
        there = self._by_reference([wanted.reference]).get(wanted.reference, [])
        if len(there) > 1:
            ids = ", ".join(str(row["id"]) for row in there)
            return _rejected(
                item,
                "REFERENCE-TWICE",
                f"Tryton has several documents with the reference {wanted.reference} (ids {ids}). Nothing was created or "
                "posted. Finance deletes the drafts that are too many; operations then replays the document.",
                Reason.DUPLICATE,
                "reference",
            )
        if there:
            row = there[0]
            if self._kind.is_done(row):
                return self._taken(item, wanted, row)
            if row["state"] not in self._kind.steps:
                return _rejected(
                    item,
                    "DRAFT-CANCELLED",
                    f"The draft {row['id']} of {wanted.reference} is {row['state']} in Tryton. It is not touched. Finance "
                    "deletes it if the document is to be made; operations then replays it.",
                    Reason.VENDOR_STATE,
                    "state",
                )
        else:
            try:
                row = self._drafted(wanted)
            except UnknownName:
                raise
            except RecordRejected as error:
                self._directory.forget()
                return _refused(item, error, "No draft was made.")
        unlike = differences(wanted, row)
        if unlike:
            return _rejected(
                item,
                "TOTAL-MISMATCH" if unlike[0].startswith("total") else "DRAFT-DIFFERS",
                f"Tryton's draft {row['id']} of {wanted.reference} is not what was billed: {'; '.join(unlike)}. The draft is "
                "not posted. Finance and billing find out which is right; operations then replays the document.",
                Reason.VALIDATION,
                unlike[0].partition(" ")[0],
            )
        try:
            for _ in self._kind.steps:
                row = row if self._kind.is_done(row) else self._led_on(row)
        except RecordRejected as error:
            return _refused(item, error, f"The draft {row['id']} stays.")
        if not self._kind.is_done(row) or row.get("total_amount") != wanted.booked_total:
            shown = f"success, but {row.get('state')} and {row.get('total_amount')}"
            raise unreadable(shown, self._kind.model, Effect.WRITE)
        return _created(item, row)

    def _led_on(self, row: Native) -> dict[str, Any]:
        """One step further, from what Tryton shows afterwards and never from its reply alone. Raises RecordRejected."""
        step = self._kind.steps[row["state"]]
        self._session.write(self._kind.model, step, [row["id"]])
        after = self._present_after(row["id"], step)
        if after.get("state") == row["state"] or not (
            self._kind.is_done(after) or after.get("state") in self._kind.steps
        ):
            raise unreadable(f"success, but the document is {after.get('state')}", step, Effect.WRITE)
        return after

    def _drafted(self, wanted: Document) -> dict[str, Any]:
        """The new draft as Tryton sees it."""
        booking = self._booking(wanted)
        values = self._kind.values(wanted, booking, self._settings.price_decimals)
        created = self._session.write(self._kind.model, "create", [values])
        if not isinstance(created, list) or len(created) != 1 or type(created[0]) is not int:
            raise unreadable("no id", f"{self._kind.model}.create", Effect.WRITE)
        return self._present_after(created[0], "create")

    def _booking(self, wanted: Document) -> Booking:
        """Tryton's ids for everything the document names; its party is created where it may be. Raises UnknownName."""
        directory = self._directory
        currency, digits = directory.currency(wanted.currency)
        sold = [directory.sold(line.product or self._settings.product) for line in wanted.lines]
        origins = self._origins(wanted)
        account, journal, term = directory.receivable(), directory.journal(), directory.payment_term()
        term_date = directory.term_date()
        party, address = directory.party(wanted.party)
        return Booking(party, address, currency, digits, account, journal, term, sold, origins, term_date)

    def _origins(self, wanted: Document) -> list[int | None]:
        """Ids of the corrected lines. Raises UnknownName when the corrected document is not posted in Tryton."""
        if wanted.corrects is None:
            return [None] * len(wanted.lines)
        originals = [r for r in self._by_reference([wanted.corrects]).get(wanted.corrects, []) if self._kind.is_done(r)]
        if len(originals) != 1:
            raise UnknownName(
                "CORRECTED-UNKNOWN",
                f"The document {wanted.corrects} that {wanted.reference} corrects is not posted in Tryton. Nothing was created. "
                "Operations replays it once the other is posted.",
                path="corrects",
            )
        line_ids = self._line_ids(originals[0]["id"])
        missing = [
            line.corrects for line in wanted.lines if line.corrects is not None and line.corrects > len(line_ids)
        ]
        if missing:
            raise UnknownName(
                "CORRECTED-LINE-UNKNOWN",
                f"The document {wanted.corrects} has {len(line_ids)} lines in Tryton, not line {missing[0]}. Nothing was "
                "created. Integration corrects the document.",
                path="lines.corrects",
            )
        return [line_ids[line.corrects - 1] if line.corrects is not None else None for line in wanted.lines]

    def _line_ids(self, invoice: int) -> list[int]:
        found = self._session.read(
            "account.invoice.line",
            "search_read",
            [["invoice", "=", invoice], ["type", "=", "line"]],
            0,
            None,
            [["sequence", "ASC"], ["id", "ASC"]],
            ["id"],
        )
        return [row["id"] for row in rows(found, "invoice.line.search_read")]

    def _taken(self, item: PushItem, wanted: Document, row: Native) -> PushResult:
        """A posted document of our reference: ours if it says the same, else nobody knows what it is."""
        unlike = differences(wanted, row)
        if not unlike:
            return _created(item, row)
        return _rejected(
            item,
            "POSTED-DIFFERENTLY",
            f"Tryton has posted {row.get('number')} under the reference {wanted.reference}, but {'; '.join(unlike)}. Nothing "
            "was posted. Finance and billing find out which is right; a credit memo corrects it.",
            Reason.DUPLICATE,
            unlike[0].partition(" ")[0],
        )

    # ------------------------------------------------------------ look-ups
    def _present_after(self, native_id: int, step: str) -> dict[str, Any]:
        """The document as it is now. What was done to it stands, so an unreadable answer leaves it in doubt."""
        try:
            found = rows(self._session.read(self._kind.model, "read", [native_id], self._kind.seen), "read")
        except RetryLater as error:
            raise unreadable(f"nothing readable after it ({error.code})", step, Effect.WRITE) from error
        if len(found) != 1:
            raise unreadable("no document after it", step, Effect.WRITE)
        return found[0]

    def _by_reference(self, references: Iterable[str]) -> dict[str, Rows]:
        """Our company's documents of this kind by reference, the oldest first."""
        kind = self._kind
        wanted = sorted({reference for reference in references if reference})
        ours = [list(part) for part in kind.scope]
        domain = [["reference", "in", wanted], ["company", "=", self._directory.company()], *ours]
        found = self._session.read(kind.model, "search_read", domain, 0, None, [["id", "ASC"]], kind.seen)
        by_reference: dict[str, Rows] = {}
        for row in rows(found, f"{kind.model}.search_read"):
            by_reference.setdefault(str(row["reference"]), []).append(row)
        return by_reference


def differences(wanted: Document, row: Native) -> list[str]:
    """What Tryton's document says otherwise than the billed one, in words, the total first.

    Its date is not compared: finance may give a draft another one, where the period is closed or numbers have gone on.
    """
    amounts = [line.amount * wanted.sign for line in wanted.lines]
    theirs = [line.get("amount") for line in row.get("line_lines.") or []]
    tax = row.get("tax_amount") or Decimal(0)
    said: list[tuple[str, object, object]] = [
        ("total", wanted.booked_total, row.get("total_amount")),
        ("tax", Decimal(0), tax),
        ("currency", wanted.currency, (row.get("currency.") or {}).get("code")),
        ("party", wanted.party.code, (row.get("party.") or {}).get("code")),
    ]
    unlike = [f"{name} is {shown} there, {billed} was billed" for name, billed, shown in said if billed != shown]
    if sorted(amounts) != sorted(amount for amount in theirs if isinstance(amount, Decimal | int)):
        unlike.append("lines have other amounts there")
    return unlike


def _created(item: PushItem, row: Native) -> PushResult:
    evidence = {
        "number": row.get("number"),
        "state": row.get("state"),
        "total": str(row.get("total_amount")),
        "reference": row.get("reference"),
    }
    return PushResult(item.key, Outcome.CREATED, vendor_id=str(row["id"]), evidence=evidence)


def _refused(item: PushItem, error: RecordRejected, effect: str) -> PushResult:
    """Tryton refused a step, or asks a person."""
    reason = Reason.VENDOR_STATE if isinstance(error, Question) else Reason(refusal(error.message).reason)
    return _rejected(item, error.code, f"{error.message} {effect}", reason, error.path)


def _rejected(item: PushItem, code: str, message: str, reason: Reason, path: str | None = None) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, path=path or None, reason=str(reason))
