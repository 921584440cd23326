"""The ledger file: what `bean-check` accepts, and what it must not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub.reports import Selection
from hub.reports.ledger import account_of, ledger
from oms_schema.party import PartyRole

if TYPE_CHECKING:
    from conftest import Office

BEAN_CHECK = Path(__file__).parents[3] / ".tools" / "beancount" / "bin" / "bean-check"
Checked = Callable[[str], str]


@pytest.fixture
def bean_check(tmp_path: Path) -> Checked:
    """What the real program says of a file; empty when it accepts it."""
    if not BEAN_CHECK.exists():
        said = "not run: Beancount is not installed (make beancount)"
        if os.environ.get("ORDERHUB_REQUIRE_BEANCOUNT") == "1":
            pytest.fail(said)
        pytest.skip(said)

    def checked(text: str) -> str:
        file = tmp_path / "book.beancount"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([str(BEAN_CHECK), "--no-cache", str(file)], capture_output=True, text=True, timeout=60)
        said = done.stdout + done.stderr
        assert bool(said) == bool(done.returncode), said
        return said

    return checked


@pytest.fixture
def year(office: Office) -> Office:
    """An agency's order in dollars, a direct one in yen, a credit memo, part payments, one with tax, one reversed."""
    order = office.order("A", roles=(PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO))
    dollars = office.line(order, 'Home "page" \\ =1+1', price={"commission_ppm": 150_000})
    taxed = office.line(office.order("B"), "Taxed")
    yen = office.line(office.order("C", currency="JPY"), rate="1500", currency="JPY")
    office.report({dollars: {"10": 980_007}, taxed: {"10": 500_000}, yen: {"10": 333_333}})
    office.close()
    by_total = {str(one["total"]): one for one in office.erp.documents.values()}
    one = by_total["6000.00"]
    one.update(tax=Decimal("1140.00"), total=Decimal("7140.00"), balance=Decimal("7140.00"))
    office.erp.pay(one["reference"], "140.00", "p-tax")
    office.erp.pay(by_total["9996.07"]["reference"], "100.01", "p-a")
    office.erp.pay(by_total["500000"]["reference"], "500000", "p-yen")
    office.report({dollars: {"10": 951_200}, taxed: {"10": 500_000}, yen: {"10": 333_333}})
    office.close()
    office.hub.billing.read_back()
    return office


def legs(text: str) -> list[tuple[str, Decimal, str]]:
    found = re.findall(r"^  (\S+)  (-?[0-9.]+) ([A-Z]{3})$", text, re.M)
    return [(account, Decimal(number), currency) for account, number, currency in found]


def summed(text: str, account: str, currency: str) -> Decimal:
    return sum((number for name, number, one in legs(text) if (name, one) == (account, currency)), Decimal(0))


def test_the_books_balance_to_the_cent_and_meet_the_erps_balances(year: Office) -> None:
    text = ledger(year.hub.session)
    for currency in ("USD", "JPY"):
        assert sum(number for _, number, one in legs(text) if one == currency) == 0
    customer = account_of(year.party)
    assert summed(text, customer, "JPY") == 0
    assert summed(text, customer, "USD") == sum(
        one["balance"] for one in year.erp.documents.values() if one["currency"] == "USD"
    )
    assert summed(text, "Income:Advertising", "USD") == -(Decimal("11760.08") - Decimal("345.68") + Decimal("6000.00"))
    assert summed(text, "Expenses:Agency-Commission", "USD") == Decimal("1764.01") - Decimal("51.85")
    assert summed(text, "Liabilities:Tax", "USD") == Decimal("-1140.00")
    assert summed(text, "Assets:Bank", "USD") == Decimal("240.01")
    assert "Not-Itemised" not in text


def test_bean_check_accepts_the_file(year: Office, bean_check: Checked) -> None:
    assert bean_check(ledger(year.hub.session)) == ""
    assert bean_check(ledger(year.hub.session, Selection.of("2025-01", "2025-02"))) == ""


@pytest.mark.parametrize(
    ("planted", "instead"),
    [
        ("  Income:Advertising  -11760.08 USD", "  Income:Advertising  -11760.07 USD"),
        ("  Assets:Bank  100.01 USD", "  Assets:Bank  100.02 USD"),
        ("  Assets:Bank  500000 JPY", "  Assets:Bank  500001 JPY"),
        ("~ 0 USD", "~ 0 JPY"),
        ("open Liabilities:Tax", "open Liabilities:Duty"),
    ],
)
def test_bean_check_refuses_a_cent_too_much(year: Office, bean_check: Checked, planted: str, instead: str) -> None:
    text = ledger(year.hub.session)
    assert planted in text
    assert bean_check(text.replace(planted, instead)) != ""


def test_a_receivable_that_is_a_cent_off_the_erps_balance_is_refused(year: Office, bean_check: Checked) -> None:
    text = ledger(year.hub.session)
    (line,) = re.findall(r"^.* balance .*USD$", text, re.M)
    number = re.findall(r"  (\S+) ~", line)[0]
    assert "Balance failed" in bean_check(
        text.replace(line, line.replace(number, f"{Decimal(number) + Decimal('0.01'):f}"))
    )


def test_a_credit_that_was_set_off_moves_nothing_and_a_foreign_one_does(year: Office, bean_check: Checked) -> None:
    invoice = next(one for one in year.erp.documents.values() if str(one["total"]) == "9996.07")
    memo = next(one for one in year.erp.documents.values() if one["number"].startswith("CRN"))
    invoice["payments"].append({"id": "s1", "amount": Decimal("293.83"), "by_document": memo["number"]})
    invoice["balance"] -= Decimal("293.83")
    memo["balance"] = Decimal(0)
    invoice["payments"].append({"id": "s2", "amount": Decimal("50.00"), "by_document": "CRN-OTHER"})
    invoice["balance"] -= Decimal("50.00")
    year.hub.billing.read_back()
    text = ledger(year.hub.session)
    assert bean_check(text) == ""
    assert summed(text, "Liabilities:Credits-Of-Others", "USD") == Decimal("50.00")
    assert summed(text, account_of(year.party), "USD") == Decimal("7000.00") + invoice["balance"]
    assert "Not-Itemised" not in text


@pytest.mark.parametrize("listed", ["at both", "at the invoice", "at the credit memo"])
def test_a_credit_set_off_in_another_month_is_told_as_such_in_the_file_of_either(
    year: Office, bean_check: Checked, listed: str
) -> None:
    march = year.line(
        year.order("D"), "March", start=datetime.fromisoformat("2026-03-01"), end=datetime.fromisoformat("2026-04-01")
    )
    year.clock.time = datetime(2026, 4, 9, tzinfo=year.clock.time.tzinfo)
    year.report({march: {"10": 100_000}}, month="2026-03")
    year.close("2026-03")
    invoice = next(one for one in year.erp.documents.values() if str(one["total"]) == "1200.00")
    memo = next(one for one in year.erp.documents.values() if one["number"].startswith("CRN"))
    invoice["balance"] -= Decimal("293.83")
    memo["balance"] = Decimal(0)
    if listed != "at the credit memo":
        invoice["payments"].append({"id": "s1", "amount": Decimal("293.83"), "by_document": memo["number"]})
    if listed != "at the invoice":
        memo["payments"].append({"id": "s2", "amount": Decimal("293.83"), "by_document": invoice["number"]})
    year.hub.billing.read_back()

    of_march = ledger(year.hub.session, Selection.of("2026-03", "2026-03"))
    assert bean_check(of_march) == ""
    assert "Not-Itemised" not in of_march
    assert f"Set off against {memo['number']}, of a month that this file leaves out" in of_march
    assert summed(of_march, "Equity:Other-Months", "USD") == Decimal("293.83")
    assert summed(of_march, account_of(year.party), "USD") == invoice["balance"]

    of_february = ledger(year.hub.session, Selection.of("2026-02", "2026-02"))
    assert bean_check(of_february) == ""
    assert "Not-Itemised" not in of_february
    assert f"Set off against {invoice['number']}, of a month that this file leaves out" in of_february
    assert summed(of_february, "Equity:Other-Months", "USD") == Decimal("-293.83")

    both = ledger(year.hub.session)
    assert bean_check(both) == ""
    assert "Equity:" not in both


def test_a_balance_that_moved_without_a_listed_payment_is_shown(year: Office, bean_check: Checked) -> None:
    invoice = next(one for one in year.erp.documents.values() if str(one["total"]) == "9996.07")
    invoice["balance"] -= Decimal("96.06")
    year.hub.billing.read_back()
    text = ledger(year.hub.session)
    assert bean_check(text) == ""
    assert summed(text, "Equity:Not-Itemised", "USD") == Decimal("96.06")
