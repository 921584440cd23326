"""Opportunity line items: read with their parents, mirrored, locked with them, gone with them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from connectors.base import Operation, PushItem
from connectors.salesforce import SalesforceConnector

from .conftest import Org

Connect = Callable[..., SalesforceConnector]
FIELDS = ["OpportunityId", "Name", "CPM__c", "Goal_Impressions__c", "Flight_Start__c", "Geo_Postal_Codes__c"]


class Book:
    """A product that can be sold, and an order with lines."""

    def __init__(self, org: Org) -> None:
        self.org = org
        product = org.create("Product2", Name="Snap Ad", IsActive=True)
        book = next(row["Id"] for row in org.state("Pricebook2") if row["IsStandard"])
        self.entry = org.create(
            "PricebookEntry", Pricebook2Id=book, Product2Id=product, UnitPrice=0, IsActive=True, CurrencyIsoCode="USD"
        )
        self.deal = org.deal(CurrencyIsoCode="USD", Pricebook2Id=book)

    def line(self, number: int, **more: object) -> str:
        return self.org.create(
            "OpportunityLineItem",
            OpportunityId=self.deal,
            PricebookEntryId=self.entry,
            Quantity=1,
            UnitPrice=10,
            External_Line_Id__c=f"line-{number}",
            **more,
        )


@pytest.fixture
def book(org: Org) -> Book:
    return Book(org)


def test_lines_are_read_with_exact_prices_and_long_texts(book: Book, connect: Connect) -> None:
    places = ", ".join(f"{n:05d}" for n in range(3_400))
    line = book.line(
        1,
        CPM__c=1.234567,
        Goal_Impressions__c=12_345_000,
        Flight_Start__c="2019-09-12T00:00:00.000Z",
        Geo_Postal_Codes__c=places,
    )
    (page,) = connect().read("OpportunityLineItem", FIELDS, None)
    (record,) = page.records
    assert record.native_id == line
    assert record.native["OpportunityId"] == book.deal
    assert record.native["CPM__c"] == Decimal("1.234567")
    assert record.native["Goal_Impressions__c"] == Decimal(12_345_000)
    assert record.native["Flight_Start__c"] == "2019-09-12T00:00:00.000+0000"
    assert record.native["Geo_Postal_Codes__c"] == places


def test_a_mirror_of_many_lines_takes_the_fewest_calls(book: Book, connect: Connect) -> None:
    lines = [book.line(n) for n in range(230)]
    batch = [PushItem(f"k{n}", {"Hub_Delivered__c": n}, vendor_id=line) for n, line in enumerate(lines)]
    results = connect().push("OpportunityLineItem", Operation.UPDATE, batch)
    assert {r.outcome.value for r in results} == {"updated"}
    assert book.org.calls()["PATCH collections OpportunityLineItem"] == 2
    delivered = {row["Id"]: row["Hub_Delivered__c"] for row in book.org.state("OpportunityLineItem")}
    assert delivered == {line: n for n, line in enumerate(lines)}


def test_lines_of_a_deleted_order_are_told_as_deleted(book: Book, connect: Connect) -> None:
    lines = {book.line(n) for n in range(3)}
    connector = connect()
    cursor = list(connector.read("OpportunityLineItem", ["Name"], None))[-1].cursor
    book.org.control("delete", object="Opportunity", id=book.deal)
    deleted = {
        r.native_id for p in connector.read("OpportunityLineItem", ["Name"], cursor) for r in p.records if r.deleted
    }
    assert deleted == lines
    (result, *_) = connector.push(
        "OpportunityLineItem", Operation.UPDATE, [PushItem("k", {"Hub_Delivered__c": 1}, vendor_id=min(lines))]
    )
    assert (result.outcome.value, result.reason) == ("rejected", "vendor_state")


def test_a_field_that_cannot_be_updated_parks_the_record_by_name(book: Book, connect: Connect) -> None:
    line = book.line(1)
    (result,) = connect().push(
        "OpportunityLineItem", Operation.UPDATE, [PushItem("k", {"OpportunityId": book.deal}, vendor_id=line)]
    )
    assert (result.outcome.value, result.reason) == ("rejected", "mapping")
    assert result.path == "OpportunityId"


def test_a_field_of_a_parent_is_checked_at_the_parent(book: Book, connect: Connect) -> None:
    report = connect().check({"OpportunityLineItem": ["Opportunity.Name", "Opportunity.Nope__c", *FIELDS]})
    assert [f.subject for f in report.findings if f.severity == "error"] == ["OpportunityLineItem.Opportunity.Nope__c"]
