"""A campaign that is billed at its end: nothing goes out before every month of its life is reported and final."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from oms_schema.billing_terms import BillingSchedule, BillingSource, Finality

JANUARY, MARCH = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-03-01")


def campaign(office: Any, **terms: Any) -> str:
    terms = {"schedule": BillingSchedule.END_OF_CAMPAIGN, "finality": Finality.DECLARED} | terms
    return str(office.line(office.order(**terms), start=JANUARY, end=MARCH))


def test_a_month_that_was_never_reported_blocks_the_whole_campaign_and_is_named(office: Any) -> None:
    line = campaign(office)
    office.report({line: {"20": 100_000}}, month="2026-02")
    done = office.close("2026-02")
    assert (done.invoices, done.complete) == (0, False)
    assert any("NO-REPORT" in sentence for sentence in done.waiting)
    told = office.hub.billing.why(line, "2026-02")
    assert "has reported no impressions for 2026-01" in told.answer
    assert office.rows("SELECT problem_code FROM line_period") == [("NO-REPORT",)]
    office.report({line: {"10": 400_000}}, month="2026-01")
    done = office.close("2026-02")
    assert (done.invoices, done.sums["USD"].invoiced) == (1, Decimal("6000.00"))


@pytest.mark.parametrize("source", ["ads", "moat"])
def test_a_preliminary_month_blocks_the_whole_campaign_until_it_is_final(office: Any, source: str) -> None:
    contracted = BillingSource.FIRST_PARTY if source == "ads" else BillingSource.THIRD_PARTY
    line = campaign(office, source=contracted)
    office.report({line: {"10": 400_000}}, month="2026-01", source=source, final=False)
    office.report({line: {"20": 100_000}}, month="2026-02", source=source)
    done = office.close("2026-02")
    assert (done.invoices, done.complete) == (0, False)
    assert f"The numbers of {source} for 2026-01 are not final" in office.hub.billing.why(line, "2026-02").answer
    assert office.rows("SELECT problem_code FROM line_period") == [("NOT-FINAL",)]
    office.report({line: {"10": 300_000}}, month="2026-01", source=source)
    assert office.close("2026-02").sums["USD"].invoiced == Decimal("4800.00")


def test_the_months_of_a_line_billed_as_delivered_do_not_wait_for_one_another(office: Any) -> None:
    line = campaign(office, schedule=BillingSchedule.AS_DELIVERED, cap="no_cap")
    office.report({line: {"20": 100_000}}, month="2026-02")
    assert office.close("2026-02").sums["USD"].invoiced == Decimal("1200.00")


def test_a_second_ad_server_that_fell_silent_is_part_of_the_campaign(office: Any) -> None:
    """Its months count, and the ones that it never reported are asked for."""
    session = office.hub.session
    session.configuration.connections["more"] = session.configuration.connections["ads"]
    line = campaign(office)
    office.report({line: {"10": 400_000}}, month="2026-01", source="more")
    office.report({line: {"10": 100_000}}, month="2026-01")
    office.report({line: {"20": 100_000}}, month="2026-02")
    assert office.close("2026-02").invoices == 0
    assert "2026-02" in office.hub.billing.why(line, "2026-02").answer
    office.report({line: {"20": 7}}, month="2026-02", source="more")
    assert office.close("2026-02").sums["USD"].invoiced == Decimal("7200.08")
