"""The views count as the billing rules do, and the page for BI tools names exactly the columns that the database has."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.billing.rules import agency_is_billed, monthly_cycles
from hub.billing.rules.agency import split
from hub.billing.rules.cost import contract_value, contracted_quantity, cost
from hub.billing.rules.make_good import MakeGoodLedger
from hub.billing.rules.spread import by_weight, time_weights
from hub.billing.rules.tolerance import variance
from hub.reports.accruals import COLUMNS
from hub.store import entities
from oms_schema.billing_terms import VarianceBase
from oms_schema.currencies import ACTIVE
from oms_schema.ids import EntityKind
from oms_schema.line import CostMethod, GoalUnit, Line, PriceBasis
from oms_schema.money import Money, minor_unit
from oms_schema.order import Order
from oms_schema.party import PartyRole

if TYPE_CHECKING:
    from conftest import Office

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "reports.md"
AGENCY = (PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO)


def stored(office: Office, order_id: str, line_id: str) -> tuple[Order, Line]:
    with office.hub.session.database.transaction() as cur:
        order = entities.get(cur, EntityKind.ORDER, order_id)
        line = entities.get(cur, EntityKind.LINE, line_id)
    assert order is not None
    assert line is not None
    return Order.from_bytes(order.canonical), Line.from_bytes(line.canonical)


def net(order: Order, line: Line, units: int) -> int:
    agency = agency_is_billed(order)
    value = cost(line.price, units)
    return split(line.price, value, 1, 1, agency_billed=agency).net.micros


def test_every_currency_has_the_same_minor_unit_in_the_views(office: Office) -> None:
    found = dict(office.rows("SELECT c, report.minor_unit(c)::bigint FROM unnest(%s::text[]) c", [sorted(ACTIVE)]))
    assert found == {code: minor_unit(code) for code in ACTIVE}


def test_the_views_round_as_money_does(office: Office) -> None:
    chance = random.Random(7)
    for currency in ("USD", "JPY", "KWD", "CLF"):
        cases = [(chance.randrange(10**18), chance.choice((1, 1000, 7))) for _ in range(50)]
        cases += [(minor_unit(currency) * 5 + minor_unit(currency) // 2, 1), (minor_unit(currency) // 2 - 1, 1)]
        for numerator, denominator in cases:
            ((found,),) = office.rows(
                "SELECT report.rounded(%s, %s, %s)", [numerator, denominator, minor_unit(currency)]
            )
            assert found == Money(micros=numerator, currency=currency).share_rounded(1, denominator).micros


def test_contracts_are_worth_and_spread_as_the_rules_say(office: Office) -> None:
    chance = random.Random(11)
    made = []
    for number in range(40):
        currency = chance.choice(("USD", "JPY", "KWD"))
        order = office.order(f"O{number}", currency=currency, roles=chance.choice((AGENCY, (PartyRole.ADVERTISER,))))
        start = datetime.fromisoformat("2025-11-01") + timedelta(minutes=chance.randrange(200_000))
        line = office.line(
            order,
            currency=currency,
            rate=str(Decimal(chance.randrange(1, 10**6)).scaleb(-3)),
            goal=chance.randrange(1, 3_000_000),
            start=start,
            end=start + timedelta(seconds=chance.randrange(1, 20_000_000)),
            method=chance.choice(list(CostMethod)),
            unit=chance.choice((GoalUnit.IMPRESSIONS, GoalUnit.CLICKS, GoalUnit.DAYS)),
            budget=chance.choice((None, Money(micros=chance.randrange(10**12), currency=currency))),
            price={"commission_ppm": chance.choice((0, 150_000, 123_457)), "basis": chance.choice(list(PriceBasis))},
        )
        made.append((order, line))
    checked = 0
    for order_id, line_id in made:
        order, line = stored(office, order_id, line_id)
        units = contracted_quantity(line.price, line.goal, line.budget)
        value = contract_value(line.price, units)
        ((booked_units, booked),) = office.rows(
            "SELECT booked_units, booked FROM report.line WHERE line_id = %s", [line_id]
        )
        assert booked_units == units
        months = office.rows(
            "SELECT period_start, booked FROM report.line_month WHERE line_id = %s ORDER BY 1", [line_id]
        )
        if value is None:
            assert booked is None
            assert months == []
            continue
        whole = split(line.price, value, 1, 1, agency_billed=agency_is_billed(order)).net.micros
        cycles = monthly_cycles(line.flight)
        unit = minor_unit(line.price.currency)
        parts = by_weight(whole // unit, time_weights(line.flight, cycles))
        assert booked.scaleb(6) == whole
        assert months == [(c.start, Decimal(part * unit).scaleb(-6)) for c, part in zip(cycles, parts, strict=True)], (
            line_id
        )
        checked += len(months)
    assert checked > 60


def test_a_discrepancy_is_within_its_tolerance_as_the_rules_say(office: Office) -> None:
    chance = random.Random(13)
    made = {}
    for number, base in enumerate(list(VarianceBase) * 5):
        tolerance = chance.choice((0, 50_000, 100_000))
        line = office.line(office.order(f"O{number}", tolerance_ppm=tolerance, variance_base=base), f"L{number}")
        ours = 1_000_000
        theirs = chance.choice((900_000, 899_999, 950_000, 1_100_000, 1_111_111, 1_111_112, 0))
        made[line] = variance(ours, theirs, base, tolerance), ours, theirs
    office.report({line: {"10": ours} for line, (_, ours, _) in made.items()})
    office.report({line: {"10": theirs} for line, (_, _, theirs) in made.items()}, source="moat")
    found = {
        row[0]: row[1:]
        for row in office.rows("SELECT line_id, base, difference, within_tolerance FROM report.discrepancy")
    }
    assert found == {line: (one.base, one.difference, one.within) for line, (one, _, _) in made.items()}


def test_a_shortfall_is_that_of_the_make_good_ledger(office: Office) -> None:
    order_id = office.order(roles=AGENCY)
    line_id = office.line(order_id, goal=1_000_003, price={"commission_ppm": 150_000})
    office.delivered(line_id, 765_432)
    order, line = stored(office, order_id, line_id)
    ledger = MakeGoodLedger(price=line.price, booked=1_000_003, delivered=765_432, billed=Money.zero("USD"))
    ((units, value),) = office.rows("SELECT shortfall_units, shortfall FROM report.shortfall")
    assert units == ledger.shortfall == ledger.unpromised
    assert value.scaleb(6) == net(order, line, units)


# ---------------------------------------------------------------- the page
def documented() -> dict[str, dict[str, str]]:
    """By view, its columns with what stands beside them."""
    found: dict[str, dict[str, str]] = {}
    for part in re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        name = part.split("\n", 1)[0].strip("` ")
        found[name] = dict(re.findall(r"^\| `(\w+)` \| (\w[^|]* \| [^|]+?) \|$", part, re.M))
    return found


def differences(page: dict[str, dict[str, str]], columns: list[tuple[str, str, str]]) -> list[str]:
    """Where the page and the database tell different things about a view: its columns, their order, their kinds."""
    views: dict[str, list[str]] = {}
    found = []
    for view, column, kind in columns:
        views.setdefault(view, []).append(column)
        told = page.get(view, {}).get(column, " | ").split(" | ")
        if not told[0].startswith(WORDS[kind]) or not told[1].strip():
            found.append(f"{view}.{column}: {kind}, {told}")
    named = {name: list(told) for name, told in page.items() if name.startswith("report.")}
    return found + [
        f"{view}: {named.get(view)}" for view in sorted(named | views) if named.get(view) != views.get(view)
    ]


WORDS = {
    "text": "text",
    "bigint": "count",
    "integer": "count",
    "numeric": "amount",
    "date": "day",
    "timestamp with time zone": "instant",
    "timestamp without time zone": "local time",
    "boolean": "yes or no",
}


@pytest.fixture
def columns(office: Office) -> list[tuple[str, str, str]]:
    return office.rows(
        "SELECT 'report.' || table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'report' AND left(table_name, 1) <> '_' ORDER BY 1, ordinal_position"
    )


def test_the_page_names_exactly_the_columns_of_the_database(columns: list[tuple[str, str, str]]) -> None:
    page = documented()
    assert differences(page, columns) == []
    assert list(page["accruals"]) == [column.name for column in COLUMNS]


def test_every_planted_difference_between_page_and_database_is_found(columns: list[tuple[str, str, str]]) -> None:
    for view, column, kind in columns:
        page = documented()
        del page[view][column]
        assert differences(page, columns), f"{view}.{column} is forgotten"
        page = documented()
        page[view][column] = f"{'count' if kind != 'bigint' else 'text'} | wrong"
        if kind != "integer":
            assert differences(page, columns), f"{view}.{column} is of another kind"
    page = documented()
    page["report.month"] = dict(reversed(page["report.month"].items()))
    assert differences(page, columns), "another order"
    page = documented()
    page["report.profit"] = {}
    assert differences(page, columns), "a view that is none"
