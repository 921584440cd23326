"""What SuiteQL shows of the account's rows: its own column names, signs and wall time.

Credit memos and payments have a negative `foreigntotal`; booleans are T and F; times are the account's wall time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sandbox.netsuite.account import NetSuiteAccount, Row
from sandbox.netsuite.books import Books
from sandbox.netsuite.suiteql.evaluation import Cell, Cells, Tables

TYPES = {"salesOrder": "SalesOrd", "invoice": "CustInvc", "creditMemo": "CustCred", "customerPayment": "CustPymt"}
COLUMNS: Mapping[str, frozenset[str]] = {
    name: frozenset(columns.split())
    for name, columns in {
        "transaction": "id type recordtype externalid tranid entity currency trandate duedate memo otherrefnum status "
        "approvalstatus posting voided foreigntotal foreignamountpaid foreignamountunpaid foreignpaymentamountused "
        "foreignpaymentamountunused createddate lastmodifieddate",
        "customer": "id externalid entityid companyname currency isinactive lastmodifieddate",
        "currency": "id symbol name",
        "item": "id itemid isinactive",
        "accountingperiod": "id periodname startdate enddate closed isquarter isyear",
        "nexttransactionlink": "previousdoc nextdoc linktype foreignamount",
    }.items()
}


def tables(account: NetSuiteAccount, books: Books) -> Tables:
    """The account's tables. Take the lock around the query."""
    zone, routing = ZoneInfo(account.preferences.time_zone), account.preferences.approval_routing
    cached: dict[str, Sequence[Cells]] = {}

    def rows(name: str) -> Sequence[Cells]:
        if name not in cached:
            cached[name] = [_cells(name, row, books, zone, routing=routing) for row in account.tables[name].values()]
        return cached[name]

    return Tables(COLUMNS, rows)


def _cells(name: str, row: Row, books: Books, zone: ZoneInfo, *, routing: bool) -> Cells:
    if name == "transaction":
        return _transaction(row, books, zone, routing=routing)
    if name == "customer":
        return {
            "id": Decimal(row["id"]),
            "externalid": row.get("externalId"),
            "entityid": row["entityId"],
            "companyname": row["companyName"],
            "currency": Decimal(row["currency"]),
            "isinactive": _flag(row["isInactive"]),
            "lastmodifieddate": _wall(row["lastModifiedDate"], zone),
        }
    if name == "nexttransactionlink":
        return {
            "previousdoc": Decimal(row["previousdoc"]),
            "nextdoc": Decimal(row["nextdoc"]),
            "linktype": row["linktype"],
            "foreignamount": Decimal(row["foreignamount"]),
        }
    cells: dict[str, Cell] = {n: row[n] for n in COLUMNS[name] if n in row}
    cells["id"] = Decimal(row["id"])
    for day in ("startdate", "enddate"):
        if day in row:
            cells[day] = date.fromisoformat(row[day])
    return cells


def _transaction(row: Row, books: Books, zone: ZoneInfo, *, routing: bool) -> Cells:
    record, total = row["recordType"], Decimal(row["total"])
    cells: dict[str, Cell] = {
        "id": Decimal(row["id"]),
        "type": TYPES[record],
        "recordtype": record.lower(),
        "externalid": row.get("externalId"),
        "tranid": row["tranId"],
        "entity": Decimal(row["entity"]),
        "currency": Decimal(row["currency"]),
        "trandate": date.fromisoformat(row["tranDate"]),
        "duedate": date.fromisoformat(row["dueDate"]) if row.get("dueDate") else None,
        "memo": row.get("memo"),
        "otherrefnum": row.get("otherRefNum"),
        "status": books.status(row)[0],
        "approvalstatus": Decimal(row["approvalStatus"]) if routing and row.get("approvalStatus") else None,
        "posting": _flag(record != "salesOrder" and row.get("approvalStatus", "2") == "2"),
        "voided": row["voided"],
        "createddate": _wall(row["createdDate"], zone),
        "lastmodifieddate": _wall(row["lastModifiedDate"], zone),
    }
    if record == "invoice":
        paid = books.paid(row["id"])
        cells |= {"foreigntotal": total, "foreignamountpaid": paid, "foreignamountunpaid": total - paid}
    elif record == "salesOrder":
        cells["foreigntotal"] = total
    else:
        used = books.applied(row)
        cells |= {"foreigntotal": -total, "foreignpaymentamountused": used, "foreignpaymentamountunused": total - used}
    return cells


def _flag(value: bool) -> str:
    return "T" if value else "F"


def _wall(stamp: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(stamp).astimezone(zone).replace(tzinfo=None)
