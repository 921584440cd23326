"""Plays billing while workers die: invoices and credit memos that follow from their number alone, and how they are wanted.

Each number is one invoice; every fourth one is credited in part once it is posted. What should be in the ledger is told by
the numbers, not by what the hub believes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from hub import Hub
from hub.sync.documents import want_document

DAY = date(2026, 11, 30)
BUYERS = 9
CREDITED_EVERY = 4
EACH_ROUND = 2
"""Invoices wanted in one transaction."""
MOST_UNPOSTED = 40
"""Documents wanted and not posted yet, beyond which billing waits: what lies idle is no work for anybody to lose."""


def invoice_id(number: int) -> str:
    """What an invoice is called, here and in the ledger."""
    return f"INV-{number:05}"


def credit_id(number: int) -> str:
    """The credit memo of an invoice."""
    return f"CM-{number:05}"


def invoice(number: int) -> dict[str, Any]:
    """The invoice of a number: one to three lines, to one of a few buyers."""
    amounts = [Decimal(1_000 + number * 7 + line) / 100 for line in range(1 + number % 3)]
    return _document(invoice_id(number), number, amounts)


def credit(number: int) -> dict[str, Any]:
    """The credit memo of an invoice: a little less than its first line."""
    amount = Decimal(500 + number) / 100
    return {
        **_document(credit_id(number), number, [amount]),
        "kind": "credit_memo",
        "corrects": invoice_id(number),
    }


def _document(reference: str, number: int, amounts: list[Decimal]) -> dict[str, Any]:
    buyer = number % BUYERS
    return {
        "reference": reference,
        "party": {"code": f"BUYER-{buyer}", "name": f"Buyer {buyer}"},
        "currency": "USD",
        "date": DAY,
        "total": sum(amounts, Decimal(0)),
        "lines": [{"description": f"Line {place}", "amount": amount} for place, amount in enumerate(amounts, start=1)],
    }


def all_up_to(invoices: int, credited: frozenset[str]) -> dict[str, Mapping[str, Any]]:
    """Every document by its name, when so many invoices and these credit memos were wanted."""
    numbers = range(1, invoices + 1)
    wanted = {invoice_id(number): invoice(number) for number in numbers}
    return wanted | {credit_id(number): credit(number) for number in numbers if credit_id(number) in credited}


def bill(hub: Hub, connection: str) -> None:
    """Want the next invoices, and the credit memos of those that are posted, in one transaction."""
    session = hub.session
    with session.database.transaction() as cur:
        cur.execute(
            "SELECT l.entity_id, l.desired_hash IS DISTINCT FROM l.acked_hash FROM lane l "
            "WHERE l.connection = %s AND l.kind = 'document'",
            (connection,),
        )
        unposted = {str(name): bool(waits) for name, waits in cur.fetchall()}
        if sum(unposted.values()) > MOST_UNPOSTED:
            return
        known = sum(name.startswith("INV-") for name in unposted)
        wanted = [invoice(number) for number in range(known + 1, known + 1 + EACH_ROUND)]
        wanted += [
            credit(number)
            for number in range(CREDITED_EVERY, known + 1, CREDITED_EVERY)
            if not unposted[invoice_id(number)] and credit_id(number) not in unposted
        ]
        for payload in wanted:
            want_document(
                session,
                cur,
                connection=connection,
                document_id=payload["reference"],
                record="CreditMemo" if payload.get("kind") == "credit_memo" else "Invoice",
                name=payload["reference"],
                payload=payload,
            )
