"""What the generated order book promises: the same bytes each time, and every kind of untidiness inside."""

from __future__ import annotations

import pytest

from cli.demo.generated_book import generated_book
from cli.demo.order_book import OrderBook, parse_order_book


@pytest.fixture(scope="module")
def book() -> OrderBook:
    return parse_order_book(generated_book(), source="generated")


def test_same_seed_same_bytes_and_another_seed_another_book() -> None:
    assert generated_book() == generated_book()
    assert generated_book(seed=1) != generated_book(seed=2)


@pytest.mark.parametrize("orders", [1, 2, 7, 12, 100])
def test_it_has_exactly_the_orders_asked_for_and_no_row_is_refused(orders: int) -> None:
    book = parse_order_book(generated_book(orders), source="generated")
    assert len(book.orders) == orders
    assert book.refused == ()


def test_a_smaller_book_is_the_beginning_of_a_larger_one(book: OrderBook) -> None:
    small = parse_order_book(generated_book(12), source="generated")
    assert small.orders[:7] == book.orders[:7]


def test_no_book_of_no_orders() -> None:
    with pytest.raises(ValueError, match="at least one order"):
        generated_book(0)


def test_the_untidiness_of_a_real_book_is_in_it(book: OrderBook) -> None:
    names = "".join(book.account_names)
    assert "\u200b" in names
    assert any(ord(character) > 0xFFFF for character in names)
    assert any(len(name) > 80 for name in book.account_names)
    assert any("," in address for address in book.addresses.values())
    assert any("\n" in address for address in book.addresses.values())
    assert any("differ only in case" in notice for notice in book.notices)
    assert len(book.currencies) >= 6
    assert len({order.key.quarter for order in book.orders}) == 4
    assert any(order.key.agency == order.key.advertiser for order in book.orders)


def test_the_bad_and_the_borderline_lines_are_in_it(book: OrderBook) -> None:
    assert sum(line.flight_end is not None and line.flight_end <= line.start for line in book.lines) == 1
    assert sum(line.cpm is None for line in book.lines) == 1
    assert any(line.cpm == 0 for line in book.lines)
    assert any(line.end is None for line in book.lines)
    assert any(line.end is not None and line.end.second == 59 for line in book.lines)
    assert max(len(value) for line in book.lines for value in line.targeting.values()) > 20_000
