"""Booked, delivered, billable, billed and paid: five columns, currency by currency, to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from hub.errors import Refused
from hub.reports import Selection, report
from oms_schema.billing_terms import BillingSource, Finality
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office

FIVE = ("booked", "delivered", "billable", "billed", "paid")


def rows(office: Office, name: str = "summary", **chosen: Any) -> list[Mapping[str, Any]]:
    return list(report(office.hub.session, name, Selection.of(**chosen)))


def five(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in FIVE)


def test_each_of_the_five_is_a_column_of_its_own(office: Office) -> None:
    line = office.line(office.order(), goal=1_000_000, rate="12")
    office.delivered(line, 1_100_000)
    (row,) = rows(office)
    assert five(row) == ("12000.00", "13200.00", "0.00", "0.00", "0.00")
    assert row["not_calculated"] == 1
    office.close(approved_by=None)
    assert five(rows(office)[0]) == ("12000.00", "13200.00", "12000.00", "0.00", "0.00")
    office.close()
    office.erp.pay(next(iter(office.erp.documents.values()))["reference"], "5000.00")
    office.hub.billing.read_back()
    assert five(rows(office)[0]) == ("12000.00", "13200.00", "12000.00", "12000.00", "5000.00")


def test_a_credit_memo_lowers_what_is_billable_and_billed(office: Office) -> None:
    line = office.line(office.order(), rate="12")
    office.delivered(line, 900_000)
    office.close()
    office.delivered(line, 800_000)
    office.close(approved_by=None)
    assert five(rows(office)[0]) == ("12000.00", "9600.00", "9600.00", "10800.00", "0.00"), "proposed, not billed"
    office.close()
    assert five(rows(office)[0]) == ("12000.00", "9600.00", "9600.00", "9600.00", "0.00")


def test_currencies_are_never_added(office: Office) -> None:
    dollars = office.line(office.order("A"), rate="12")
    yen = office.line(office.order("B", currency="JPY"), rate="1500", currency="JPY")
    office.report({dollars: {"10": 500_000}, yen: {"10": 333_333}})
    office.close()
    for by in ("order", "advertiser", "month"):
        found = {row["currency"]: five(row) for row in rows(office, by=by)}
        assert found["USD"] == ("12000.00", "6000.00", "6000.00", "6000.00", "0.00"), by
        assert found["JPY"] == ("1500000", "500000", "500000", "500000", "0"), by


def test_booked_by_month_keeps_the_contracts_value_to_the_cent(office: Office) -> None:
    office.line(
        office.order(),
        rate="9.99",
        goal=1_000_001,
        start=datetime.fromisoformat("2026-01-20T06:00:00"),
        end=datetime.fromisoformat("2026-04-03T13:30:00"),
    )
    found = rows(office, by="month")
    assert [row["period_start"].month for row in found] == [1, 2, 3, 4]
    assert sum(row["booked"] for row in found) == Decimal("9990.01")
    assert rows(office, by="month", since="2026-02", until="2026-03") == found[1:3]


def test_everything_is_net_of_the_agencys_commission(office: Office) -> None:
    order = office.order(roles=(PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO))
    line = office.line(order, price={"commission_ppm": 150_000})
    office.delivered(line, 980_007)
    office.close()
    assert five(rows(office)[0]) == ("10200.00", "9996.07", "9996.07", "9996.07", "0.00")


def test_what_is_cancelled_or_not_booked_counts_as_nothing_booked(office: Office) -> None:
    office.line(office.order("A", status=CommercialStatus.CANCELLED))
    office.line(office.order("B", status=CommercialStatus.DRAFT))
    office.line(office.order("C"), cancelled=True)
    assert sum(row["booked"] for row in rows(office)) == 0


def test_the_advertiser_is_named(office: Office) -> None:
    office.line(office.order())
    (row,) = rows(office, by="advertiser")
    assert (row["advertiser"], row["advertiser_id"]) == ("Acme Inc", office.party)


def test_a_third_partys_count_is_what_was_delivered_where_it_is_billed(office: Office) -> None:
    line = office.line(office.order(source=BillingSource.THIRD_PARTY), rate="10")
    office.delivered(line, 900_000)
    office.delivered(line, 850_000, source="moat")
    assert rows(office)[0]["delivered"] == Decimal("8500.00")


def test_a_wrong_selection_is_a_sentence(office: Office) -> None:
    for chosen in ({"since": "2026-03", "until": "2026-02"}, {"by": "colour"}, {"since": "2026-13"}):
        with pytest.raises(Refused, match="Nothing was"):
            Selection.of(**chosen)
    with pytest.raises(Refused, match="no report 'profits'"):
        report(office.hub.session, "profits")


# ---------------------------------------------------------------- lists
def test_a_discrepancy_shows_both_sources_and_the_base_of_its_tolerance(office: Office) -> None:
    line = office.line(office.order(tolerance_ppm=100_000))
    other = office.line(office.order("B", tolerance_ppm=100_000), "Sports")
    office.report({line: {"10": 1_000_000}, other: {"10": 1_000_000}})
    office.report({line: {"10": 900_000}, other: {"10": 899_999}}, source="moat")
    found = {row["line_id"]: row for row in rows(office, "discrepancies")}
    assert (found[line]["seller"], found[line]["other"], found[line]["base"]) == ("ads", "moat", 1_000_000)
    assert found[line]["within_tolerance"] is True, "exactly at the tolerance is within"
    assert (found[other]["difference"], found[other]["within_tolerance"]) == (100_001, False)


def test_a_line_that_fell_short_and_was_billed_in_full_owes_the_rest(office: Office) -> None:
    order = office.order()
    short, full = office.line(order, "A"), office.line(order, "B")
    office.report({short: {"10": 600_000}, full: {"10": 1_000_000}})
    (row,) = rows(office, "make-goods")
    assert (row["line_id"], row["shortfall_units"], row["shortfall"]) == (short, 400_000, Decimal("4800.00"))
    assert row["liability"] == 0, "billed as delivered, nothing is owed"
    office.close()
    office.report({short: {"10": 500_000}, full: {"10": 1_000_000}})
    (row,) = rows(office, "make-goods")
    assert row["liability"] == Decimal("1200.00"), "billed and, as is known now, not delivered"


def test_a_shortfall_says_how_many_months_of_the_life_may_still_change(office: Office) -> None:
    line = office.line(office.order(finality=Finality.DECLARED), start=datetime.fromisoformat("2026-01-01"))
    office.delivered(line, 300_000, month="2026-01")
    office.delivered(line, 400_000, final=False)
    (row,) = rows(office, "make-goods")
    assert (row["shortfall_units"], row["not_calculated"]) == (300_000, 2), "nobody has prepared a month"
    office.close("2026-01")
    office.close()
    (row,) = rows(office, "make-goods")
    assert (row["shortfall_units"], row["not_calculated"]) == (300_000, 1), "February is not final"
    office.delivered(line, 450_000)
    office.close()
    (row,) = rows(office, "make-goods")
    assert (row["shortfall_units"], row["not_calculated"]) == (250_000, 0)


def test_the_register_holds_every_document_with_its_state_at_the_erp(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.close()
    office.delivered(line, 800_000)
    office.close()
    found = {row["kind"]: row for row in rows(office, "documents")}
    assert found["invoice"]["number"] == "INV-0001"
    assert found["credit_memo"]["corrects"] == found["invoice"]["document_id"]
    assert (found["credit_memo"]["sign"], found["credit_memo"]["net"]) == (-1, Decimal("1200.00"))
    assert found["invoice"]["erp_net"] == found["invoice"]["net"] == Decimal("10800.00")
    assert found["invoice"]["period_last_day"] == date(2026, 2, 28)


# ---------------------------------------------------------------- accruals
def test_what_is_delivered_and_not_billed_is_accrued_by_the_rules(office: Office) -> None:
    order = office.order(finality=Finality.DECLARED)
    over, running = (
        office.line(order, "A", goal=1_000_000),
        office.line(order, "B", end=datetime.fromisoformat("2026-05-01")),
    )
    office.report({over: {"10": 1_100_000}, running: {"10": 100_000}}, final=False)
    office.report({running: {"05": 50_000}}, month="2026-03", final=False)
    found = {(row["line"], row["period_start"].month): row for row in rows(office, "accruals")}
    assert found["A", 2]["accrued"] == Decimal("12000.00"), "capped, although not final"
    assert found["A", 2]["final"] is False
    assert found["B", 2]["accrued"] == Decimal("1200.00")
    assert found["B", 3]["accrued"] == Decimal("600.00"), "the month still runs"
    assert len(found) == 3


def test_what_is_billed_is_accrued_no_longer(office: Office) -> None:
    order = office.order()
    over, running = office.line(order, "A"), office.line(order, "B", end=datetime.fromisoformat("2026-05-01"))
    office.report({over: {"10": 1_100_000}, running: {"10": 100_000}})
    office.report({running: {"05": 50_000}}, month="2026-03")
    assert office.close().complete
    (row,) = rows(office, "accruals")
    assert (row["line"], row["period_start"].month, row["accrued"]) == ("B", 3, Decimal("600.00"))


def test_a_restatement_below_what_was_billed_accrues_a_credit(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.close()
    office.delivered(line, 800_000)
    office.close(approved_by=None)
    (row,) = rows(office, "accruals")
    assert (row["valued"], row["billed"], row["accrued"]) == (
        Decimal("9600.00"),
        Decimal("10800.00"),
        Decimal("-1200.00"),
    )


def test_a_dispute_is_listed_without_an_amount_and_with_its_reason(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_000_000)
    office.delivered(line, 500_000, source="moat")
    (row,) = rows(office, "accruals")
    assert row["accrued"] is None
    assert "50.00 %" in row["reason"]


def test_delivery_that_a_silent_third_party_has_not_confirmed_is_listed(office: Office) -> None:
    line = office.line(office.order(source=BillingSource.THIRD_PARTY))
    office.line(office.order("B", source=BillingSource.THIRD_PARTY), "Nobody counted anything")
    office.delivered(line, 800_000)
    (row,) = rows(office, "accruals")
    assert (row["line_id"], row["delivered_units"], row["valued"]) == (line, None, None)
    assert "third party" in row["reason"]


def test_a_line_that_contradicts_its_bill_is_listed_with_its_reason_and_stops_no_other(office: Office) -> None:
    order = office.order()
    line, other = (office.line(order, name, start=datetime.fromisoformat("2026-01-01")) for name in "AB")
    office.report({line: {"05": 100_000}, other: {"05": 100_000}}, month="2026-01")
    assert office.close("2026-01").complete
    office.line(order, "A", start=datetime.fromisoformat("2026-01-01"), currency="EUR")
    office.report({line: {"05": 100_000}, other: {"05": 100_000}})
    contradicting, sound = sorted(rows(office, "accruals"), key=lambda row: row["line"])
    assert (contradicting["line_id"], contradicting["valued"], contradicting["accrued"]) == (line, None, None)
    assert "contradicts what was billed of it" in contradicting["reason"]
    assert (sound["line_id"], sound["period_start"], sound["accrued"]) == (other, date(2026, 2, 1), Decimal("1200.00"))


def test_a_report_writes_nothing(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.close()
    before = office.everything()
    for name in ("summary", "discrepancies", "accruals", "make-goods", "documents", "payments"):
        rows(office, name)
    assert office.everything() == before
