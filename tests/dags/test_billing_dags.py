"""The close of a month in Airflow: a person between calculation and posting; what waits fails the run with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hub
from hub.billing.answers import (
    BillingApproval,
    CloseSummary,
    CurrencySums,
    PreparedSummary,
    ReadBackSummary,
    Review,
    ReviewedPeriod,
)

CONFIGURATION = """
store: {url: "postgresql://nobody@/nowhere?host=/nonexistent"}
connections:
  erp:
    connector: tryton
    settings: {url: "https://erp.example", database: acme, user: orderhub, password: "env:ORDERHUB_TEST_SECRET"}
  gam-main:
    connector: gam
    settings: {network_code: "123", access_token: "env:ORDERHUB_TEST_SECRET"}
"""


class ScriptedBilling:
    """Billing that answers from what a test sets, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.review_hash = ""
        self.complete = True
        self.changed = 1

    def last_month(self) -> str:
        return "2026-02"

    def prepare(self, period: str, *, by: str) -> PreparedSummary:
        self.asked.append(("prepare", period, by))
        return PreparedSummary(period, by, review_hash=self.review_hash)

    def review(self, period: str) -> Review:
        line = ReviewedPeriod("lin_a", "Home", "ord_a", 5, *(2 * (ten(),)), "USD", [], "Airflow")
        return Review(period, self.review_hash, [line] if self.review_hash else [], [], {"USD": ten()})

    def approve(self, period: str, review_hash: str, *, by: str) -> BillingApproval:
        self.asked.append(("approve", period, review_hash, by))
        return BillingApproval(period, review_hash, by, 1, 0)

    def close(self, period: str, *, prepared_by: str, connection: str) -> CloseSummary:
        self.asked.append(("close", period, prepared_by, connection))
        sentence = (
            "2026-02 is closed." if self.complete else "2026-02 is not closed. Somebody other than Airflow approves."
        )
        sums = {"USD": CurrencySums(ten(), ten(), None)}
        return CloseSummary(period, self.complete, sentence, 3, 1, 2, 0, sums, [], [], {}, {}, "")

    def read_back(self, *, connection: str) -> ReadBackSummary:
        self.asked.append(("read_back", connection))
        return ReadBackSummary(connection, seen=1, changed=self.changed)


def ten() -> Any:
    from decimal import Decimal

    return Decimal("10.00")


class ScriptedHub:
    def __init__(self, billing: ScriptedBilling) -> None:
        self.billing = billing

    def __enter__(self) -> ScriptedHub:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configuration") / "orderhub.yaml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return path


@pytest.fixture
def billing(monkeypatch: pytest.MonkeyPatch, ledger_file: Path) -> ScriptedBilling:
    scripted = ScriptedBilling()
    monkeypatch.setenv("ORDERHUB_CONFIG", str(ledger_file))
    monkeypatch.setattr(hub, "open_hub", lambda: ScriptedHub(scripted))
    return scripted


@pytest.fixture(scope="module")
def dags(ledger_file: Path) -> Any:
    """Every DAG of a configuration with a ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERHUB_CONFIG", str(ledger_file))
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(Path(__file__).parents[2] / "dags"))
    assert bag.import_errors == {}
    return bag.dags


def ran(dag: Any, **conf: Any) -> tuple[str, dict[str, str]]:
    run = dag.test(run_conf=conf)
    return str(run.state), {str(one.task_id): str(one.state) for one in run.get_task_instances()}


def test_a_ledger_has_a_close_and_a_way_back_and_an_ad_server_has_neither(dags: Any) -> None:
    assert {"billing_close__erp", "billing_back__erp", "push__erp", "settle__erp"} <= set(dags)
    assert not {"billing_close__gam-main", "billing_back__gam-main"} & set(dags)


def test_a_person_stands_between_the_figures_and_the_posting(dags: Any) -> None:
    dag = dags["billing_close__erp"]
    approve = dag.get_task("approve")
    assert approve.task_type == "ApprovalOperator"
    assert approve.downstream_task_ids == {"record_approval"}
    assert dag.get_task("record_approval").downstream_task_ids == {"close"}
    assert approve.execution_timeout is None, "a person may take longer than a worker"
    assert approve.response_timeout is not None
    assert "review_hash" in approve.body


def test_with_nothing_to_approve_nobody_is_asked_and_what_was_approved_goes_out(
    dags: Any, airflow_database: None, billing: ScriptedBilling
) -> None:
    state, tasks = ran(dags["billing_close__erp"])
    assert (state, tasks["approve"], tasks["record_approval"], tasks["close"]) == (
        "success",
        "skipped",
        "skipped",
        "success",
    )
    assert billing.asked == [("prepare", "2026-02", "Airflow"), ("close", "2026-02", "Airflow", "erp")]


def test_a_month_that_waits_for_somebody_fails_with_the_sentence(
    dags: Any, airflow_database: None, billing: ScriptedBilling
) -> None:
    billing.complete = False
    state, tasks = ran(dags["billing_close__erp"])
    assert (state, tasks["close"]) == ("failed", "failed")


def answered(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """Grace answers as soon as she is asked: what the operator does then is its own."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    answer = {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
        "responded_by_user": {"id": "7", "name": "Grace"},
    }
    monkeypatch.setattr(ApprovalOperator, "execute", lambda self, context: self.execute_complete(context, answer))


def test_an_approved_month_is_closed_under_the_name_of_whoever_answered(
    dags: Any, airflow_database: None, billing: ScriptedBilling, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(monkeypatch, "Approve")
    billing.review_hash = "ab12"
    state, tasks = ran(dags["billing_close__erp"])
    assert (state, set(tasks.values())) == ("success", {"success"})
    assert [each[0] for each in billing.asked] == ["prepare", "approve", "close"]
    assert billing.asked[1] == ("approve", "2026-02", "ab12", "Grace")


def test_a_rejected_month_stays_in_review_and_the_run_fails_with_the_sentence_that_says_so(
    dags: Any,
    airflow_database: None,
    billing: ScriptedBilling,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answered(monkeypatch, "Reject")
    billing.review_hash, billing.complete = "ab12", False
    state, tasks = ran(dags["billing_close__erp"])
    assert (state, tasks["approve"], tasks["record_approval"], tasks["close"]) == (
        "failed",
        "success",
        "skipped",
        "failed",
    )
    assert [each[0] for each in billing.asked] == ["prepare", "close"], "nobody approved"
    shown = capsys.readouterr()
    assert "2026-02 is not closed. Somebody other than Airflow approves." in shown.out + shown.err


def test_the_approval_carries_the_name_of_whoever_answered_and_the_hash_that_was_shown(
    dags: Any, billing: ScriptedBilling
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    record = dags["billing_close__erp"].get_task("record_approval").python_callable
    prepared = {"period": "2026-02", "review_hash": "ab12"}
    record(prepared, {"chosen_options": ["Approve"], "responded_by_user": {"id": "7", "name": "Grace"}})
    assert billing.asked == [("approve", "2026-02", "ab12", "Grace")]
    for nobody in ({}, {"responded_by_user": None}, {"responded_by_user": {"id": "", "name": " "}}):
        with pytest.raises(AirflowFailException, match="does not say who approved"):
            record(prepared, nobody)
    assert len(billing.asked) == 1


def test_the_month_may_be_named(dags: Any, billing: ScriptedBilling) -> None:
    billing.review_hash = "ab12"
    prepare = dags["billing_close__erp"].get_task("prepare").python_callable
    told = prepare(params={"period": "2025-12"})
    assert billing.asked == [("prepare", "2025-12", "Airflow")]
    assert (told["review_hash"], told["line_periods"], told["sums"]) == ("ab12", 1, "10.00 USD")


def test_payments_that_came_back_are_told_and_none_is_no_news(
    dags: Any, airflow_database: None, billing: ScriptedBilling
) -> None:
    assert ran(dags["billing_back__erp"]) == ("success", {"read_back": "success"})
    billing.changed = 0
    assert ran(dags["billing_back__erp"])[1] == {"read_back": "skipped"}
    assert billing.asked == [("read_back", "erp")] * 2
