"""Airflow DAGs `reports__<connection>`: load the delivery reports of measurement companies and buyers, as files or as pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.assets import DELIVERY
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import flow_dag, opened_hub, patient
from dags.schedules import timetable

if TYPE_CHECKING:
    from hub.delivery.answers import ReportSummary

DOC = """
### Reports

Loads what a source of delivery hands over: every new file of its folder, the oldest first, or its pages over the look-back
(`report.look_back_days`). Each report is loaded whole or not at all. An unchanged day writes nothing, a restated one becomes a
new version. A file that is refused or held is set aside where it lies, the others are loaded, and the run fails with its
sentence as long as it stands there (`orderhub delivery aside`); the other sources go on.
"""

LONGEST_WAIT = timedelta(hours=6)
"""How long a run waits for an API that says later; the next run asks again."""

PARAMS = {
    "since": Param(
        None, type=["null", "string"], format="date", description="First day of a fetch, in the source's zone"
    ),
    "until": Param(None, type=["null", "string"], format="date", description="Last day of a fetch, included"),
}


def build(connection: ClockedConnection) -> DAG:
    """The reports of one source."""
    with flow_dag(
        Flow.REPORTS,
        connection,
        title="Load delivery reports",
        doc=DOC,
        clock=timetable(Flow.REPORTS, connection),
        params=PARAMS,
        longest=timedelta(hours=4),
    ) as dag:
        if connection.drops:

            @task(outlets=[DELIVERY])
            def load_files(name: str) -> dict[str, Any]:
                with opened_hub() as hub:
                    return in_sum(hub.load_dropped_reports(name))

            @task(trigger_rule="none_failed")
            def none_set_aside(name: str) -> None:
                """On its own, so that the news of the files that were loaded reaches the mirror."""
                with opened_hub() as hub:
                    waiting = hub.files_set_aside(name)
                if waiting:
                    raise AirflowFailException(" ".join(f"{one.report}: {one.sentence}" for one in waiting))

            load_files(connection.name) >> none_set_aside(connection.name)
        if connection.fetches:

            @task(outlets=[DELIVERY])
            def fetch(name: str, **context: Any) -> dict[str, Any]:
                asked = context["params"]
                days = {which: date.fromisoformat(asked[which]) for which in ("since", "until") if asked.get(which)}
                with patient(context, LONGEST_WAIT), opened_hub() as hub:
                    return in_sum([hub.fetch_report(name, days.get("since"), days.get("until"))])

            fetch(connection.name)
    return dag


def in_sum(reports: Sequence[ReportSummary]) -> dict[str, Any]:
    """What some reports changed, added up. Raises AirflowSkipException when they changed nothing."""
    counted = ("rows", "days_changed", "facts_new", "facts_restated", "quarantined", "final_restated")
    sums: dict[str, Any] = {name: sum(getattr(one, name) for one in reports) for name in counted}
    if not (sums["days_changed"] or sums["facts_new"] or sums["facts_restated"]):
        raise AirflowSkipException(f"Nothing changed in {len(reports)} reports.")
    return {"reports": [one.report for one in reports], **sums}


for one in connections_with(Flow.REPORTS):
    globals()[one.dag_id(Flow.REPORTS)] = build(one)
