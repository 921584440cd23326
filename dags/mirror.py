"""Airflow DAGs `mirror__<connection>`: show the CRM's user one true sentence about each order."""

from __future__ import annotations

from functools import reduce
from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.definitions.asset import BaseAsset

from dags.assets import CHANGES, DELIVERY, REPLAYED, observed, pushed
from dags.connections import ClockedConnection, Flow, clocked_connections, connections_with
from dags.flow import flow_dag, opened_hub, skip_unless
from dags.schedules import timetable

DOC = """
### Mirror

Writes the projection of each order (status sentence, delivery, next step) to the CRM when something changed at an ad
server, in the delivered numbers, or in what the CRM itself told. Nobody listens to the mirror, so the circle ends here.
"""


def sources() -> BaseAsset:
    """Whatever can change an order's projection: any one of them starts the mirror."""
    ad_servers = [one for one in clocked_connections() if Flow.PUSH in one.flows]
    told = [asset for one in ad_servers for asset in (pushed(one.name), observed(one.name))]
    return reduce(lambda some, more: some | more, [DELIVERY, REPLAYED, *told], CHANGES)


def build(connection: ClockedConnection) -> DAG:
    """The mirror of one connection."""
    with flow_dag(
        Flow.MIRROR,
        connection,
        title="Mirror to the CRM",
        doc=DOC,
        clock=timetable(Flow.MIRROR, connection),
        assets=sources(),
    ) as dag:

        @task
        def mirror(name: str) -> dict[str, Any]:
            with opened_hub() as hub:
                result = hub.push(name)
            return skip_unless(result.records or any(result.outcomes.values()), result)

        mirror(connection.name)
    return dag


for one in connections_with(Flow.MIRROR):
    globals()[one.dag_id(Flow.MIRROR)] = build(one)
