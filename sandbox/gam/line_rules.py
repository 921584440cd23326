"""The rules of a single line item, and the form in which it is kept.

Each rule names the documented source by its error type and reason; where the vendor's documents leave the reason open,
the comment says so. Not enforced, because no document states it: a smallest step of `costPerUnit` (PrecisionError
exists, its use for line items is not described).
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.gam.checks import check_absent_objects, check_custom_fields, check_lengths, check_required
from sandbox.gam.line_status import is_live
from sandbox.gam.moments import MomentError, read_moment
from sandbox.gam.network import Network
from sandbox.gam.soap import Findings, Native
from sandbox.gam.targeting import check_targeting

PERCENT_TYPES = ("SPONSORSHIP", "NETWORK", "HOUSE")
RESERVABLE_TYPES = ("SPONSORSHIP", "STANDARD")
_OPEN_END_TYPES = ("SPONSORSHIP", "NETWORK", "PRICE_PRIORITY", "HOUSE")


@dataclass(frozen=True)
class _TypeRules:
    """What the documents allow a line item type: goal periods, and priority (default, lowest, highest)."""

    goals: tuple[str, ...]
    priority: tuple[int, int, int]


_TYPES = {
    "SPONSORSHIP": _TypeRules(("DAILY",), (4, 2, 5)),
    "STANDARD": _TypeRules(("LIFETIME",), (8, 6, 10)),
    "NETWORK": _TypeRules(("DAILY",), (12, 11, 14)),
    "BULK": _TypeRules(("LIFETIME",), (12, 11, 14)),
    "PRICE_PRIORITY": _TypeRules(("NONE", "LIFETIME", "DAILY"), (12, 11, 14)),
    "HOUSE": _TypeRules(("DAILY",), (16, 15, 16)),
}
_UNITS_OF_COST = {
    "CPM": ("IMPRESSIONS",),
    "CPC": ("CLICKS", "IMPRESSIONS"),
    "VCPM": ("VIEWABLE_IMPRESSIONS",),
    "CPM_IN_TARGET": ("IN_TARGET_IMPRESSIONS",),
    "CPCV": ("COMPLETED_VIEWS",),
}
_CLICK_TYPES = ("STANDARD", "BULK", "PRICE_PRIORITY")
_LENGTHS = {"name": 255, "externalId": 255, "notes": 65_535}
_REQUIRED = ("orderId", "name", "lineItemType", "creativeRotationType", "costType", "costPerUnit", "primaryGoal")
_READ_ONLY = (
    "orderName",
    "stats",
    "deliveryIndicator",
    "deliveryData",
    "budget",
    "status",
    "reservationStatus",
    "isArchived",
    "effectiveAppliedLabels",
    "lastModifiedByApp",
    "lastModifiedDateTime",
    "creationDateTime",
    "isMissingCreatives",
    "programmaticCreativeSource",
    "dealInfo",
    # Flags of the request, not of the line.
    "allowOverbook",
    "skipInventoryCheck",
    "skipCrossSellingRuleWarningChecks",
    "reserveAtCreation",
    # Kept as instants and written from them.
    "startDateTime",
    "endDateTime",
)
_NONE_HERE: dict[str, str | None] = {"appliedLabels": "labelId"}
# The vendor names END_DATE_TIME_TOO_LATE but no date; 2038-01-01T00:00:00Z is near the end of 32-bit time.
_TOO_LATE = 2_145_916_800


def check_line(network: Network, line: Native, old: Native | None, path: str, findings: Findings) -> Native:
    """Check a line item and return the form that is kept, with `_start` and `_end`. `old` is the stored one on update."""
    before = len(findings)
    check_required(line, _REQUIRED, path, findings)
    check_lengths(line, _LENGTHS, path, findings)
    check_custom_fields(network, line, "LINE_ITEM", path, findings)
    check_absent_objects(line, _NONE_HERE, path, findings)
    kept = {name: value for name, value in line.items() if name not in _READ_ONLY}
    _check_type(line, old, path, findings)
    kept["creativePlaceholders"] = _check_placeholders(line, path, findings)
    kept["_start"], kept["_end"] = _check_flight(network, line, old, path, findings)
    _check_money(network, line, old, path, findings)
    if line.get("lineItemType") in _TYPES and line.get("primaryGoal") is not None:
        _check_goal(line, path, findings)
    targeting = line.get("targeting")
    if targeting is None:
        findings.add("RequiredError", "REQUIRED", f"{path}.targeting")
    else:
        kept["targeting"] = check_targeting(network, targeting, f"{path}.targeting", findings)
    if len(findings) > before:
        return kept
    return _with_defaults(network, kept)


def _with_defaults(network: Network, kept: Native) -> Native:
    currency = kept["costPerUnit"]["currencyCode"]
    defaults: Native = {
        "deliveryRateType": "EVENLY",
        "deliveryForecastSource": "HISTORICAL",
        "roadblockingType": "ONE_OR_MORE",
        "priority": _TYPES[kept["lineItemType"]].priority[0],
        "valueCostPerUnit": {"currencyCode": currency, "microAmount": 0},
        "discountType": "PERCENTAGE",
        "discount": 0.0,
        "environmentType": "BROWSER",
        "companionDeliveryOption": "UNKNOWN",
        "autoExtensionDays": 0,
        "disableSameAdvertiserCompetitiveExclusion": False,
        "youtubeKidsRestricted": False,
    }
    row = {**defaults, **kept}
    row["startDateTimeType"] = "USE_START_DATE_TIME"
    row["unlimitedEndDateTime"] = kept["_end"] is None
    goal = dict(kept["primaryGoal"])
    if goal["goalType"] == "NONE":
        goal["units"] = -1
    row["primaryGoal"] = goal
    return row


def _check_type(line: Native, old: Native | None, path: str, findings: Findings) -> None:
    kind = line.get("lineItemType")
    if kind is None:
        return
    if kind == "LEGACY_DFP":
        findings.add(
            "LineItemError", "CREATE_OR_UPDATE_LEGACY_DFP_LINE_ITEM_TYPE_NOT_ALLOWED", f"{path}.lineItemType", kind
        )
        return
    if kind not in _TYPES:
        # Dynamic allocation, deals, bumpers and click tracking are features that this network has not bought.
        findings.add("FeatureError", "MISSING_FEATURE", f"{path}.lineItemType", kind)
        return
    priority = line.get("priority")
    _, lowest, highest = _TYPES[kind].priority
    # People may set any priority [S], so one that stands is left alone; another type has a range of its own [S]. That this
    # error answers it is inferred: the contract words it for lines of dynamic allocation.
    kept = old is not None and (old["priority"], old["lineItemType"]) == (priority, kind)
    if priority is not None and not lowest <= priority <= highest and not kept:
        findings.add("LineItemError", "INVALID_PRIORITY_FOR_LINE_ITEM_TYPE", f"{path}.priority", priority)
    days = line.get("autoExtensionDays") or 0
    if days and kind != "STANDARD":
        findings.add("LineItemError", "INVALID_TYPE_FOR_AUTO_EXTENSION", f"{path}.autoExtensionDays", days)
    elif not 0 <= days <= 7:
        findings.add("RangeError", "TOO_HIGH" if days > 7 else "TOO_LOW", f"{path}.autoExtensionDays", days)
    if line.get("environmentType") == "VIDEO_PLAYER" and (line.get("videoMaxDuration") or 0) <= 0:
        findings.add("LineItemError", "INVALID_MAX_VIDEO_CREATIVE_DURATION", f"{path}.videoMaxDuration")
    if old is not None and line.get("environmentType", "BROWSER") != old["environmentType"]:
        findings.add("LineItemError", "UPDATE_ENVIRONMENT_TYPE_NOT_ALLOWED", f"{path}.environmentType")
    for index, cap in enumerate(line.get("frequencyCaps", ())):
        here = f"{path}.frequencyCaps[{index}]"
        if cap.get("maxImpressions", 0) < 1:
            findings.add("FrequencyCapError", "IMPRESSIONS_TOO_LOW", here, cap.get("maxImpressions"))
        if cap.get("numTimeUnits", 0) < 1 and cap.get("timeUnit") != "LIFETIME":
            findings.add("FrequencyCapError", "RANGE_TOO_LOW", here, cap.get("numTimeUnits"))
    for index, association in enumerate(line.get("activityAssociations", ())):
        findings.add(
            "LineItemActivityAssociationError",
            "INVALID_COST_TYPE_FOR_ASSOCIATION",
            f"{path}.activityAssociations[{index}]",
            association.get("activityId"),
        )


def _check_placeholders(line: Native, path: str, findings: Findings) -> list[Native]:
    placeholders: list[Native] = line.get("creativePlaceholders", [])
    if not placeholders:
        findings.add("RequiredCollectionError", "REQUIRED", f"{path}.creativePlaceholders")
    kept = []
    for index, placeholder in enumerate(placeholders):
        here = f"{path}.creativePlaceholders[{index}]"
        size = placeholder.get("size") or {}
        if size.get("width", 0) < 1 or size.get("height", 0) < 1:
            findings.add("RequiredSizeError", "REQUIRED", f"{here}.size")
        if placeholder.get("companions") and line.get("environmentType") != "VIDEO_PLAYER":
            findings.add("LineItemError", "COMPANIONS_NOT_ALLOWED", f"{here}.companions")
        check_absent_objects(placeholder, {"appliedLabels": "labelId"}, here, findings)
        count = placeholder.get("expectedCreativeCount", 1)
        if count < 1:
            findings.add("RangeError", "TOO_LOW", f"{here}.expectedCreativeCount", count)
        kept.append(
            {
                **placeholder,
                "size": {**size, "isAspectRatio": size.get("isAspectRatio", False)},
                "expectedCreativeCount": count,
                "creativeSizeType": placeholder.get("creativeSizeType", "PIXEL"),
            }
        )
    return kept


def _check_flight(
    network: Network, line: Native, old: Native | None, path: str, findings: Findings
) -> tuple[int, int | None]:
    now = network.now()
    start = _start(network, line, old, path, findings)
    end = _moment(line, "endDateTime", path, findings)
    unlimited = bool(line.get("unlimitedEndDateTime"))
    if unlimited:
        if line.get("lineItemType") not in _OPEN_END_TYPES:
            findings.add(
                "ReservationDetailsError", "UNLIMITED_END_DATE_TIME_NOT_ALLOWED", f"{path}.unlimitedEndDateTime"
            )
        end = None
    elif line.get("endDateTime") is None:
        findings.add("RequiredError", "REQUIRED", f"{path}.endDateTime")
    elif end is not None:
        if start is not None and end <= start:
            findings.add("LineItemFlightDateError", "END_DATE_TIME_NOT_AFTER_START_TIME", f"{path}.endDateTime")
        if end >= _TOO_LATE:
            findings.add("LineItemFlightDateError", "END_DATE_TIME_TOO_LATE", f"{path}.endDateTime")
        if end <= now and (old is None or end != old["_end"]):
            findings.add("LineItemFlightDateError", "END_DATE_TIME_IS_IN_PAST", f"{path}.endDateTime")
    return start if start is not None else now, end


def _start(network: Network, line: Native, old: Native | None, path: str, findings: Findings) -> int | None:
    now = network.now()
    kind = line.get("startDateTimeType", "USE_START_DATE_TIME")
    if kind in ("IMMEDIATELY", "ONE_HOUR_FROM_NOW"):
        if old is not None and old["_review"] == "APPROVED" and old["_start"] <= now:
            findings.add("LineItemError", "ALREADY_STARTED", f"{path}.startDateTimeType", kind)
        return now if kind == "IMMEDIATELY" else now + 3600
    if line.get("startDateTime") is None:
        findings.add("RequiredError", "REQUIRED", f"{path}.startDateTime")
        return None
    start = _moment(line, "startDateTime", path, findings)
    if start is None or (old is not None and start == old["_start"]):
        return start
    if old is not None and old["_review"] == "APPROVED" and old["_start"] <= now:
        findings.add("LineItemError", "ALREADY_STARTED", f"{path}.startDateTime")
    elif start <= now:
        findings.add("LineItemFlightDateError", "START_DATE_TIME_IS_IN_PAST", f"{path}.startDateTime")
    return start


def _moment(line: Native, name: str, path: str, findings: Findings) -> int | None:
    value = line.get(name)
    if value is None:
        return None
    try:
        return read_moment(value)
    except MomentError as error:
        if error.part == "timeZoneId":
            findings.add("TimeZoneError", "INVALID_TIMEZONE_ID", f"{path}.{name}.timeZoneId", value.get("timeZoneId"))
        else:
            findings.add("LineItemError", "INVALID_LINE_ITEM_DATE_TIME", f"{path}.{name}", str(error))
        return None


def _check_money(network: Network, line: Native, old: Native | None, path: str, findings: Findings) -> None:
    if old is not None and "VCPM" in _changed(old, line, "costType") and is_live(network, old):
        findings.add("LineItemError", "UPDATE_VCPM_COST_TYPE_NOT_ALLOWED", f"{path}.costType", line.get("costType"))
    cost = line.get("costPerUnit")
    if cost is None:
        return
    currency = cost.get("currencyCode")
    if currency is None or cost.get("microAmount") is None:
        missing = "currencyCode" if currency is None else "microAmount"
        findings.add("RequiredError", "REQUIRED", f"{path}.costPerUnit.{missing}")
        return
    if currency not in network.currencies:
        findings.add("LineItemError", "INVALID_LINE_ITEM_CURRENCY", f"{path}.costPerUnit.currencyCode", currency)
    elif (
        old is not None
        and currency != old["costPerUnit"]["currencyCode"]
        and old["_review"] == "APPROVED"
        and (old["_start"] <= network.now())
    ):
        findings.add("LineItemError", "CANNOT_CHANGE_CURRENCY", f"{path}.costPerUnit.currencyCode", currency)
    if cost["microAmount"] < 0:
        findings.add("RangeError", "TOO_LOW", f"{path}.costPerUnit.microAmount", cost["microAmount"])
    value = line.get("valueCostPerUnit")
    if value is not None and value.get("currencyCode") != currency:
        findings.add(
            "LineItemError", "LINE_ITEM_CANNOT_HAVE_MULTIPLE_CURRENCIES", f"{path}.valueCostPerUnit.currencyCode"
        )
    discount = line.get("discount") or 0.0
    if line.get("discountType", "PERCENTAGE") == "PERCENTAGE" and discount:
        if discount != int(discount):
            findings.add("LineItemError", "FRACTIONAL_PERCENTAGE_NOT_ALLOWED", f"{path}.discount", discount)
        if not 0 <= discount <= 100:
            findings.add("RangeError", "TOO_HIGH" if discount > 100 else "TOO_LOW", f"{path}.discount", discount)


def _changed(old: Native, line: Native, name: str) -> tuple[object, ...]:
    """A field's value before and after, empty if they are one."""
    before, after = old.get(name), line.get(name)
    return () if before == after else (before, after)


def _check_goal(line: Native, path: str, findings: Findings) -> None:
    kind, cost, goal = line["lineItemType"], line.get("costType"), line["primaryGoal"]
    here = f"{path}.primaryGoal"
    period, unit, units = goal.get("goalType"), goal.get("unitType"), goal.get("units")
    if period is None or unit is None:
        findings.add("RequiredError", "REQUIRED", f"{here}.{'goalType' if period is None else 'unitType'}")
        return
    if period == "NONE" and "NONE" not in _TYPES[kind].goals:
        findings.add("ReservationDetailsError", "UNLIMITED_UNITS_BOUGHT_NOT_ALLOWED", f"{here}.goalType", kind)
    elif period not in _TYPES[kind].goals:
        findings.add("ReservationDetailsError", "DURATION_NOT_ALLOWED", f"{here}.goalType", period)
    if (unit == "CLICKS" and kind not in _CLICK_TYPES) or (
        unit not in ("IMPRESSIONS", "CLICKS") and kind != "STANDARD"
    ):
        findings.add("ReservationDetailsError", "UNIT_TYPE_NOT_ALLOWED", f"{here}.unitType", unit)
    if cost == "CPA":
        findings.add("ReservationDetailsError", "CPA_DEPRECATED", f"{path}.costType", cost)
    elif cost in _UNITS_OF_COST and unit not in _UNITS_OF_COST[cost]:
        findings.add("ReservationDetailsError", "COST_TYPE_UNIT_TYPE_MISMATCH_NOT_ALLOWED", f"{here}.unitType", unit)
    if cost == "UNKNOWN" or (cost in ("VCPM", "CPM_IN_TARGET", "CPCV") and kind != "STANDARD"):
        findings.add("ReservationDetailsError", "COST_TYPE_NOT_ALLOWED", f"{path}.costType", cost)
    if period == "NONE":
        return
    if units is None:
        findings.add("RequiredError", "REQUIRED", f"{here}.units")
    elif units < 1:
        findings.add("RequiredNumberError", "TOO_SMALL", f"{here}.units", units)
    elif kind in PERCENT_TYPES and units > 100:
        findings.add("ReservationDetailsError", "PERCENTAGE_UNITS_BOUGHT_TOO_HIGH", f"{here}.units", units)
