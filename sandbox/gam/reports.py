"""Report jobs: run, poll, download. Historical delivery by day, order, line item and advertiser.

A job's figures are those of the moment it was run. Only days that have begun by the sandbox's clock are in it, of the
running day what has been delivered so far. Dimensions, attributes and columns of the contract that are not listed here
are refused with ReportError.INVALID_*. What the vendor writes for an absent attribute is not documented; here `N/A`.
"""

from __future__ import annotations

import csv
import gzip
import io
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.gam.line_status import delivered, delivers, line_status
from sandbox.gam.moments import MomentError, day_of, read_date, zone
from sandbox.gam.network import Network
from sandbox.gam.orders import order_end, order_lines, order_start
from sandbox.gam.pql import And, Comparison, Condition, Property, matches, parse
from sandbox.gam.soap import Native, fail

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "AUD": "A$"}
_ABSENT = "N/A"
_DIMENSIONS = (
    "DATE",
    "MONTH_AND_YEAR",
    "ORDER_ID",
    "ORDER_NAME",
    "LINE_ITEM_ID",
    "LINE_ITEM_NAME",
    "LINE_ITEM_TYPE",
    "ADVERTISER_ID",
    "ADVERTISER_NAME",
)
_UNITS = {
    "AD_SERVER_IMPRESSIONS": "impressions",
    "AD_SERVER_CLICKS": "clicks",
    "TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS": "viewable_impressions",
    "VIDEO_VIEWERSHIP_COMPLETE": "video_completions",
}
_COLUMNS = (
    *_UNITS,
    "AD_SERVER_CTR",
    "AD_SERVER_CPM_AND_CPC_REVENUE",
    "AD_SERVER_CPD_REVENUE",
    "AD_SERVER_ALL_REVENUE",
)
_PRICED_BY = {
    "CPM": ("impressions", 1000),
    "VCPM": ("viewable_impressions", 1000),
    "CPM_IN_TARGET": ("impressions", 1000),
    "CPC": ("clicks", 1),
    "CPCV": ("video_completions", 1),
}


@dataclass(frozen=True)
class _Row:
    """One line on one day, the finest grain."""

    line: Native
    order: Native
    advertiser: Native
    day: date
    figures: dict[str, int]


@dataclass
class _Job:
    """A job that was run: its finished table, and when it may say so."""

    header: list[str]
    rows: list[list[str]]
    ready_at: float
    polls_left: int
    failed: bool
    keys: list[str] = field(default_factory=list)


class ReportJobs:
    """The report jobs of a running sandbox; they do not outlive its process. Guarded by the network's lock."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._jobs: dict[int, _Job] = {}
        self._downloads: dict[str, tuple[int, bool]] = {}
        self._started: deque[float] = deque()

    def run(self, job: Native) -> Native:
        """Start a job; it is computed at once and reported as ready later.

        Raises:
            ApiFaultError: ReportError for a bad query, QuotaError.REPORT_JOB_LIMIT.
        """
        network = self._network
        query = job.get("reportQuery")
        if query is None:
            fail("RequiredError", "REQUIRED", "reportJob.reportQuery")
        self._check_quota()
        header, rows = _compute(network, query)
        failed = network.faults.strikes("report_failed", "runReportJob", write=True) is not None
        job_id = network.tables["ReportJob"].new_id()
        self._jobs[job_id] = _Job(
            header,
            rows,
            time.monotonic() + network.settings.report_seconds,
            network.settings.report_polls,
            failed,
        )
        return {"id": job_id, "reportQuery": query}

    def status(self, job_id: int) -> str:
        """IN_PROGRESS, COMPLETED or FAILED; a FAILED job gives no reason, as the vendor's."""
        job = self._job(job_id)
        if job.polls_left > 0 or time.monotonic() < job.ready_at:
            job.polls_left = max(0, job.polls_left - 1)
            return "IN_PROGRESS"
        return "FAILED" if job.failed else "COMPLETED"

    def download_url(self, job_id: int, options: Native, address: str) -> str:
        """A URL from which the report can be fetched without a token."""
        job = self._job(job_id)
        if job.failed or job.polls_left > 0 or time.monotonic() < job.ready_at:
            fail("ReportError", "INVALID_OPERATION_FOR_REPORT_STATE", "reportJobId", job_id)
        export = options.get("exportFormat", "CSV_DUMP")
        if export != "CSV_DUMP":
            fail("ReportError", "DEFAULT", "reportDownloadOptions.exportFormat", f"this sandbox writes no {export}")
        key = secrets.token_urlsafe(16)
        job.keys.append(key)
        self._downloads[key] = job_id, bool(options.get("useGzipCompression", True))
        return f"{address}/reports/{key}"

    def file(self, key: str) -> bytes | None:
        """The file of a download URL, None for an unknown one. Written outside the lock: the table never changes."""
        found = self._downloads.get(key)
        if found is None:
            return None
        job = self._jobs[found[0]]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(job.header)
        writer.writerows(job.rows)
        content = text.getvalue().encode()
        return gzip.compress(content, compresslevel=1) if found[1] else content

    def _job(self, job_id: int) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            fail("ReportError", "REPORT_NOT_FOUND", "reportJobId", job_id)
        return job

    def _check_quota(self) -> None:
        now = time.monotonic()
        while self._started and self._started[0] <= now - 3600:
            self._started.popleft()
        if len(self._started) >= self._network.settings.report_jobs_per_hour:
            fail("QuotaError", "REPORT_JOB_LIMIT", "")
        self._started.append(now)


def _compute(network: Network, query: Native) -> tuple[list[str], list[list[str]]]:
    dimensions, attributes, columns = _headings(query)
    first, last = _period(network, query)
    wanted = matches(_filter(query), _filter_properties(), zone_name=network.settings.time_zone)
    groups: dict[tuple[Any, ...], list[_Row]] = {}
    cells = [_DIMENSION_CELLS[dimension] for dimension in dimensions]
    for row in _rows(network, first, last):
        if wanted(row):
            groups.setdefault(tuple(cell(row) for cell in cells), []).append(row)
    writers = [_ATTRIBUTE_CELLS[attribute] for attribute in attributes]
    # An attribute is one per order or line, so it is worked out once and not for every day.
    known: dict[tuple[int, int], list[str]] = {}
    table = []
    for key in sorted(groups):
        rows = groups[key]
        identity = (rows[0].line["id"], rows[0].order["id"])
        extra = known.get(identity)
        if extra is None:
            extra = known[identity] = [writer(network, rows[0]) for writer in writers]
        figures = _sum(network, rows)
        table.append([*map(str, key), *extra, *(str(figures[column]) for column in columns)])
    header = [
        *(f"Dimension.{dimension}" for dimension in dimensions),
        *(f"DimensionAttribute.{attribute}" for attribute in attributes),
        *(f"Column.{column}" for column in columns),
    ]
    return header, table


def _headings(query: Native) -> tuple[list[str], list[str], list[str]]:
    dimensions: list[str] = []
    for dimension in query.get("dimensions", ()):
        if dimension not in _DIMENSIONS:
            fail("ReportError", "INVALID_DIMENSIONS", "reportJob.reportQuery.dimensions", dimension)
        # A name brings its id with it (documented).
        named = dimension.removesuffix("_NAME") + "_ID"
        dimensions += [named, dimension] if dimension.endswith("_NAME") else [dimension]
    dimensions = list(dict.fromkeys(dimensions))
    columns: list[str] = query.get("columns", [])
    if not dimensions or not columns:
        fail("ReportError", "NOT_NULL", "reportJob.reportQuery")
    for column in columns:
        if column not in _COLUMNS:
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


def _filter_properties() -> dict[str, Property[_Row]]:
    number: dict[str, Callable[[_Row], Any]] = {
        "order_id": lambda row: row.order["id"],
        "line_item_id": lambda row: row.line["id"],
        "advertiser_id": lambda row: row.advertiser["id"],
    }
    text: dict[str, Callable[[_Row], Any]] = {
        "order_name": lambda row: row.order["name"],
        "line_item_name": lambda row: row.line["name"],
        "line_item_type": lambda row: row.line["lineItemType"],
        "advertiser_name": lambda row: row.advertiser["name"],
        "date": lambda row: row.day.isoformat(),
        "month_and_year": lambda row: f"{row.day:%Y-%m}",
    }
    return {name: Property("number", get) for name, get in number.items()} | {
        name: Property("text", get) for name, get in text.items()
    }


def _rows(network: Network, first: date, last: date) -> Iterator[_Row]:
    now = network.now()
    for external_id in network.delivery.external_ids():
        for line in network.tables["LineItem"].having("externalid", external_id):
            if not delivers(network, line):
                continue
            order = network.tables["Order"].get(line["orderId"])
            advertiser = network.tables["Company"].get(order["advertiserId"]) if order else None
            if order is None or advertiser is None:
                raise LookupError(f"line {line['id']} has no order or advertiser")
            for day, figures in network.delivery.days(external_id, first, last, now):
                yield _Row(line, order, advertiser, day, figures)


_DIMENSION_CELLS: dict[str, Callable[[_Row], Any]] = {
    "DATE": lambda row: row.day.isoformat(),
    "MONTH_AND_YEAR": lambda row: f"{row.day:%Y-%m}",
    "ORDER_ID": lambda row: row.order["id"],
    "ORDER_NAME": lambda row: row.order["name"],
    "LINE_ITEM_ID": lambda row: row.line["id"],
    "LINE_ITEM_NAME": lambda row: row.line["name"],
    "LINE_ITEM_TYPE": lambda row: row.line["lineItemType"],
    "ADVERTISER_ID": lambda row: row.advertiser["id"],
    "ADVERTISER_NAME": lambda row: row.advertiser["name"],
}


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


def _agency(network: Network, row: _Row) -> str:
    agency = network.tables["Company"].get(row.order.get("agencyId"))
    return _ABSENT if agency is None else str(agency["name"])


_ATTRIBUTE_CELLS: dict[str, Callable[[Network, _Row], str]] = {
    "ORDER_EXTERNAL_ID": lambda _, row: _or_absent(row.order.get("externalOrderId")),
    "ORDER_PO_NUMBER": lambda _, row: _or_absent(row.order.get("poNumber")),
    "ORDER_AGENCY": _agency,
    "ORDER_AGENCY_ID": lambda _, row: _or_absent(row.order.get("agencyId")),
    "ORDER_TRAFFICKER_ID": lambda _, row: str(row.order["traffickerId"]),
    "ORDER_START_DATE_TIME": lambda network, row: _moment(network, order_start(network, row.order["id"])),
    "ORDER_END_DATE_TIME": lambda network, row: _moment(network, order_end(network, row.order["id"])),
    "ORDER_LIFETIME_IMPRESSIONS": lambda network, row: _lifetime(
        network, order_lines(network, row.order["id"]), "impressions"
    ),
    "ORDER_LIFETIME_CLICKS": lambda network, row: _lifetime(network, order_lines(network, row.order["id"]), "clicks"),
    "LINE_ITEM_EXTERNAL_ID": lambda _, row: _or_absent(row.line.get("externalId")),
    "LINE_ITEM_COST_TYPE": lambda _, row: str(row.line["costType"]),
    "LINE_ITEM_COST_PER_UNIT": lambda network, row: _money(network, row.line["costPerUnit"]),
    "LINE_ITEM_CURRENCY_CODE": lambda _, row: str(row.line["costPerUnit"]["currencyCode"]),
    "LINE_ITEM_GOAL_QUANTITY": lambda _, row: str(row.line["primaryGoal"].get("units", -1)),
    "LINE_ITEM_CONTRACTED_QUANTITY": lambda _, row: _or_absent(row.line.get("contractedUnitsBought")),
    "LINE_ITEM_LIFETIME_IMPRESSIONS": lambda network, row: _lifetime(network, [row.line], "impressions"),
    "LINE_ITEM_LIFETIME_CLICKS": lambda network, row: _lifetime(network, [row.line], "clicks"),
    "LINE_ITEM_PRIORITY": lambda _, row: str(row.line["priority"]),
    "LINE_ITEM_START_DATE_TIME": lambda network, row: _moment(network, row.line["_start"]),
    "LINE_ITEM_END_DATE_TIME": lambda network, row: _moment(network, row.line["_end"]),
    "LINE_ITEM_COMPUTED_STATUS": lambda network, row: line_status(network, row.line, network.now()),
    # Nobody reconciles in this sandbox.
    "LINE_ITEM_RECONCILIATION_STATUS": lambda _, row: "NOT_RECONCILED",
    "ADVERTISER_EXTERNAL_ID": lambda _, row: _or_absent(row.advertiser.get("externalId")),
    "ADVERTISER_TYPE": lambda _, row: str(row.advertiser["type"]),
}


def _sum(network: Network, rows: list[_Row]) -> dict[str, object]:
    """The columns of one line of the report; money in micros of the network's currency, a rate as a fraction."""
    figures: dict[str, object] = {
        column: sum(row.figures.get(metric, 0) for row in rows) for column, metric in _UNITS.items()
    }
    by_unit = sum(_revenue(network, row) for row in rows)
    by_day = sum(_day_price(network, row) for row in rows)
    impressions = sum(row.figures.get("impressions", 0) for row in rows)
    clicks = sum(row.figures.get("clicks", 0) for row in rows)
    figures.update(
        AD_SERVER_CTR=round(clicks / impressions, 6) if impressions else 0,
        AD_SERVER_CPM_AND_CPC_REVENUE=by_unit,
        AD_SERVER_CPD_REVENUE=by_day,
        AD_SERVER_ALL_REVENUE=by_unit + by_day,
    )
    return figures


def _revenue(network: Network, row: _Row) -> int:
    priced_by = _PRICED_BY.get(row.line["costType"])
    if priced_by is None:
        return 0
    metric, per = priced_by
    micros = 2 * row.figures.get(metric, 0) * row.line["costPerUnit"]["microAmount"] + per
    return network.settings.in_network_currency(micros // (2 * per), row.line["costPerUnit"]["currencyCode"])


def _day_price(network: Network, row: _Row) -> int:
    if row.line["costType"] != "CPD":
        return 0
    return network.settings.in_network_currency(
        row.line["costPerUnit"]["microAmount"], row.line["costPerUnit"]["currencyCode"]
    )
