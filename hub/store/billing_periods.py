"""Line-periods as stored: status, the case they were calculated from, the result; and what people entered beside the counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.audit import note
from hub.store.database import Cursor
from oms_schema.document import Amounts
from oms_schema.status import BillingStatus

UNLOCKED = (
    BillingStatus.OPEN,
    BillingStatus.AWAITING_FINAL,
    BillingStatus.CALCULATED,
    BillingStatus.IN_REVIEW,
    BillingStatus.DISPUTED,
    BillingStatus.APPROVED,
)
"""What may still be calculated anew; everything later is corrected by a document only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPeriod:
    """One line-period. `inputs` and `result` are canonical bytes, `content_hash` is the result's.

    `news_hash` tells whether counts or people's inputs are those that were calculated with. `amounts` is None while nothing
    is billable. Times are machine time.
    """

    line_id: str
    period_start: date
    period_end: date
    order_id: str
    currency: str
    status: BillingStatus = BillingStatus.OPEN
    inputs: bytes | None = None
    result: bytes | None = None
    content_hash: str = ""
    news_hash: str = ""
    problem_code: str = ""
    problem: str = ""
    quantity: int | None = None
    amounts: Amounts | None = None
    prepared_by: str | None = None
    prepared_at: datetime | None = None
    approved_by: str | None = None
    approved_hash: str | None = None
    approved_at: datetime | None = None
    dispute: str | None = None
    document_id: str | None = None

    @property
    def subject(self) -> str:
        """Its name in the audit chain."""
        return f"line_period:{self.line_id}/{self.period_start.isoformat()}"

    @property
    def locked(self) -> bool:
        """Whether only a new document may say something else."""
        return self.status not in UNLOCKED


@dataclass(frozen=True, slots=True)
class StoredInput:
    """What a person entered about one line-period and, with `approved_by`, another approved. `body` is canonical JSON."""

    id: int
    line_id: str
    period_start: date
    kind: str
    body: bytes
    entered_by: str
    entered_at: datetime
    approved_by: str | None
    approved_at: datetime | None


_COLUMNS = (
    "line_id, period_start, period_end, order_id, currency, status, inputs, result, content_hash, news_hash, problem_code, "
    "problem, quantity, gross, commission, net, tax, total, prepared_by, prepared_at, approved_by, approved_hash, approved_at, "
    "dispute, document_id"
)
_VALUES = ", ".join(["%s"] * 25)
_UPDATES = ", ".join(
    f"{name} = excluded.{name}" for name in _COLUMNS.split(", ") if name not in ("line_id", "period_start")
)


def _amounts(currency: str, parts: Sequence[int | None]) -> Amounts | None:
    gross, commission, net, tax, total = parts
    if gross is None or commission is None or net is None or tax is None or total is None:
        return None
    return Amounts(currency=currency, gross=gross, commission=commission, net=net, tax=tax, total=total)


def _period(row: Sequence[object]) -> StoredPeriod:
    r: list[object] = [bytes(value) if isinstance(value, memoryview) else value for value in row]
    return StoredPeriod(
        line_id=r[0],  # type: ignore[arg-type]
        period_start=r[1],  # type: ignore[arg-type]
        period_end=r[2],  # type: ignore[arg-type]
        order_id=r[3],  # type: ignore[arg-type]
        currency=str(r[4]),
        status=BillingStatus(str(r[5])),
        inputs=r[6],  # type: ignore[arg-type]
        result=r[7],  # type: ignore[arg-type]
        content_hash=r[8],  # type: ignore[arg-type]
        news_hash=r[9],  # type: ignore[arg-type]
        problem_code=r[10],  # type: ignore[arg-type]
        problem=r[11],  # type: ignore[arg-type]
        quantity=r[12],  # type: ignore[arg-type]
        amounts=_amounts(str(r[4]), r[13:18]),  # type: ignore[arg-type]
        prepared_by=r[18],  # type: ignore[arg-type]
        prepared_at=r[19],  # type: ignore[arg-type]
        approved_by=r[20],  # type: ignore[arg-type]
        approved_hash=r[21],  # type: ignore[arg-type]
        approved_at=r[22],  # type: ignore[arg-type]
        dispute=r[23],  # type: ignore[arg-type]
        document_id=r[24],  # type: ignore[arg-type]
    )


def of_lines(
    cur: Cursor, line_ids: Sequence[str], period_start: date | None = None, *, lock: bool = False
) -> list[StoredPeriod]:
    """The line-periods of these lines, of one period or of all, by line and period; locked in that order when asked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM line_period WHERE line_id = ANY(%(l)s) AND (%(p)s::date IS NULL OR period_start = %(p)s) "
        "ORDER BY line_id, period_start" + (" FOR UPDATE" if lock else ""),
        {"l": list(line_ids), "p": period_start},
    )
    return [_period(row) for row in cur.fetchall()]


def of_period(
    cur: Cursor, period_start: date, statuses: Iterable[BillingStatus] = tuple(BillingStatus), *, lock: bool = False
) -> list[StoredPeriod]:
    """The line-periods of one period in these statuses, by order and line; locked when asked."""
    # Locked by line, as `of_lines` does, so that two workers never wait for each other in a circle.
    cur.execute(
        f"SELECT {_COLUMNS} FROM line_period WHERE period_start = %s AND status = ANY(%s) ORDER BY line_id"
        + (" FOR UPDATE" if lock else ""),
        (period_start, [str(status) for status in statuses]),
    )
    return sorted((_period(row) for row in cur.fetchall()), key=lambda one: (one.order_id, one.line_id))


def lines_locked(cur: Cursor, until: date) -> list[str]:
    """Lines that have a locked line-period which began on or before this day."""
    cur.execute(
        "SELECT DISTINCT line_id FROM line_period WHERE period_start <= %s AND status <> ALL(%s) ORDER BY 1",
        (until, [str(status) for status in UNLOCKED]),
    )
    return [row[0] for row in cur.fetchall()]


def lines_calculated(cur: Cursor, period_start: date) -> list[str]:
    """Lines whose line-period of this month has figures, or a reason for none, and is not locked."""
    cur.execute(
        "SELECT line_id FROM line_period WHERE period_start = %s AND status = ANY(%s) AND content_hash <> '' ORDER BY 1",
        (period_start, [str(status) for status in UNLOCKED]),
    )
    return [row[0] for row in cur.fetchall()]


def moved_lines(cur: Cursor, until: date) -> list[tuple[str, str]]:
    """(order that it was billed in, order that it is in now) of lines that were moved after the lock, up to this day."""
    cur.execute(
        "SELECT DISTINCT p.order_id, e.order_id FROM line_period p JOIN entity e ON e.kind = 'line' AND e.id = p.line_id "
        "WHERE p.period_start <= %s AND p.status <> ALL(%s) AND e.order_id <> p.order_id ORDER BY 1, 2",
        (until, [str(status) for status in UNLOCKED]),
    )
    return cur.fetchall()


def of_document(cur: Cursor, document_id: str, *, lock: bool = False) -> list[StoredPeriod]:
    """The line-periods that an invoice carries."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM line_period WHERE document_id = %s ORDER BY line_id, period_start"
        + (" FOR UPDATE" if lock else ""),
        (document_id,),
    )
    return [_period(row) for row in cur.fetchall()]


def put(cur: Cursor, periods: Iterable[StoredPeriod]) -> None:
    """Write line-periods as they are now."""
    cur.executemany(
        f"INSERT INTO line_period ({_COLUMNS}) VALUES ({_VALUES}) ON CONFLICT (line_id, period_start) DO UPDATE SET {_UPDATES}",
        [
            (
                one.line_id,
                one.period_start,
                one.period_end,
                one.order_id,
                one.currency,
                str(one.status),
                one.inputs,
                one.result,
                one.content_hash,
                one.news_hash,
                one.problem_code,
                one.problem,
                one.quantity,
                *(
                    (None,) * 5
                    if one.amounts is None
                    else (
                        one.amounts.gross,
                        one.amounts.commission,
                        one.amounts.net,
                        one.amounts.tax,
                        one.amounts.total,
                    )
                ),
                one.prepared_by,
                one.prepared_at,
                one.approved_by,
                one.approved_hash,
                one.approved_at,
                one.dispute,
                one.document_id,
            )
            for one in periods
        ],
    )


def count_by_status(cur: Cursor, period_start: date) -> dict[str, int]:
    """How many line-periods of a period are in each status."""
    cur.execute("SELECT status, count(*) FROM line_period WHERE period_start = %s GROUP BY 1", (period_start,))
    return {row[0]: row[1] for row in cur.fetchall()}


# ---------------------------------------------------------------- what people entered
_INPUT = "id, line_id, period_start, kind, body, entered_by, entered_at, approved_by, approved_at"


def _input(row: Sequence[object]) -> StoredInput:
    return StoredInput(*(bytes(value) if isinstance(value, memoryview) else value for value in row))  # type: ignore[arg-type]


def add_input(
    cur: Cursor, line_id: str, period_start: date, kind: str, body: bytes, entered_by: str, now: datetime
) -> int:
    """Keep what a person entered, not yet approved; returns its number."""
    cur.execute(
        "INSERT INTO billing_input (line_id, period_start, kind, body, entered_by, entered_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "RETURNING id",
        (line_id, period_start, kind, body, entered_by, now),
    )
    row = cur.fetchone()
    assert row is not None
    subject = f"line_period:{line_id}/{period_start.isoformat()}"
    note(cur, subject, "billing input entered", input=row[0], kind=kind, body=body.decode())
    return int(row[0])


def one_input(cur: Cursor, number: int) -> StoredInput | None:
    """What a person entered, locked for this transaction."""
    cur.execute(f"SELECT {_INPUT} FROM billing_input WHERE id = %s FOR UPDATE", (number,))
    row = cur.fetchone()
    return None if row is None else _input(row)


def approve_input(cur: Cursor, one: StoredInput, approved_by: str, now: datetime) -> None:
    """From now on it counts."""
    cur.execute("UPDATE billing_input SET approved_by = %s, approved_at = %s WHERE id = %s", (approved_by, now, one.id))
    subject = f"line_period:{one.line_id}/{one.period_start.isoformat()}"
    note(cur, subject, "billing input approved", input=one.id, kind=one.kind)


def inputs_of(cur: Cursor, line_ids: Sequence[str], *, approved: bool = True) -> list[StoredInput]:
    """What was entered about these lines, the oldest approval first; only what counts unless asked otherwise."""
    cur.execute(
        f"SELECT {_INPUT} FROM billing_input WHERE line_id = ANY(%s) AND (approved_at IS NOT NULL OR NOT %s) "
        "ORDER BY approved_at NULLS LAST, id",
        (list(line_ids), approved),
    )
    return [_input(row) for row in cur.fetchall()]


# ---------------------------------------------------------------- approvals, closed periods
def approval(cur: Cursor, review_hash: str) -> tuple[str, datetime] | None:
    """Who approved exactly this review, and when."""
    cur.execute("SELECT approved_by, approved_at FROM billing_approval WHERE review_hash = %s", (review_hash,))
    row = cur.fetchone()
    return None if row is None else (row[0], row[1])


def add_approval(
    cur: Cursor, review_hash: str, period_start: date, by: str, now: datetime, line_periods: int, documents: int
) -> None:
    """Remember what was approved."""
    cur.execute(
        "INSERT INTO billing_approval (review_hash, period_start, approved_by, approved_at, line_periods, documents) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (review_hash) DO UPDATE SET approved_by = excluded.approved_by, "
        "approved_at = excluded.approved_at",
        (review_hash, period_start, by, now, line_periods, documents),
    )
    counts = {"line_periods": line_periods, "documents": documents}
    note(cur, f"billing:{period_start.isoformat()}", "billing review approved", hash=review_hash, **counts)


def closed_periods(cur: Cursor) -> list[date]:
    """First days of the accounting periods that Finance closed."""
    cur.execute("SELECT period_start FROM closed_period ORDER BY 1")
    return [row[0] for row in cur.fetchall()]


def set_closed(cur: Cursor, period_start: date, by: str, now: datetime, *, closed: bool) -> bool:
    """Close an accounting period or open it again; False when it is so already."""
    if closed:
        cur.execute(
            "INSERT INTO closed_period (period_start, closed_by, closed_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (period_start, by, now),
        )
    else:
        cur.execute("DELETE FROM closed_period WHERE period_start = %s", (period_start,))
    if cur.rowcount:
        what = "accounting period closed" if closed else "accounting period opened"
        note(cur, f"billing:{period_start.isoformat()}", what, by=by)
    return bool(cur.rowcount)
