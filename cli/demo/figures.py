"""The demo's figures, counted from the true state of both vendors and not from what the hub says of itself. Pure.

`lines_live`, `duplicates` and `fewest_calls` follow the definitions that the README quotes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cli.demo.order_book import BookLine
from oms_schema.money import exponent

Native = Mapping[str, Any]
LIVE_STATUSES = frozenset({"READY", "DELIVERING", "COMPLETED"})
"""States of a line item, seen at an APPROVED order, in which it delivers or is done."""

DECLARED_BATCH = {"gam-main": 50, "sfdc": 200}
"""Records per call as the connectors declare them; a test holds this table against their capabilities."""

# What the vendor itself computes or what time alone changes: a difference in these is nobody's write.
_VENDOR_OWNED = frozenset(
    {
        "status", "isArchived", "reservationStatus", "isMissingCreatives", "stats", "deliveryData", "deliveryIndicator",
        "lastModifiedDateTime", "lastModifiedByApp", "creationDateTime", "budget",
    }
)  # fmt: skip
VENDOR_OWNED: Mapping[str, frozenset[str]] = {
    "Company": _VENDOR_OWNED,
    "Order": _VENDOR_OWNED
    | {
        "startDateTime", "endDateTime", "unlimitedEndDateTime", "currencyCode", "totalBudget", "creatorId",
        "totalImpressionsDelivered", "totalClicksDelivered", "totalViewableImpressionsDelivered",
    },
    "LineItem": _VENDOR_OWNED,
}  # fmt: skip
# The time of the last mirroring changes with every write and is no reason for one.
MIRROR_IGNORED = frozenset({"Hub_Last_Sync__c"})


@dataclass(frozen=True)
class AdServerImage:
    """The true objects of the ad server at one moment, by id; deleted ones are absent."""

    companies: Mapping[str, Native]
    orders: Mapping[str, Native]
    lines: Mapping[str, Native]


@dataclass(frozen=True)
class CrmImage:
    """What the hub mirrored into the CRM: its own fields of each opportunity and line item, by record id."""

    orders: Mapping[str, Native]
    lines: Mapping[str, Native]


def by_id(objects: Iterable[Native], key: str = "id") -> dict[str, Native]:
    """Objects by their id as text."""
    return {str(each[key]): each for each in objects}


def mirrored_fields(record: Native) -> dict[str, Any]:
    """The hub's own fields of a CRM record that are reason for a write."""
    return {name: value for name, value in record.items() if name.startswith("Hub_") and name not in MIRROR_IGNORED}


# ---------------------------------------------------------------- what is live, what is there twice
def live_lines(image: AdServerImage) -> dict[str, list[str]]:
    """Ids of the live line items by external id, which is the canonical line's id."""
    approved = {id_ for id_, order in image.orders.items() if order.get("status") == "APPROVED"}
    found: dict[str, list[str]] = {}
    for id_, line in image.lines.items():
        if line.get("isArchived") or line.get("status") not in LIVE_STATUSES or str(line["orderId"]) not in approved:
            continue
        found.setdefault(str(line.get("externalId") or ""), []).append(id_)
    return found


def duplicates(image: AdServerImage) -> int:
    """Vendor objects beyond one per canonical object, archived ones left out.

    A company is known by external id and type, an order by its name's mark (its parts differ in the mark), a line by its
    external id. Whatever carries no mark is beyond.
    """
    companies = Counter(
        f"{each['externalId']}/{each.get('type')}" if each.get("externalId") else ""
        for each in image.companies.values()
    )
    orders = Counter(order_mark(each) for each in image.orders.values() if not each.get("isArchived"))
    lines = Counter(str(each.get("externalId") or "") for each in image.lines.values() if not each.get("isArchived"))
    return sum(_beyond(counted) for counted in (companies, orders, lines))


def order_mark(order: Native) -> str:
    """The mark in an order's name: its text in the last pair of brackets, empty when there is none."""
    name = str(order.get("name", ""))
    opening = name.rfind("[")
    return name[opening + 1 : -1] if opening >= 0 and name.endswith("]") else ""


def _beyond(counted: Counter[str]) -> int:
    return sum(count if mark == "" else count - 1 for mark, count in counted.items())


# ---------------------------------------------------------------- how few calls would have done
def changed_records(
    before: tuple[AdServerImage, CrmImage],
    after: tuple[AdServerImage, CrmImage],
    gam: str = "gam-main",
    crm: str = "sfdc",
) -> Counter[tuple[str, str]]:
    """Records that differ between two moments, by (connection, operation)."""
    changed: Counter[tuple[str, str]] = Counter()
    for record, old, new in (
        ("Company", before[0].companies, after[0].companies),
        ("Order", before[0].orders, after[0].orders),
        ("LineItem", before[0].lines, after[0].lines),
    ):
        for id_, present in new.items():
            past = old.get(id_)
            if past is None:
                changed[gam, f"create {record}"] += 1
            elif _owned(record, past) != _owned(record, present):
                changed[gam, f"update {record}"] += 1
            if record == "Order" and _acted(past, present):
                changed[gam, "act Order"] += 1
    for record, old, new in (
        ("Opportunity", before[1].orders, after[1].orders),
        ("OpportunityLineItem", before[1].lines, after[1].lines),
    ):
        for id_, present in new.items():
            if mirrored_fields(old.get(id_, {})) != mirrored_fields(present):
                changed[crm, f"update {record}"] += 1
    return changed


def fewest_calls(
    cycles: Iterable[Mapping[tuple[str, str], int]], batches: Mapping[str, int] = DECLARED_BATCH
) -> dict[str, int]:
    """By `connection operation`: Σ over mirror cycles of ⌈records changed ÷ declared batch⌉."""
    fewest: Counter[str] = Counter()
    for cycle in cycles:
        for (connection, operation), records in cycle.items():
            fewest[f"{connection} {operation}"] += -(-records // batches[connection])
    return dict(sorted(fewest.items()))


def _owned(record: str, native: Native) -> dict[str, Any]:
    computed = VENDOR_OWNED[record]
    return {name: value for name, value in native.items() if name not in computed and not name.startswith("_")}


def _acted(past: Native | None, present: Native) -> bool:
    """Whether somebody acted on the order: its status is another one, or not the one an order is created with."""
    return present.get("status") != ("DRAFT" if past is None else past.get("status"))


# ---------------------------------------------------------------- delivered, and what it would cost
def spend_difference(lines: Iterable[tuple[str, BookLine, int]]) -> dict[str, str]:
    """By currency, delivered × CPM (rounded per line to the currency's minor unit) minus the file's spend, as text.

    The lines are those that are live, each with what the hub holds as delivered: a parked line bills nothing and is no
    difference (`spend_of`). It is reported, never corrected: the bill follows delivery and price.
    """
    sums: dict[str, Decimal] = {}
    for currency, line, delivered in lines:
        if line.cpm is None or line.spend is None:
            continue
        unit = Decimal(1).scaleb(-exponent(currency))
        billed = (line.cpm * delivered / 1000).quantize(unit, rounding=ROUND_HALF_UP)
        sums[currency] = sums.get(currency, Decimal(0)) + billed - line.spend
    return {currency: f"{total:f}" for currency, total in sorted(sums.items())}


def spend_of(lines: Iterable[tuple[str, BookLine]]) -> dict[str, str]:
    """By currency, the file's spend of some lines, as text."""
    sums: dict[str, Decimal] = {}
    for currency, line in lines:
        sums[currency] = sums.get(currency, Decimal(0)) + (line.spend or 0)
    return {currency: f"{total:f}" for currency, total in sorted(sums.items())}


# ---------------------------------------------------------------- why a line is not live
REFUSED_BY_AD_SERVER = "refused_by_ad_server"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is parked: the reason's word, the code, and the connection whose change or lane it is."""

    reason: str
    code: str
    connection: str

    @property
    def word(self) -> str:
        """The reason; what the ad server itself refused as invalid goes apart, because the mapping let it through.

        Ad Manager's codes are an error's class and reason, joined by a dot; codes of our own have none.
        """
        return REFUSED_BY_AD_SERVER if self.reason == "validation" and "." in self.code else self.reason


BAD_INPUT = frozenset({"validation", "picklist", "length", "reference_missing", "duplicate", "ambiguous"})
"""Reasons that lie in what the source says; anything else is trouble of ours, of the configuration or of a vendor."""


def first_cause(causes: Mapping[str, Cause], suspects: Sequence[str]) -> Cause | None:
    """The cause of the first suspect (line, then order, then its parties) that is parked; None when none of them is.

    A record that only waits for a refused one is shown as parked for a missing reference; the refused one's own cause
    says more, so it goes before.
    """
    found = [causes[suspect] for suspect in suspects if suspect in causes]
    own = [cause for cause in found if cause.reason != "reference_missing"]
    return next(iter(own or found), None)
