"""Airflow DAGs `delivery__<connection>`: ask for a report of delivered units, wait without a worker, load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.assets import DELIVERY
from dags.connections import ClockedConnection, Flow, connections_with
from dags.flow import counts, flow_dag, opened_hub, patient, skip_unless
from dags.schedules import timetable
from plugins.triggers import DeliveryReadyTrigger

DOC = """
### Delivery

Asks the ad server for delivered units by day, waits until the report is ready (deferred: no worker is occupied), and loads
it: unchanged days write nothing, changed ones become new facts. Without dates the hub looks back as far as the connection
is configured to (`delivery_look_back_days`), in business time. A report that is already running is taken up, not asked for twice.
Whether every day has arrived is the question of `completeness`.
"""

LONGEST_WAIT = timedelta(hours=6)
"""A vendor's report takes seconds to an hour; after six hours something is wrong, and the next run takes up the same job."""

PARAMS = {
    "since": Param(None, type=["null", "string"], format="date", description="First day, in the ad server's time zone"),
    "until": Param(None, type=["null", "string"], format="date", description="Last day, included"),
}


class WaitForReport(BaseOperator):
    """Waits until a report job is ready: asks once, and defers to the triggerer if it still runs."""

    template_fields: Sequence[str] = ("job",)

    def __init__(self, *, connection: str, job: str, poll_seconds: float = 10.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connection = connection
        self.job = job
        self.poll_seconds = poll_seconds

    def execute(self, context: Context) -> str:
        """The job's id, once it is ready."""
        with patient(context, LONGEST_WAIT), opened_hub() as hub:
            state = hub.poll_delivery(self.connection, self.job).state
        if state == "running":
            self.defer(
                trigger=DeliveryReadyTrigger(self.connection, self.job, self.poll_seconds),
                method_name="resume",
                timeout=LONGEST_WAIT,
            )
        return self._ended(state, "")

    def resume(self, context: Context, event: Mapping[str, Any]) -> str:
        """What the trigger saw."""
        return self._ended(str(event["state"]), str(event.get("message", "")))

    def _ended(self, state: str, message: str) -> str:
        if state in {"ready", "loaded"}:
            return self.job
        raise AirflowFailException(
            f"The delivery report {self.job} of {self.connection} ended as {state}. {message} Its days are not loaded; the "
            "next run asks for them again."
        )


def build(connection: ClockedConnection) -> DAG:
    """The delivery of one connection."""
    with flow_dag(
        Flow.DELIVERY,
        connection,
        title="Load delivery",
        doc=DOC,
        clock=timetable(Flow.DELIVERY, connection),
        params=PARAMS,
        longest=timedelta(hours=4),
    ) as dag:

        @task
        def start(name: str, **context: Any) -> dict[str, Any]:
            asked = context["params"]
            days = {which: date.fromisoformat(asked[which]) for which in ("since", "until") if asked.get(which)}
            with patient(context, LONGEST_WAIT), opened_hub() as hub:
                result = hub.start_delivery(name, **days)
            if not result.job:
                raise AirflowSkipException(f"No report is needed: {result.state}.")
            return counts(result)

        @task(outlets=[DELIVERY])
        def load(name: str, job: str, **context: Any) -> dict[str, Any]:
            with patient(context, LONGEST_WAIT), opened_hub() as hub:
                result = hub.load_delivery(name, job)
            return skip_unless(result.facts_new or result.facts_restated or result.lanes_touched, result)

        started: Any = start(connection.name)
        ready = WaitForReport(task_id="wait", connection=connection.name, job=started["job"])
        load(connection.name, ready.output)
    return dag


for one in connections_with(Flow.DELIVERY):
    globals()[one.dag_id(Flow.DELIVERY)] = build(one)
