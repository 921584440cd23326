"""The demo's bills: which months, what is compared with the ERP, and what is said where there is none."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from typer.testing import CliRunner

from cli.demo import billing
from cli.demo.billing import Billed, MonthsError, bill, busiest_months, differences, months_wanted, summed
from cli.demo.bills_shown import shown_otherwise
from cli.demo.configuration import configuration, write_configuration
from cli.demo.generated_book import generated_book
from cli.demo.machinery import Machinery
from cli.demo.order_book import OrderBook, parse_order_book
from cli.erp.installation import TrytonError
from cli.main import app
from connectors.tryton import TrytonSettings
from hub.billing.answers import BilledDocument, CloseSummary, CurrencySums
from oms_schema.ids import EntityKind, canonical_id

FIGURES = ("invoices", "credits", "sums", "mismatches", "second_close_documents", "billed_months", "billing_seconds")
NOBODY = cast(Machinery, None)
"""Machinery that must not be touched."""


def book(orders: int = 6) -> OrderBook:
    return parse_order_book(generated_book(orders), source="generated")


def document(document_id: str = "doc_1", **more: Any) -> BilledDocument:
    known: dict[str, Any] = {
        "document_id": document_id,
        "kind": "invoice",
        "order_id": "ord_1",
        "period": "2020-03",
        "state": "posted",
        "net": Decimal("12.50"),
        "currency": "EUR",
        "number": "INV-1",
        "balance": Decimal("12.50"),
        "issued_on": date(2020, 3, 31),
        "mismatch": "",
    }
    return BilledDocument(**{**known, **more})


def row(name: str = "doc_1", total: str = "12.50", currency: str = "EUR", state: str = "posted") -> Mapping[str, Any]:
    return {"reference": name, "total_amount": Decimal(total), "currency.": {"code": currency}, "state": state}


def month(label: str, *, new: int = 0, second: int = 0, **sums: CurrencySums) -> CloseSummary:
    return CloseSummary(
        period=label,
        complete=True,
        sentence="closed",
        invoices=2,
        credits=1,
        new_documents=new,
        second_close_documents=second,
        sums=sums,
        mismatches=[],
        waiting=[],
        statuses={},
        blocked={},
        review_hash="",
    )


# ---------------------------------------------------------------- which months
def test_a_number_all_or_none_says_how_many_months_are_closed() -> None:
    assert (months_wanted("3"), months_wanted("all"), months_wanted("none")) == (3, None, 0)
    for wrong in ("0", "-1", "some", "1.5", ""):
        with pytest.raises(MonthsError, match="neither a number of months"):
            months_wanted(wrong)
    told = CliRunner().invoke(app, ["demo", "--bill", "some"], env={"COLUMNS": "200"})
    assert told.exit_code == 2


def test_the_busiest_months_come_in_the_order_of_the_calendar() -> None:
    every = busiest_months(book(), None)
    assert every == sorted(set(every))
    (busiest,) = busiest_months(book(), 1)
    lines = {name: sum(runs_in(line, name) for line in book().lines) for name in every}
    assert lines[busiest] == max(lines.values())
    three = busiest_months(book(), 3)
    assert len(three) == 3
    assert busiest in three
    assert min(lines[name] for name in three) >= max(count for name, count in lines.items() if name not in three)


def runs_in(line: Any, name: str) -> bool:
    first = line.start.strftime("%Y-%m")
    last = (
        "9999-12"
        if line.flight_end is None
        else (line.flight_end - billing.timedelta(microseconds=1)).strftime("%Y-%m")
    )
    return bool(first <= name <= last)


# ---------------------------------------------------------------- what is compared
def test_documents_that_are_there_once_with_our_total_do_not_differ() -> None:
    ours = [document(), document("doc_2", kind="credit_memo", net=Decimal("2.00")), document("doc_3", state="proposed")]
    assert differences(ours, [row(), row("doc_2", "-2.00"), row("a stranger's")]) == []


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ([], "0 times"),
        ([row(), row()], "2 times"),
        ([row(total="12.51")], "12.51 EUR in the ERP, 12.50 EUR here"),
        ([row(currency="USD")], "12.50 USD in the ERP"),
        ([row(state="draft")], "is draft in the ERP"),
        ([row(state="cancelled")], "is cancelled"),
    ],
)
def test_what_is_absent_twice_or_other_in_the_erp_is_found(theirs: list[Mapping[str, Any]], said: str) -> None:
    (sentence,) = differences([document()], theirs)
    assert said in sentence


def test_a_credit_with_the_sign_of_an_invoice_is_found() -> None:
    assert differences([document(kind="credit_memo")], [row()])


def test_sums_of_months_are_added_by_currency_and_an_unknown_balance_stays_unknown() -> None:
    one = CurrencySums(Decimal("10.00"), Decimal("1.00"), Decimal("9.00"))
    sums = summed([month("2020-01", USD=one, EUR=one), month("2020-02", USD=replace(one, balance=None))])
    assert sums == {
        "EUR": {"invoiced": Decimal("10.00"), "credited": Decimal("1.00"), "balance": Decimal("9.00")},
        "USD": {"invoiced": Decimal("20.00"), "credited": Decimal("2.00"), "balance": None},
    }


def shown(opportunity: str = "006A", **more: Any) -> Mapping[str, Any]:
    known: dict[str, Any] = {
        "Id": opportunity,
        "CurrencyIsoCode": "EUR",
        "Hub_Invoice_Number__c": "INV-1",
        "Hub_Invoice_Status__c": "Open",
        "Hub_Invoiced__c": 12.5,
        "Hub_Credited__c": 0.0,
        "Hub_Invoice_Balance__c": 12.5,
    }
    return {**known, **more}


def of_order(opportunity: str = "006A", **more: Any) -> BilledDocument:
    return document(order_id=canonical_id(EntityKind.ORDER, "sfdc", opportunity), **more)


def test_bills_that_the_crm_shows_as_the_hub_holds_them_do_not_differ() -> None:
    credit = of_order(kind="credit_memo", net=Decimal("2.00"), balance=Decimal("2.00"), number="CRN-1")
    assert shown_otherwise([of_order()], [shown()]) == []
    assert shown_otherwise([of_order(), credit], [shown(Hub_Credited__c=2, Hub_Invoice_Balance__c=10.5)]) == []
    assert shown_otherwise([], []) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "the CRM shows none"),
        ([shown(), shown("006B")], "006B shows bills in the CRM, the hub has none"),
        ([shown(Hub_Invoiced__c=12.51)], "12.51/0.0/12.5 EUR in the CRM, 12.50/0/12.50 EUR here"),
        ([shown(Hub_Invoice_Balance__c=None)], "nothing EUR in the CRM"),
        ([shown(CurrencyIsoCode="USD")], "USD in the CRM"),
        ([shown(Hub_Invoice_Number__c="INV-2")], "names INV-2 in the CRM"),
        ([shown(Hub_Invoice_Status__c=None)], "INV-1"),
    ],
)
def test_bills_that_the_crm_lacks_or_shows_otherwise_are_found(rows: list[Mapping[str, Any]], said: str) -> None:
    (sentence,) = shown_otherwise([of_order()], rows)
    assert said in sentence


# ---------------------------------------------------------------- with and without an ERP
@pytest.mark.parametrize(("wanted", "said"), [(0, "--bill none"), (1, "make tryton")])
def test_without_an_erp_every_figure_is_null_and_the_reason_is_told(
    wanted: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(billing, "installed", lambda _: False)
    billed = bill(NOBODY, book(), tmp_path, wanted, lambda _: None)
    assert "not run" in billed.billing
    assert said in billed.billing
    assert billed.checks == []
    assert {name: billed.as_dict()[name] for name in FIGURES} == dict.fromkeys(FIGURES)


def test_an_erp_that_does_not_start_is_a_check_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TrytonError("It ended with 3.")

    monkeypatch.setattr(billing, "installed", lambda _: True)
    monkeypatch.setattr(billing, "start_ledger", broken)
    billed = bill(NOBODY, book(), tmp_path, 1, lambda _: None)
    assert [(check.held, check.detail) for check in billed.checks] == [(False, "It ended with 3.")]
    assert billed.invoices is None


class ScriptedBilling:
    """Closes what it is asked to; what a second close makes is the planted fault."""

    def __init__(self, second: int) -> None:
        self.closed: list[str] = []
        self.second = second

    def close(self, label: str, **_: object) -> CloseSummary:
        self.closed.append(label)
        return month(label, new=self.second if self.closed.count(label) > 1 else 3)

    def documents(self, label: str) -> list[BilledDocument]:
        return [of_order(document_id=f"doc_{label}")] if label in self.closed else []


@pytest.mark.parametrize(
    ("second", "wrong", "failing"),
    [
        (0, None, []),
        (0, "not shown", ["the CRM shows the bills that the hub holds"]),
        (1, None, ["a second close posts nothing"]),
        (0, "twice", ["every invoice is in the ERP once, with our total"]),
    ],
)
def test_months_are_closed_twice_and_compared_with_the_books(
    second: int, wrong: str | None, failing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = ScriptedBilling(second)
    months = busiest_months(book(), 2)
    there = [row(f"doc_{label}") for label in months] + ([row(f"doc_{months[0]}")] if wrong == "twice" else [])
    at_crm: list[Mapping[str, Any]] = []

    class Engine:
        def mirror(self) -> None:
            if wrong != "not shown":
                at_crm.append(shown(Hub_Invoiced__c=25, Hub_Invoice_Balance__c=25))

    class Crm:
        def query(self, _: str) -> list[Mapping[str, Any]]:
            return at_crm

    class Opened:
        billing = closing

        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None:
            return

    class People(Opened):
        def documents(self) -> list[Mapping[str, Any]]:
            return there

    monkeypatch.setattr(billing, "installed", lambda _: True)
    monkeypatch.setattr(billing, "start_ledger", lambda *_: SimpleNamespace(settings=lambda user: user))
    monkeypatch.setattr(billing.hub, "open_hub", lambda _: Opened())
    monkeypatch.setattr(billing, "Bookkeeper", lambda _: People())
    heard: list[str] = []
    machinery = cast(Machinery, SimpleNamespace(configuration=None, engine=Engine(), crm=Crm()))
    billed = bill(machinery, book(), tmp_path, 2, heard.append)
    assert closing.closed == [*months, *months]
    assert [check.name for check in billed.checks if not check.held] == failing
    assert (billed.invoices, billed.credits, billed.mismatches) == (4, 2, 1 if wrong == "twice" else 0)
    assert billed.second_close_documents == 2 * second
    assert billed.billed_months == months
    assert f"a second close posted {2 * second}" in billed.billing
    assert months[0] in heard[0]


def test_a_figure_that_is_shown_is_in_the_json_and_checks_are_not() -> None:
    assert set(Billed().as_dict()) == {*FIGURES, "billing"}


# ---------------------------------------------------------------- the ledger's connection
def test_the_ledger_joins_the_configuration_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "orderhub.yaml"
    write_configuration(path, configuration("http://127.0.0.1:1", "http://127.0.0.1:2", trafficker="7"))
    settings = {"url": "http://127.0.0.1:3", "database": "publisher", "user": "orderhub", "password": "the secret"}

    class Server:
        def __init__(self, folder: Path, **_: object) -> None:
            folder.mkdir()

        def start(self) -> None:
            return

        def settings(self, **more: object) -> TrytonSettings:
            return TrytonSettings.model_validate({**settings, **more})

    monkeypatch.setattr(billing, "TrytonServer", Server)
    billing.start_ledger(cast(Machinery, SimpleNamespace(configuration=path)), tmp_path)
    connections = yaml.safe_load(path.read_text("utf-8"))["connections"]
    assert list(connections) == ["sfdc", "gam-main", "erp"]
    assert "the secret" not in path.read_text("utf-8")
    kept = tmp_path / "tryton" / "password"
    assert connections["erp"]["settings"]["password"] == f"file:{kept}"
    assert kept.read_text("utf-8") == "the secret"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
