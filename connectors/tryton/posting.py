"""Makes documents exactly once, many in a call: look up, draft, compare to the cent, post or confirm, read back.

Tryton has no unique reference on invoices (eight parallel creates with one `reference` made eight, seen), so nothing is
created before a look-up by reference, which the engine's lane keeps free of rivals. Every step begins from what is there: a
draft that an earlier try left is compared and posted, a posted document is taken as it is. So sending the same document
again is safe once the earlier request can no longer be applied.

Each request is one transaction of Tryton's: applied whole or not at all. What it refuses is tried again in halves until the
document that is meant stands alone, and the others go on. What it never answers leaves all its documents in doubt, and each
is looked up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.base import Native, Outcome, PushItem, PushResult
from connectors.billing_document import Kind
from connectors.errors import ConnectorError, OutcomeUnknown, RecordRejected, RetryLater
from connectors.on_the_way import OnTheWay
from connectors.tryton.directory import Directory, Rows, UnknownName, rows
from connectors.tryton.documents import Booking, Document, document
from connectors.tryton.error_table import Effect, Question, refusal, unreadable
from connectors.tryton.kinds import INVOICE, DocumentKind
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings
from oms_schema.problems import Reason

BATCH = 50
"""Documents of one call."""

LINES_AT_ONCE = 400
"""Lines of one request, unless one document alone has more: Tryton needs about 20 ms for a line, so it answers in time."""

LINES_OF_A_CALL = 1_200
"""Lines of one call: on a slow server too it ends long before the engine would take its worker for dead (600 s)."""


@dataclass(slots=True)
class _Task:
    """One document on its way: its place in the call, and its row in Tryton once there is one."""

    place: int
    item: PushItem
    wanted: Document
    row: dict[str, Any] = field(default_factory=dict)
    booking: Booking | None = None
    led_on: bool = False
    """Whether this call has brought it a step further."""


class Posting:
    """Makes documents of one kind through one session."""

    def __init__(
        self, session: RpcSession, directory: Directory, settings: TrytonSettings, kind: DocumentKind = INVOICE
    ) -> None:
        self._kind = kind
        self._session = session
        self._directory = directory
        self._settings = settings

    def post(self, items: Sequence[PushItem]) -> list[PushResult]:
        """One result per document, in order.

        Raises what its first request raises (RetryLater, AuthFailed, PermissionMissing, Misconfigured, QuotaExhausted,
        OutcomeUnknown); once a document has a result, those of a failing request get the outcome that its error means.
        """
        call = OnTheWay[_Task]()
        self._read_in(call, items)
        sent = 0
        for tasks in list(_portions(call.open)):
            lines = sum(len(task.wanted.lines) for task in tasks)
            if sent and sent + lines > LINES_OF_A_CALL:
                break
            sent += lines
            try:
                self._post(call, tasks)
            except ConnectorError as error:
                if not call.results and (not isinstance(error, OutcomeUnknown) or len(tasks) == len(items)):
                    raise
                for task in call.left(tasks):
                    call.end(task, _shared_fate(task.item, error))
                for task in list(call.open):
                    call.end(task, _not_sent(task.item, error))
                break
        for task in list(call.open):
            call.end(task, _next_time(task.item))
        return [call.results[place] for place in range(len(items))]

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
    def _read_in(self, call: OnTheWay[_Task], items: Sequence[PushItem]) -> None:
        references: set[str] = set()
        for place, item in enumerate(items):
            try:
                wanted = self._wanted(item)
            except ValueError as error:
                call.results[place] = _rejected(
                    item,
                    "DOCUMENT-SHAPE",
                    f"The document cannot be sent to Tryton: {error}. Nothing was created. Integration corrects what makes it.",
                    Reason.MAPPING,
                )
                continue
            if wanted.reference in references:
                call.results[place] = _rejected(
                    item,
                    "REFERENCE-TWICE",
                    f"The reference {wanted.reference} comes twice in one call. This one was not sent. Billing gives each "
                    "document a reference of its own.",
                    Reason.DUPLICATE,
                    "reference",
                )
                continue
            references.add(wanted.reference)
            call.open.append(_Task(place, item, wanted))

    def _post(self, call: OnTheWay[_Task], tasks: Sequence[_Task]) -> None:
        there = self._by_reference([task.wanted.reference for task in tasks])
        for task in tasks:
            self._take_up(call, task, there.get(task.wanted.reference, []))
        self._draft(call, [task for task in call.left(tasks) if not task.row])
        for task in call.left(tasks):
            self._compare(call, task)
        for _ in self._kind.steps:
            by_step: dict[str, list[_Task]] = {}
            for task in call.left(tasks):
                if not self._kind.is_done(task.row):
                    by_step.setdefault(self._kind.steps[task.row["state"]], []).append(task)
            for step, some in by_step.items():
                self._divided(call, some, lambda some, step=step: self._lead_on(some, step))  # type: ignore[misc]
        for task in call.left(tasks):
            if not self._kind.is_done(task.row) or task.row.get("total_amount") != task.wanted.booked_total:
                shown = f"success, but {task.row.get('state')} and {task.row.get('total_amount')}"
                raise unreadable(shown, self._kind.model, Effect.WRITE)
            call.end(task, _created(task.item, task.row))

    def _take_up(self, call: OnTheWay[_Task], task: _Task, there: Rows) -> None:
        """Begin with what is there: nothing, a draft to go on with, or a document that ends the task."""
        item, wanted = task.item, task.wanted
        if len(there) > 1:
            ids = ", ".join(str(row["id"]) for row in there)
            call.end(
                task,
                _rejected(
                    item,
                    "REFERENCE-TWICE",
                    f"Tryton has several documents with the reference {wanted.reference} (ids {ids}). Nothing was created or "
                    "posted. Finance deletes the drafts that are too many; operations then replays the document.",
                    Reason.DUPLICATE,
                    "reference",
                ),
            )
        elif there and self._kind.is_done(there[0]):
            call.end(task, self._taken(item, wanted, there[0]))
        elif there and there[0]["state"] not in self._kind.steps:
            call.end(
                task,
                _rejected(
                    item,
                    "DRAFT-CANCELLED",
                    f"The draft {there[0]['id']} of {wanted.reference} is {there[0]['state']} in Tryton. It is not touched. "
                    "Finance deletes it if the document is to be made; operations then replays it.",
                    Reason.VENDOR_STATE,
                    "state",
                ),
            )
        elif there:
            task.row = there[0]

    def _draft(self, call: OnTheWay[_Task], tasks: Sequence[_Task]) -> None:
        """New drafts, as Tryton sees them. Its parties are created where they may be."""
        if not tasks:
            return
        for task, booking in zip(tasks, self.bookings([task.wanted for task in tasks]), strict=True):
            if isinstance(booking, Booking):
                task.booking = booking
            elif isinstance(booking, UnknownName):
                result = _rejected(task.item, booking.code, booking.message, Reason.REFERENCE_MISSING, booking.path)
                call.end(task, result)
            else:
                call.end(task, _refused(task.item, booking, "No draft was made."))
        self._divided(call, call.left(tasks), self._create)

    def bookings(self, documents: Sequence[Document]) -> list[Booking | RecordRejected]:
        """Tryton's ids for everything each document names, or why there are none; parties are created where they may be."""
        directory = self._directory
        parties = directory.party_ids([wanted.party for wanted in documents])
        corrected = self._corrected(documents)
        term_date = directory.term_date()
        found: list[Booking | RecordRejected] = []
        for wanted in documents:
            party = parties[wanted.party.code]
            if isinstance(party, RecordRejected):
                found.append(party)
                continue
            try:
                currency, digits = directory.currency(wanted.currency)
                sold = [directory.sold(line.product or self._settings.product) for line in wanted.lines]
                origins = _origins(wanted, corrected)
            except UnknownName as error:
                found.append(error)
                continue
            account, journal, term = directory.receivable(), directory.journal(), directory.payment_term()
            found.append(Booking(*party, currency, digits, account, journal, term, sold, origins, term_date))
        return found

    def _create(self, tasks: Sequence[_Task]) -> None:
        values = [
            self._kind.values(task.wanted, task.booking, self._settings.price_decimals)
            for task in tasks
            if task.booking is not None
        ]
        try:
            created = self._session.write(self._kind.model, "create", values)
        except RecordRejected:
            self._directory.forget()
            raise
        ids = created if isinstance(created, list) else []
        if len(ids) != len(tasks) or len(set(ids)) != len(ids) or not all(type(one) is int for one in ids):
            raise unreadable("no ids", f"{self._kind.model}.create", Effect.WRITE)
        present = self._present_after(ids, "create")
        for task, native_id in zip(tasks, ids, strict=True):
            if present[native_id].get("reference") != task.wanted.reference:
                raise unreadable("other documents than those sent", f"{self._kind.model}.create", Effect.WRITE)
            task.row = present[native_id]

    def _compare(self, call: OnTheWay[_Task], task: _Task) -> None:
        unlike = differences(task.wanted, task.row)
        if unlike:
            call.end(
                task,
                _rejected(
                    task.item,
                    "TOTAL-MISMATCH" if unlike[0].startswith("total") else "DRAFT-DIFFERS",
                    f"Tryton's draft {task.row['id']} of {task.wanted.reference} is not what was billed: {'; '.join(unlike)}. "
                    "The draft is not posted. Finance and billing find out which is right; operations then replays the document.",
                    Reason.VALIDATION,
                    unlike[0].partition(" ")[0],
                ),
            )

    def _lead_on(self, tasks: Sequence[_Task], step: str) -> None:
        """One step further, from what Tryton shows afterwards and never from its reply alone. Raises RecordRejected."""
        ids = [task.row["id"] for task in tasks]
        self._session.write(self._kind.model, step, ids)
        present = self._present_after(ids, step)
        for task in tasks:
            after = present[task.row["id"]]
            if after.get("state") == task.row["state"] or not (
                self._kind.is_done(after) or after.get("state") in self._kind.steps
            ):
                raise unreadable(f"success, but a document is {after.get('state')}", step, Effect.WRITE)
        for task in tasks:
            task.row, task.led_on = present[task.row["id"]], True

    def _divided(self, call: OnTheWay[_Task], tasks: Sequence[_Task], act: Callable[[Sequence[_Task]], None]) -> None:
        """One request for all of them; where Tryton refuses it, one for each half, down to the document that is meant."""
        if not tasks:
            return
        try:
            act(tasks)
        except RecordRejected as error:
            if len(tasks) == 1:
                call.end(tasks[0], _refused(tasks[0].item, error, self._left_as(tasks[0])))
                return
            half = len(tasks) // 2
            self._divided(call, tasks[:half], act)
            self._divided(call, tasks[half:], act)

    def _left_as(self, task: _Task) -> str:
        """How a refused document stays, in words: as a draft that finance can change, where this call led it on."""
        if not task.row:
            return "No draft was made."
        back = self._kind.back.get(task.row["state"])
        if back is not None and task.led_on:
            try:
                self._session.write(self._kind.model, back, [task.row["id"]])
            except RecordRejected as error:
                return f"The document {task.row['id']} stays {task.row['state']}. {error.message}"
        return f"The draft {task.row['id']} stays."

    def _corrected(self, wanted: Sequence[Document]) -> Mapping[str, list[int]]:
        """By reference of a corrected document that is posted in Tryton, the ids of its lines in their order."""
        references = {one.corrects for one in wanted if one.corrects is not None}
        if not references:
            return {}
        finished = {
            reference: [row["id"] for row in found if self._kind.is_done(row)]
            for reference, found in self._by_reference(references).items()
        }
        single = {ids[0]: reference for reference, ids in finished.items() if len(ids) == 1}
        found = self._session.read(
            "account.invoice.line",
            "search_read",
            [["invoice", "in", sorted(single)], ["type", "=", "line"]],
            0,
            None,
            [["invoice.id", "ASC"], ["sequence", "ASC"], ["id", "ASC"]],
            ["id", "invoice"],
        )
        lines: dict[str, list[int]] = {reference: [] for reference in single.values()}
        for row in rows(found, "invoice.line.search_read"):
            lines[single[row["invoice"]]].append(row["id"])
        return lines

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
    def _present_after(self, ids: Sequence[int], step: str) -> dict[int, dict[str, Any]]:
        """The documents as they are now. What was done to them stands, so an unreadable answer leaves them in doubt."""
        try:
            found = rows(self._session.read(self._kind.model, "read", list(ids), self._kind.seen), "read")
        except RetryLater as error:
            raise unreadable(f"nothing readable after it ({error.code})", step, Effect.WRITE) from error
        present = {row["id"]: row for row in found}
        if present.keys() != set(ids):
            raise unreadable("other documents after it", step, Effect.WRITE)
        return present

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


def _portions(tasks: Sequence[_Task]) -> Iterator[list[_Task]]:
    """What goes into one request each: what corrects others comes after them, and no portion grows beyond its lines."""
    for correcting in (False, True):
        portion: list[_Task] = []
        lines = 0
        for task in [task for task in tasks if (task.wanted.corrects is not None) is correcting]:
            if portion and lines + len(task.wanted.lines) > LINES_AT_ONCE:
                yield portion
                portion, lines = [], 0
            portion.append(task)
            lines += len(task.wanted.lines)
        if portion:
            yield portion


def _origins(wanted: Document, corrected: Mapping[str, list[int]]) -> list[int | None]:
    """Ids of the corrected lines. Raises UnknownName when the corrected document is not posted in Tryton."""
    if wanted.corrects is None:
        return [None] * len(wanted.lines)
    line_ids = corrected.get(wanted.corrects)
    if line_ids is None:
        raise UnknownName(
            "CORRECTED-UNKNOWN",
            f"The document {wanted.corrects} that {wanted.reference} corrects is not posted in Tryton. Nothing was created. "
            "Operations replays it once the other is posted.",
            path="corrects",
        )
    missing = [line.corrects for line in wanted.lines if line.corrects is not None and line.corrects > len(line_ids)]
    if missing:
        raise UnknownName(
            "CORRECTED-LINE-UNKNOWN",
            f"The document {wanted.corrects} has {len(line_ids)} lines in Tryton, not line {missing[0]}. Nothing was "
            "created. Integration corrects the document.",
            path="lines.corrects",
        )
    return [line_ids[line.corrects - 1] if line.corrects is not None else None for line in wanted.lines]


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


def _shared_fate(item: PushItem, error: ConnectorError) -> PushResult:
    """The outcome of a document whose request failed: in doubt, or certainly not applied."""
    outcome = Outcome.IN_DOUBT if isinstance(error, OutcomeUnknown) else Outcome.RETRY
    return PushResult(item.key, outcome, code=error.code, message=error.message, after=getattr(error, "after", None))


def _not_sent(item: PushItem, error: ConnectorError) -> PushResult:
    """The outcome of a document that was to follow a request that failed."""
    message = f"Nothing was sent, because the request before it failed. {error.message}"
    return PushResult(item.key, Outcome.RETRY, code=error.code, message=message, after=getattr(error, "after", None))


def _next_time(item: PushItem) -> PushResult:
    """The outcome of a document for which this call had no room left."""
    message = f"Nothing was sent: the call had {LINES_OF_A_CALL} lines without it. It goes with the next one."
    return PushResult(item.key, Outcome.RETRY, code="CALL-FULL", message=message, after=0.0)


def _refused(item: PushItem, error: RecordRejected, effect: str) -> PushResult:
    """Tryton refused a step, or asks a person."""
    reason = Reason.VENDOR_STATE if isinstance(error, Question) else Reason(refusal(error.message).reason)
    return _rejected(item, error.code, f"{error.message} {effect}", reason, error.path)


def _rejected(item: PushItem, code: str, message: str, reason: Reason, path: str | None = None) -> PushResult:
    return PushResult(item.key, Outcome.REJECTED, code=code, message=message, path=path or None, reason=str(reason))
