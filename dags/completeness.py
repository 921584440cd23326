"""Airflow DAGs `completeness__<connection>`: look once a day whether every expected day of a source has arrived whole."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import counts, flow_dag, opened_hub
from dags.schedules import timetable

DOC = """
### Completeness

Compares what has arrived with what is expected: every day of the look-back on which a line of the source ran, once it is
`delivery_late_after_hours` old. A run with a missing day fails with a sentence that names the days and who does what. Lines
that ran and that the source never named are listed in the task's result and its log; they fail nothing, for a line may have
served nothing. Reads only the store, so that a vendor who is away hides no gap. The same as `orderhub delivery complete`.
"""

_log = logging.getLogger(__name__)


def build(connection: ClockedConnection) -> DAG:
    """The look at one source."""
    with flow_dag(
        Flow.COMPLETENESS,
        connection,
        title="Look what delivery is missing",
        doc=DOC,
        clock=timetable(Flow.COMPLETENESS, connection),
    ) as dag:

        @task(multiple_outputs=False)
        def look(name: str, **context: Any) -> dict[str, Any]:
            with opened_hub() as hub:
                (found,) = hub.completeness(name)
            said = counts(found)
            if not found.complete:
                _log.error(found.sentence)
                context["ti"].xcom_push(key="return_value", value=said)  # a task that fails returns nothing
                raise AirflowFailException(found.sentence)
            (_log.warning if found.lines_silent else _log.info)(found.sentence)
            return said

        look(connection.name)
    return dag


for one in connections_with(Flow.COMPLETENESS):
    globals()[one.dag_id(Flow.COMPLETENESS)] = build(one)
