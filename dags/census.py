"""Airflow DAGs `census__<connection>`: once a week, count everything a vendor has and compare it with the hub."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from dags.assets import CHANGES
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable
from hub.errors import ConnectorStumbled

DOC = """
### Census

Reads every record once and finds what neither streams nor look-ups show: records that were deleted without a word, two live
ones with one mark, ours that nobody refers to, source records that were never read. Then compares each record that should
be at rest with what the vendor shows, and finds what somebody else edited. What can be put right is put right, the rest is
parked with a sentence. Where the connector fails over a record, the others are compared and the task fails. Runs on a quiet
day, because it reads everything.
"""


def build(connection: ClockedConnection) -> DAG:
    """The census of one connection."""
    with flow_dag(
        Flow.CENSUS,
        connection,
        title="Count everything",
        doc=DOC,
        clock=timetable(Flow.CENSUS, connection),
        longest=timedelta(hours=6),
    ) as dag:

        @task(outlets=[CHANGES])
        def census(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                counted = hub.census(name)
            found = counted.gone + counted.duplicates + counted.adopted + counted.vanished + counted.never_read
            return skip_unless(found or counted.unknown, counted)

        @task(outlets=[CHANGES], trigger_rule="none_failed")
        def drift(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                found = hub.drift(name)
            if found.defects:
                raise ConnectorStumbled(name, f"{len(found.defects)} records. {found.defects[0].sentence}")
            return skip_unless(found.items, found)

        counted: Any = census(connection.name)
        if connection.compares:
            counted >> drift(connection.name)
    return dag


for one in connections_with(Flow.CENSUS):
    globals()[one.dag_id(Flow.CENSUS)] = build(one)
