"""The ledger file: every document that the ERP acknowledged, its commission and tax, and every payment, as Beancount reads it.

Plain-text double entry; `bean-check` (Beancount 3, run as a program of its own) finds it balanced to the minor unit, and each
customer's receivable equal to the open balances that the ERP shows. https://beancount.github.io/docs/beancount_language_syntax.html

What the ERP's total holds above ours is its tax: the ERP computes it. A balance that moved although no payment is listed goes to
an account of its own, so that it is seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from hub.billing.documents import body_of
from hub.billing.review import amount
from hub.reports.verbs import Selection
from hub.session import Session
from hub.store import billing_documents, entities
from hub.store.billing_documents import DocumentState, StoredDocument, StoredPayment
from oms_schema.document import DocumentKind
from oms_schema.ids import EntityKind

RECEIVABLE = "Assets:Receivable"
BANK = "Assets:Bank"
INCOME = "Income:Advertising"
COMMISSION = "Expenses:Agency-Commission"
TAX = "Liabilities:Tax"
OTHER_CREDITS = "Liabilities:Credits-Of-Others"
NOT_ITEMISED = "Equity:Not-Itemised"
OTHER_MONTHS = "Equity:Other-Months"


@dataclass(frozen=True, slots=True)
class Posting:
    """One leg of an entry, in micros."""

    account: str
    micros: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced transaction in one currency; `document_id` links what belongs together."""

    day: date
    payee: str
    narration: str
    currency: str
    document_id: str
    postings: Sequence[Posting]

    def __post_init__(self) -> None:
        """ValueError when it does not balance."""
        if sum(posting.micros for posting in self.postings):
            raise ValueError(f"an entry of {self.document_id} does not balance")


def ledger(session: Session, selection: Selection | None = None) -> str:
    """The ledger file of the documents of these months, with their payments whenever those came. Reads only."""
    chosen = selection or Selection()
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION READ ONLY")
        known = billing_documents.in_state(cur, [DocumentState.POSTED, DocumentState.PAID])
        documents = [one for one in known if chosen.since.start <= one.period_start <= chosen.until.start]
        payments = billing_documents.payments(cur, [one.document_id for one in known])
        parties = entities.many(cur, EntityKind.PARTY, sorted({one.bill_to for one in documents}))
    names = {party_id: one.name for party_id, one in parties.items()}
    chosen_ids = {one.document_id for one in documents}
    return written(documents, payments, names, [one for one in known if one.document_id not in chosen_ids])


def written(
    documents: Sequence[StoredDocument],
    payments: Iterable[StoredPayment],
    names: Mapping[str, str],
    left_out: Sequence[StoredDocument] = (),
) -> str:
    """The text of the file; `payments` are those of `left_out`, too: our documents of other months, for credits set off."""
    paid: dict[str, list[StoredPayment]] = defaultdict(list)
    for payment in payments:
        if not payment.gone:
            paid[payment.document_id].append(payment)
    listed: dict[str, list[tuple[StoredDocument, StoredPayment]]] = defaultdict(list)
    for other in left_out:
        for payment in paid[other.document_id]:
            if payment.by_document is not None:
                listed[payment.by_document].append((other, payment))
    for one in documents:
        paid[one.document_id] += list(_listed_elsewhere(one, paid[one.document_id], listed))
    here, elsewhere = _called(documents), _called(left_out)
    entries: list[Entry] = []
    owed: dict[tuple[str, str], int] = defaultdict(int)
    for one in documents:
        told = paid[one.document_id]
        name = names.get(one.bill_to, one.bill_to)
        entries += _entries(one, told, name, here, elsewhere)
        owed[one.bill_to, one.currency] += _sign(one) * _open(one, told)
    entries.sort(key=lambda entry: (entry.day, entry.document_id))
    last = max((entry.day for entry in entries), default=date(1970, 1, 1))
    entries += _not_itemised(entries, owed, names, last)
    return "\n".join(_text(entries, owed, last))


def account_of(party_id: str) -> str:
    """A customer's receivable."""
    return f"{RECEIVABLE}:{party_id.upper().replace('_', '-')}"


def _sign(one: StoredDocument) -> int:
    return -1 if one.kind == DocumentKind.CREDIT_MEMO else 1


def _settled(told: Sequence[StoredPayment], sign: int) -> int:
    """What was paid or set off on a document, in its own direction. An ERP may show what a credit memo paid out below zero."""
    return sum(payment.amount if sign > 0 else abs(payment.amount) for payment in told)


def _erp_tax(one: StoredDocument, told: Sequence[StoredPayment]) -> int:
    """What the ERP's total, that is its balance and everything settled, holds above ours."""
    if one.balance is None:
        return 0
    return max(0, one.balance + _settled(told, _sign(one)) - one.amounts.total)


def _open(one: StoredDocument, told: Sequence[StoredPayment]) -> int:
    """What is open: as the ERP shows it, or what follows from our figures when it shows none."""
    return one.amounts.total - _settled(told, _sign(one)) if one.balance is None else one.balance


def _called(documents: Iterable[StoredDocument]) -> set[str]:
    """The numbers and ids that credits set off name documents by."""
    return {name for one in documents for name in (one.number, one.document_id) if name}


def _listed_elsewhere(
    one: StoredDocument,
    told: Sequence[StoredPayment],
    listed: Mapping[str, Sequence[tuple[StoredDocument, StoredPayment]]],
) -> Iterator[StoredPayment]:
    """What was set off between a document and those of other months, where the ERP lists it at the other one only.

    `listed` are the credits that other months' documents list, by the document that they name. No more is taken than the
    document's balance moved beyond its own list: an ERP may list a credit before it counts.
    """
    if one.balance is None:
        return
    mentioned = {payment.by_document for payment in told}
    unlisted = one.amounts.total - _settled(told, _sign(one)) - one.balance
    for name in sorted(_called([one])):
        for other, payment in listed.get(name, ()):
            value = min(_settled([payment], _sign(other)), unlisted)
            if other.connection != one.connection or mentioned & _called([other]) or value <= 0:
                continue
            unlisted -= value
            by = other.number or other.document_id
            yield replace(payment, document_id=one.document_id, amount=value, by_document=by)


def _entries(
    one: StoredDocument, told: Sequence[StoredPayment], name: str, here: set[str], elsewhere: set[str]
) -> Iterator[Entry]:
    sign, customer = _sign(one), account_of(one.bill_to)
    body = body_of(one)
    day = body.issued_on or one.period_end - timedelta(days=1)
    tax = one.amounts.tax + _erp_tax(one, told)
    title = f"{'Credit memo' if sign < 0 else 'Invoice'} {one.number or one.document_id}"
    parts = [
        Posting(customer, sign * (one.amounts.net + tax)),
        Posting(COMMISSION, sign * one.amounts.commission),
        Posting(INCOME, -sign * one.amounts.gross),
        Posting(TAX, -sign * tax),
    ]
    yield Entry(day, name, title, one.currency, one.document_id, _moving(parts))
    for payment in told:
        value = sign * _settled([payment], sign)
        if payment.by_document is not None:
            if payment.by_document in here:
                continue  # both documents stand in the same receivable: there is nothing to move
            against, what = OTHER_CREDITS, f"Set off against {payment.by_document}"
            if payment.by_document in elsewhere:
                against, what = OTHER_MONTHS, f"{what}, of a month that this file leaves out"
        else:
            against, what = BANK, f"{'Paid out' if value < 0 else 'Payment'} {payment.native_id}"
        legs = _moving([Posting(against, value), Posting(customer, -value)])
        yield Entry(payment.received_on or day, name, f"{what}, {title}", payment.currency, one.document_id, legs)


def _moving(postings: Iterable[Posting]) -> list[Posting]:
    return [posting for posting in postings if posting.micros]


def _not_itemised(
    entries: Sequence[Entry], owed: Mapping[tuple[str, str], int], names: Mapping[str, str], day: date
) -> Iterator[Entry]:
    """What the ERP's balances say beyond the documents and payments that it lists."""
    posted: dict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        for posting in entry.postings:
            posted[posting.account, entry.currency] += posting.micros
    for (party, currency), balance in sorted(owed.items()):
        gap = balance - posted[account_of(party), currency]
        if gap:
            legs = [Posting(account_of(party), gap), Posting(NOT_ITEMISED, -gap)]
            yield Entry(day, names.get(party, party), "Settled at the ERP, no payment listed", currency, "", legs)


def _text(entries: Sequence[Entry], owed: Mapping[tuple[str, str], int], last: date) -> Iterator[str]:
    yield 'option "title" "Orderhub: documents, commission, tax and payments"'
    yield ""
    first = min((entry.day for entry in entries), default=last)
    accounts = {posting.account for entry in entries for posting in entry.postings}
    for account in sorted(accounts | {account_of(party) for party, _ in owed}):
        yield f"{first.isoformat()} open {account}"
    for entry in entries:
        yield ""
        link = f" ^{entry.document_id}" if entry.document_id else ""
        yield f"{entry.day.isoformat()} * {_quoted(entry.payee)} {_quoted(entry.narration)}{link}"
        for posting in entry.postings:
            yield f"  {posting.account}  {_amount(posting.micros, entry.currency)}"
    yield ""
    for (party, currency), balance in sorted(owed.items()):
        # The balance at the beginning of the day after the last entry; no tolerance.
        yield f"{(last + timedelta(days=1)).isoformat()} balance {account_of(party)}  {_number(balance, currency)} ~ 0 {currency}"
    yield ""


def _number(micros: int, currency: str) -> str:
    return f"{amount(micros, currency):f}"


def _amount(micros: int, currency: str) -> str:
    return f"{_number(micros, currency)} {currency}"


def _quoted(text: str) -> str:
    """A string of the file on one line: what is not printable becomes a space."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
