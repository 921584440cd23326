"""What the demo's CRM shows of an order's bills, compared with the documents that the hub holds, order by order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cli.demo.crm_client import CrmClient
from cli.demo.engine import SOURCE
from hub.billing.answers import BilledDocument
from oms_schema.document import DocumentKind
from oms_schema.ids import EntityKind, canonical_id

_AMOUNTS = ("Hub_Invoiced__c", "Hub_Credited__c", "Hub_Invoice_Balance__c")
_FIELDS = ("Hub_Invoice_Number__c", "Hub_Invoice_Status__c", *_AMOUNTS)


@dataclass(frozen=True, slots=True)
class Bills:
    """An order's bills in its currency, in major units."""

    currency: str
    invoiced: Decimal
    credited: Decimal
    balance: Decimal | None
    """None while the ERP has not said of every document what is open."""


def shown_bills(crm: CrmClient) -> list[Mapping[str, Any]]:
    """The opportunities on which bills are shown, read through the CRM's own API. Raises CrmError."""
    shown = " OR ".join(f"{name} != null" for name in _FIELDS)
    return list(crm.query(f"SELECT Id, CurrencyIsoCode, {', '.join(_FIELDS)} FROM Opportunity WHERE {shown}"))  # noqa: S608 - constants of this module


def held_bills(documents: Iterable[BilledDocument]) -> dict[str, Bills]:
    """By order, the sums of documents that were sent; those of an order are in its currency."""
    held: dict[str, Bills] = {}
    for one in documents:
        before = held.get(one.order_id, Bills(one.currency, Decimal(0), Decimal(0), Decimal(0)))
        credit = one.kind == DocumentKind.CREDIT_MEMO
        held[one.order_id] = Bills(
            one.currency,
            before.invoiced + (0 if credit else one.net),
            before.credited + (one.net if credit else 0),
            None
            if before.balance is None or one.balance is None
            else before.balance + (-one.balance if credit else one.balance),
        )
    return held


def shown_otherwise(documents: Sequence[BilledDocument], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each order whose bills in the CRM are not those of the hub: absent, of nobody, or other in one figure."""
    held = held_bills(documents)
    numbers = {(one.order_id, one.number) for one in documents if one.kind != DocumentKind.CREDIT_MEMO}
    unlike = []
    shown = set()
    for row in rows:
        order_id = canonical_id(EntityKind.ORDER, SOURCE, str(row["Id"]))
        shown.add(order_id)
        bills = held.get(order_id)
        if bills is None:
            unlike.append(f"{row['Id']} shows bills in the CRM, the hub has none")
            continue
        there = tuple(None if row[name] is None else Decimal(str(row[name])) for name in _AMOUNTS)
        here = (bills.invoiced, bills.credited, bills.balance)
        if there != here or row["CurrencyIsoCode"] != bills.currency:
            unlike.append(
                f"{row['Id']} shows {_words(there)} {row['CurrencyIsoCode']} in the CRM, {_words(here)} {bills.currency} here"
            )
        elif (order_id, row["Hub_Invoice_Number__c"]) not in numbers or not row["Hub_Invoice_Status__c"]:
            unlike.append(
                f"{row['Id']} names {row['Hub_Invoice_Number__c']} in the CRM, which is no invoice of it here"
            )
    return unlike + [f"{order_id} has bills here, the CRM shows none" for order_id in held if order_id not in shown]


def _words(amounts: Iterable[Decimal | None]) -> str:
    return "/".join("nothing" if amount is None else f"{amount:,}" for amount in amounts)
