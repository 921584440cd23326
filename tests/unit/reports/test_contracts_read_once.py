"""The views of months that read each contract once hold the same rows as those that read it for every step."""

from __future__ import annotations

import importlib.util
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.store.database import MIGRATIONS
from oms_schema.line import CostMethod, GoalUnit
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office

FILE = Path(MIGRATIONS) / "versions" / "0019_contracts_read_once.py"
VIEWS = ("source_month", "line_month", "order_month", "advertiser_month", "month", "discrepancy", "shortfall")


def migration() -> Any:
    spec = importlib.util.spec_from_file_location("contracts_read_once", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def untidy_book(office: Office) -> None:
    """Every price, both billing sources, counts of both sides, of one and of none; bills, a credit and lines that were moved."""
    chance = random.Random(19)
    methods = {
        CostMethod.CPM: GoalUnit.IMPRESSIONS,
        CostMethod.CPC: GoalUnit.CLICKS,
        CostMethod.CPD: GoalUnit.DAYS,
        CostMethod.FLAT: GoalUnit.IMPRESSIONS,
    }
    lines = []
    for number in range(24):
        currency = ("USD", "JPY", "KWD")[number % 3]
        order = office.order(
            f"O{number}",
            currency=currency,
            status=CommercialStatus.CANCELLED if number == 7 else CommercialStatus.BOOKED,
            roles=(PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO)[: 1 + 2 * (number % 2)],
            source="third_party" if number % 4 == 1 else "first_party",
            tolerance_ppm=1_000_000,
        )
        method = list(methods)[number // 3 % 4]
        start = datetime.fromisoformat("2026-01-11") + timedelta(days=chance.randrange(25))
        lines.append(
            office.line(
                order,
                currency=currency,
                method=method,
                unit=methods[method],
                rate=str(chance.randrange(1, 90)),
                goal=chance.randrange(1, 3_000_000),
                start=start,
                end=start + timedelta(days=chance.randrange(8, 70), minutes=chance.randrange(1_000)),
                cancelled=number == 11,
            )
        )
    january = {line: {"12": chance.randrange(900_000), "27": chance.randrange(9_000)} for line in lines[::2]}
    january |= {line: {"20": chance.randrange(900_000)} for line in lines[1:16:2]}
    for month, told in (("2026-01", january), ("2026-02", {line: {"05": 70_000, "20": 9_000} for line in lines[3:]})):
        office.report(told, month=month)
        office.report({line: {"20": chance.randrange(900_000)} for line in lines[:20:3]}, source="moat", month=month)
    office.clock.time = datetime.fromisoformat("2026-03-20T00:00:00+00:00")
    office.close("2026-01")
    office.report({line: {"13": sum(days.values()) // 2} for line, days in january.items()}, month="2026-01")
    office.close("2026-01")
    office.close("2026-02")
    order = office.order("O12", currency="EUR")
    office.line(
        order, currency="EUR", start=datetime.fromisoformat("2026-04-01"), end=datetime.fromisoformat("2026-06-01")
    )


def test_months_hold_the_same_rows_as_when_every_step_read_the_contracts(office: Office) -> None:
    untidy_book(office)
    made = migration()
    with office.hub.session.database.transaction() as cur:
        cur.execute("SELECT count(*) FROM billing_document WHERE corrects IS NOT NULL AND state <> 'withdrawn'")
        corrected = cur.fetchone()
        assert corrected is not None
        assert corrected[0] > 0
        found = {}
        for statements in (made.STATEMENTS, made.BEFORE, made.STATEMENTS):
            for statement in statements:
                cur.execute(statement.encode())
            for view in VIEWS:
                cur.execute(f"SELECT v::text FROM report.{view} v ORDER BY 1".encode())
                rows = [row[0] for row in cur.fetchall()]
                assert found.setdefault(view, rows) == rows
        assert min(len(rows) for rows in found.values()) > 3
        assert len(found["line_month"]) > 40
