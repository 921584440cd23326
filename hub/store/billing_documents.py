"""Billing documents as stored: what was sent with its inputs, the positions, export batches, and what the ERP answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from hub.store.audit import note
from hub.store.database import Cursor
from oms_schema.document import Amounts


class DocumentState(StrEnum):
    """Where a document stands. Withdrawn is a proposal that newer numbers overtook, and what the ERP refused and people took back;
    nothing else ever goes away."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    EXPORTED = "exported"
    POSTED = "posted"
    PAID = "paid"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One invoice or credit memo: `body` is the BillingDocument's canonical bytes, `inputs` what it was calculated from.

    `their_total` and `balance` are micros as the ERP shows them, positive for both kinds.
    """

    document_id: str
    kind: str
    order_id: str
    bill_to: str
    currency: str
    period_start: date
    period_end: date
    corrects: str | None
    state: DocumentState
    body: bytes
    inputs: bytes
    content_hash: str
    amounts: Amounts
    prepared_by: str
    approved_by: str | None
    created_at: datetime
    batch_id: str | None = None
    connection: str | None = None
    number: str | None = None
    vendor_state: str | None = None
    their_total: int | None = None
    balance: int | None = None
    mismatch: str = ""
    read_at: datetime | None = None

    @property
    def subject(self) -> str:
        """Its name in the audit chain."""
        return f"billing_document:{self.document_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPosition:
    """One position of a document, with what a correction needs of it. `price` is canonical JSON."""

    document_id: str
    number: int
    line_id: str
    period_start: date
    quantity: int | None
    amounts: Amounts
    price: bytes
    agency_billed: bool
    tax_ppm: int
    bonus: bool = False
    corrects_number: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that were exported together, with their control totals as canonical JSON."""

    batch_id: str
    period_start: date
    control: bytes
    control_hash: str
    exported_by: str
    exported_at: datetime
    posted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredPayment:
    """One payment as the ERP shows it; `by_document` is the credit that was set off, None for money. `gone`: reversed."""

    connection: str
    document_id: str
    native_id: str
    amount: int
    currency: str
    received_on: date | None
    by_document: str | None
    gone: bool = False


_COLUMNS = (
    "document_id, kind, order_id, bill_to, currency, period_start, period_end, corrects, state, body, inputs, content_hash, "
    "gross, commission, net, tax, total, prepared_by, approved_by, created_at, batch_id, connection, number, vendor_state, "
    "their_total, balance, mismatch, read_at"
)
_VALUES = ", ".join(["%s"] * 28)


def _document(row: Sequence[object]) -> StoredDocument:
    r = dict(
        zip(
            _COLUMNS.split(", "),
            (bytes(value) if isinstance(value, memoryview) else value for value in row),
            strict=True,
        )
    )
    parts = {name: r.pop(name) for name in ("gross", "commission", "net", "tax", "total")}
    amounts = Amounts.model_validate({"currency": r["currency"], **parts})
    return StoredDocument(**{**r, "state": DocumentState(str(r["state"])), "amounts": amounts})  # type: ignore[arg-type]


def _row(one: StoredDocument) -> tuple[object, ...]:
    a = one.amounts
    return (
        *(one.document_id, one.kind, one.order_id, one.bill_to, one.currency, one.period_start, one.period_end),
        *(one.corrects, str(one.state), one.body, one.inputs, one.content_hash),
        *(a.gross, a.commission, a.net, a.tax, a.total),
        *(one.prepared_by, one.approved_by, one.created_at, one.batch_id, one.connection, one.number, one.vendor_state),
        *(one.their_total, one.balance, one.mismatch, one.read_at),
    )


def add(cur: Cursor, documents: Sequence[StoredDocument], positions: Iterable[StoredPosition]) -> None:
    """Keep new documents with their positions. Their content never changes afterwards."""
    cur.executemany(f"INSERT INTO billing_document ({_COLUMNS}) VALUES ({_VALUES})", [_row(one) for one in documents])
    cur.executemany(
        "INSERT INTO billing_position (document_id, number, line_id, period_start, quantity, gross, commission, net, tax, total, "
        "price, agency_billed, tax_ppm, bonus, corrects_number) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                *(one.document_id, one.number, one.line_id, one.period_start, one.quantity),
                *(one.amounts.gross, one.amounts.commission, one.amounts.net, one.amounts.tax, one.amounts.total),
                *(one.price, one.agency_billed, one.tax_ppm, one.bonus, one.corrects_number),
            )
            for one in positions
        ],
    )
    for one in documents:
        note(cur, one.subject, "billing document made", hash=one.content_hash, state=str(one.state), kind=one.kind)


def by_ids(cur: Cursor, document_ids: Sequence[str], *, lock: bool = False) -> dict[str, StoredDocument]:
    """Documents by id; unknown ids are absent. Locked in the order of their ids when asked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE document_id = ANY(%s) ORDER BY document_id"
        + (" FOR UPDATE" if lock else ""),
        (list(document_ids),),
    )
    return {row[0]: _document(row) for row in cur.fetchall()}


def named(cur: Cursor, text: str) -> list[StoredDocument]:
    """Documents that an id or the ERP's number names."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE document_id = %(t)s OR number = %(t)s ORDER BY document_id LIMIT 6",
        {"t": text},
    )
    return [_document(row) for row in cur.fetchall()]


def in_state(cur: Cursor, states: Iterable[DocumentState], *, lock: bool = False) -> list[StoredDocument]:
    """Documents in these states, by id; locked when asked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE state = ANY(%s) ORDER BY document_id"
        + (" FOR UPDATE" if lock else ""),
        ([str(state) for state in states],),
    )
    return [_document(row) for row in cur.fetchall()]


def of_batch(cur: Cursor, batch_id: str) -> list[StoredDocument]:
    """The documents of one export, by id."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE batch_id = %s ORDER BY document_id",
        (batch_id,),
    )
    return [_document(row) for row in cur.fetchall()]


def of_period(cur: Cursor, period_start: date) -> list[StoredDocument]:
    """Every document of one period, by id; of the withdrawn ones those that the ERP shows as owed all the same."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE period_start = %s AND (state <> 'withdrawn' OR mismatch <> '') "
        "ORDER BY document_id",
        (period_start,),
    )
    return [_document(row) for row in cur.fetchall()]


def set_state(
    cur: Cursor,
    one: StoredDocument,
    state: DocumentState,
    *,
    approved_by: str | None = None,
    batch_id: str | None = None,
    connection: str | None = None,
) -> None:
    """Move a document on; what is not given stays."""
    cur.execute(
        "UPDATE billing_document SET state = %(s)s, approved_by = coalesce(%(a)s, approved_by), "
        "batch_id = coalesce(%(b)s, batch_id), connection = coalesce(%(c)s, connection) WHERE document_id = %(d)s",
        {"s": str(state), "a": approved_by, "b": batch_id, "c": connection, "d": one.document_id},
    )
    note(cur, one.subject, "billing document moved", source=str(one.state), state=str(state))


def answered(
    cur: Cursor,
    one: StoredDocument,
    *,
    state: DocumentState,
    number: str | None,
    vendor_state: str,
    their_total: int | None,
    balance: int | None,
    mismatch: str,
    now: datetime,
) -> bool:
    """Keep what the ERP shows of a document; False when it is known already."""
    said = (number, vendor_state, their_total, balance, mismatch, state)
    if said == (one.number, one.vendor_state, one.their_total, one.balance, one.mismatch, one.state):
        return False
    cur.execute(
        "UPDATE billing_document SET number = %s, vendor_state = %s, their_total = %s, balance = %s, mismatch = %s, state = %s, "
        "read_at = %s WHERE document_id = %s",
        (number, vendor_state, their_total, balance, mismatch, str(state), now, one.document_id),
    )
    note(
        cur,
        one.subject,
        "billing document read back",
        number=number,
        vendor_state=vendor_state,
        total=their_total,
        balance=balance,
        mismatch=mismatch,
        state=str(state),
    )
    return True


# ---------------------------------------------------------------- positions
_POSITION = (
    "document_id, p.number, line_id, p.period_start, quantity, p.gross, p.commission, p.net, p.tax, p.total, price, agency_billed, "
    "tax_ppm, bonus, corrects_number, d.currency"
)


def positions_of(cur: Cursor, document_ids: Sequence[str]) -> list[StoredPosition]:
    """The positions of these documents, in order."""
    cur.execute(
        f"SELECT {_POSITION} FROM billing_position p JOIN billing_document d USING (document_id) "
        "WHERE document_id = ANY(%s) ORDER BY document_id, p.number",
        (list(document_ids),),
    )
    return [_position(row) for row in cur.fetchall()]


def positions_of_lines(cur: Cursor, line_ids: Sequence[str]) -> list[tuple[StoredDocument, StoredPosition]]:
    """Every position that billed or credits these lines with its document, oldest first; proposals and withdrawn ones left out."""
    cur.execute(
        f"SELECT {_POSITION} FROM billing_position p JOIN billing_document d USING (document_id) WHERE line_id = ANY(%s) "
        "AND d.state NOT IN ('proposed', 'withdrawn') ORDER BY d.created_at, document_id, p.number",
        (list(line_ids),),
    )
    positions = [_position(row) for row in cur.fetchall()]
    documents = by_ids(cur, sorted({one.document_id for one in positions}))
    return [(documents[one.document_id], one) for one in positions]


def _position(row: Sequence[object]) -> StoredPosition:
    r: list[object] = [bytes(value) if isinstance(value, memoryview) else value for value in row]
    amounts = Amounts.model_validate(
        {"currency": r[15], "gross": r[5], "commission": r[6], "net": r[7], "tax": r[8], "total": r[9]}
    )
    return StoredPosition(
        document_id=r[0],  # type: ignore[arg-type]
        number=r[1],  # type: ignore[arg-type]
        line_id=r[2],  # type: ignore[arg-type]
        period_start=r[3],  # type: ignore[arg-type]
        quantity=r[4],  # type: ignore[arg-type]
        amounts=amounts,
        price=r[10],  # type: ignore[arg-type]
        agency_billed=bool(r[11]),
        tax_ppm=r[12],  # type: ignore[arg-type]
        bonus=bool(r[13]),
        corrects_number=r[14],  # type: ignore[arg-type]
    )


def lines_of(cur: Cursor, document_id: str) -> list[tuple[str, date]]:
    """(line, first day of the period) of every line-period that a document speaks of."""
    cur.execute(
        "SELECT DISTINCT line_id, period_start FROM billing_position WHERE document_id = %s ORDER BY 1, 2",
        (document_id,),
    )
    return cur.fetchall()


def earlier_invoices(cur: Cursor, order_ids: Sequence[str], period_start: date) -> dict[tuple[str, str, str], int]:
    """How many first invoices each (order, bill-to, currency) has for a period."""
    cur.execute(
        "SELECT order_id, bill_to, currency, count(*) FROM billing_document WHERE order_id = ANY(%s) AND period_start = %s "
        "AND kind = 'invoice' AND corrects IS NULL GROUP BY 1, 2, 3",
        (list(order_ids), period_start),
    )
    return {(row[0], row[1], row[2]): row[3] for row in cur.fetchall()}


def corrections(cur: Cursor, document_ids: Sequence[str]) -> list[StoredDocument]:
    """Everything that corrects these documents, withdrawn proposals too, by id; locked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM billing_document WHERE corrects = ANY(%s) ORDER BY document_id FOR UPDATE",
        (list(document_ids),),
    )
    return [_document(row) for row in cur.fetchall()]


# ---------------------------------------------------------------- batches and payments
def add_batch(cur: Cursor, batch: Batch) -> None:
    """Keep an export."""
    cur.execute(
        "INSERT INTO billing_batch (batch_id, period_start, control, control_hash, exported_by, exported_at) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (batch.batch_id, batch.period_start, batch.control, batch.control_hash, batch.exported_by, batch.exported_at),
    )
    note(cur, f"billing_batch:{batch.batch_id}", "billing batch exported", control=batch.control.decode())


def waiting_batches(cur: Cursor) -> list[Batch]:
    """Exports that were not handed to the ERP's connection yet, the oldest first; locked."""
    cur.execute(
        "SELECT batch_id, period_start, control, control_hash, exported_by, exported_at, posted_at FROM billing_batch "
        "WHERE posted_at IS NULL ORDER BY exported_at, batch_id FOR UPDATE"
    )
    return [Batch(row[0], row[1], bytes(row[2]), *row[3:]) for row in cur.fetchall()]


def set_posted(cur: Cursor, batch: Batch, now: datetime) -> None:
    """The documents of an export are wanted at the ERP."""
    cur.execute("UPDATE billing_batch SET posted_at = %s WHERE batch_id = %s", (now, batch.batch_id))
    note(cur, f"billing_batch:{batch.batch_id}", "billing batch handed over", control_hash=batch.control_hash)


def payments(cur: Cursor, document_ids: Sequence[str]) -> list[StoredPayment]:
    """What the ERP said was paid on these documents, reversed payments too."""
    cur.execute(
        "SELECT connection, document_id, native_id, amount, currency, received_on, by_document, gone FROM billing_payment "
        "WHERE document_id = ANY(%s) ORDER BY document_id, received_on, native_id",
        (list(document_ids),),
    )
    return [StoredPayment(*row) for row in cur.fetchall()]


def put_payments(cur: Cursor, connection: str, document_id: str, present: Sequence[StoredPayment]) -> int:
    """Make the payments of a document those that the ERP shows now; returns how many changed. One that is gone was reversed."""
    known = {one.native_id: one for one in payments(cur, [document_id]) if one.connection == connection}
    shown = {one.native_id for one in present}
    news = [one for one in present if known.get(one.native_id) != one]
    gone = [one.native_id for one in known.values() if one.native_id not in shown and not one.gone]
    cur.executemany(
        "INSERT INTO billing_payment (connection, document_id, native_id, amount, currency, received_on, by_document, gone) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, false) ON CONFLICT (connection, document_id, native_id) DO UPDATE SET "
        "amount = excluded.amount, currency = excluded.currency, received_on = excluded.received_on, "
        "by_document = excluded.by_document, gone = false",
        [
            (connection, document_id, one.native_id, one.amount, one.currency, one.received_on, one.by_document)
            for one in news
        ],
    )
    if gone:
        cur.execute(
            "UPDATE billing_payment SET gone = true WHERE connection = %s AND document_id = %s AND native_id = ANY(%s)",
            (connection, document_id, gone),
        )
    for one in news:
        note(cur, f"billing_document:{document_id}", "payment read back", payment=one.native_id, amount=one.amount)
    for native_id in gone:
        note(cur, f"billing_document:{document_id}", "payment gone", payment=native_id)
    return len(news) + len(gone)


def lane_counts(cur: Cursor, connection: str) -> tuple[int, int]:
    """How many of our documents the connection has acknowledged, and how many not yet; withdrawn ones are neither."""
    cur.execute(
        "SELECT count(*) FILTER (WHERE NOT l.dirty), count(*) FILTER (WHERE l.dirty) FROM lane l "
        "JOIN billing_document d ON d.document_id = l.entity_id WHERE l.connection = %s AND l.kind = 'document' "
        "AND d.state <> 'withdrawn'",
        (connection,),
    )
    row = cur.fetchone()
    return (0, 0) if row is None else (row[0], row[1])
