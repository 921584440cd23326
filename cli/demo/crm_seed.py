"""Loads an order book into the CRM as a sales team would: accounts, product, opportunities with lines, then closed won.

Loading the same book again adds only what is missing. What the CRM refuses is reported with the CRM's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cli.demo.crm_client import CrmClient, CrmError, Saved
from cli.demo.order_book import BookLine, BookOrder, OrderBook, OrderKey

PRODUCT = "Ad line, CPM"
OPEN_STAGE = "Negotiation/Review"
WON_STAGE = "Closed Won"
NAME_LENGTH = 120
"""Opportunity.Name of Salesforce."""

TARGETING_FIELDS: Mapping[str, str] = {
    "Gender": "Gender__c",
    "AgeBracket": "Age_Bracket__c",
    "CountryCode": "Geo_Countries__c",
    "Regions (Included)": "Geo_Regions__c",
    "Regions (Excluded)": "Geo_Regions_Excluded__c",
    "Electoral Districts (Included)": "Geo_Districts__c",
    "Electoral Districts (Excluded)": "Geo_Districts_Excluded__c",
    "Radius Targeting (Included)": "Geo_Radius__c",
    "Radius Targeting (Excluded)": "Geo_Radius_Excluded__c",
    "Metros (Included)": "Geo_Metros__c",
    "Metros (Excluded)": "Geo_Metros_Excluded__c",
    "Postal Codes (Included)": "Geo_Postal_Codes__c",
    "Postal Codes (Excluded)": "Geo_Postal_Codes_Excluded__c",
    "Location Categories (Included)": "Location_Categories__c",
    "Location Categories (Excluded)": "Location_Categories_Excluded__c",
    "Interests": "Interests__c",
    "OsType": "Os_Type__c",
    "Segments": "Segments__c",
    "Language": "Language__c",
    "AdvancedDemographics": "Advanced_Demographics__c",
    "Targeting Connection Type": "Connection_Type__c",
    "Targeting Carrier (ISP)": "Carriers__c",
}
"""Which field of the CRM's opportunity product holds which column; a column absent here has no field in this org."""


@dataclass(frozen=True, slots=True)
class CrmRefusal:
    """A line that is not in the CRM, because the CRM refused it or the opportunity it belongs to."""

    ad_id: str
    code: str
    sentence: str


@dataclass(frozen=True)
class Seeded:
    """What the CRM holds of the book: ids of accounts by name, of opportunities by order, of line items by ADID.

    `unplaced` are (ADID, column, value) for which the CRM has no field; they never reach the hub.
    """

    accounts: Mapping[str, str]
    opportunities: Mapping[OrderKey, str]
    lines: Mapping[str, str]
    refused: tuple[CrmRefusal, ...] = ()
    unplaced: tuple[tuple[str, str, str], ...] = ()


@dataclass
class _Refused:
    """Refusals while they gather: `orders` by key, `lines` by ADID."""

    orders: dict[OrderKey, tuple[str, str]] = field(default_factory=dict)
    lines: dict[str, CrmRefusal] = field(default_factory=dict)

    def order(self, order: BookOrder, code: str, why: str) -> None:
        self.orders[order.key] = (code, why)
        for line in order.lines:
            self.line(line, code, why)

    def line(self, line: BookLine, code: str, why: str) -> None:
        self.lines[line.ad_id] = CrmRefusal(
            line.ad_id,
            code,
            f"The CRM refused the ad on line {line.row} of the order book: {why} ({code}). It is not in the CRM. "
            "Whoever keeps the order book corrects it and loads it again.",
        )


def seed_crm(client: CrmClient, book: OrderBook) -> Seeded:
    """Load the book. Raises CrmError when the CRM cannot be used at all, as without a currency or a price book."""
    refused = _Refused()
    accounts = _accounts(client, book, refused)
    entries = _price_book_entries(client, book, refused)
    price_book = _standard_price_book(client)
    opportunities = _opportunities(client, book, accounts, price_book, refused)
    lines = _lines(client, book, opportunities, entries, refused)
    _close_won(client, opportunities.values())
    unplaced = tuple(
        (line.ad_id, column, value)
        for line in book.lines
        for column, value in line.targeting.items()
        if column not in TARGETING_FIELDS
    )
    return Seeded(accounts, opportunities, lines, tuple(refused.lines.values()), unplaced)


def opportunity_names(orders: Iterable[BookOrder]) -> dict[OrderKey, str]:
    """A distinct name per order, at most 120 characters: advertiser, quarter, agency; if needed currency and number."""
    names: dict[OrderKey, str] = {}
    taken: set[str] = set()
    for order in orders:
        key = order.key
        base = (key.advertiser or "(no advertiser)", key.quarter, key.agency or "(no agency)")
        endings = ["", f" {key.currency}", *(f" {key.currency} {number}" for number in range(2, 1_000))]
        for ending in endings:
            name = _fitting(*base, ending)
            if name not in taken:
                break
        taken.add(name)
        names[key] = name
    return names


def line_item(line: BookLine, opportunity: str, entry: str) -> dict[str, Any]:
    """The opportunity product of one line; absent values are left out, instants are as in the file."""
    row: dict[str, Any] = {
        "OpportunityId": opportunity,
        "PricebookEntryId": entry,
        "Quantity": 1,
        "UnitPrice": Decimal(0) if line.spend is None else line.spend,
        "External_Line_Id__c": line.ad_id,
        "Flight_Start__c": _instant(line.start),
        "Flight_End__c": None if line.end is None else _instant(line.end),
        "CPM__c": line.cpm,
        "Goal_Impressions__c": line.goal,
        "Cost_Type__c": "CPM",
        "Brand__c": line.brand or None,
    }
    row.update(
        (TARGETING_FIELDS[column], text) for column, text in line.targeting.items() if column in TARGETING_FIELDS
    )
    return {name: value for name, value in row.items() if value is not None}


def _fitting(advertiser: str, quarter: str, agency: str, ending: str) -> str:
    """Both names shortened alike until the whole fits."""
    room = (NAME_LENGTH - len(f" {quarter} ()") - len(ending)) // 2
    longest = (max(room, 2 * room - len(agency)), max(room, 2 * room - len(advertiser)))
    short = [
        name if len(name) <= most else name[: most - 1] + "…"
        for name, most in zip((advertiser, agency), longest, strict=True)
    ]
    return f"{short[0]} {quarter} ({short[1]}){ending}"


def _accounts(client: CrmClient, book: OrderBook, refused: _Refused) -> dict[str, str]:
    """Ids by name, one account per distinct spelling. SOQL compares without case, so names are compared here."""
    known = {row["Name"]: row["Id"] for row in client.query("SELECT Id, Name FROM Account")}
    missing = [name for name in book.account_names if name not in known]
    agencies = {order.key.agency for order in book.orders}
    advertisers = {order.key.advertiser for order in book.orders}
    rows = []
    for name in missing:
        row = {"Name": name}
        if (name in agencies) != (name in advertisers):  # who is both has no single role
            row["Account_Role__c"] = "Agency" if name in agencies else "Advertiser"
        if address := book.addresses.get(name):
            row["BillingStreet"] = address
        rows.append(row)
    answers = dict(zip(missing, client.create("Account", rows), strict=True))
    for order in book.orders:
        for name in (order.key.advertiser, order.key.agency):
            if (answer := answers.get(name)) and answer.id is None:
                refused.order(order, answer.code, f"account {name[:60]!r}: {answer.message}")
    return known | {name: answer.id for name, answer in answers.items() if answer.id}


def _standard_price_book(client: CrmClient) -> str:
    for row in client.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true"):
        return str(row["Id"])
    raise CrmError("The CRM has no standard price book. Nothing is loaded. Its administrator activates one.")


def _price_book_entries(client: CrmClient, book: OrderBook, refused: _Refused) -> dict[str, str]:
    """Ids of the product's entries by currency; a currency the CRM does not know refuses its orders."""
    price_book = _standard_price_book(client)
    product = next(
        (str(row["Id"]) for row in client.query("SELECT Id, Name FROM Product2") if row["Name"] == PRODUCT), None
    )
    if product is None:
        product = _required(client.create("Product2", [{"Name": PRODUCT, "IsActive": True}])[0], "product")
    entries = {
        str(row["CurrencyIsoCode"]): str(row["Id"])
        for row in client.query("SELECT Id, CurrencyIsoCode, Product2Id FROM PricebookEntry")
        if row["Product2Id"] == product
    }
    wanted = [currency for currency in book.currencies if currency not in entries]
    shared = {"Pricebook2Id": price_book, "Product2Id": product, "UnitPrice": 0, "IsActive": True}
    answers = client.create("PricebookEntry", [{**shared, "CurrencyIsoCode": currency} for currency in wanted])
    for currency, answer in zip(wanted, answers, strict=True):
        if answer.id:
            entries[currency] = answer.id
            continue
        for order in book.orders:
            if order.key.currency == currency:
                refused.order(order, answer.code, f"currency {currency}: {answer.message}")
    return entries


def _required(saved: Saved, what: str) -> str:
    if saved.id is None:
        raise CrmError(
            f"The CRM refused the {what}: {saved.message} ({saved.code}). Nothing is loaded. Correct the CRM."
        )
    return saved.id


def _opportunities(
    client: CrmClient, book: OrderBook, accounts: Mapping[str, str], price_book: str, refused: _Refused
) -> dict[OrderKey, str]:
    names = opportunity_names(book.orders)
    known = {row["Name"]: row["Id"] for row in client.query("SELECT Id, Name FROM Opportunity")}
    found = {key: known[name] for key, name in names.items() if name in known}
    missing = [order for order in book.orders if order.key not in found and order.key not in refused.orders]
    rows = []
    for order in missing:
        row = {
            "Name": names[order.key],
            "AccountId": accounts.get(order.key.advertiser),
            "Agency__c": accounts.get(order.key.agency),
            "CurrencyIsoCode": order.key.currency,
            "CloseDate": (order.start - timedelta(days=1)).date().isoformat(),
            "StageName": OPEN_STAGE,
            "Pricebook2Id": price_book,
        }
        rows.append({name: value for name, value in row.items() if value is not None})
    for order, answer in zip(missing, client.create("Opportunity", rows), strict=True):
        if answer.id:
            found[order.key] = answer.id
        else:
            refused.order(order, answer.code, f"opportunity {names[order.key]!r}: {answer.message}")
    return found


def _lines(
    client: CrmClient,
    book: OrderBook,
    opportunities: Mapping[OrderKey, str],
    entries: Mapping[str, str],
    refused: _Refused,
) -> dict[str, str]:
    soql = "SELECT Id, External_Line_Id__c FROM OpportunityLineItem WHERE External_Line_Id__c != null"
    known = {str(row["External_Line_Id__c"]): str(row["Id"]) for row in client.query(soql)}
    missing = [
        (order, line)
        for order in book.orders
        if order.key not in refused.orders
        for line in order.lines
        if line.ad_id not in known
    ]
    rows = (line_item(line, opportunities[order.key], entries[order.key.currency]) for order, line in missing)
    for (_, line), answer in zip(missing, client.create("OpportunityLineItem", rows), strict=True):
        if answer.id:
            known[line.ad_id] = answer.id
        else:
            refused.line(line, answer.code, answer.message)
    return {line.ad_id: known[line.ad_id] for line in book.lines if line.ad_id in known}


def _close_won(client: CrmClient, opportunities: Iterable[str]) -> None:
    """Close what is still open, after all lines are in: a won deal is complete."""
    open_ones = {str(row["Id"]) for row in client.query("SELECT Id FROM Opportunity WHERE IsClosed = false")}
    rows = [{"Id": id_, "StageName": WON_STAGE} for id_ in opportunities if id_ in open_ones]
    for answer in client.update("Opportunity", rows):
        _required(answer, "closing of a deal")


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
