"""The rules of the books: what a save computes, numbers, applies and refuses.

Evidence, by subject of the NetSuite online help: "Working with Sublists" (lines without a `line` key are added, `replace=item`
replaces them all), "Transforming Records", "Approval Routing" (invoices start as Pending Approval, which posts nothing),
"Accounting Periods" (a closed period takes no transaction), "External IDs" (unique within a record type's group; all
transactions are one group).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.netsuite.account import NetSuiteAccount, Row
from sandbox.netsuite.contract import fields_of
from sandbox.netsuite.errors import NetSuiteError, content, nonexistent, user_error

PENDING, APPROVED, REFUSED = "1", "2", "3"
_PREFIX = {"salesOrder": "SO", "invoice": "INV", "creditMemo": "CM", "customerPayment": "PYMT"}
_ROUNDINGS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}
_POSTING = ("invoice", "creditMemo", "customerPayment")
_EXTENDED = ("quantity", "rate", "amount")


class Books:
    """Saves records of one account. Every method needs the account's lock and changes nothing when it raises."""

    def __init__(self, account: NetSuiteAccount) -> None:
        self._account = account

    # -- finding
    def find(self, record: str, key: str) -> Row | None:
        """The record behind an internal id or `eid:KEY`; None when there is none of this type."""
        table = "customer" if record == "customer" else "transaction"
        rows = self._account.tables[table]
        row = self._account.by_external_id(table, key[4:]) if key.startswith("eid:") else rows.get(key)
        return row if row is not None and row.get("recordType", "customer") == record else None

    def get(self, record: str, key: str) -> Row:
        """As `find`. Raises NetSuiteError 404."""
        row = self.find(record, key)
        if row is None:
            raise nonexistent("The record instance does not exist. Provide a valid record instance ID.")
        return row

    # -- customers
    def save_customer(self, row: Row | None, values: Mapping[str, Any]) -> Row:
        """Create or change a customer."""
        external_id = values.get("externalId")
        holder = self._account.by_external_id("customer", external_id) if external_id else None
        if holder is not None and holder is not row:
            raise NetSuiteError(
                400, "DUP_RCRD", "Error while accessing a resource. This record already exists.", "externalId"
            )
        name = values.get("companyName")
        for other in self._account.tables["customer"].values():
            if other is not row and name is not None and other["entityId"].casefold() == name.casefold():
                raise user_error(
                    "A customer record with this ID already exists. You must enter a unique customer ID for each record you "
                    "create."
                )
        for field, table in (("currency", "currency"),):
            self._reference(table, values.get(field), field)
        changes = {**values, "lastModifiedDate": self._account.stamp()}
        if row is None:
            filled = {"isInactive": False, "entityId": name, "externalId": None, "currency": "1", **changes}
            return self._account.add("customer", filled)
        row.update(changes)
        return row

    # -- transactions
    def save(
        self,
        record: str,
        row: Row | None,
        values: Mapping[str, Any],
        *,
        replace: Sequence[str] = (),
        origin: Row | None = None,
    ) -> Row:
        """Create (`row` is None) or change a transaction; `replace` names the sublists that are replaced as a whole."""
        merged = self._merged(record, row, values, replace)
        external_id = merged.get("externalId")
        holder = self._account.by_external_id("transaction", external_id) if external_id else None
        if holder is not None and holder is not row:
            raise NetSuiteError(
                400, "DUP_RCRD", "Error while accessing a resource. This record already exists.", "externalId"
            )
        customer = self._reference("customer", merged["entity"], "entity")
        if customer is not None and customer.get("isInactive"):
            raise user_error(
                f"You have entered an Invalid Field Value {merged['entity']} for the following field: entity", "entity"
            )
        currency = self._reference("currency", merged["currency"], "currency") or {}
        for number, line in enumerate(merged["item"]):
            item = self._reference("item", line.get("item"), f"item.items[{number}].item")
            if item is not None and item["isinactive"] == "T":
                raise content(
                    f"You have entered an Invalid Field Value {line['item']} for the following field: item",
                    f"item.items[{number}].item",
                )
        self._dated(record, row, merged)
        self._computed(merged, int(currency.get("digits", 2)))
        applied = self._applications(merged) if record == "creditMemo" else []
        if record == "invoice" and row is not None and Decimal(merged["total"]) < self.paid(row["id"]):
            raise user_error("The total may not be less than the amount that has been applied to the invoice.")
        return self._stored(record, row, merged, applied, origin)

    def _merged(self, record: str, row: Row | None, values: Mapping[str, Any], replace: Sequence[str]) -> Row:
        fresh: Row = {
            "externalId": None,
            "currency": "1",
            "tranDate": self._account.stamp()[:10],
            "item": [],
            "apply": [],
        }
        if record == "invoice":
            fresh["approvalStatus"] = PENDING if self._account.preferences.approval_routing else APPROVED
        kept = {name: value for name, value in (row or fresh).items() if name in fields_of(record)}
        merged = {**fresh, **kept, **{n: v for n, v in values.items() if n not in ("item", "apply")}}
        for sublist in ("item", "apply"):
            if sublist in values:
                before = [] if sublist in replace else kept.get(sublist, [])
                merged[sublist] = _lines(sublist, before, values[sublist])
        if not merged["item"]:
            raise user_error("You must enter at least one line item for this transaction.", "item")
        status = merged.get("approvalStatus")
        if record == "invoice" and status not in (PENDING, APPROVED, REFUSED):
            raise content("Invalid Field Value for the following field: approvalStatus", "approvalStatus")
        if record == "invoice" and not self._account.preferences.approval_routing and "approvalStatus" in values:
            raise content("Unknown reference or property approvalStatus.", "approvalStatus")
        return merged

    def _reference(self, table: str, id_: str | None, path: str) -> Row | None:
        if id_ is None:
            return None
        row = self._account.tables[table].get(id_)
        if row is None:
            raise content(
                f"You have entered an Invalid Field Value {id_} for the following field: {path.rpartition('.')[2]}",
                path,
            )
        return row

    def _dated(self, record: str, row: Row | None, merged: Row) -> None:
        """Refuse a date in a closed period, or before the last invoice where the account numbers by date."""
        days = {merged["tranDate"], *([row["tranDate"]] if row is not None else [])}
        for day in days if record in _POSTING else ():
            period = next(
                (p for p in self._account.tables["accountingperiod"].values() if p["startdate"] <= day <= p["enddate"]),
                None,
            )
            if period is None:
                raise user_error(
                    "The transaction date you specified is not within the date range of your accounting period.",
                    "tranDate",
                )
            if period["closed"] == "T":
                raise user_error("You cannot create or change a transaction in a closed accounting period.", "tranDate")
        if record == "invoice" and row is None and self._account.preferences.chronological:
            last = max((other["tranDate"] for other in self._account.transactions("invoice")), default="")
            if merged["tranDate"] < last:
                raise user_error(f"Chronological numbering: the date may not be before {last}.", "tranDate")

    def _computed(self, merged: Row, digits: int) -> None:
        """Amounts of lines, tax and totals, by the account's own rounding."""
        preferences = self._account.preferences
        unit, how = Decimal(1).scaleb(-digits), _ROUNDINGS[preferences.rounding]
        subtotal = tax = Decimal(0)
        for number, line in enumerate(merged["item"], start=1):
            quantity, rate, amount = (_number(line.get(name)) for name in _EXTENDED)
            quantity = Decimal(1) if quantity is None else quantity
            if rate is None:
                rate = Decimal(0) if amount is None or not quantity else amount / quantity
            if amount is None or preferences.recalculate:
                amount = quantity * rate
            amount = amount.quantize(unit, how)
            line |= {"line": number, "quantity": str(quantity), "rate": format(rate, "f"), "amount": str(amount)}
            subtotal += amount
            tax += (amount * Decimal(preferences.tax_percent) / 100).quantize(unit, how)
        merged |= {"subtotal": str(subtotal), "taxTotal": str(tax), "total": str(subtotal + tax)}
        if subtotal + tax < 0:
            raise user_error("The total of a transaction may not be negative.")

    def _applications(self, merged: Row) -> list[tuple[Row, Decimal]]:
        applied = []
        left = Decimal(merged["total"])
        for number, line in enumerate(merged["apply"]):
            path = f"apply.items[{number}]"
            invoice = self._account.tables["transaction"].get(str(line.get("doc")))
            if invoice is None or invoice["recordType"] != "invoice" or invoice["entity"] != merged["entity"]:
                raise content(
                    f"You have entered an Invalid Field Value {line.get('doc')} for the following field: doc",
                    path + ".doc",
                )
            if invoice["currency"] != merged["currency"] or invoice["approvalStatus"] != APPROVED:
                raise user_error("The invoice cannot be applied to: it is not approved, or in another currency.", path)
            if line.get("apply") is False:
                continue
            own = sum(
                (
                    Decimal(one["foreignamount"])
                    for one in self.links(invoice["id"])
                    if one["nextdoc"] == merged.get("id")
                ),
                Decimal(0),
            )
            free = Decimal(invoice["total"]) - self.paid(invoice["id"]) + own
            amount = min(free, left) if line.get("amount") is None else Decimal(line["amount"])
            if amount > free or amount > left or amount < 0:
                raise user_error("The amount applied exceeds the amount remaining.", path + ".amount")
            left -= amount
            applied.append((invoice, amount))
        return applied

    def _stored(
        self, record: str, row: Row | None, merged: Row, applied: Iterable[tuple[Row, Decimal]], origin: Row | None
    ) -> Row:
        stamp = self._account.stamp()
        if row is None:
            created = {
                "recordType": record,
                "tranId": self._account.next_number(_PREFIX[record]),
                "voided": "F",
                "createdDate": stamp,
                "createdFrom": origin["id"] if origin else None,
            }
            row = self._account.add("transaction", created)
        row.update({**merged, "id": row["id"], "lastModifiedDate": stamp})
        links = self._account.tables["nexttransactionlink"]
        if record == "creditMemo":
            for id_ in [id_ for id_, link in links.items() if link["nextdoc"] == row["id"]]:
                del links[id_]
            for invoice, amount in applied:
                self.link(invoice, row, amount)
        if origin is not None:
            self._account.add(
                "nexttransactionlink",
                {
                    "previousdoc": origin["id"],
                    "nextdoc": row["id"],
                    "linktype": "OrdBill",
                    "foreignamount": row["total"],
                },
            )
        return row

    def link(self, invoice: Row, by: Row, amount: Decimal) -> None:
        """Apply a payment or credit to an invoice; whether its time of change moves is a preference, as no page says it."""
        if amount:
            self._account.add(
                "nexttransactionlink",
                {
                    "previousdoc": invoice["id"],
                    "nextdoc": by["id"],
                    "linktype": "Payment",
                    "foreignamount": str(amount),
                },
            )
            if self._account.preferences.payment_touches_invoice:
                invoice["lastModifiedDate"] = self._account.stamp()

    def transform(self, order: Row, target: str, values: Mapping[str, Any], replace: Sequence[str]) -> Row:
        """An invoice out of a sales order: its head and lines, overlaid with the body; `orderLine` names an order's line."""
        lines = [{**line, "orderLine": line["line"]} for line in order["item"]]
        given = list(values.get("item", []))
        for number, line in enumerate(given):
            source = next((one for one in lines if one["line"] == line.get("orderLine")), None)
            if line.get("orderLine") is not None and source is None:
                raise content("The sales order has no such line.", f"item.items[{number}].orderLine")
            if source is not None and line.get("item") is None:
                line["item"] = source["item"]
        kept = (
            []
            if "item" in replace
            else [one for one in lines if one["line"] not in {g.get("orderLine") for g in given}]
        )
        head = {
            name: order[name] for name in ("entity", "currency", "memo", "otherRefNum") if order.get(name) is not None
        }
        body = {**head, **values, "item": [*({k: v for k, v in one.items() if k != "line"} for one in kept), *given]}
        return self.save(target, None, body, origin=order)

    def delete(self, row: Row) -> None:
        """Delete a transaction without applications."""
        if any(row["id"] in (link["previousdoc"], link["nextdoc"]) for link in self.all_links()):
            raise NetSuiteError(
                400,
                "THIS_RECORD_CANNOT_BE_DELETED_BECAUSE_IT_HAS_DEPENDENT_RECORDS",
                "Error while accessing a resource. This record cannot be deleted because it has dependent records.",
            )
        self._dated(row["recordType"], row, row)
        del self._account.tables["transaction"][row["id"]]

    # -- payments, which people make
    def pay(self, invoice: Row, amount: Decimal, day: str) -> Row:
        """A customer payment applied to one invoice."""
        if invoice["approvalStatus"] != APPROVED:
            raise user_error("The invoice is not approved.")
        if amount <= 0 or amount > Decimal(invoice["total"]) - self.paid(invoice["id"]):
            raise user_error("The payment exceeds the amount remaining.")
        stamp = self._account.stamp()
        payment = self._account.add(
            "transaction",
            {
                "recordType": "customerPayment",
                "tranId": self._account.next_number(_PREFIX["customerPayment"]),
                "externalId": None,
                "entity": invoice["entity"],
                "currency": invoice["currency"],
                "tranDate": day,
                "item": [],
                "total": str(amount),
                "taxTotal": "0",
                "voided": "F",
                "createdDate": stamp,
                "lastModifiedDate": stamp,
            },
        )
        self.link(invoice, payment, amount)
        return payment

    # -- what follows from links
    def all_links(self) -> Iterable[Row]:
        """Every link of two transactions."""
        return self._account.tables["nexttransactionlink"].values()

    def links(self, invoice_id: str) -> Iterable[Row]:
        """What was applied to an invoice."""
        return (
            link for link in self.all_links() if link["previousdoc"] == invoice_id and link["linktype"] == "Payment"
        )

    def paid(self, invoice_id: str) -> Decimal:
        """The sum of what was applied to an invoice."""
        return sum((Decimal(link["foreignamount"]) for link in self.links(invoice_id)), Decimal(0))

    def applied(self, row: Row) -> Decimal:
        """The sum of what a credit memo or payment was applied with."""
        return sum(
            (
                Decimal(one["foreignamount"])
                for one in self.all_links()
                if one["nextdoc"] == row["id"] and one["linktype"] == "Payment"
            ),
            Decimal(0),
        )

    def status(self, row: Row) -> tuple[str, str]:
        """The status letter and its name."""
        record = row["recordType"]
        if row["voided"] == "T":
            return "V", "Voided"
        if record == "salesOrder":
            return "F", "Pending Billing"
        if record == "invoice":
            if row["approvalStatus"] != APPROVED:
                return ("D", "Pending Approval") if row["approvalStatus"] == PENDING else ("E", "Rejected")
            return ("B", "Paid In Full") if self.paid(row["id"]) == Decimal(row["total"]) else ("A", "Open")
        if record == "creditMemo":
            return ("B", "Fully Applied") if self.applied(row) == Decimal(row["total"]) else ("A", "Open")
        return "C", "Deposited"


def _lines(sublist: str, before: Sequence[Row], given: Sequence[Row]) -> list[Row]:
    """Lines after a save: a given line with the key of a present one changes it, any other is added."""
    key = "line" if sublist == "item" else "doc"
    lines = [dict(line) for line in before]
    for line in given:
        plain = {name: str(value) if isinstance(value, Decimal) else value for name, value in line.items()}
        known = next((one for one in lines if plain.get(key) is not None and one.get(key) == plain[key]), None)
        if known is None:
            lines.append(plain)
        else:
            if ("quantity" in plain or "rate" in plain) and "amount" not in plain:
                known.pop("amount", None)
            known.update(plain)
    return lines


def _number(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
