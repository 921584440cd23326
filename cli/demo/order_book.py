"""Reads an order book: a CSV file of the shape of Snap's political ads library, one row per ad line.

What the columns mean is told in the vendor's read-me of that library. Times are UTC. A row that cannot be read is
refused with its reason and kept in the book's report; a file that cannot be read at all raises `BookError`.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path

TARGETING_COLUMNS = (
    "Gender",
    "AgeBracket",
    "CountryCode",
    "Regions (Included)",
    "Regions (Excluded)",
    "Electoral Districts (Included)",
    "Electoral Districts (Excluded)",
    "Radius Targeting (Included)",
    "Radius Targeting (Excluded)",
    "Metros (Included)",
    "Metros (Excluded)",
    "Postal Codes (Included)",
    "Postal Codes (Excluded)",
    "Location Categories (Included)",
    "Location Categories (Excluded)",
    "Interests",
    "OsType",
    "Segments",
    "Language",
    "AdvancedDemographics",
    "Targeting Connection Type",
    "Targeting Carrier (ISP)",
)
COLUMNS = (
    "ADID",
    "Currency Code",
    "Spend",
    "Impressions",
    "StartDate",
    "EndDate",
    "OrganizationName",
    "BillingAddress",
    "CandidateBallotInformation",
    "PayingAdvertiserName",
    *TARGETING_COLUMNS,
)

GOAL_STEP = 1_000
CPM_DECIMALS = Decimal("0.000001")
_INSTANT = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)Z")
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")
_COUNT = re.compile(r"\d+")
_CURRENCY = re.compile(r"[A-Z]{3}")


class BookError(Exception):
    """The file as a whole is not an order book; the message is a sentence a person can act on."""


class RowError(ValueError):
    """One row cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that did not become a line: `row` is the line of the file on which it begins, the header being line 1."""

    row: int
    ad_id: str
    reason: str

    @property
    def sentence(self) -> str:
        """What happened – effect – who does what."""
        return (
            f"Line {self.row} of the order book (ADID {self.ad_id or 'absent'}) is refused: {self.reason}. "
            "The ad is not loaded into the CRM. Correct the row and load the file again."
        )


@dataclass(frozen=True, slots=True)
class BookLine:
    """One ad: its flight in UTC, `end` as the file has it (None = open), spend in major units of its order's money."""

    row: int
    ad_id: str
    spend: Decimal | None
    impressions: int
    start: datetime
    end: datetime | None
    brand: str
    targeting: Mapping[str, str]

    @property
    def goal(self) -> int:
        """Impressions rounded up to the next 1,000; 0 stays 0."""
        return -(-self.impressions // GOAL_STEP) * GOAL_STEP

    @property
    def cpm(self) -> Decimal | None:
        """Spend per 1,000 impressions, HALF_UP at 6 decimals. 0 is a price; None without spend or impressions."""
        if self.spend is None or self.impressions == 0:
            return None
        return (self.spend * 1000 / self.impressions).quantize(CPM_DECIMALS, rounding=ROUND_HALF_UP)

    @property
    def usable(self) -> bool:
        """Whether the row by itself can become a line: it has a price, something to deliver and time to do it."""
        return self.cpm is not None and self.goal > 0 and self.has_time

    @property
    def has_time(self) -> bool:
        """Whether the flight begins before it ends."""
        return self.flight_end is None or self.flight_end > self.start

    @property
    def delivers(self) -> int:
        """What readers see of it when it is live: nothing in a flight of no time, whatever flight a person gives it later."""
        return self.impressions if self.has_time else 0

    @property
    def flight_end(self) -> datetime | None:
        """The end as a half-open instant: an end at hh:mm:59 means the whole minute, so it becomes the next second."""
        if self.end is None:
            return None
        return self.end + timedelta(seconds=1) if self.end.second == 59 else self.end


@dataclass(frozen=True, slots=True)
class OrderKey:
    """What makes one order: agency, advertiser, currency and the UTC quarter of the start, for instance `2020 Q1`."""

    agency: str
    advertiser: str
    currency: str
    quarter: str


@dataclass(frozen=True, slots=True)
class BookOrder:
    """One order and its lines in file order."""

    key: OrderKey
    lines: tuple[BookLine, ...]

    @property
    def start(self) -> datetime:
        """The start of its first flight, UTC."""
        return min(line.start for line in self.lines)


@dataclass(frozen=True)
class OrderBook:
    """Orders in order of first appearance, and everything about the file that a person should hear.

    `addresses` gives each agency's first billing address; `notices` are sentences (case twins, second addresses,
    columns nobody reads).
    """

    source: str
    orders: tuple[BookOrder, ...]
    refused: tuple[RefusedRow, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @cached_property
    def lines(self) -> tuple[BookLine, ...]:
        """All lines, order by order."""
        return tuple(line for order in self.orders for line in order.lines)

    @cached_property
    def currencies(self) -> tuple[str, ...]:
        """The currencies used, in order of first appearance."""
        return tuple(dict.fromkeys(order.key.currency for order in self.orders))

    @cached_property
    def account_names(self) -> tuple[str, ...]:
        """Distinct names of advertisers and agencies, in order of first appearance; empty names are nobody's."""
        names = (name for order in self.orders for name in (order.key.advertiser, order.key.agency))
        return tuple(dict.fromkeys(name for name in names if name))

    @cached_property
    def first_start(self) -> datetime:
        """The earliest start of a flight, UTC."""
        return min(order.start for order in self.orders)

    @cached_property
    def last_instant(self) -> datetime:
        """The latest instant that any flight names, UTC."""
        return max(instant for line in self.lines for instant in (line.start, line.flight_end) if instant is not None)

    def first(self, orders: int | None) -> OrderBook:
        """The book of the first so many orders; None keeps all. Rows that were refused belong to no order and stay only
        in the whole book."""
        if orders is None or orders >= len(self.orders):
            return self
        kept = self.orders[:orders]
        names = {name for order in kept for name in (order.key.agency, order.key.advertiser)}
        return replace(
            self,
            orders=kept,
            refused=(),
            addresses={name: address for name, address in self.addresses.items() if name in names},
            notices=(*_case_twins(names), f"Only the first {orders} of {len(self.orders)} orders are taken."),
        )


def read_order_book(path: Path) -> OrderBook:
    """Read an order book from a file.

    Raises:
        BookError: the file is absent, not UTF-8, not a CSV with the needed columns, or holds no readable row.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BookError(
            f"The order book {path} cannot be read ({error.strerror or error}). Nothing is loaded. "
            "Name a file with --orders."
        ) from error
    return parse_order_book(data, source=str(path))


def parse_order_book(data: bytes, *, source: str) -> OrderBook:
    """Read an order book from bytes; `source` names it in messages. Raises BookError like `read_order_book`."""
    text = _decoded(data, source)
    with _unlimited_fields():
        return _book(csv.reader(io.StringIO(text, newline=""), strict=True), source)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BookError(
            f"{source} is not UTF-8: byte {error.start} (0x{data[error.start]:02x}, line {line}) begins no character. "
            "Nothing is loaded, because guessing the encoding would change names. "
            "Save the file as UTF-8, for instance with `iconv -f WINDOWS-1252 -t UTF-8`, and load it again."
        ) from error


@contextmanager
def _unlimited_fields() -> Iterator[None]:
    """csv refuses fields above 131,072 characters by default; a postal code list may be longer. The limit is global."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _book(reader: Iterator[list[str]], source: str) -> OrderBook:
    header = _header(reader, source)
    groups: dict[OrderKey, list[BookLine]] = {}
    refused: list[RefusedRow] = []
    addresses: dict[str, dict[str, None]] = defaultdict(dict)
    rows_by_ad: dict[str, int] = {}
    for row, cells in _rows(reader, refused):
        values = dict(zip(header, cells, strict=False))
        ad_id = values.get("ADID", "").strip()
        try:
            if len(cells) != len(header):
                raise RowError(f"it has {len(cells)} fields where the header has {len(header)}")
            line = _line(row, values)
            key = _key(line, values)
            if line.ad_id in rows_by_ad:
                raise RowError(f"its ADID stands on line {rows_by_ad[line.ad_id]} already, and an ADID names one ad")
        except RowError as error:
            refused.append(RefusedRow(row, ad_id, str(error)))
            continue
        rows_by_ad[line.ad_id] = row
        groups.setdefault(key, []).append(line)
        if key.agency and (address := values["BillingAddress"].strip()):
            addresses[key.agency].setdefault(address)
    if not groups:
        raise BookError(
            f"{source} holds no readable row ({len(refused)} refused). Nothing is loaded. "
            + (refused[0].sentence if refused else "Name a file with rows below its header.")
        )
    orders = tuple(BookOrder(key, tuple(lines)) for key, lines in groups.items())
    names = {name for key in groups for name in (key.agency, key.advertiser)}
    notices = [*_case_twins(names), *_second_addresses(addresses), *_unread_columns(header)]
    first_addresses = {agency: next(iter(found)) for agency, found in addresses.items()}
    return OrderBook(source, orders, tuple(refused), first_addresses, tuple(notices))


def _header(reader: Iterator[list[str]], source: str) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise BookError(
            f"The first line of {source} is no CSV header ({error}). Nothing is loaded. Fix the file."
        ) from error
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise BookError(
            f"{source} lacks the columns {', '.join(missing)}. Nothing is loaded. "
            "Add them (they may be empty where a line has no such value) or name another file with --orders."
        )
    twice = sorted({name for name in header if name in COLUMNS and header.count(name) > 1})
    if twice:
        raise BookError(
            f"{source} has the columns {', '.join(twice)} more than once. Nothing is loaded, because it is not clear "
            "which one holds. Remove the others."
        )
    return header


def _rows(reader: Iterator[list[str]], refused: list[RefusedRow]) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row begins, its cells); empty lines are no rows; what is no CSV goes to `refused`."""
    while True:
        row = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            refused.append(RefusedRow(row, "", f"it is no CSV ({error})"))
            continue
        if cells:
            yield row, cells


def _line(row: int, values: Mapping[str, str]) -> BookLine:
    ad_id = values["ADID"].strip()
    if not ad_id:
        raise RowError("its ADID is empty")
    return BookLine(
        row=row,
        ad_id=ad_id,
        spend=_amount(values["Spend"]),
        impressions=_count(values["Impressions"]),
        start=_instant("StartDate", values["StartDate"]),
        end=_instant("EndDate", values["EndDate"]) if values["EndDate"].strip() else None,
        brand=values["CandidateBallotInformation"].strip(),
        targeting={column: values[column].strip() for column in TARGETING_COLUMNS if values[column].strip()},
    )


def _key(line: BookLine, values: Mapping[str, str]) -> OrderKey:
    currency = values["Currency Code"].strip()
    if not _CURRENCY.fullmatch(currency):
        raise RowError(f"Currency Code {_shown(currency)} is not three capital letters")
    return OrderKey(
        agency=values["OrganizationName"].strip(),
        advertiser=values["PayingAdvertiserName"].strip(),
        currency=currency,
        quarter=f"{line.start.year} Q{(line.start.month - 1) // 3 + 1}",
    )


def _amount(text: str) -> Decimal | None:
    text = text.strip()
    if not text:
        return None  # a line without a price is the hub's to refuse, where a person will see it
    if not _AMOUNT.fullmatch(text):
        raise RowError(f"Spend {_shown(text)} is not a plain decimal number")
    return Decimal(text)


def _count(text: str) -> int:
    text = text.strip()
    if not _COUNT.fullmatch(text):
        raise RowError(f"Impressions {_shown(text)} is not a whole number of 0 or more")
    return int(text)


def _instant(column: str, text: str) -> datetime:
    found = _INSTANT.fullmatch(text.strip())
    if found is None:
        raise RowError(f"{column} {_shown(text)} is not of the form 2020/01/31 15:00:00Z")
    try:
        year, month, day, hour, minute, second = (int(part) for part in found.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise RowError(f"{column} {_shown(text)} is not an instant that exists ({error})") from error


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _case_twins(names: set[str]) -> list[str]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        spellings[name.casefold()].append(name)
    return [
        f"{' and '.join(repr(name) for name in found)} differ only in case. They are loaded as {len(found)} accounts. "
        "Merge them in the CRM if they are one."
        for found in spellings.values()
        if len(found) > 1
    ]


def _second_addresses(addresses: Mapping[str, Mapping[str, None]]) -> list[str]:
    return [
        f"{agency!r} has {len(found)} billing addresses. Its account gets the first, {next(iter(found))!r}. "
        "Correct it in the CRM if another one holds."
        for agency, found in addresses.items()
        if len(found) > 1
    ]


def _unread_columns(header: Sequence[str]) -> list[str]:
    unread = [name for name in header if name not in COLUMNS]
    return [f"The columns {', '.join(unread)} are not read. Their values are not loaded."] if unread else []
