"""Questions about a bill: why, what if, and whether its stored inputs still give it. None of them writes anything."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hub.billing.cases import Terms
from hub.errors import Refused
from oms_schema.billing_terms import BillingSchedule, BillingSource, CapMode, Finality

if TYPE_CHECKING:
    from conftest import Office


# ---------------------------------------------------------------- replay
def test_an_invoice_is_computed_again_to_the_byte_after_everything_else_has_changed(office: Office) -> None:
    order = office.order()
    line, other = office.line(order, "A"), office.line(order, "B")
    office.report({line: {"10": 1_043_210}, other: {"11": 333_333}})
    office.close()
    office.line(order, "A", rate="99")
    office.report({line: {"10": 1}, other: {"11": 2}})
    found = office.hub.billing.replay("INV-0001")
    assert (found.equal, found.net, found.differences) == (True, Decimal("16000.00"), [])
    assert found.rules == ["2026.1"]


def test_a_credit_memo_is_computed_again_to_the_byte(office: Office) -> None:
    order = office.order()
    lines = [office.line(order, name) for name in "ABC"]
    office.report({line: {"10": 800_000} for line in lines})
    office.close()
    office.report({line: {"10": 700_000 + number} for number, line in enumerate(lines)})
    assert office.close().credits == 1
    found = office.hub.billing.replay("CRN-0002")
    assert (found.equal, found.kind) == (True, "credit_memo")


@pytest.mark.parametrize("column", ["body", "inputs"])
def test_a_document_changed_in_the_store_does_not_replay(office: Office, column: str) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.close()
    with office.hub.session.database.transaction() as cur:
        cur.execute(
            f"UPDATE billing_document SET {column} = "
            f"convert_to(replace(convert_from({column}, 'UTF8'), '983456', '983457'), 'UTF8')"
        )
    found = office.hub.billing.replay("INV-0001")
    assert not found.equal
    assert found.differences


# ---------------------------------------------------------------- what if
def test_a_what_if_stands_beside_the_real_month_and_writes_nothing(office: Office) -> None:
    order = office.order(source=BillingSource.THIRD_PARTY)
    line, over = office.line(order, "A"), office.line(order, "B")
    office.report({line: {"10": 1_000_000}, over: {"10": 1_100_000}})
    office.report({line: {"10": 940_000}, over: {"10": 1_080_000}}, source="moat")
    office.close()
    before = office.everything()
    bill = office.hub.billing
    ours = bill.what_if("2026-02", Terms(source=BillingSource.FIRST_PARTY))
    assert ours.sums == {"USD": (Decimal("23280.00"), Decimal("24000.00"))}
    assert [(one.line, one.real, one.other) for one in ours.different] == [("A", Decimal(11280), Decimal(12000))]
    uncapped = bill.what_if("2026-02", Terms(cap=CapMode.NO_CAP))
    assert uncapped.sums == {"USD": (Decimal("23280.00"), Decimal("24240.00"))}
    strict = bill.what_if("2026-02", Terms(tolerance_ppm=50_000))
    assert (strict.real_blocked, strict.other_blocked) == (0, 1)
    assert strict.terms == {"tolerance": "5 %"}
    assert office.everything() == before
    with pytest.raises(Refused, match="names another"):
        bill.what_if("2026-02", Terms())


def test_a_what_if_works_before_anything_was_prepared(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_100_000)
    found = office.hub.billing.what_if("2026-02", Terms(cap=CapMode.NO_CAP))
    assert found.sums == {"USD": (Decimal("12000.00"), Decimal("13200.00"))}
    assert office.rows("SELECT count(*) FROM line_period") == [(0,)]


# ---------------------------------------------------------------- why
def steps(office: Office, line: str, period: str = "2026-02") -> dict[str, str]:
    found = office.hub.billing.why(line, period)
    return {**dict(found.steps), "answer": found.answer, "status": found.status}


def test_why_walks_from_the_reference_to_the_cap(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_043_210)
    before = office.everything()
    told = steps(office, "ext-Home page")
    assert "No vendor has a record" in told["reference"]
    assert told["schedule"] == "In 2026-02 it runs from 2026-02-01 to 2026-02-28."
    assert told["report"].startswith("ads (seller) covered all live days")
    assert told["cap"] == "Under capped_cumulative, 1,000,000 of 1,043,210 units are billable."
    assert told["answer"].startswith("It can be billed.")
    assert office.everything() == before


def test_why_is_it_late(office: Office) -> None:
    line = office.line(office.order())
    assert "has reported no impressions" in steps(office, line)["answer"]
    office.clock.time = office.clock.now().replace(day=1, hour=6)
    office.delivered(line, 983_456, final=False)
    told = steps(office, line)
    assert "are not final" in told["answer"]
    assert "reports of every day from 2026-03-04 on close them" in told["final"] or "are not final" in told["final"]


def test_why_is_it_zero(office: Office) -> None:
    at_end = office.line(
        office.order(schedule=BillingSchedule.END_OF_CAMPAIGN), end=office.clock.now().replace(day=31, tzinfo=None)
    )
    office.delivered(at_end, 983_456)
    assert office.close().invoices == 0
    told = steps(office, at_end)
    assert told["answer"] == "It is zero, and no invoice of 0.00 is made. The whole line is billed in its last period."
    assert told["status"] == "approved"
    outside = steps(office, at_end, "2026-07")
    assert outside["answer"] == "The line does not run in 2026-07, so there is nothing to bill for it."


def test_why_is_it_blocked(office: Office) -> None:
    line = office.line(office.order(source=BillingSource.THIRD_PARTY))
    office.delivered(line, 1_000_000)
    office.delivered(line, 860_000, source="moat")
    office.close()
    told = steps(office, line)
    assert "14.00 %" in told["answer"]
    assert "Operations settles it with the buyer" in told["answer"]
    assert told["status"] == "disputed"


def test_why_says_that_what_a_line_waited_for_has_come(office: Office) -> None:
    late = office.line(office.order("Late", finality=Finality.DECLARED))
    apart = office.line(office.order("Apart"), "Sports")
    office.report({late: {"10": 800_000}, apart: {"10": 800_000}}, final=False)
    office.report({apart: {"10": 500_000}}, source="moat")
    office.clock.time += timedelta(days=7)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1, "VARIANCE": 1}
    office.report({late: {"10": 800_000}, apart: {"10": 800_000}})
    office.report({apart: {"10": 790_000}}, source="moat")
    for line in (late, apart):
        assert steps(office, line)["answer"].startswith("It can be billed. Nobody has prepared 2026-02 since")


def test_why_says_what_is_left_of_a_bill_after_its_corrections(office: Office) -> None:
    line = office.line(office.order())
    for impressions in (900_000, 800_000, 850_000):
        office.delivered(line, impressions)
        office.close()
    told = steps(office, line)
    assert told["answer"].startswith("It was billed with 10800.00 USD on INV-0001 and is adjusted.")
    assert told["answer"].endswith("With its corrections it is billed with 10200.00 USD.")


def test_why_leaves_a_month_that_is_not_final_out_of_the_lines_life_and_says_so(office: Office) -> None:
    """20,000 of January's impressions stand in February at the other side, whose January is not declared final."""
    january = office.clock.now().replace(month=1, day=1, hour=0, tzinfo=None)
    line = office.line(office.order(finality=Finality.DECLARED), start=january, goal=9_000_000)
    for month, ours, theirs in (("2026-01", 400_000, 380_000), ("2026-02", 100_000, 120_000)):
        office.delivered(line, ours, month=month)
        office.delivered(line, theirs, month=month, source="moat", final=month == "2026-02")
    assert dict(office.close().blocked) == {"VARIANCE": 1}
    told = steps(office, line)
    assert told["tolerance"].endswith("over the line's life; 1 month that is not final on both sides is left out.")
    assert "20.00 %" in told["tolerance"]
    assert "20.00 %" in told["answer"]
    office.delivered(line, 380_000, month="2026-01", source="moat")
    assert office.close().complete
    assert steps(office, line)["tolerance"].endswith("0.00 % of the publisher figure over the line's life.")


def test_why_names_the_invoice_and_what_is_open(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.close()
    told = steps(office, line)
    assert told["answer"] == "It was billed with 11801.47 USD on INV-0001 and is invoiced."
    assert "11801.47 USD open" in told["document"]
