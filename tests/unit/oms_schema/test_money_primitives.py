"""Money: exact to the micro, rounded once, split without loss."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oms_schema.commission import commission, gross_of, net_of
from oms_schema.currencies import ACTIVE, WITHDRAWN, check_currency
from oms_schema.money import _EXPONENTS, Money, exponent, half_up, minor_unit

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF"])
MICROS = st.integers(-(10**15), 10**15)
MONEY = st.builds(lambda micros, currency: Money(micros=micros, currency=currency), MICROS, CURRENCIES)
ROUNDED = MONEY.map(lambda money: money.rounded())
RATES = st.integers(0, 1_000_000)


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("USD", 2), ("KWD", 3), ("CLF", 4)])
def test_each_currency_has_its_own_minor_unit(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals
    assert Money(micros=minor_unit(currency), currency=currency).amount == Decimal(1).scaleb(-decimals)


def test_the_known_currencies_are_those_of_iso_4217_that_money_is_owed_in() -> None:
    iso = {currency.alpha_3 for currency in pycountry.currencies}
    units_nobody_pays_in = {"XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"}
    assert iso - units_nobody_pays_in == ACTIVE
    assert not WITHDRAWN & ACTIVE
    assert set(_EXPONENTS) <= ACTIVE


@pytest.mark.parametrize(
    ("currency", "codes"), [("USD", []), ("BGN", []), ("UDS", ["CURRENCY-UNKNOWN"]), ("XXX", ["CURRENCY-UNKNOWN"])]
)
def test_a_misspelt_currency_is_reported(currency: str, codes: list[str]) -> None:
    assert [problem.code for problem in check_currency("currency", currency)] == codes


@given(MONEY)
def test_rounding_is_half_up_in_the_minor_unit_as_decimal_does_it(money: Money) -> None:
    unit = Decimal(1).scaleb(-exponent(money.currency))
    assert money.rounded().amount == money.amount.quantize(unit, rounding=ROUND_HALF_UP)
    assert money.rounded().is_rounded
    assert money.rounded().rounded() == money.rounded()


@pytest.mark.parametrize(
    ("text", "currency", "rounded"),
    [
        ("0.125", "USD", "0.13"),
        ("-0.125", "USD", "-0.13"),
        ("11801.472", "USD", "11801.47"),
        ("444444.3", "JPY", "444444"),
        ("0.5", "JPY", "1"),
        ("1.2345", "KWD", "1.235"),
        ("518.52", "USD", "518.52"),
    ],
)
def test_rounding_by_worked_numbers(text: str, currency: str, rounded: str) -> None:
    assert Money.parse(text, currency).rounded() == Money.parse(rounded, currency)


def test_rounding_happens_once_where_rounding_twice_would_gain_a_cent() -> None:
    rate = Money(micros=4_999_999_6, currency="USD")
    assert rate.share(1, 10_000).rounded() == usd("0.01")
    assert rate.share_rounded(1, 10_000) == usd("0.00")


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
def test_half_up_is_the_nearest_integer_with_ties_away_from_zero(numerator: int, denominator: int) -> None:
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(numerator) / Decimal(denominator)
        assert half_up(numerator, denominator) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@pytest.mark.parametrize("denominator", [0, -1])
def test_half_up_refuses_a_denominator_that_is_not_positive(denominator: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        half_up(1, denominator)


@given(st.lists(MICROS, max_size=20))
def test_a_total_is_the_sum_of_its_parts(parts: list[int]) -> None:
    total = Money.total([Money(micros=part, currency="EUR") for part in parts], "EUR")
    assert total == Money(micros=sum(parts), currency="EUR")


def test_currencies_never_mix() -> None:
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        usd("1") + Money.parse("1", "EUR")
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        usd("1") - Money.parse("1", "EUR")
    with pytest.raises(ValueError, match="cannot add JPY to USD"):
        Money.total([Money.parse("1", "JPY")], "USD")


@given(MONEY)
def test_a_plain_decimal_string_is_read_back_exactly(money: Money) -> None:
    assert Money.parse(f"{money.amount:f}", money.currency) == money
    assert Money.of(money.amount, money.currency) == money


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "1,000",
        "1e3",
        "1E3",
        ".5",
        "5.",
        "01",
        "--1",
        "1.2.3",
        "NaN",
        "Infinity",
        "١",
        "1_000",
        "1\n",
    ],
)
def test_anything_but_a_plain_decimal_string_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        Money.parse(text, "USD")


def test_more_decimals_than_micros_hold_are_refused_not_rounded() -> None:
    assert Money.parse("1.50000000", "USD") == usd("1.5")
    with pytest.raises(ValueError, match="six decimals"):
        Money.parse("1.0000001", "USD")


@pytest.mark.parametrize("text", ["99999999999999999999", "9" * 400])
def test_an_amount_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too large|less than"):
        Money.parse(text, "USD")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN", "1E+999999", "1E+30"])
def test_an_amount_that_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match=r"not an amount|too large|less than"):
        Money.of(Decimal(amount), "USD")


@pytest.mark.parametrize("micros", [1.0, True, "1", None, 2**63, -(2**63) - 1])
def test_micros_are_64_bit_integers_and_nothing_else(micros: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"micros": micros, "currency": "USD"})


def test_a_callers_decimal_context_does_not_change_money() -> None:
    with localcontext() as context:
        context.prec = 3
        assert Money.of(Decimal("123456.789012"), "USD").micros == 123_456_789_012
        assert Money(micros=123_456_789_012, currency="USD").amount == Decimal("123456.789012")


@given(MONEY, st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any))
def test_an_allocation_loses_nothing(money: Money, weights: list[int]) -> None:
    parts = money.allocate(weights)
    assert Money.total(parts, money.currency) == money
    unit = minor_unit(money.currency) if money.is_rounded else 1
    for part, weight in zip(parts, weights, strict=True):
        exact = Decimal(money.micros) * weight / sum(weights)
        assert abs(Decimal(part.micros) - exact) < unit
        assert part.is_rounded or not money.is_rounded
        assert weight or not part.micros


def test_a_bundle_is_split_by_list_price_as_worked_out() -> None:
    parts = usd("10000").allocate([7_000, 2_500, 1_100])
    assert parts == (usd("6603.77"), usd("2358.49"), usd("1037.74"))


def test_a_remainder_among_equals_falls_to_the_last() -> None:
    assert usd("10000").allocate([1, 1, 1]) == (usd("3333.33"), usd("3333.33"), usd("3333.34"))
    assert usd("-0.01").allocate([1, 1]) == (usd("0"), usd("-0.01"))
    assert Money.parse("100", "JPY").allocate([1, 1, 1])[-1] == Money.parse("34", "JPY")


@pytest.mark.parametrize("weights", [[], [0], [1, -1], [0, 0]])
def test_an_allocation_without_a_positive_weight_is_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weight"):
        usd("1").allocate(weights)


def test_commission_is_rounded_per_line_and_summed() -> None:
    lines = [usd("10.10")] * 3
    per_line = Money.total([commission(line, 150_000) for line in lines], "USD")
    assert per_line == usd("4.56")
    assert commission(Money.total(lines, "USD"), 150_000) == usd("4.55")


def test_net_to_gross_divides() -> None:
    assert commission(usd("100000"), 150_000) == usd("15000")
    assert net_of(usd("100000"), 150_000) == usd("85000")
    assert gross_of(usd("85000"), 150_000) == usd("100000")
    assert net_of(usd("11760.08"), 150_000) == usd("9996.07")


@given(ROUNDED, RATES)
def test_commission_and_net_make_up_the_gross(gross: Money, rate: int) -> None:
    assert commission(gross, rate) + net_of(gross, rate) == gross


@given(ROUNDED, st.integers(0, 900_000))
def test_the_net_of_a_derived_gross_is_the_net_it_came_from(net: Money, rate: int) -> None:
    assert net_of(gross_of(net, rate), rate) == net


def test_a_rate_outside_0_to_100_percent_is_refused() -> None:
    for rate in (-1, 1_000_001):
        with pytest.raises(ValueError, match="commission rate"):
            commission(usd("1"), rate)
        with pytest.raises(ValueError, match="commission rate"):
            gross_of(usd("1"), rate)
    with pytest.raises(ValueError, match="100 %"):
        gross_of(usd("1"), 1_000_000)
