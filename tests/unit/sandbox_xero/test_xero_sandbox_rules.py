"""What the simulated organisation refuses, computes and shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sandbox.xero.amounts import Money, totals
from sandbox.xero.where import QueryRefused, ordered, where

from .conftest import Client

KNOWN = frozenset({"Total", "Status", "Contact", "Name", "Date", "UpdatedDateUTC", "Reference", "Sent"})
ELEMENT: dict[str, Any] = {
    "Total": Decimal("10.5"),
    "Status": "PAID",
    "Contact": {"Name": "Ann \u00d6", "ID": "x"},
    "Date": date(2026, 11, 30),
    "UpdatedDateUTC": datetime(2026, 12, 1, 12, tzinfo=UTC),
    "Reference": None,
    "Sent": True,
}


# ------------------------------------------------------------ where and order
@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        ('Status=="PAID"', True),
        ('Status!="PAID"', False),
        ('Status == "PAID" AND Total >= 10.5', True),
        ('Status=="X" OR Total<11 && Status=="PAID"', True),
        ('(Status=="PAID" OR Total>11) AND Sent==false', False),
        ('Contact.Name.Contains("Ann")', True),
        ('Contact.Name.StartsWith("nn")', False),
        ('Contact.ID==guid("x")', True),
        ("Date>=DateTime(2026,11,30) AND Date<DateTime(2026,12,1)", True),
        ("UpdatedDateUTC>DateTime(2026,12,1,12,0,1)", False),
        ("Reference==null", True),
        ("Reference!=null", False),
        ('Reference=="x"', False),
        ("Sent==true", True),
    ],
)
def test_where_clauses_mean_what_they_say(clause: str, holds: bool) -> None:
    assert where(clause, KNOWN)(ELEMENT) is holds


@pytest.mark.parametrize(
    "clause",
    [
        "",
        "Status=PAID",
        'Status=="PAID" AND',
        'Colour=="red"',
        'Status=="a"b"',
        'Status=="PAID" OR 1==1',
        "Date>DateTime(2026,13,1)",
        'Status.Explode("x")',
        "(" * 50,
        "x" * 5000,
    ],
)
def test_clauses_that_are_none_are_refused(clause: str) -> None:
    with pytest.raises(QueryRefused):
        where(clause, KNOWN)


def test_values_of_different_kinds_cannot_be_compared() -> None:
    with pytest.raises(QueryRefused, match="incompatible"):
        where("Status>5", KNOWN)(ELEMENT)


def test_order_is_stable_and_by_several_fields() -> None:
    rows = [{"Name": "b", "Total": 1}, {"Name": "a", "Total": 2}, {"Name": "a", "Total": 1}, {"Name": None, "Total": 9}]
    assert [r["Total"] for r in ordered(rows, "Name ASC, Total DESC", KNOWN)] == [9, 2, 1, 1]
    assert [r["Total"] for r in ordered(rows, "Total", KNOWN)] == [1, 1, 2, 9]
    for clause in ("", "Colour", "Name UP", "Name ASC DESC"):
        with pytest.raises(QueryRefused):
            ordered(rows, clause, KNOWN)


# ------------------------------------------------------------ amounts
@pytest.mark.parametrize(
    ("rounding", "amounts", "expected"),
    [
        ("half_up", "NoTax", ("12.35", "0.00", "12.35")),
        ("half_even", "NoTax", ("12.34", "0.00", "12.34")),
        ("down", "NoTax", ("12.34", "0.00", "12.34")),
        ("half_up", "Exclusive", ("12.35", "2.47", "14.82")),
        ("half_up", "Inclusive", ("10.29", "2.06", "12.35")),
    ],
)
def test_totals_follow_the_rounding_and_the_tax_switch(
    rounding: str, amounts: str, expected: tuple[str, str, str]
) -> None:
    line = {"Quantity": Decimal("1"), "UnitAmount": Decimal("12.345"), "TaxType": "OUTPUT2"}
    lines = Money(rounding, {"OUTPUT2": Decimal(20)}).lines([line], amounts, 4)
    assert tuple(str(value) for value in totals(lines, amounts).values()) == expected


def test_unit_amounts_keep_four_decimals_only_when_asked(xero: Client) -> None:
    lines = [{"Description": "x", "Quantity": 1000, "UnitAmount": 0.0125, "AccountCode": "200"}]
    (two,) = xero.put(xero.invoice("INV-1", LineItems=lines, LineAmountTypes="NoTax"))
    (four,) = xero.put(xero.invoice("INV-2", LineItems=lines, LineAmountTypes="NoTax"), unitdp="4")
    assert (two["Total"], four["Total"]) == (10.0, 12.5)


# ------------------------------------------------------------ documents
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"CurrencyCode": "SEK"}, "not subscribed to currency SEK"),
        ({"Contact": {"ContactID": "00000000-0000-4000-8000-000000000000"}}, "A Contact must be specified"),
        ({"LineItems": [{"Description": "x", "AccountCode": "999"}]}, "Account code '999' is not a valid code"),
        ({"LineItems": [{"Description": ""}]}, "Description needs to be at least 1 char long"),
        ({"LineItems": [{"Description": "x", "TaxType": "NOPE"}]}, "TaxType code 'NOPE' does not exist"),
        (
            {"LineItems": [{"Description": "x", "Quantity": 2, "UnitAmount": 1, "LineAmount": 3}]},
            "expected line total 2.00",
        ),
        ({"Status": "PAID"}, "cannot have the status PAID"),
        ({"Status": "AUTHORISED", "DueDate": "2026-12-30", "LineItems": []}, "One or more line items"),
        ({"Status": "AUTHORISED", "LineItems": [{"Description": "x"}]}, "An account code must be specified"),
        ({"Reference": "x" * 256}, "too long"),
    ],
)
def test_refusals_are_sentences_of_the_element(xero: Client, change: dict[str, Any], sentence: str) -> None:
    good, bad = xero.invoice("GOOD"), {**xero.invoice("BAD"), **change}
    told = xero.put(good, bad)
    assert (told[0]["StatusAttributeString"], told[1]["StatusAttributeString"]) == ("OK", "ERROR")
    assert sentence in told[1]["ValidationErrors"][0]["Message"]
    assert [d["InvoiceNumber"] for d in xero.send("GET", "Invoices").json()["Invoices"]] == ["GOOD"]
    summed = xero.send("PUT", "Invoices", {"Invoices": [bad]})
    assert (summed.status_code, summed.json()["Type"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [1, 2],
        {},
        {"Invoices": []},
        {"Invoices": {}},
        {"Invoices": [1]},
        {"Invoices": [{"Type": "SALE"}]},
        {"Invoices": [{"Colour": "red"}]},
        {"Invoices": [{"Date": "30.11.2026"}]},
        {"Invoices": [{"InvoiceNumber": 7}]},
        {"Invoices": [{"LineItems": [{"Quantity": "two"}]}]},
        {"Invoices": [{"LineItems": [{"Quantity": True}]}]},
        {"Invoices": [{"Contact": {"ContactID": "A"}}]},
        {"Invoices": [{"Type": "ACCREC"}], "More": []},
        {"Invoices": [{"Type": "ACCREC"}] * 51},
    ],
)
def test_a_body_that_is_none_is_refused_as_a_whole(xero: Client, body: Any) -> None:
    response = xero.send("PUT", "Invoices", body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["Type"]) == (400, "PostDataInvalidException")


def test_numbers_are_unique_until_a_draft_is_deleted(xero: Client) -> None:
    (draft,) = xero.put(xero.invoice())
    assert "must be unique" in xero.put(xero.invoice())[0]["ValidationErrors"][0]["Message"]
    xero.control("status", id=draft["InvoiceID"], status="DELETED")
    assert xero.put(xero.invoice())[0]["StatusAttributeString"] == "OK"


def test_status_moves_only_where_it_may(xero: Client) -> None:
    (draft,) = xero.put(xero.invoice())

    def move(status: str, **more: Any) -> str:
        element = {"InvoiceID": draft["InvoiceID"], "Status": status, **more}
        told = xero.send("POST", "Invoices", {"Invoices": [element]}, summarizeErrors="false").json()["Invoices"][0]
        return str(told["Status"] if told["StatusAttributeString"] == "OK" else told["ValidationErrors"][0]["Message"])

    assert move("AUTHORISED") == "AUTHORISED"
    assert "not of valid status" in move("DRAFT")
    assert "changes only the status" in move("AUTHORISED", Reference="x")
    xero.control("pay", invoice="INV-1", amount="1.00")
    assert "payments or credits" in move("VOIDED")


def test_lock_dates_hold_for_new_documents_approvals_and_payments(xero: Client) -> None:
    (draft,) = xero.put(xero.invoice())
    xero.control("setup", year_lock="2026-11-30")
    assert "end of year lock date" in xero.put(xero.invoice("INV-2"))[0]["ValidationErrors"][0]["Message"]
    element = {"InvoiceID": draft["InvoiceID"], "Status": "AUTHORISED"}
    told = xero.send("POST", "Invoices", {"Invoices": [element]}, summarizeErrors="false").json()["Invoices"][0]
    assert "lock date" in told["ValidationErrors"][0]["Message"]
    assert xero.put(xero.invoice("INV-3", Date="2026-12-01"))[0]["StatusAttributeString"] == "OK"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Amount": 10.51}, "exceeds the credit remaining"),
        ({"Amount": 0}, "greater than zero"),
        ({"Amount": 0.001}, "in cents"),
        ({"Date": "2026-11-29"}, "cannot be before the date"),
        ({"Invoice": {"InvoiceNumber": "NOPE"}}, "could not be found"),
    ],
)
def test_allocations_keep_to_balances_and_dates(xero: Client, change: dict[str, Any], sentence: str) -> None:
    xero.put(xero.invoice(Status="AUTHORISED"))
    values = {n: v for n, v in xero.invoice().items() if n not in ("InvoiceNumber", "DueDate")}
    note = {**values, "Type": "ACCRECCREDIT", "CreditNoteNumber": "CN-1", "Status": "AUTHORISED"}
    made = xero.send("PUT", "CreditNotes", {"CreditNotes": [note]}).json()["CreditNotes"][0]
    allocation = {"Invoice": {"InvoiceNumber": "INV-1"}, "Amount": 1, "Date": "2026-11-30"}
    path = f"CreditNotes/{made['CreditNoteID']}/Allocations"
    refused = xero.send("PUT", path, {"Allocations": [{**allocation, **change}]}, summarizeErrors="false").json()[
        "Allocations"
    ][0]
    assert sentence in " ".join(error["Message"] for error in refused["ValidationErrors"])
    told = xero.send("PUT", path, {"Allocations": [allocation]}, summarizeErrors="false").json()["Allocations"][0]
    assert told["StatusAttributeString"] == "OK"
    (shown,) = xero.send("GET", "Invoices").json()["Invoices"]
    assert (shown["AmountDue"], shown["AmountCredited"]) == (9.5, 1.0)


def test_contacts_keep_name_and_number_unique_and_archived_ones_out_of_sight(xero: Client) -> None:
    xero.contact("A", "One")
    for number, name in (("A", "Two"), ("B", "ONE"), ("C", "")):
        refused = xero.send("PUT", "Contacts", {"Contacts": [{"ContactNumber": number, "Name": name}]})
        assert refused.status_code == 400
    xero.control("archive", number="A")
    assert xero.send("GET", "Contacts").json()["Contacts"] == []
    assert len(xero.send("GET", "Contacts", includeArchived="true").json()["Contacts"]) == 1
    assert "archived" in xero.put(xero.invoice(Contact={"ContactNumber": "A"}))[0]["ValidationErrors"][0]["Message"]


def test_dates_leave_in_the_vendors_form_and_pages_say_how_many_there_are(xero: Client) -> None:
    xero.control("clock", now="2026-12-05T09:00:00Z")
    xero.put(*(xero.invoice(f"INV-{n}") for n in range(5)))
    said = xero.send("GET", "Invoices", page="2", pageSize="2", order="InvoiceNumber ASC").json()
    assert [d["InvoiceNumber"] for d in said["Invoices"]] == ["INV-2", "INV-3"]
    assert said["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 3, "itemCount": 5}
    assert said["Invoices"][0]["Date"] == "/Date(1795996800000+0000)/"
    since = {"If-Modified-Since": "2026-12-05T08:59:59"}
    assert len(xero.send("GET", "Invoices", headers=since).json()["Invoices"]) == 5
    assert xero.send("GET", "Invoices", headers={"If-Modified-Since": "2026-12-05T09:00:00"}).json()["Invoices"] == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("Invoices", {"where": "nonsense"}),
        ("Invoices", {"colour": "red"}),
        ("Invoices", {"page": "0"}),
        ("Invoices", {"page": "x"}),
        ("CreditNotes", {"IDs": "x"}),
        ("Payments", {"order": "Colour"}),
    ],
)
def test_queries_that_are_none_are_refused(xero: Client, path: str, query: dict[str, str]) -> None:
    response = xero.send("GET", path, **query)
    assert (response.status_code, response.json()["Type"]) == (400, "QueryParseException")


def test_what_is_not_simulated_says_so(xero: Client) -> None:
    assert xero.send("GET", "Journals").status_code == 404
    assert xero.send("GET", "Invoices/1").status_code == 404
    assert xero.send("PUT", "Payments", {"Payments": [{}]}).status_code == 405
    assert xero.send("PUT", "CreditNotes/x/Allocations", {"Allocations": [{}]}).status_code == 404
    assert xero.send("DELETE", "Invoices").status_code == 405
