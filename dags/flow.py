"""What all flows share: how a DAG is made, how a task reaches the hub, and what it leaves behind.

A task claims work from the store, does it, commits and ends; clearing it is always safe. It returns a small dictionary of
counts. A task that changed nothing is skipped, so that its asset says nothing. No flow uses its data interval.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, AssetOrTimeSchedule, Context
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.sdk.definitions.asset import BaseAsset
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from dags.connections import ClockedConnection, Flow, configuration_name
from dags.infrastructure import RETRIES, RETRY_DELAY, InfrastructureRetryPolicy
from hub.errors import ConnectionPaused, VendorUnavailable
from plugins.names import pool_name

if TYPE_CHECKING:
    from hub import Hub
    from hub.results import Result

START = datetime(2026, 1, 1, tzinfo=UTC)
"""Before any run; nothing is caught up from here, because no flow knows what a data interval is."""

_SECRET_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


def flow_dag(
    flow: Flow,
    connection: ClockedConnection,
    *,
    title: str,
    doc: str,
    clock: BaseTimetable | None = None,
    assets: BaseAsset | None = None,
    longest: timedelta = timedelta(minutes=30),
    params: Mapping[str, Any] | None = None,
) -> DAG:
    """One flow of one connection: started by `clock`, by `assets`, by both, or only by people. `longest` bounds a task."""
    schedule: Any = clock
    if assets is not None:
        schedule = assets if clock is None else AssetOrTimeSchedule(timetable=clock, assets=assets)
    return DAG(
        dag_id=connection.dag_id(flow),
        dag_display_name=f"{title}: {connection.name}",
        description=title,
        doc_md=f"{doc.strip()}\n\nConnection **{connection.name}** ({connection.connector}) of `{configuration_name()}`. "
        "Clearing a task or running it twice is safe: what is to do stands in the hub's store.",
        schedule=schedule,
        start_date=START,
        catchup=False,
        max_active_runs=1,
        tags=["orderhub", f"flow:{flow}", f"connection:{connection.name}", f"connector:{connection.connector}"],
        params=dict(params or {}),
        default_args={
            "pool": pool_name(connection.name),
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "retry_policy": InfrastructureRetryPolicy(),
            "execution_timeout": longest,
            "owner": "orderhub",
        },
    )


@contextmanager
def opened_hub() -> Iterator[Hub]:
    """The hub of the configuration in use, able to read secrets from Airflow's connections.

    Where a person paused the connection, the task is skipped: its work waits, and nobody is alarmed by what was meant.
    """
    from hub import open_hub
    from plugins.secrets import register_airflow_secrets

    register_airflow_secrets()
    try:
        with open_hub() as hub:
            yield hub
    except ConnectionPaused as pause:
        raise AirflowSkipException(str(pause)) from pause


@contextmanager
def patient(context: Context, longest: timedelta) -> Iterator[None]:
    """Give the worker back while the vendor says wait, and try again when it said; until `longest` after the run's start.

    For flows whose clock is a day; the others fail in such a case and their clock tries again in a minute.
    """
    try:
        yield
    except VendorUnavailable as error:
        now = datetime.now(UTC)
        again = now + timedelta(seconds=max(error.after, 1.0))
        if again > (context["dag_run"].start_date or now) + longest:
            raise
        raise AirflowRescheduleException(again) from error


def counts(result: Result) -> dict[str, Any]:
    """A result as a small dictionary that JSON can hold: what a task returns."""
    return {name: _plain(value) for name, value in result.as_dict().items()}


def skip_unless(changed: object, result: Result) -> dict[str, Any]:
    """The counts when something changed; otherwise the task is skipped and its assets say nothing."""
    said = counts(result)
    if not changed:
        raise AirflowSkipException(f"Nothing changed: {said}")
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return _SECRET_IN_URL.sub("", value) if isinstance(value, str) else value
