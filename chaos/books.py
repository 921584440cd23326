"""The verdict on documents, from the ledger's true state: each exactly once, posted, as it was billed, and set off once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from chaos.bills import all_up_to
from chaos.ground import Ground
from chaos.oracle import Verdict
from cli.demo.configuration import LEDGER

Row = Mapping[str, Any]
POSTED = frozenset({"AUTHORISED", "PAID"})
GONE = frozenset({"DELETED", "VOIDED"})


def judge(ground: Ground, verdict: Verdict) -> None:
    """Compare the ledger with what was billed, all at rest, and add what is wrong."""
    database = ground.hub.session.database
    names = [str(row[0]) for row in database.rows("SELECT document_id FROM document WHERE connection = %s", (LEDGER,))]
    wanted = all_up_to(sum(name.startswith("INV-") for name in names), frozenset(names))
    documents, allocations = ground.ledger.objects("documents"), ground.ledger.objects("allocations")
    referred = database.rows(
        "SELECT entity_id, vendor_id FROM reference WHERE connection = %s AND superseded_at IS NULL", (LEDGER,)
    )
    verdict.documents = len(wanted)
    verdict.lost += [f"lost: the hub knows no document {name}" for name in sorted(wanted.keys() - set(names))]
    verdict.duplicates += doubled(documents, allocations)
    verdict.lost += lost_in_ledger(wanted, documents, allocations)
    verdict.references += wrong_references(wanted, documents, [(str(name), str(there)) for name, there in referred])


def doubled(documents: Sequence[Row], allocations: Sequence[Row]) -> int:
    """Living documents beyond one of a name, and credits set off more than once."""
    living = [_name(row) for row in documents if row["Status"] not in GONE]
    set_off = [str(each["CreditNoteID"]) for each in allocations]
    return len(living) - len(set(living)) + len(set_off) - len(set(set_off))


def lost_in_ledger(wanted: Mapping[str, Row], documents: Sequence[Row], allocations: Sequence[Row]) -> list[str]:
    """What was billed and is not posted as it was billed, or a credit that was not set off."""
    found: list[str] = []
    living = {_name(row): row for row in documents if row["Status"] not in GONE}
    credited = {str(each["CreditNoteID"]): Decimal(str(each["Amount"])) for each in allocations}
    for name, bill in sorted(wanted.items()):
        row = living.get(name)
        if row is None:
            found.append(f"lost: document {name} is not in the ledger")
            continue
        if row["Status"] not in POSTED:
            found.append(f"lost: document {name} is {row['Status']} in the ledger")
        total = Decimal(str(row["Total"]))
        if (total, row["CurrencyCode"]) != (bill["total"], bill["currency"]):
            found.append(f"lost: document {name} has {total} {row['CurrencyCode']}, billed were {bill['total']}")
        if bill.get("kind") == "credit_memo" and credited.get(str(row["CreditNoteID"])) != bill["total"]:
            found.append(
                f"lost: credit {name} is set off with {credited.get(str(row['CreditNoteID']))} of {bill['total']}"
            )
    return found


def wrong_references(
    wanted: Mapping[str, Row], documents: Sequence[Row], referred: Sequence[tuple[str, str]]
) -> list[str]:
    """References that point to another document or to none, and documents of the ledger that nobody billed."""
    names = {_id(row): _name(row) for row in documents}
    found = [
        f"reference: {name} points to {there}, which is {names.get(there)}"
        for name, there in referred
        if names.get(there) != name
    ]
    strangers = {_name(row) for row in documents if row["Status"] not in GONE} - wanted.keys()
    return found + [f"reference: nobody billed {name}, which is in the ledger" for name in sorted(strangers)]


def _name(row: Row) -> str:
    return str(row.get("InvoiceNumber") or row.get("CreditNoteNumber"))


def _id(row: Row) -> str:
    return str(row.get("InvoiceID") or row.get("CreditNoteID"))
