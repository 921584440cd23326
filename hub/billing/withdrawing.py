"""Withdraw: a document that the ERP refuses for good is taken back before it is posted, and the next close makes another.

For a document of an accounting period that Finance closed, above all. Nothing of a document is ever edited, its date neither:
the figures stay locked under their approval, and the next export makes a document with an id of its own, dated into the next
open period (`bill close-accounts`). A withdrawn correction is proposed anew and approved again.

What is withdrawn is certainly not posted: the ERP refused it, no send of it is in doubt, and neither reading back nor a look-up
finds it. One person
enters it and another one confirms it, as for everything that people enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.base import PushesRecords, PushItem, ReportsBilling
from hub.billing import reading_back
from hub.billing.answers import Entered
from hub.billing.documents import body_of
from hub.billing.moving import moved
from hub.billing.preparing import named
from hub.encoding import decode, encode
from hub.errors import NotFound, Refused
from hub.ops.people import why
from hub.session import Session
from hub.store import attempts, billing_counts, billing_documents, billing_periods, journal, lanes, parking
from hub.store.attempts import Attempt
from hub.store.billing_documents import DocumentState, StoredDocument
from hub.store.billing_periods import StoredInput, StoredPeriod
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import DOCUMENT, PARKED, Lane
from hub.store.parking import Selection
from hub.sync.vendor import ask
from oms_schema.delivery import BillingPeriod
from oms_schema.machines import BillingFacts
from oms_schema.problems import Reason
from oms_schema.status import BillingStatus

WITHDRAWAL = "withdrawal"
"""The kind of such an entry."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A document that may be withdrawn: its lane, and the send that the ERP refused, None when it was refused before."""

    document: StoredDocument
    lane: Lane
    attempt: Attempt | None


def enter(session: Session, documents: Sequence[str], *, reason: str, by: str | None) -> Entered:
    """Enter that these documents, by their ids, are withdrawn. Nothing changes before somebody else confirms it.

    Raises NotFound, and Refused for a document that is posted, may be, or was not refused.
    """
    actor, said = named(by, "A withdrawal"), why(reason)
    if not said:
        raise Refused("A withdrawal needs a reason. Nothing was done. Give it with --reason.")
    wanted = sorted({text.strip() for text in documents} - {""})
    if not wanted:
        raise Refused("A withdrawal names its documents. Nothing was done. `orderhub bill documents` lists them.")
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        first = _refused(cur, wanted)[0].document
        (line_id, start), *_ = billing_documents.lines_of(cur, first.document_id)
        body = {"reason": said, "documents": wanted}
        number = billing_periods.add_input(cur, line_id, start, WITHDRAWAL, encode(body), actor, session.machine.now())
    return Entered(number, line_id, BillingPeriod.month(start.year, start.month).label, WITHDRAWAL, actor, None, body)


def refused_as_closed(session: Session, period: BillingPeriod) -> Sequence[str]:
    """The ids of the documents dated in this month that the ERP refuses because their accounting period is closed; reads only."""
    with session.database.transaction() as cur:
        parked = parking.items(cur, Selection(reason=Reason.PERIOD_CLOSED))
        known = billing_documents.by_ids(cur, [one.entity_id for one in parked if one.entity_kind == DOCUMENT])
    dated = {document_id: body_of(one).issued_on for document_id, one in known.items()}
    return [
        document_id for document_id, on in sorted(dated.items()) if on is not None and period.start <= on < period.end
    ]


def look_up(session: Session, entered: StoredInput) -> None:
    """Ask the ERP for every document that is to be withdrawn. Raises Refused when it has one, VendorUnavailable.

    It is read back first, because a look-up finds only what is posted as it was billed, and then looked up one by one.
    """
    with session.database.transaction() as cur:
        connections = sorted({one.lane.connection for one in _refused(cur, documents_of(entered))})
    for name in connections:
        if isinstance(session.channel(name).connector, ReportsBilling):
            reading_back.read_back(session, name)
    with session.database.transaction() as cur:
        found = _refused(cur, documents_of(entered))
    for one in found:
        if one.attempt is not None:
            _refuse_if_there(session, one.document, one.lane.connection, one.attempt)


def _refuse_if_there(session: Session, document: StoredDocument, connection: str, attempt: Attempt) -> None:
    channel = session.channel(connection)
    connector = channel.connector
    assert isinstance(connector, PushesRecords), f"{connection} was sent documents"
    item = PushItem(attempt.key, decode(attempt.payload))
    (hit,) = ask(session, channel, "find", lambda: list(connector.find(attempt.record, [item])))
    if hit is not None:
        raise Refused(
            f"{connector.title} has {document.document_id} as {hit[0]}. Nothing was withdrawn. `orderhub replay` takes it over "
            "as posted."
        )


def withdraw(session: Session, cur: Cursor, entered: StoredInput, by: str) -> None:
    """Withdraw what was entered, in the caller's transaction, which holds billing's lock. Raises Refused, and nothing is done."""
    now, reason = session.machine.now(), decode(entered.body)["reason"]
    for one in _refused(cur, documents_of(entered)):
        document = one.document
        billing_documents.set_state(cur, document, DocumentState.WITHDRAWN)
        _forget_draft(session, cur, document)
        parking.resolve(
            cur, now, f"withdrawn by {entered.entered_by} and {by}: {reason}", subject=lanes.subject(one.lane.id)
        )
        billing_periods.put(cur, _unbilled(cur, document, f"{entered.entered_by} and {by}: {reason}"))
        journal.mark_stale(cur, [document.order_id])
        told = Entry(
            *(one.lane.connection, f"document withdrawn by {entered.entered_by} and {by}", reason, document.order_id),
            *(DOCUMENT, document.document_id),
        )
        journal.write(cur, [told], now, session.business.now())


def _forget_draft(session: Session, cur: Cursor, document: StoredDocument) -> None:
    """What a draft there says otherwise is no difference any more; only what is owed all the same would be (`reading_back`)."""
    if document.mismatch:
        billing_documents.answered(
            cur,
            replace(document, state=DocumentState.WITHDRAWN),
            state=DocumentState.WITHDRAWN,
            number=None,
            vendor_state=document.vendor_state or "",
            their_total=document.their_total,
            balance=document.balance,
            mismatch="",
            now=session.machine.now(),
        )


def _unbilled(cur: Cursor, document: StoredDocument, said: str) -> list[StoredPeriod]:
    """The line-periods without their document: a first invoice's are locked again, those of a correction are looked at anew."""
    if document.corrects is None:
        facts = BillingFacts(withdrawn=said)
        known = billing_periods.of_document(cur, document.document_id, lock=True)
        return [
            replace(moved(cur, one, BillingStatus.LOCKED, facts, document=document.document_id), document_id=None)
            for one in known
        ]
    return [
        replace(one, news_hash="")
        for line_id, start in billing_documents.lines_of(cur, document.document_id)
        for one in billing_periods.of_lines(cur, [line_id], start, lock=True)
    ]


def documents_of(entered: StoredInput) -> Sequence[str]:
    """Which documents an entry withdraws."""
    found: Sequence[str] = decode(entered.body)["documents"]
    return found


# ---------------------------------------------------------------- what may be withdrawn
def _refused(cur: Cursor, document_ids: Sequence[str]) -> list[_Refused]:
    """These documents with their lanes, locked. Raises NotFound, Refused."""
    known = billing_documents.by_ids(cur, document_ids, lock=True)
    corrected = {one.corrects for one in billing_documents.corrections(cur, document_ids) if _lives(one)}
    found = []
    for document_id in document_ids:
        one = known.get(document_id)
        if one is None:
            raise NotFound(
                f"There is no document {document_id}. Nothing was withdrawn. `orderhub bill documents` lists a month's."
            )
        if obstacle := _of_document(one, corrected):
            raise _not_withdrawn(one, obstacle)
        (lane,) = lanes.of_entity(cur, one.connection or "", document_id) or (None,)
        last = {} if lane is None else attempts.last_of(cur, [lane.id])
        if lane is None or (obstacle := _on_its_way(cur, lane, last)):
            raise _not_withdrawn(one, obstacle or "was not handed to the ERP yet; `orderhub bill post` does that")
        found.append(_Refused(one, lane, last.get(lane.id)))
    return found


def _lives(one: StoredDocument) -> bool:
    return one.state is not DocumentState.WITHDRAWN


def _not_withdrawn(one: StoredDocument, obstacle: str) -> Refused:
    return Refused(
        f"The document {one.document_id} {obstacle}. Nothing was withdrawn. Only what the ERP refused and certainly has not "
        "posted can be; what is posted is corrected by a credit memo."
    )


def _of_document(one: StoredDocument, corrected: set[str | None]) -> str:
    if one.number is not None or one.state in (DocumentState.POSTED, DocumentState.PAID):
        return f"is posted as {one.number or 'a document without number'}"
    if one.state is not DocumentState.EXPORTED:
        return f"is {one.state}"
    if one.document_id in corrected:
        return "is corrected by another one"
    return ""


def _on_its_way(cur: Cursor, lane: Lane, last: Mapping[int, Attempt]) -> str:
    if lane.vendor_id is not None or lane.acked_hash is not None:
        return "was taken by the ERP; the next read-back brings its number"
    unknown = lane.id in last and last[lane.id].outcome in (None, "in_doubt")
    if unknown or attempts.doubtful_creates(cur, [lane.id]):
        return "is in doubt: nobody knows whether the ERP has posted it"
    if lane.state != PARKED:
        return "is on its way to the ERP"
    if not parking.items(cur, Selection(subject=lanes.subject(lane.id))):
        return "is parked nowhere: somebody has closed it already"
    return ""
