"""Airflow DAGs `check__<connection>`: try each connection every hour and fail with a sentence when it cannot be used."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import counts, flow_dag, opened_hub
from dags.schedules import timetable

DOC = """
### Check

Logs in, compares the fields and rights that the mappings use with what the account offers, and writes nothing. A failed
run says what is wrong, what it stops, and who puts it right.
"""


def build(connection: ClockedConnection) -> DAG:
    """The check of one connection."""
    with flow_dag(
        Flow.CHECK, connection, title="Check the connection", doc=DOC, clock=timetable(Flow.CHECK, connection)
    ) as dag:

        @task
        def check(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                result = hub.check(name)
            if not result.usable:
                wrong = [sentence for severity, _subject, sentence in result.findings if severity == "error"]
                raise AirflowFailException(" ".join(wrong) or f"Connection {name} cannot be used.")
            return counts(result)

        check(connection.name)
    return dag


for one in connections_with(Flow.CHECK):
    globals()[one.dag_id(Flow.CHECK)] = build(one)
