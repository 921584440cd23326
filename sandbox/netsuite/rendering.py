"""A record as the REST record service shows it: references with id and refName, sublists only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from sandbox.netsuite.account import NetSuiteAccount, Row
from sandbox.netsuite.books import Books
from sandbox.netsuite.contract import Field, fields_of

_APPROVALS = {"1": "Pending Approval", "2": "Approved", "3": "Rejected"}


class Rendering:
    """Shows rows of one account. Every method needs its lock."""

    def __init__(self, account: NetSuiteAccount, books: Books, root: str) -> None:
        self._account = account
        self._books = books
        self._root = root

    def location(self, record: str, id_: str) -> str:
        """The address of a record, as the vendor's Location header names it: the record type in lower case."""
        return f"{self._root}/record/v1/{record.lower()}/{id_}"

    def record(self, record: str, row: Row, *, expanded: bool) -> dict[str, Any]:
        """One record; `expanded` shows the lines of its sublists instead of a link to them."""
        address = self.location(record, row["id"])
        shown: dict[str, Any] = {"links": [{"rel": "self", "href": address}]}
        computed = self._computed(record, row)
        for name, field in fields_of(record).items():
            value = computed.get(name, row.get(name))
            if field.type == "sublist":
                links = [{"rel": "self", "href": f"{address}/{name}"}]
                shown[name] = {"links": links}
                if expanded:
                    lines = [self._line(field, line) for line in value or []]
                    shown[name] |= {"items": lines, "totalResults": len(lines)}
            elif value is not None:
                shown[name] = self._value(field, value)
        return shown

    def _computed(self, record: str, row: Row) -> dict[str, Any]:
        if record == "customer":
            return {"lastModifiedDate": _z(row["lastModifiedDate"])}
        letter, name = self._books.status(row)
        computed: dict[str, Any] = {
            "status": {"id": letter, "refName": name},
            "createdDate": _z(row["createdDate"]),
            "lastModifiedDate": _z(row["lastModifiedDate"]),
        }
        if record == "invoice":
            if not self._account.preferences.approval_routing:
                computed["approvalStatus"] = None
            paid = self._books.paid(row["id"])
            computed |= {"amountPaid": str(paid), "amountRemaining": str(Decimal(row["total"]) - paid)}
        if record == "creditMemo":
            used = self._books.applied(row)
            computed |= {"applied": str(used), "unapplied": str(Decimal(row["total"]) - used)}
            computed["apply"] = [
                {"doc": link["previousdoc"], "apply": True, "amount": link["foreignamount"]}
                for link in self._books.all_links()
                if link["nextdoc"] == row["id"] and link["linktype"] == "Payment"
            ]
        return computed

    def _line(self, field: Field, line: Row) -> dict[str, Any]:
        return {
            name: self._value(known, line[name]) for name, known in field.fields.items() if line.get(name) is not None
        }

    def _value(self, field: Field, value: Any) -> Any:
        if field.type == "decimal":
            return orjson.Fragment(format(Decimal(value), "f").encode())
        if field.type != "reference" or isinstance(value, dict):
            return value
        names: dict[str, Callable[[Row], str]] = {
            "customer": lambda row: row["entityId"],
            "currency": lambda row: row["name"],
            "item": lambda row: row["itemid"],
        }
        if field.to == "approvalStatus":
            return {"id": value, "refName": _APPROVALS[value]}
        table = "transaction" if field.to in ("invoice", "salesOrder") else field.to
        row = self._account.tables.get(table, {}).get(value)
        if row is None:
            return {"id": value}
        shown = names[field.to](row) if field.to in names else f"#{row.get('tranId')}"
        return {"id": value, "refName": shown}


def _z(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone(UTC).isoformat().replace("+00:00", "Z")
