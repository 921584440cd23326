"""What the order-book reader promises: each rule of the file, and every refusal with its reason."""

from __future__ import annotations

import csv
import io
import os
from decimal import Decimal
from pathlib import Path

import pytest

from cli.demo.order_book import COLUMNS, BookError, BookLine, OrderBook, parse_order_book, read_order_book

GOOD = {
    "Currency Code": "USD",
    "Spend": "7107",
    "Impressions": "741638",
    "StartDate": "2020/01/29 15:00:00Z",
    "EndDate": "2020/02/29 04:59:59Z",
    "OrganizationName": "Assembly",
    "BillingAddress": " 711 3rd Ave, New York, NY 10017,US",
    "PayingAdvertiserName": "truth",
    "CountryCode": "united states",
}


def file_of(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    """A CSV file of rows that differ from a good one; ADIDs are a1, a2, … unless given."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    for number, row in enumerate(rows, start=1):
        writer.writerow({"ADID": f"a{number}", **GOOD, **row})
    return out.getvalue().encode()


def parsed(*rows: dict[str, str]) -> OrderBook:
    return parse_order_book(file_of(*rows), source="book.csv")


def only_line(**changes: str) -> BookLine:
    (line,) = parsed(changes).lines
    return line


def reason(**changes: str) -> str:
    """The reason why a row is refused, a good row standing beside it."""
    book = parsed({"ADID": "good"}, changes)
    assert [line.ad_id for line in book.lines] == ["good"]
    (refused,) = book.refused
    return refused.reason


def test_rows_of_one_agency_advertiser_currency_and_quarter_are_one_order() -> None:
    book = parsed({}, {"StartDate": "2020/03/31 23:59:59Z", "EndDate": ""}, {"CountryCode": "canada"})
    assert [len(order.lines) for order in book.orders] == [3]
    assert book.orders[0].key.quarter == "2020 Q1"


@pytest.mark.parametrize(
    "changes",
    [
        {"OrganizationName": "Another"},
        {"PayingAdvertiserName": "another"},
        {"Currency Code": "EUR"},
        {"StartDate": "2020/04/01 00:00:00Z", "EndDate": ""},
    ],
)
def test_any_difference_in_the_key_makes_another_order(changes: dict[str, str]) -> None:
    assert len(parsed({}, changes).orders) == 2


def test_orders_keep_the_order_of_first_appearance_and_limit_takes_the_first() -> None:
    book = parsed(
        {"PayingAdvertiserName": "b"}, {"PayingAdvertiserName": "a"}, {"PayingAdvertiserName": "b"}, {"Spend": "x"}
    )
    assert [order.key.advertiser for order in book.orders] == ["b", "a"]
    first = book.first(1)
    assert [line.ad_id for line in first.lines] == ["a1", "a3"]
    assert first.refused == ()
    assert any("first 1 of 2" in notice for notice in first.notices)
    assert book.first(None) is book
    assert book.first(2) is book


def test_names_are_trimmed_but_keep_their_case_and_their_zero_width_spaces() -> None:
    book = parsed({"PayingAdvertiserName": " truth "}, {}, {"PayingAdvertiserName": "truth\u200b"})
    assert [order.key.advertiser for order in book.orders] == ["truth", "truth\u200b"]


def test_names_that_differ_only_in_case_are_two_accounts_and_reported() -> None:
    book = parsed({}, {"PayingAdvertiserName": "TRUTH"}, {"OrganizationName": "Truth"})
    assert {"truth", "TRUTH", "Truth"} <= set(book.account_names)
    (notice,) = (notice for notice in book.notices if "differ only in case" in notice)
    assert "'TRUTH' and 'Truth' and 'truth'" in notice


def test_a_name_that_is_agency_and_advertiser_is_one_account() -> None:
    assert parsed({"OrganizationName": "truth"}).account_names == ("truth",)


def test_a_missing_advertiser_is_left_to_the_hub_to_refuse() -> None:
    book = parsed({"PayingAdvertiserName": " "})
    assert book.orders[0].key.advertiser == ""
    assert book.account_names == ("Assembly",)


@pytest.mark.parametrize(
    ("impressions", "goal"), [("0", 0), ("1", 1_000), ("1000", 1_000), ("1001", 2_000), ("741638", 742_000)]
)
def test_goal_is_impressions_rounded_up_to_the_next_thousand(impressions: str, goal: int) -> None:
    assert only_line(Impressions=impressions).goal == goal


@pytest.mark.parametrize(
    ("spend", "impressions", "cpm"),
    [
        ("7107", "741638", Decimal("9.582842")),
        ("1", "2000000", Decimal("0.000500")),
        ("1", "2000000000", Decimal("0.000001")),  # 0.0000005 is a tie: up
        ("0", "101", Decimal("0.000000")),
        ("12.5", "1000", Decimal("12.500000")),
        ("-5", "1000", Decimal("-5.000000")),
    ],
)
def test_cpm_is_spend_per_thousand_half_up_at_six_decimals(spend: str, impressions: str, cpm: Decimal) -> None:
    assert only_line(Spend=spend, Impressions=impressions).cpm == cpm


def test_zero_is_a_price_and_only_an_absent_one_is_none() -> None:
    assert only_line(Spend="0").cpm == 0
    assert only_line(Spend="").cpm is None
    assert only_line(Spend="10", Impressions="0").cpm is None


@pytest.mark.parametrize(
    ("end", "flight_end"),
    [
        ("2020/02/29 04:59:59Z", "2020-02-29T05:00:00+00:00"),
        ("2020/02/29 05:00:00Z", "2020-02-29T05:00:00+00:00"),
        ("2020/02/29 05:00:58Z", "2020-02-29T05:00:58+00:00"),
        ("2020/12/31 23:59:59Z", "2021-01-01T00:00:00+00:00"),
    ],
)
def test_an_end_in_the_last_second_of_a_minute_becomes_the_next_minute(end: str, flight_end: str) -> None:
    line = only_line(EndDate=end)
    assert line.flight_end is not None
    assert line.flight_end.isoformat() == flight_end


def test_an_absent_end_is_an_open_end() -> None:
    line = only_line(EndDate="")
    assert line.end is None
    assert line.flight_end is None


def test_a_line_that_ends_before_it_starts_is_left_to_the_hub_to_refuse() -> None:
    assert only_line(EndDate="2020/01/01 00:00:00Z").ad_id == "a1"


def test_the_first_address_of_an_agency_holds_and_a_second_one_is_reported() -> None:
    book = parsed({"BillingAddress": " 1 Main St,\nTroy "}, {"BillingAddress": "2 Main St"}, {"BillingAddress": ""})
    assert book.addresses == {"Assembly": "1 Main St,\nTroy"}
    assert any("2 billing addresses" in notice for notice in book.notices)


def test_targeting_keeps_the_values_that_are_there() -> None:
    line = only_line(Interests="Advocates & Activists,Collegiates")
    assert line.targeting == {"CountryCode": "united states", "Interests": "Advocates & Activists,Collegiates"}


def test_a_field_longer_than_csv_allows_by_default_is_read_and_the_limit_is_put_back() -> None:
    before = csv.field_size_limit()
    codes = ",".join(["12345"] * 60_000)
    assert only_line(**{"Postal Codes (Included)": codes}).targeting["Postal Codes (Included)"] == codes
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ADID": " "}, "ADID is empty"),
        ({"ADID": "good"}, "ADID stands on line 2 already"),
        ({"Currency Code": "usd"}, "'usd' is not three capital letters"),
        ({"Currency Code": ""}, "not three capital letters"),
        ({"Spend": "1,000"}, "Spend '1,000' is not a plain decimal number"),
        ({"Spend": "NaN"}, "not a plain decimal number"),
        ({"Impressions": ""}, "Impressions '' is not a whole number"),
        ({"Impressions": "-1"}, "not a whole number"),
        ({"Impressions": "1.5"}, "not a whole number"),
        ({"StartDate": ""}, "StartDate '' is not of the form"),
        ({"StartDate": "2020-01-29T15:00:00Z"}, "not of the form"),
        ({"StartDate": "2020/02/30 15:00:00Z"}, "not an instant that exists"),
        ({"EndDate": "soon"}, "EndDate 'soon' is not of the form"),
    ],
)
def test_a_malformed_row_is_refused_with_its_reason(changes: dict[str, str], words: str) -> None:
    assert words in reason(**changes)


def test_a_row_of_another_width_is_refused_with_its_line_number() -> None:
    data = file_of({}) + b"short,row\r\n\r\n"
    (refused,) = parse_order_book(data, source="book.csv").refused
    assert (refused.row, refused.ad_id) == (3, "short")
    assert "2 fields where the header has 32" in refused.sentence


def test_a_row_behind_a_line_break_inside_a_cell_is_named_by_its_true_line() -> None:
    (refused,) = parsed({"BillingAddress": "one\ntwo\nthree"}, {"Spend": "x"}).refused
    assert refused.row == 5


def test_a_row_that_is_no_csv_is_refused_and_the_next_one_is_read() -> None:
    head, row = file_of({}).decode().splitlines(keepends=True)
    book = parse_order_book((head + '"a"b,c\r\n' + row).encode(), source="book.csv")
    assert [line.ad_id for line in book.lines] == ["a1"]
    assert "it is no CSV" in book.refused[0].reason


def test_a_file_that_is_not_utf8_is_refused_naming_the_byte() -> None:
    data = file_of({"OrganizationName": "Montréal"}).decode().encode("latin-1")
    with pytest.raises(BookError, match=rf"book\.csv is not UTF-8: byte {data.index(0xE9)} \(0xe9, line 2\).*iconv"):
        parse_order_book(data, source="book.csv")


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert len(parse_order_book(b"\xef\xbb\xbf" + file_of({}), source="book.csv").lines) == 1


def test_missing_columns_are_all_named() -> None:
    columns = tuple(column for column in COLUMNS if column not in ("Spend", "Segments"))
    with pytest.raises(BookError, match="lacks the columns Spend, Segments"):
        parse_order_book(file_of({}, columns=columns), source="book.csv")


def test_a_column_that_stands_twice_is_refused_and_an_unknown_one_is_reported() -> None:
    with pytest.raises(BookError, match="Spend more than once"):
        parse_order_book(file_of({}, columns=(*COLUMNS, "Spend")), source="book.csv")
    book = parse_order_book(file_of({}, columns=(*COLUMNS, "CreativeUrl")), source="book.csv")
    assert any("CreativeUrl" in notice for notice in book.notices)


@pytest.mark.parametrize("data", [b"", b"\n", file_of(), file_of({"Spend": "x"})])
def test_a_file_without_a_readable_row_is_refused(data: bytes) -> None:
    with pytest.raises(BookError, match="Nothing is loaded"):
        parse_order_book(data, source="book.csv")


def test_an_absent_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="No such file or directory"):
        read_order_book(tmp_path / "none.csv")


@pytest.mark.data
def test_the_real_book_is_read_whole() -> None:
    path = Path(os.environ.get("ORDERHUB_DATA", "../shared/data")) / "snap-political-ads" / "ads.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    book = read_order_book(path)
    assert (len(book.orders), len(book.lines), book.refused) == (319, 3_844, ())
    assert max(len(order.lines) for order in book.orders) == 456
    assert sum(line.impressions for line in book.lines) == 2_723_062_094
    assert sum(line.end is None for line in book.lines) == 652
    assert max(len(value) for line in book.lines for value in line.targeting.values()) == 23_993
