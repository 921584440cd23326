"""The FX reports: the worked example to the cent, credits at the invoice's rate, and no sum over what has no rate."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

import hub
from cli.main import app
from hub.errors import Refused
from hub.reports.fx import fx, read_rates
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office

RATES = "currency,day,rate\nEUR,2026-01-01,1.0800\nEUR,2026-02-28,1.0950\nJPY,2026-01-01,0.0065\n"


@pytest.fixture
def rates(tmp_path: Path) -> Callable[..., Path]:
    def written(text: str = RATES) -> Path:
        path = tmp_path / "rates.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def booked(office: Office, name: str, day: str, **more: Any) -> str:
    """An order that its source first told as a draft, on that day as booked."""
    later = office.clock.time
    office.clock.time = datetime(2026, 1, 2, tzinfo=UTC)
    order = office.order(name, status=CommercialStatus.DRAFT, **more)
    office.clock.time = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    office.order(name, **more)
    office.clock.time = later
    return order


def rows(office: Office, name: str, path: Path, into: str = "USD") -> list[dict[str, Any]]:
    return [dict(one) for one in fx(office.hub.session, name, read_rates(path, into))]


def test_the_variance_between_booking_and_invoice_is_that_of_the_worked_example(
    office: Office, rates: Callable[..., Path]
) -> None:
    euro = office.line(booked(office, "E", "2026-01-20", currency="EUR"), rate="10", currency="EUR")
    yen = office.line(booked(office, "J", "2026-01-20", currency="JPY"), rate="450", currency="JPY")
    dollar = office.line(booked(office, "D", "2026-01-20"))
    office.report({euro: {"10": 1_000_000}, yen: {"10": 987_654}, dollar: {"10": 1_000_000}})
    office.close()
    by = {one["currency"]: one for one in rows(office, "fx", rates())}
    eur = by["EUR"]
    assert (eur["net"], eur["at_booking"], eur["at_invoice"], eur["variance"]) == tuple(
        map(Decimal, ("10000.00", "10800.00", "10950.00", "150.00"))
    )
    assert (by["JPY"]["net"], by["JPY"]["at_invoice"]) == (Decimal("444444"), Decimal("2888.89"))
    assert (by["USD"]["net"], by["USD"]["at_invoice"], by["USD"]["variance"]) == tuple(map(Decimal, (12000, 12000, 0)))
    (one,) = [each for each in rows(office, "fx-documents", rates()) if each["currency"] == "EUR"]
    assert (one["booked_on"], one["invoiced_on"]) == (date(2026, 1, 20), date(2026, 2, 28))
    assert (one["booked_rate"], one["invoice_rate"], one["reason"]) == ("1.0800", "1.0950", "")


def test_a_credit_memo_keeps_the_rates_of_its_invoice_and_nets_exactly(
    office: Office, rates: Callable[..., Path]
) -> None:
    line = office.line(booked(office, "E", "2026-01-20", currency="EUR"), rate="10", currency="EUR")
    office.delivered(line, 1_000_000)
    office.close()
    office.hub.billing.close_accounts("2026-02", by="Fin")
    office.delivered(line, 0)
    office.hub.billing.enter(line, "2026-02", "override", quantity=0, reason="never ran", by="Ada")
    office.hub.billing.confirm(1, by="Grace")
    office.close()
    path = rates(RATES + "EUR,2026-03-01,1.2000\n")
    memo = next(one for one in rows(office, "fx-documents", path) if one["kind"] == "credit_memo")
    assert (memo["net"], memo["invoiced_on"], memo["variance"]) == (
        Decimal("-10000.00"),
        date(2026, 2, 28),
        Decimal("-150.00"),
    )
    (summed,) = rows(office, "fx", path)
    assert (summed["net"], summed["at_booking"], summed["at_invoice"], summed["variance"]) == (Decimal(0),) * 4
    assert summed["documents"] == 2


def test_what_has_no_rate_is_told_and_in_no_sum(office: Office, rates: Callable[..., Path]) -> None:
    early = office.line(booked(office, "E", "2026-01-20", currency="EUR"), rate="10", currency="EUR")
    late = office.line(booked(office, "F", "2026-02-20", currency="EUR"), rate="10", currency="EUR")
    office.report({early: {"10": 1_000_000}, late: {"10": 500_000}})
    office.close()
    path = rates("currency,day,rate\nEUR,2026-02-01,1.1\n")
    (summed,) = rows(office, "fx", path)
    assert (summed["documents"], summed["without_rate"], summed["net"]) == (2, 1, Decimal("5000.00"))
    told = {one["order_name"]: one["reason"] for one in rows(office, "fx-documents", path)}
    assert told == {"E": "The file has no rate of EUR on or before 2026-01-20.", "F": ""}


@pytest.mark.parametrize(
    ("text", "into", "why"),
    [
        ("currency,rate\nEUR,1\n", "USD", "no columns"),
        ("currency,day,rate\nEUR,2026-02-30,1\n", "USD", "line 2 has no day"),
        ("currency,day,rate\nEUR,2026-02-01,1,1\n", "USD", None),
        ('currency,day,rate\nEUR,2026-02-01,"1,1"\n', "USD", "line 2 has no day written YYYY-MM-DD, or no rate"),
        ("currency,day,rate\nEUR,2026-02-01,0\n", "USD", "a rate that is not above 0"),
        ("currency,day,rate\nEUR,2026-02-01,NaN\n", "USD", "a rate that is not above 0"),
        ("currency,day,rate\nEURO,2026-02-01,1\n", "USD", "no currency in use"),
        ("currency,day,rate\nEUR,2026-02-01,1\nEUR,2026-02-01,2\n", "USD", "line 3 gives EUR a second rate"),
        ("currency,day,rate\nUSD,2026-02-01,2\n", "USD", "into itself"),
        (RATES, "usd", "is no currency in use"),
    ],
)
def test_a_file_of_rates_that_contradicts_itself_reports_nothing(
    rates: Callable[..., Path], text: str, into: str, why: str | None
) -> None:
    with pytest.raises(Refused, match=why or "more cells than columns"):
        read_rates(rates(text), into)


def test_the_command_gives_the_same_figures_and_says_what_it_needs(
    office: Office, rates: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = office.line(booked(office, "E", "2026-01-20", currency="EUR"), rate="10", currency="EUR")
    office.delivered(line, 1_000_000)
    office.close()
    monkeypatch.setattr(hub, "open_hub", lambda _: office.second_worker())

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["report", *words], env={"COLUMNS": "300"})

    told = run("fx", "--period", "2026-02", "--rates", str(rates()), "--into", "USD", "--json")
    assert told.exit_code == 0, told.output
    (row,) = json.loads(told.stdout)["rows"]
    assert (row["at_invoice"], row["variance"]) == ("10950.00", "150.00")
    shown = run("fx-documents", "--rates", str(rates()), "--into", "USD", "--format", "csv")
    assert "150.00" in shown.stdout
    assert (
        json.loads(run("fx", "--period", "2026-01", "--rates", str(rates()), "--into", "USD", "--json").stdout)["rows"]
        == []
    )
    assert "Give --rates FILE and --into CURRENCY" in run("fx", "--into", "USD").output
    assert "takes no rates of exchange" in run("summary", "--into", "USD").output
