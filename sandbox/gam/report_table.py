"""The table of a report: what a query may ask, and the figures. Historical delivery by day, order, line, advertiser.

Only days that have begun by the sandbox's clock are in it, of the running day what has been delivered so far. Dimensions,
attributes and columns of the contract that are not listed here are refused with ReportError.INVALID_*. What the vendor
writes for an absent attribute is not documented; here `N/A`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.gam.delivery import METRICS
from sandbox.gam.line_status import delivered, delivers, line_status
from sandbox.gam.moments import MomentError, day_of, read_date, zone
from sandbox.gam.network import Network
from sandbox.gam.orders import order_end, order_lines, order_start
from sandbox.gam.pql import And, Comparison, Condition, Property, matches, parse
from sandbox.gam.soap import Native, fail

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "AUD": "A$"}
_ABSENT = "N/A"
_PRICED_BY = {
    "CPM": ("impressions", 1000),
    "VCPM": ("viewable_impressions", 1000),
    "CPM_IN_TARGET": ("impressions", 1000),
    "CPC": ("clicks", 1),
    "CPCV": ("video_completions", 1),
}


@dataclass(frozen=True)
class _Subject:
    """One line with its order and advertiser."""

    line: Native
    order: Native
    advertiser: Native


@dataclass(frozen=True)
class _Row:
    """One line on one day, the finest grain; what filters look at."""

    subject: _Subject
    day: date


def compute(network: Network, query: Native) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a report query, as of now.

    Raises:
        ApiFaultError: ReportError for what the query asks wrongly or this sandbox does not know.
    """
    dimensions, attributes, columns = _headings(query)
    first, last = _period(network, query)
    condition = _filter(query)
    wanted = matches(condition, _FILTER_PROPERTIES, zone_name=network.settings.time_zone)
    writers = [_ATTRIBUTE_CELLS[attribute] for attribute in attributes]
    by_day = [(place, _DAY_CELLS[name]) for place, name in enumerate(dimensions) if name in _DAY_CELLS]
    now = network.now()
    groups: dict[tuple[Any, ...], tuple[list[str], list[int]]] = {}
    for subject in _subjects(network):
        # What is the same on all days of a line is worked out once: a report has a hundred thousand days.
        key: list[Any] = [None if name in _DAY_CELLS else _SUBJECT_CELLS[name](subject) for name in dimensions]
        extra = [writer(network, subject) for writer in writers]
        amounts_of = _pricing(network, subject.line)
        for day, figures in network.delivery.days(subject.line["externalId"], first, last, now):
            if condition is not None and not wanted(_Row(subject, day)):
                continue
            for place, cell in by_day:
                key[place] = cell(day)
            amounts = amounts_of(figures)
            known = groups.setdefault(tuple(key), (extra, amounts))[1]
            if known is not amounts:
                known[:] = map(operator.add, known, amounts)
    cells = [_COLUMN_CELLS[column] for column in columns]
    table = [
        [*map(str, key), *extra, *(str(cell(amounts)) for cell in cells)]
        for key, (extra, amounts) in sorted(groups.items(), key=lambda item: item[0])
    ]
    header = [
        *(f"Dimension.{dimension}" for dimension in dimensions),
        *(f"DimensionAttribute.{attribute}" for attribute in attributes),
        *(f"Column.{column}" for column in columns),
    ]
    return header, table


def _headings(query: Native) -> tuple[list[str], list[str], list[str]]:
    dimensions: list[str] = []
    for dimension in query.get("dimensions", ()):
        if dimension not in _DAY_CELLS and dimension not in _SUBJECT_CELLS:
            fail("ReportError", "INVALID_DIMENSIONS", "reportJob.reportQuery.dimensions", dimension)
        # A name brings its id with it (documented).
        named = dimension.removesuffix("_NAME") + "_ID"
        dimensions += [named, dimension] if dimension.endswith("_NAME") else [dimension]
    dimensions = list(dict.fromkeys(dimensions))
    columns: list[str] = query.get("columns", [])
    if not dimensions or not columns:
        fail("ReportError", "NOT_NULL", "reportJob.reportQuery")
    for column in columns:
        if column not in _COLUMN_CELLS:
            fail("ReportError", "INVALID_COLUMNS", "reportJob.reportQuery.columns", column)
    attributes: list[str] = query.get("dimensionAttributes", [])
    for attribute in attributes:
        if attribute not in _ATTRIBUTE_CELLS:
            fail("ReportError", "INVALID_ATTRIBUTES", "reportJob.reportQuery.dimensionAttributes", attribute)
        needed = "LINE_ITEM_ID" if attribute.startswith("LINE_ITEM") else f"{attribute.partition('_')[0]}_ID"
        if needed not in dimensions:
            fail("ReportError", "ATTRIBUTES_NOT_SUPPORTED_FOR_REQUEST", "reportJob.reportQuery", attribute)
    if query.get("customFieldIds") or query.get("cmsMetadataKeyIds") or query.get("customDimensionKeyIds"):
        fail("ReportError", "INVALID_DIMENSIONS", "reportJob.reportQuery")
    if query.get("timeZoneType", "PUBLISHER") != "PUBLISHER":
        fail("ReportError", "TIME_ZONE_TYPE_NOT_SUPPORTED_FOR_REQUESTED_REPORT", "", query["timeZoneType"])
    return dimensions, attributes, columns


def _period(network: Network, query: Native) -> tuple[date, date]:
    """First and last day of the report, in the network's zone."""
    if query.get("reportCurrency") not in (None, network.settings.currency):
        fail("ReportError", "CURRENCY_CODE_NOT_SUPPORTED_FOR_REQUESTED_REPORT", "", query["reportCurrency"])
    today = day_of(network.now(), network.settings.time_zone)
    kind = query.get("dateRangeType", "CUSTOM_DATE")
    if kind != "CUSTOM_DATE":
        return _named_period(kind, today)
    try:
        first, last = (read_date(query.get(name) or {}) for name in ("startDate", "endDate"))
    except MomentError as error:
        fail("ReportError", "INVALID_DATE", "reportJob.reportQuery", str(error))
    if last < first:
        fail("ReportError", "END_DATE_TIME_NOT_AFTER_START_TIME", "reportJob.reportQuery.endDate", last)
    if first < _three_years_before(today):
        fail("ReportError", "START_DATE_MORE_THAN_THREE_YEARS_AGO", "reportJob.reportQuery.startDate", first)
    return first, last


def _three_years_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 3)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 3, day=28)


def _named_period(kind: str, today: date) -> tuple[date, date]:
    month = today.replace(day=1)
    monday = today - timedelta(days=today.weekday())
    periods = {
        "TODAY": (today, today),
        "YESTERDAY": (today - timedelta(days=1), today - timedelta(days=1)),
        "LAST_WEEK": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "LAST_MONTH": (_months_before(month, 1), month - timedelta(days=1)),
        "LAST_3_MONTHS": (_months_before(month, 3), month - timedelta(days=1)),
    }
    if kind not in periods:
        fail("ReportError", "DATE_RANGE_NOT_SUPPORTED_FOR_REQUESTED_REPORT", "", kind)
    return periods[kind]


def _months_before(month: date, count: int) -> date:
    months = month.year * 12 + month.month - 1 - count
    return date(months // 12, months % 12 + 1, 1)


def _filter(query: Native) -> Condition | None:
    """The report's statement: equalities of dimensions joined by AND, nothing else."""
    parsed = parse(query.get("statement"))
    parts = parsed.condition.parts if isinstance(parsed.condition, And) else (parsed.condition,)
    plain = all(part is None or (isinstance(part, Comparison) and part.operator in ("=", "IN")) for part in parts)
    if not plain or parsed.order or parsed.limit is not None or parsed.table:
        fail("ReportError", "INVALID_DIMENSION_FILTERS", "reportJob.reportQuery.statement")
    return parsed.condition


_NUMBER_FILTERS: dict[str, Callable[[_Row], Any]] = {
    "order_id": lambda row: row.subject.order["id"],
    "line_item_id": lambda row: row.subject.line["id"],
    "advertiser_id": lambda row: row.subject.advertiser["id"],
}
_TEXT_FILTERS: dict[str, Callable[[_Row], Any]] = {
    "order_name": lambda row: row.subject.order["name"],
    "line_item_name": lambda row: row.subject.line["name"],
    "line_item_type": lambda row: row.subject.line["lineItemType"],
    "advertiser_name": lambda row: row.subject.advertiser["name"],
    "date": lambda row: row.day.isoformat(),
    "month_and_year": lambda row: f"{row.day:%Y-%m}",
}
_FILTER_PROPERTIES: dict[str, Property[_Row]] = {
    **{name: Property[_Row]("number", get) for name, get in _NUMBER_FILTERS.items()},
    **{name: Property[_Row]("text", get) for name, get in _TEXT_FILTERS.items()},
}
_DAY_CELLS: dict[str, Callable[[date], str]] = {
    "DATE": lambda day: day.isoformat(),
    "MONTH_AND_YEAR": lambda day: f"{day:%Y-%m}",
}
_SUBJECT_CELLS: dict[str, Callable[[_Subject], Any]] = {
    "ORDER_ID": lambda subject: subject.order["id"],
    "ORDER_NAME": lambda subject: subject.order["name"],
    "LINE_ITEM_ID": lambda subject: subject.line["id"],
    "LINE_ITEM_NAME": lambda subject: subject.line["name"],
    "LINE_ITEM_TYPE": lambda subject: subject.line["lineItemType"],
    "ADVERTISER_ID": lambda subject: subject.advertiser["id"],
    "ADVERTISER_NAME": lambda subject: subject.advertiser["name"],
}


def _subjects(network: Network) -> Iterator[_Subject]:
    for external_id in network.delivery.external_ids():
        for line in network.tables["LineItem"].having("externalid", external_id):
            if not delivers(network, line):
                continue
            order = network.tables["Order"].get(line["orderId"])
            advertiser = network.tables["Company"].get(order["advertiserId"]) if order else None
            if order is None or advertiser is None:
                raise LookupError(f"line {line['id']} has no order or advertiser")
            yield _Subject(line, order, advertiser)


def _moment(network: Network, instant: int | None) -> str:
    if instant is None:
        return _ABSENT
    return datetime.fromtimestamp(instant, zone(network.settings.time_zone)).isoformat()


def _money(network: Network, money: Native) -> str:
    """An amount of a line in its own currency: symbol, space, micros; in the network's currency micros alone."""
    code, micros = money["currencyCode"], money["microAmount"]
    return str(micros) if code == network.settings.currency else f"{_SYMBOLS.get(code, code)} {micros}"


def _lifetime(network: Network, lines: list[Native], metric: str) -> str:
    now = network.now()
    return str(sum(delivered(network, line, now).get(metric, 0) for line in lines))


def _or_absent(value: object) -> str:
    return _ABSENT if value is None else str(value)


def _agency(network: Network, subject: _Subject) -> str:
    agency = network.tables["Company"].get(subject.order.get("agencyId"))
    return _ABSENT if agency is None else str(agency["name"])


_ATTRIBUTE_CELLS: dict[str, Callable[[Network, _Subject], str]] = {
    "ORDER_EXTERNAL_ID": lambda _, subject: _or_absent(subject.order.get("externalOrderId")),
    "ORDER_PO_NUMBER": lambda _, subject: _or_absent(subject.order.get("poNumber")),
    "ORDER_AGENCY": _agency,
    "ORDER_AGENCY_ID": lambda _, subject: _or_absent(subject.order.get("agencyId")),
    "ORDER_TRAFFICKER_ID": lambda _, subject: str(subject.order["traffickerId"]),
    "ORDER_START_DATE_TIME": lambda network, subject: _moment(network, order_start(network, subject.order["id"])),
    "ORDER_END_DATE_TIME": lambda network, subject: _moment(network, order_end(network, subject.order["id"])),
    "ORDER_LIFETIME_IMPRESSIONS": lambda network, subject: _lifetime(
        network, order_lines(network, subject.order["id"]), "impressions"
    ),
    "ORDER_LIFETIME_CLICKS": lambda network, subject: _lifetime(
        network, order_lines(network, subject.order["id"]), "clicks"
    ),
    "LINE_ITEM_EXTERNAL_ID": lambda _, subject: _or_absent(subject.line.get("externalId")),
    "LINE_ITEM_COST_TYPE": lambda _, subject: str(subject.line["costType"]),
    "LINE_ITEM_COST_PER_UNIT": lambda network, subject: _money(network, subject.line["costPerUnit"]),
    "LINE_ITEM_CURRENCY_CODE": lambda _, subject: str(subject.line["costPerUnit"]["currencyCode"]),
    "LINE_ITEM_GOAL_QUANTITY": lambda _, subject: str(subject.line["primaryGoal"].get("units", -1)),
    "LINE_ITEM_CONTRACTED_QUANTITY": lambda _, subject: _or_absent(subject.line.get("contractedUnitsBought")),
    "LINE_ITEM_LIFETIME_IMPRESSIONS": lambda network, subject: _lifetime(network, [subject.line], "impressions"),
    "LINE_ITEM_LIFETIME_CLICKS": lambda network, subject: _lifetime(network, [subject.line], "clicks"),
    "LINE_ITEM_PRIORITY": lambda _, subject: str(subject.line["priority"]),
    "LINE_ITEM_START_DATE_TIME": lambda network, subject: _moment(network, subject.line["_start"]),
    "LINE_ITEM_END_DATE_TIME": lambda network, subject: _moment(network, subject.line["_end"]),
    "LINE_ITEM_COMPUTED_STATUS": lambda network, subject: line_status(network, subject.line, network.now()),
    # Nobody reconciles in this sandbox.
    "LINE_ITEM_RECONCILIATION_STATUS": lambda _, subject: "NOT_RECONCILED",
    "ADVERTISER_EXTERNAL_ID": lambda _, subject: _or_absent(subject.advertiser.get("externalId")),
    "ADVERTISER_TYPE": lambda _, subject: str(subject.advertiser["type"]),
}


_METRIC_PLACES = {metric: place for place, metric in enumerate(METRICS)}
_BY_UNIT, _BY_DAY = len(METRICS), len(METRICS) + 1


def _pricing(network: Network, line: Native) -> Callable[[dict[str, int]], list[int]]:
    """A function from one day's figures to amounts: the metrics in their order, revenue per unit, revenue per day.

    Revenue is in micros of the network's currency, rounded half up per line and day.
    """
    money, settings = line["costPerUnit"], network.settings
    currency, micros = money["currencyCode"], money["microAmount"]
    metric, per = _PRICED_BY.get(line["costType"], ("impressions", 0))
    day_price = settings.in_network_currency(micros, currency) if line["costType"] == "CPD" else 0

    def amounts(figures: dict[str, int]) -> list[int]:
        revenue = 0
        if per:
            revenue = (2 * figures.get(metric, 0) * micros + per) // (2 * per)
            revenue = settings.in_network_currency(revenue, currency)
        return [*(figures.get(each, 0) for each in METRICS), revenue, day_price]

    return amounts


def _click_rate(amounts: list[int]) -> object:
    impressions = amounts[_METRIC_PLACES["impressions"]]
    return round(amounts[_METRIC_PLACES["clicks"]] / impressions, 6) if impressions else 0


_COLUMN_CELLS: dict[str, Callable[[list[int]], object]] = {
    "AD_SERVER_IMPRESSIONS": operator.itemgetter(_METRIC_PLACES["impressions"]),
    "AD_SERVER_CLICKS": operator.itemgetter(_METRIC_PLACES["clicks"]),
    "TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS": operator.itemgetter(_METRIC_PLACES["viewable_impressions"]),
    "VIDEO_VIEWERSHIP_COMPLETE": operator.itemgetter(_METRIC_PLACES["video_completions"]),
    "AD_SERVER_CTR": _click_rate,
    "AD_SERVER_CPM_AND_CPC_REVENUE": operator.itemgetter(_BY_UNIT),
    "AD_SERVER_CPD_REVENUE": operator.itemgetter(_BY_DAY),
    "AD_SERVER_ALL_REVENUE": lambda amounts: amounts[_BY_UNIT] + amounts[_BY_DAY],
}
