"""Airflow DAGs `settle__<connection>`: find out what became of writes in doubt, and send what has become due."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from dags.assets import pushed
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import counts, flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Settle

Looks up writes whose answer was lost: found ones are adopted, proven absent ones queued again, never sent twice. Then
sends the lanes whose waiting time is over (`not_before` in the store). Runs on a short clock because nobody tells when a
waiting time ends.
"""


def build(connection: ClockedConnection) -> DAG:
    """The settling of one connection."""
    with flow_dag(
        Flow.SETTLE,
        connection,
        title="Settle doubts and send what is due",
        doc=DOC,
        clock=timetable(Flow.SETTLE, connection),
    ) as dag:

        @task(outlets=[pushed(connection.name)])
        def settle(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                settled = hub.settle(name)
                sent = hub.push(name)
            changed = settled.adopted or settled.resent or sent.records or any(sent.outcomes.values())
            return {"settled": counts(settled), "pushed": skip_unless(changed, sent)}

        settle(connection.name)
    return dag


for one in connections_with(Flow.SETTLE):
    globals()[one.dag_id(Flow.SETTLE)] = build(one)
