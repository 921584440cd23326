"""The billing verbs of the command line: what they show, their last line of JSON, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

import hub
from cli.main import app
from oms_schema.billing_terms import BillingSource

if TYPE_CHECKING:
    from conftest import Office

Orderhub = Callable[..., Result]


@pytest.fixture
def orderhub(office: Office, monkeypatch: pytest.MonkeyPatch) -> Orderhub:
    """The command line on the office's hub; each call is a worker of its own."""
    monkeypatch.setattr(hub, "open_hub", lambda _: office.second_worker())

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})

    return run


def told(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    return answer


def words(result: Result) -> str:
    return " ".join(result.output.split())


def test_a_close_reports_what_it_did_and_a_second_one_does_nothing(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    names = ("--prepared-by", "Ada", "--approved-by", "Grace")
    first = orderhub("bill", "close", "--period", "2026-02", *names, "--json")
    assert first.exit_code == 0, first.output
    answer = told(first)
    assert {name: answer[name] for name in ("invoices", "credits", "mismatches", "second_close_documents")} == {
        "invoices": 1,
        "credits": 0,
        "mismatches": 0,
        "second_close_documents": 0,
    }
    assert answer["sums"] == {"USD": {"invoiced": "11801.47", "credited": "0.00", "balance": "11801.47"}}
    assert answer["differences"] == []
    second = orderhub("bill", "close", "--period", "2026-02", *names)
    assert "1 invoices, 0 credit memos; 0 of this run, 0 of a second close; 0 differ" in words(second)


def test_a_document_that_differs_at_the_erp_is_counted_and_told(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.erp.cents_off = Decimal("0.01")
    closed = orderhub(
        "bill", "close", "--period", "2026-02", "--prepared-by", "Ada", "--approved-by", "Grace", "--json"
    )
    assert closed.exit_code == 1
    answer = told(closed)
    assert answer["mismatches"] == 1
    assert "11801.48 USD" in answer["differences"][0]


def test_the_way_by_hand_is_review_approve_export_post_and_read_back(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    stopped = orderhub("bill", "close", "--period", "2026-02", "--prepared-by", "Ada")
    assert stopped.exit_code == 1
    assert "Somebody other than Ada" in words(stopped)
    seen = told(orderhub("bill", "review", "--period", "2026-02", "--json"))
    assert seen["sums"] == {"USD": "11801.47"}
    assert "Home page" in words(orderhub("bill", "review", "--period", "2026-02"))
    assert [one["payer"] for one in seen["line_periods"]] == ["Acme Inc"]
    assert "Acme Inc" in words(orderhub("bill", "review", "--period", "2026-02"))
    own = orderhub("bill", "approve", seen["review_hash"], "--period", "2026-02", "--by", "Ada")
    assert (own.exit_code, "Somebody else approves" in words(own)) == (1, True)
    assert orderhub("bill", "approve", "0" * 32, "--period", "2026-02", "--by", "Grace").exit_code == 5
    assert orderhub("bill", "approve", seen["review_hash"], "--period", "2026-02", "--by", "Grace").exit_code == 0
    exported = orderhub("bill", "export", "--period", "2026-02", "--by", "Grace")
    assert "1 invoices and 0 credit memos of 1 line-periods, control" in words(exported)
    assert "1 handed over, 1 posted in all, 0 wait." in words(orderhub("bill", "post"))
    assert "1 documents seen, 1 changed" in words(orderhub("bill", "read-back"))
    listed = words(orderhub("bill", "documents", "--period", "2026-02"))
    assert "INV-0001" in listed
    assert "11,801.47 USD" in listed


def test_questions_are_answered_in_words(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_043_210)
    office.close()
    shown = words(orderhub("why", "ext-Home page", "2026-02"))
    assert "1,000,000 of 1,043,210 units are billable" in shown
    assert "It was billed with 12000.00 USD on INV-0001" in shown
    replayed = orderhub("bill", "replay", "INV-0001")
    assert (replayed.exit_code, "the same to the byte" in words(replayed)) == (0, True)
    other = words(orderhub("bill", "what-if", "--period", "2026-02", "--cap", "no_cap"))
    assert "12,518.52 +518.52" in other
    assert "Nothing was written" in other
    assert orderhub("bill", "what-if", "--period", "2026-02", "--tolerance", "many").exit_code == 2
    assert orderhub("bill", "replay", "INV-0099").exit_code == 4


def test_people_enter_and_others_confirm(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order(source=BillingSource.THIRD_PARTY))
    office.delivered(line, 1_000_000)
    office.delivered(line, 860_000, source="moat")
    prepared = orderhub("bill", "prepare", "--period", "2026-02", "--by", "Ada")
    assert (prepared.exit_code, "VARIANCE" in words(prepared)) == (1, True)
    settled = ("--outcome", "controlling_plus_uplift", "--reason", "terms 3.0", "--by", "Ada")
    entered = told(orderhub("bill", "enter", "settlement", line, "2026-02", *settled, "--json"))
    assert orderhub("bill", "confirm", str(entered["number"]), "--by", "Ada").exit_code == 1
    assert orderhub("bill", "confirm", str(entered["number"]), "--by", "Grace").exit_code == 0
    assert orderhub("bill", "prepare", "--period", "2026-02", "--by", "Ada").exit_code == 0
    objected = orderhub("bill", "dispute", line, "2026-02", "--reason", "late", "--by", "Joan")
    assert objected.exit_code == 0, objected.output
    assert orderhub("bill", "resolve", line, "2026-02", "--reason", "fine", "--by", "Joan").exit_code == 0
    assert office.close().sums["USD"].invoiced == 11352
    assert orderhub("bill", "close-accounts", "--period", "2026-02", "--by", "Fin").exit_code == 0
    assert "closed already" in words(orderhub("bill", "close-accounts", "--period", "2026-02", "--by", "Fin"))
    for kind in ("override", "manual-count"):
        given = ("--quantity", "5", "--reason", "r", "--by", "Ada")
        assert orderhub("bill", "enter", kind, line, "2026-02", *given).exit_code == 0


def test_a_refused_document_is_taken_back_by_two_people(office: Office, orderhub: Orderhub) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.erp.refuse("UserError", "The period of 2026-02-28 is closed.", "period_closed")
    office.close()
    entry = ("bill", "enter", "withdrawal", "--closed", "2026-02", "--reason", "February is closed", "--by", "Ada")
    entered = orderhub(*entry)
    assert entered.exit_code == 0, entered.output
    assert "somebody other than Ada" in words(entered)
    assert orderhub(*entry[:3], "--reason", "closed", "--by", "Ada").exit_code == 1
    confirmed = orderhub("bill", "confirm", "1", "--by", "Grace")
    assert "1 documents are withdrawn" in words(confirmed)
    assert office.status(line) == "locked"


def test_a_close_that_is_blocked_is_one_json_object_that_counts_by_code(office: Office, orderhub: Orderhub) -> None:
    office.line(office.order())
    closed = orderhub("bill", "close", "--period", "2026-02", "--prepared-by", "Ada", "--json")
    assert closed.exit_code == 1, closed.output
    assert told(closed)["blocked"] == {"NO-REPORT": 1}


def test_documents_show_number_and_id_whole_on_80_columns(
    office: Office, orderhub: Orderhub, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    assert orderhub("bill", "close", "--period", "2026-02", "--prepared-by", "A", "--approved-by", "B").exit_code == 0
    (document,) = told(orderhub("bill", "documents", "--period", "2026-02", "--json"))["documents"]
    shown = CliRunner().invoke(app, ["bill", "documents", "--period", "2026-02"], env={"COLUMNS": "80"}).stdout
    assert "…" not in shown
    for whole in (document["number"], document["document_id"], "11,801.47 USD"):
        assert any(whole in row for row in shown.splitlines())
