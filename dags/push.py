"""Airflow DAGs `push__<connection>`: write to an ad server what its lanes want, as soon as something was accepted."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.assets import CHANGES, REPLAYED, pushed
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Push

Claims the lanes that are due, sends them in batches and records each outcome. Started by accepted changes and by parked
work that a person put back; retries that become due later and writes in doubt belong to `settle`.
"""


def build(connection: ClockedConnection) -> DAG:
    """The push of one connection."""
    with flow_dag(
        Flow.PUSH,
        connection,
        title="Push to the ad server",
        doc=DOC,
        clock=timetable(Flow.PUSH, connection),
        assets=CHANGES | REPLAYED,
    ) as dag:

        @task(outlets=[pushed(connection.name)])
        def push(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                result = hub.push(name)
            return skip_unless(result.records or any(result.outcomes.values()), result)

        push(connection.name)
    return dag


for one in connections_with(Flow.PUSH):
    globals()[one.dag_id(Flow.PUSH)] = build(one)
