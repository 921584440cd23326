"""Airflow DAGs `billing_back__<connection>`: bring numbers, balances, payments and credits back from the ERP."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.assets import CHANGES
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Payments and credits back

Reads every billing document that changed at the ERP since the last time: its number, status and balance, what was paid, what was
reversed, which credit memo was set off. A total that is not ours, a document cancelled there, or more paid than was owed is told
in `problems`; nothing is changed at the ERP.
"""


def build(connection: ClockedConnection) -> DAG:
    """The way back from one ledger."""
    with flow_dag(
        Flow.BILLING_BACK,
        connection,
        title="Read payments and credits back",
        doc=DOC,
        clock=timetable(Flow.BILLING_BACK, connection),
    ) as dag:

        @task(outlets=[CHANGES])
        def read_back(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                back = hub.billing.read_back(connection=name)
            return skip_unless(back.changed, back)

        read_back(connection.name)
    return dag


for one in connections_with(Flow.BILLING_BACK):
    globals()[one.dag_id(Flow.BILLING_BACK)] = build(one)
