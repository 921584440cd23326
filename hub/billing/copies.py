"""A bill may be at the ERP more than once: which of its records is the bill, and whether another one is owed beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connectors.base import Native, ReadRecord
from hub.encoding import decode, encode
from hub.store import billing_shown
from hub.store.billing_documents import DocumentState, StoredDocument
from hub.store.billing_shown import Shown
from hub.store.database import Cursor
from oms_schema.document import DocumentKind
from oms_schema.money import Money

_VOID = frozenset({"cancelled", "canceled", "voided", "deleted", "rejected"})


@dataclass(frozen=True, slots=True)
class Copies:
    """The record that a document is at the ERP, and the numbers of all that are owed when they are several."""

    native: Native
    owed: Sequence[str] = ()


def is_void(native: Native) -> bool:
    """Whether the ERP shows a record that nobody owes any more."""
    return str(native.get("state") or "").lower() in _VOID


def told(cur: Cursor, connection: str, records: Sequence[ReadRecord]) -> dict[str, list[ReadRecord]]:
    """The records of a page by the document whose reference they bear, or bore when they were last shown.

    A deleted record may be told of by its id alone. A record whose reference Finance has taken away still concerns the
    document that it had.
    """
    earlier = billing_shown.of_records(cur, connection, [one.native_id for one in records])
    found: dict[str, list[ReadRecord]] = {}
    for one in records:
        for document_id in {str(one.native.get("reference") or ""), earlier.get(one.native_id, "")} - {""}:
            found.setdefault(document_id, []).append(one)
    return found


def taken(
    cur: Cursor, connection: str, documents: Mapping[str, StoredDocument], records: Mapping[str, Sequence[ReadRecord]]
) -> dict[str, Copies]:
    """Keep what was told, and say for each document which record it is now, with everything that was told before."""
    known = billing_shown.of_documents(cur, connection, list(documents))
    posted = billing_shown.posted_as(cur, connection, list(documents))
    found, news, forgotten = {}, [], []
    for document_id, one in documents.items():
        kept = {shown.native_id: shown for shown in known.get(document_id, ())}
        before = dict(kept)
        if not kept and one.state in (DocumentState.POSTED, DocumentState.PAID) and document_id in posted:
            # Read back before records were kept: what is known of it is in the document.
            before[posted[document_id]] = _as_known(connection, posted[document_id], one)
        now = dict(before)
        for record in records[document_id]:
            now[record.native_id] = _shown(connection, document_id, record, now.get(record.native_id))
        left = [key for key, shown in now.items() if not _bears(shown, document_id)]
        if len(left) < len(now):
            for key in left:
                del now[key]
            forgotten += left
        news += [shown for key, shown in now.items() if kept.get(key) != shown]
        found[document_id] = _chosen(one, now.values(), [record.native_id for record in records[document_id]])
    billing_shown.forget(cur, connection, forgotten)
    billing_shown.put(cur, news)
    return found


def _bears(shown: Shown, document_id: str) -> bool:
    return shown.gone or decode(shown.native).get("reference") == document_id


def _shown(connection: str, document_id: str, record: ReadRecord, before: Shown | None) -> Shown:
    native = dict(record.native)
    if record.deleted:
        # What it was stays readable: a deleted record may be told of by its id alone.
        native = {**({} if before is None else decode(before.native)), **native, "state": "deleted", "balance": None}
    return Shown(connection, record.native_id, document_id, encode(native), record.deleted)


def _as_known(connection: str, native_id: str, one: StoredDocument) -> Shown:
    balance, total = (
        None if micros is None else Money(micros=micros, currency=one.currency).amount
        for micros in (one.balance, one.their_total)
    )
    native = {
        "id": native_id,
        "reference": one.document_id,
        "number": one.number,
        "state": one.vendor_state,
        "currency": one.currency,
        "total": total,
        "balance": balance,
    }
    return Shown(connection, native_id, one.document_id, encode(native))


def _chosen(one: StoredDocument, shown: Iterable[Shown], last: Sequence[str]) -> Copies:
    """The record that is owed; ours when several are; without any, a draft before what is void, and the last told of."""
    natives = [(each.native_id, decode(each.native)) for each in shown]

    def ours(pair: tuple[str, Native]) -> tuple[bool, bool, int, str]:
        native_id, native = pair
        place = last.index(native_id) if native_id in last else -1
        return native.get("number") == one.number and one.number is not None, not is_void(native), place, native_id

    owed = [pair for pair in natives if _is_owed(one, pair[1])]
    if owed:
        chosen = max(owed, key=ours)[1]
        numbers = sorted(str(native["number"]) for _, native in owed)
        return Copies(chosen, numbers if len(owed) > 1 else ())
    return Copies(max(natives, key=lambda pair: (not is_void(pair[1]), *ours(pair)))[1])


def _is_owed(one: StoredDocument, native: Native) -> bool:
    """Numbered, with a balance, not void, and of the document's own sign: a credit that bears an invoice's reference is none."""
    if not native.get("number") or native.get("balance") is None or is_void(native):
        return False
    total = Decimal(str(native.get("total") or 0))
    return total >= 0 if one.kind == DocumentKind.INVOICE else total <= 0
