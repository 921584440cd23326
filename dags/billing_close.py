"""Airflow DAGs `billing_close__<connection>`: calculate the month, wait for a person, then lock, export, post and read back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException

from dags.assets import CHANGES
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import counts, flow_dag, opened_hub
from dags.schedules import timetable

DOC = """
### Close the month

Calculates every line-period of the month and proposes corrections of what was restated since it was billed. Then it waits for
a person, without a worker: *Approve* lets exactly the figures go that were calculated (`orderhub bill review` shows them), under
the name of whoever answered; *Reject* leaves them in review. At last what is approved is locked, exported with control totals,
posted once and read back. The run fails with a sentence while anything of the month still waits for somebody; run again, it goes
on. Approving with `orderhub bill approve` is the same: the next run posts it.
"""

PREPARER = "Airflow"
"""Who prepares here. It is nobody's name, so that whoever answers is somebody else."""

LONGEST_ANSWER = timedelta(days=28)
"""After that the next month's run takes up the figures."""

PARAMS = {
    "period": Param(
        None,
        type=["null", "string"],
        pattern=r"^\d{4}-\d{2}$",
        description="The billing month, YYYY-MM; by default the one before this month, in business time",
    ),
}

_OF = "{{ ti.xcom_pull(task_ids='prepare')['%s'] }}"


def build(connection: ClockedConnection) -> DAG:
    """The close of one ledger."""
    with flow_dag(
        Flow.BILLING_CLOSE,
        connection,
        title="Close the month",
        doc=DOC,
        clock=timetable(Flow.BILLING_CLOSE, connection),
        params=PARAMS,
        longest=timedelta(hours=6),
    ) as dag:

        @task
        def prepare(**context: Any) -> dict[str, Any]:
            with opened_hub() as hub:
                period = context["params"].get("period") or hub.billing.last_month()
                prepared = hub.billing.prepare(period, by=PREPARER)
                review = hub.billing.review(period)
            return {
                "period": prepared.period,
                "review_hash": prepared.review_hash,
                "line_periods": len(review.line_periods),
                "corrections": len(review.documents),
                "sums": ", ".join(f"{value:,} {currency}" for currency, value in review.sums.items()) or "nothing",
                "blocked": len(prepared.blocked),
            }

        @task.short_circuit(ignore_downstream_trigger_rules=False)
        def anything_to_approve(prepared: Mapping[str, Any]) -> bool:
            return bool(prepared["review_hash"])

        approve = ApprovalOperator(
            task_id="approve",
            subject=f"Invoices of {_OF % 'period'} through {connection.name}",
            body=f"**{_OF % 'line_periods'}** line-periods over {_OF % 'sums'} net, **{_OF % 'corrections'}** corrections; "
            f"{_OF % 'blocked'} line-periods are blocked and stay out. Figures: "
            f"`orderhub bill review --period {_OF % 'period'}`. Review {_OF % 'review_hash'}.",
            response_timeout=LONGEST_ANSWER,
            execution_timeout=None,
        )

        @task
        def record_approval(prepared: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
            with opened_hub() as hub:
                approved = hub.billing.approve(prepared["period"], prepared["review_hash"], by=answered_by(answer))
            return counts(approved)

        @task(outlets=[CHANGES], trigger_rule="none_failed")
        def close(name: str, prepared: Mapping[str, Any]) -> dict[str, Any]:
            with opened_hub() as hub:
                closed = hub.billing.close(prepared["period"], prepared_by=PREPARER, connection=name)
            if not closed.complete:
                raise AirflowFailException(closed.sentence)
            return {
                "invoices": closed.invoices,
                "credits": closed.credits,
                "new_documents": closed.new_documents,
                "second_close_documents": closed.second_close_documents,
            }

        prepared: Any = prepare()
        recorded: Any = record_approval(prepared, approve.output)
        anything_to_approve(prepared) >> approve
        recorded >> close(connection.name, prepared)
    return dag


def answered_by(answer: Mapping[str, Any]) -> str:
    """The person who answered. Raises AirflowFailException when Airflow names nobody: an approval needs a name."""
    user = answer.get("responded_by_user") or {}
    name = str(user.get("name") or user.get("id") or "").strip()
    if not name:
        raise AirflowFailException(
            "Airflow does not say who approved. Nothing was approved. Approve with `orderhub bill approve`, then run it again."
        )
    return name


for one in connections_with(Flow.BILLING_CLOSE):
    globals()[one.dag_id(Flow.BILLING_CLOSE)] = build(one)
