"""Airflow DAGs `intake__<connection>`: read what changed at a source and accept it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from dags.assets import CHANGES
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Intake

Reads every stream of the source from its cursor to the present and accepts what is new: a new version, a superseded one,
or a refusal with a reason. What was accepted or refused starts the pushes and the mirror at once.
"""


def build(connection: ClockedConnection) -> DAG:
    """The intake of one connection."""
    with flow_dag(
        Flow.INTAKE,
        connection,
        title="Read changes",
        doc=DOC,
        clock=timetable(Flow.INTAKE, connection),
        longest=timedelta(hours=4),  # the first reading of an old CRM takes this long
    ) as dag:

        @task(outlets=[CHANGES])
        def read_changes(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                result = hub.intake(name)
            return skip_unless(result.accepted or result.rejected or result.lanes_touched, result)

        read_changes(connection.name)
    return dag


for one in connections_with(Flow.INTAKE):
    globals()[one.dag_id(Flow.INTAKE)] = build(one)
