"""Who lets the hub work in the demo: Airflow's DAGs, or this process itself. The journey does not know which."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from cli.demo.airflow_api import AirflowApi
from cli.flows import DELIVERED_STATES, apply, pull_changes, pull_delivery
from hub import Hub
from hub.results import StatusResult

SOURCE = "sfdc"
AD_SERVER = "gam-main"
PATIENCE = 1_800.0
"""Seconds one stage may take: the whole real book with faults, on two cores."""


class EngineError(Exception):
    """The work did not come to rest, or a run failed; the message is a sentence."""


class Engine(Protocol):
    """Does the hub's work and returns when everything due is done."""

    def travel(self) -> None:
        """Read the CRM, accept, push to the ad server, settle, mirror."""
        ...

    def come_back(self) -> None:
        """See the ad server's present state, load what was delivered, mirror."""
        ...


class DirectEngine:
    """Calls the hub in this process, without Airflow."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def travel(self) -> None:
        """See `Engine`."""
        for _ in pull_changes(self._hub, [SOURCE]):
            pass
        self._rest()

    def come_back(self) -> None:
        """See `Engine`."""
        self._hub.observe(AD_SERVER)
        for summary in pull_delivery(self._hub, [AD_SERVER]):
            if summary.state not in DELIVERED_STATES:
                raise EngineError(f"The delivery report {summary.job} is {summary.state}. Look at the ad server.")
        self._rest()

    def _rest(self) -> None:
        if not apply(self._hub, patience=PATIENCE).at_rest:
            raise EngineError(f"Work was still due after {PATIENCE:.0f} s. Look at `orderhub status`.")


class AirflowEngine:
    """Triggers the DAGs where the work begins; assets bring the rest. Waits until neither Airflow nor the hub has work."""

    def __init__(self, api: AirflowApi, hub: Hub) -> None:
        self._api = api
        self._hub = hub

    def travel(self) -> None:
        """See `Engine`."""
        self._run([f"intake__{SOURCE}"])
        self._rest()

    def come_back(self) -> None:
        """See `Engine`."""
        self._run([f"observe__{AD_SERVER}", f"delivery__{AD_SERVER}"])
        self._rest()

    def _run(self, dags: Sequence[str]) -> None:
        started = [(dag, self._api.trigger(dag)) for dag in dags]
        for dag, run in started:
            state = self._api.wait_for_run(dag, run, timeout=PATIENCE)
            if state != "success":
                raise EngineError(f"Run {run} of {dag} {state}. What it brings is missing. Look at its log in Airflow.")

    def _rest(self) -> None:
        """Assets start the next DAG a moment after the last one ended; what waits for its time is woken when due."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self._api.wait_until_at_rest(timeout=PATIENCE)
            status = self._hub.status()
            pending = unsettled(status)
            if not pending:
                return
            for name in pending:
                self._wake(name)
        raise EngineError(f"Work was still due after {PATIENCE:.0f} s. Look at `orderhub status` and at Airflow.")

    def _wake(self, connection: str) -> None:
        time.sleep(0.5)
        dags = [f"settle__{connection}", f"mirror__{connection}" if connection == SOURCE else f"push__{connection}"]
        for dag in dags:
            self._api.wait_for_run(dag, self._api.trigger(dag), timeout=PATIENCE)


def unsettled(status: StatusResult) -> list[str]:
    """Connections with lanes that are neither in step nor parked, in the order of the status."""
    settled = {"in_sync", "parked", "needs_human"}
    return [
        each.name for each in status.connections if any(n for state, n in each.lanes.items() if state not in settled)
    ]


def move_business_time(hub: Hub, now: datetime) -> None:
    """Put the hub's business clock on `now`, where the configuration lets the store hold it."""
    hub.set_business_time(now)
