"""What the vendor's standard objects do by themselves: stages, prices, price books, roll-ups, protected deletes.

Sources: the vendor's Object Reference (Opportunity, OpportunityLineItem, PricebookEntry); messages from public reports
of the same refusals where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.salesforce.errors import refuse
from sandbox.salesforce.facts import SObject
from sandbox.salesforce.tables import Row
from sandbox.salesforce.values import round_half_up

if TYPE_CHECKING:
    from sandbox.salesforce.records import Unit

_FORECAST_NAMES = {
    "Omitted": "Omitted",
    "Pipeline": "Pipeline",
    "Best Case": "BestCase",
    "Commit": "Forecast",
    "Closed": "Closed",
}


@dataclass
class Save:
    """A record on its way into its table.

    Attributes:
        old: the record before, None for a new one.
        row: the record as it will stand; rules change it.
        given: names of the fields the request set.
        typed: the request's values by name.
    """

    unit: Unit
    sobject: SObject
    old: Row | None
    row: Row
    given: set[str]
    typed: Mapping[str, Any]

    def set(self, name: str, value: Any) -> None:
        """Set a field of the record; null takes it out."""
        if value is None:
            self.row.pop(name, None)
        else:
            self.row[name] = value

    def parent(self, reference: str, object_name: str) -> Row | None:
        """The record a reference field points to."""
        return self.unit.tables[object_name].rows.get(self.row.get(reference, ""))

    def changed(self, name: str) -> bool:
        """Whether the record differs from before in a field."""
        return self.old is None or self.old.get(name) != self.row.get(name)


def before_save(save: Save) -> None:
    """Derive what the vendor derives and refuse what it refuses.

    Raises:
        RecordRefused: the record may not stand like this.
    """
    _currency(save)
    if rule := _BEFORE.get(save.sobject.name):
        rule(save)


def after_save(save: Save) -> None:
    """Tell the parent."""
    if save.sobject.name == "OpportunityLineItem":
        money = any(save.changed(name) for name in ("Quantity", "TotalPrice", "UnitPrice"))
        touch_parent(save.unit, "OpportunityLineItem", save.row, money=money)
        if save.old is None:
            _adopt_pricebook(save)


def touch_parent(unit: Unit, object_name: str, row: Row, *, money: bool) -> None:
    """Note that the opportunity of a line changed with it."""
    if object_name == "OpportunityLineItem" and (opportunity := row.get("OpportunityId")):
        unit.touch(opportunity, money=money)


def before_delete(unit: Unit, sobject: SObject, row: Row) -> None:
    """Refuse deletes that the vendor protects.

    Raises:
        RecordRefused: DELETE_FAILED.
    """
    name = row.get("Name", row["Id"])
    tables = unit.tables
    if sobject.name == "Account":
        won = [
            id_
            for id_ in tables["Opportunity"].children("AccountId", row["Id"])
            if tables["Opportunity"].rows[id_].get("IsWon") and not tables["Opportunity"].rows[id_].get("IsDeleted")
        ]
        if won:
            message = (
                f"Your attempt to delete {name} could not be completed because some opportunities in that account were "
                f"closed won. The opportunities that were closed won are shown below.: "
                f"{', '.join(str(tables['Opportunity'].rows[id_]['Name']) for id_ in sorted(won))}"
            )
            raise refuse("DELETE_FAILED", message)
    if sobject.name in ("Product2", "PricebookEntry"):
        reference = "Product2Id" if sobject.name == "Product2" else "PricebookEntryId"
        lines = tables["OpportunityLineItem"]
        if any(not lines.rows[id_].get("IsDeleted") for id_ in lines.children(reference, row["Id"])):
            message = (
                f"Your attempt to delete {name} could not be completed because it is associated with the following "
                "opportunity products"
            )
            raise refuse("DELETE_FAILED", message)
    if sobject.name == "Pricebook2" and row.get("IsStandard"):
        raise refuse("DELETE_FAILED", "You can't delete the standard price book.")


def roll_up(unit: Unit, opportunity_id: str, *, money: bool) -> None:
    """Bring an opportunity in line with its products; its SystemModstamp moves with any change of theirs."""
    row = unit.tables["Opportunity"].rows[opportunity_id]
    if row.get("IsDeleted"):
        return
    new = {**row, "SystemModstamp": unit.stamp}
    if money:
        lines = _lines(unit, opportunity_id)
        new["HasOpportunityLineItem"] = bool(lines)
        if lines or row.get("HasOpportunityLineItem"):
            new["Amount"] = float(sum((_decimal(line.get("TotalPrice")) for line in lines), Decimal(0)))
            new["TotalOpportunityQuantity"] = float(sum((_decimal(line.get("Quantity")) for line in lines), Decimal(0)))
            _expected_revenue(new)
        if new.get("Amount") != row.get("Amount") or bool(lines) != bool(row.get("HasOpportunityLineItem")):
            new |= {"LastModifiedDate": unit.stamp, "LastModifiedById": unit.user_id}
    unit.write("Opportunity", new)


def _lines(unit: Unit, opportunity_id: str) -> list[Row]:
    table = unit.tables["OpportunityLineItem"]
    rows = [table.rows[id_] for id_ in table.children("OpportunityId", opportunity_id)]
    return [row for row in rows if not row.get("IsDeleted")]


def _decimal(value: float | None) -> Decimal:
    return Decimal(0) if value is None else Decimal(repr(value))


def _expected_revenue(row: Row) -> None:
    if row.get("Amount") is None:
        row.pop("ExpectedRevenue", None)
    else:
        revenue = _decimal(row["Amount"]) * _decimal(row.get("Probability")) / 100
        row["ExpectedRevenue"] = float(round_half_up(revenue, 2))


def _currency(save: Save) -> None:
    """A new record without a currency takes the user's, which is the corporate one."""
    field = save.sobject.by_key.get("currencyisocode")
    if field is None or save.row.get("CurrencyIsoCode") is not None or save.sobject.name == "OpportunityLineItem":
        return
    if save.old is not None:
        save.set("CurrencyIsoCode", save.old.get("CurrencyIsoCode"))
        return
    types = save.unit.tables["CurrencyType"].rows.values()
    save.set("CurrencyIsoCode", next(row["IsoCode"] for row in types if row.get("IsCorporate")))


def _opportunity(save: Save) -> None:
    row, old = save.row, save.old
    if old is not None and old.get("HasOpportunityLineItem"):
        save.set("Amount", old.get("Amount"))  # the sum of the products stands; an update of it is ignored
        for name in ("Pricebook2Id", "CurrencyIsoCode"):
            if save.changed(name):
                message = f"field integrity exception: {name} (opportunity has line items)"
                raise refuse("FIELD_INTEGRITY_EXCEPTION", message, [name])
    if save.changed("StageName"):
        stages = save.unit.tables["OpportunityStage"].rows.values()
        stage = next((s for s in stages if s["MasterLabel"] == row.get("StageName")), {})
        row["IsClosed"], row["IsWon"] = bool(stage.get("IsClosed")), bool(stage.get("IsWon"))
        if "Probability" not in save.given:
            row["Probability"] = stage.get("DefaultProbability", 0.0)
        if "ForecastCategoryName" not in save.given:
            row["ForecastCategoryName"] = stage.get("ForecastCategoryName", "Pipeline")
        if old is not None:
            row["LastStageChangeDate"] = save.unit.stamp
    row["ForecastCategory"] = _FORECAST_NAMES[row["ForecastCategoryName"]]
    if row.get("Probability") is None:
        row["Probability"] = 0.0
    if row["Probability"] > 100 or row["Probability"] < 0:
        message = f"Probability (%): value outside of valid range on numeric field: {row['Probability']}"
        raise refuse("NUMBER_OUTSIDE_VALID_RANGE", message, ["Probability"])
    _expected_revenue(row)
    if close := row.get("CloseDate"):
        year, quarter = int(close[:4]), (int(close[5:7]) + 2) // 3
        row |= {"FiscalYear": year, "FiscalQuarter": quarter, "Fiscal": f"{year} {quarter}"}


def _opportunity_line_item(save: Save) -> None:
    row, old, typed = save.row, save.old, save.typed
    both = typed.get("UnitPrice") is not None and typed.get("TotalPrice") is not None
    if old is None:
        _line_price_book(save)
        if both:
            message = "Cannot specify both 'UnitPrice' and 'TotalPrice' in create call"
            raise refuse("INVALID_FIELD", message, ["UnitPrice"])
        if row.get("UnitPrice") is None and row.get("TotalPrice") is None:
            raise refuse("REQUIRED_FIELD_MISSING", "Required fields are missing: [UnitPrice]", ["UnitPrice"])
    elif both and save.changed("UnitPrice") and save.changed("TotalPrice"):
        message = "Cannot change both 'UnitPrice' and 'TotalPrice' in update call"
        raise refuse("INVALID_FIELD", message, ["UnitPrice"])
    if row.get("Quantity") is None:
        return  # the required-field check names it
    quantity = _decimal(row["Quantity"])
    if quantity == 0:
        message = "field integrity exception: Quantity (quantity must be nonzero)"
        raise refuse("FIELD_INTEGRITY_EXCEPTION", message, ["Quantity"])
    if "TotalPrice" in save.given and row.get("TotalPrice") is not None and save.changed("TotalPrice"):
        row["UnitPrice"] = float(round_half_up(_decimal(row["TotalPrice"]) / quantity, 2))
    else:
        if row.get("UnitPrice") is None and old is not None:
            row["UnitPrice"] = old.get("UnitPrice")
        row["TotalPrice"] = float(round_half_up(_decimal(row.get("UnitPrice")) * quantity, 2))


def _line_price_book(save: Save) -> None:
    """Find and check the price book entry of a new line, and take over what comes from it."""
    row, unit = save.row, save.unit
    opportunity = save.parent("OpportunityId", "Opportunity")
    if opportunity is None:
        return  # the required-field check names it
    entry = save.parent("PricebookEntryId", "PricebookEntry")
    if entry is None and row.get("Product2Id") and opportunity.get("Pricebook2Id"):
        entry = _entry_of(unit, row["Product2Id"], opportunity)
    if entry is None:
        message = (
            "field integrity exception: PricebookEntryId, unknown (versions 3.0 and higher must specify pricebook entry "
            "id; others must specify product id)"
        )
        raise refuse("FIELD_INTEGRITY_EXCEPTION", message, ["PricebookEntryId", "unknown"])
    trouble = None
    if not entry.get("IsActive"):
        trouble = "pricebook entry is inactive"
    elif opportunity.get("Pricebook2Id") not in (None, entry["Pricebook2Id"]):
        trouble = "pricebook entry is not in the opportunity's pricebook"
    elif opportunity.get("CurrencyIsoCode") != entry.get("CurrencyIsoCode"):
        trouble = "The pricebook entry currency code does not match the opportunity currency code"
    if trouble:
        message = f"field integrity exception: PricebookEntryId ({trouble})"
        raise refuse("FIELD_INTEGRITY_EXCEPTION", message, ["PricebookEntryId"])
    product = unit.tables["Product2"].rows[entry["Product2Id"]]
    row |= {"PricebookEntryId": entry["Id"], "Product2Id": product["Id"], "ListPrice": entry["UnitPrice"]}
    row["Name"] = f"{opportunity['Name']} {product['Name']}"[:376]
    save.set("ProductCode", product.get("ProductCode"))
    save.set("CurrencyIsoCode", opportunity.get("CurrencyIsoCode"))


def _entry_of(unit: Unit, product_id: str, opportunity: Row) -> Row | None:
    table = unit.tables["PricebookEntry"]
    for id_ in sorted(table.children("Product2Id", product_id)):
        entry = table.rows[id_]
        if (
            not entry.get("IsDeleted")
            and entry["Pricebook2Id"] == opportunity["Pricebook2Id"]
            and entry.get("CurrencyIsoCode") == opportunity.get("CurrencyIsoCode")
        ):
            return entry
    return None


def _adopt_pricebook(save: Save) -> None:
    """The first product of an opportunity without a price book brings its own."""
    opportunity = save.parent("OpportunityId", "Opportunity")
    entry = save.parent("PricebookEntryId", "PricebookEntry")
    if opportunity is not None and entry is not None and opportunity.get("Pricebook2Id") is None:
        save.unit.write("Opportunity", {**opportunity, "Pricebook2Id": entry["Pricebook2Id"]})


def _pricebook_entry(save: Save) -> None:
    row, unit = save.row, save.unit
    book = save.parent("Pricebook2Id", "Pricebook2")
    product = save.parent("Product2Id", "Product2")
    if book is None or product is None:
        return  # the required-field check names them
    row["Name"] = product["Name"]
    save.set("ProductCode", product.get("ProductCode"))
    table = unit.tables["PricebookEntry"]
    same = [
        table.rows[id_]
        for id_ in table.children("Product2Id", product["Id"])
        if id_ != row["Id"]
        and not table.rows[id_].get("IsDeleted")
        and table.rows[id_].get("CurrencyIsoCode") == row.get("CurrencyIsoCode")
    ]
    if any(other["Pricebook2Id"] == book["Id"] for other in same):
        raise refuse("DUPLICATE_VALUE", "This price definition already exists in this price book")
    if book.get("IsStandard"):
        return
    books = unit.tables["Pricebook2"].rows
    standard = next((other for other in same if books[other["Pricebook2Id"]].get("IsStandard")), None)
    if standard is None:
        message = "Before creating a custom price, create a standard price."
        raise refuse("STANDARD_PRICE_NOT_DEFINED", message)
    if row.get("UseStandardPrice"):
        if "UnitPrice" in save.given and row.get("UnitPrice") != standard["UnitPrice"]:
            raise refuse("FIELD_INTEGRITY_EXCEPTION", "field integrity exception: []")
        row["UnitPrice"] = standard["UnitPrice"]


def _contact(save: Save) -> None:
    first, last = save.row.get("FirstName"), save.row.get("LastName")
    save.set("Name", " ".join(part for part in (first, last) if part) or None)


_BEFORE: dict[str, Callable[[Save], None]] = {
    "Opportunity": _opportunity,
    "OpportunityLineItem": _opportunity_line_item,
    "PricebookEntry": _pricebook_entry,
    "Contact": _contact,
}
