"""Airflow DAGs `observe__<connection>`: learn what the ad server made of our records."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.assets import observed
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Observe

Reads the vendor's present state of the records the hub wrote: approved, delivering, paused by a trafficker, completed. A
change goes to the CRM at once.
"""


def build(connection: ClockedConnection) -> DAG:
    """The observation of one connection."""
    with flow_dag(
        Flow.OBSERVE,
        connection,
        title="Observe the ad server",
        doc=DOC,
        clock=timetable(Flow.OBSERVE, connection),
    ) as dag:

        @task(outlets=[observed(connection.name)])
        def observe(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                result = hub.observe(name)
            return skip_unless(result.changed, result)

        observe(connection.name)
    return dag


for one in connections_with(Flow.OBSERVE):
    globals()[one.dag_id(Flow.OBSERVE)] = build(one)
