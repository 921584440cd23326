"""Who lets the hub work in the demo: Airflow's DAGs, or this process itself. The journey does not know which."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from cli.demo.airflow_api import AirflowApi
from cli.flows import DELIVERED_STATES, apply, pull_changes, pull_delivery
from hub import Hub
from hub.results import StatusResult

SOURCE = "sfdc"
AD_SERVER = "gam-main"
PATIENCE = 1_800.0
"""Seconds one stage may take: the whole real book with faults, on two cores."""


POLL = 0.3
CALM = 1.0
"""Seconds without a run after which Airflow is at rest; the hub's own lanes are asked as well."""


class EngineError(Exception):
    """The work did not come to rest, or a run failed; the message is a sentence."""


Mirrored = Callable[[], None]
"""Told after each mirroring: the moment between two mirror cycles."""


class Engine(Protocol):
    """Does the hub's work and returns when everything due is done and mirrored."""

    def travel(self, mirrored: Mirrored = lambda: None) -> None:
        """Read the CRM, accept, push to the ad server, settle, mirror."""
        ...

    def come_back(self, mirrored: Mirrored = lambda: None) -> None:
        """See the ad server's present state, load what was delivered, mirror."""
        ...

    def mirror(self) -> None:
        """Show in the CRM what changed in the hub itself, for instance bills."""
        ...


class DirectEngine:
    """Calls the hub in this process, without Airflow."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def travel(self, mirrored: Mirrored = lambda: None) -> None:
        """See `Engine`."""
        for _ in pull_changes(self._hub, [SOURCE]):
            pass
        self._rest()
        mirrored()

    def come_back(self, mirrored: Mirrored = lambda: None) -> None:
        """See `Engine`. One mirroring shows both, what was observed and what was delivered."""
        self._hub.observe(AD_SERVER)
        for summary in pull_delivery(self._hub, [AD_SERVER]):
            if summary.state not in DELIVERED_STATES:
                raise EngineError(f"The delivery report {summary.job} is {summary.state}. Look at the ad server.")
        self._rest()
        mirrored()

    def mirror(self) -> None:
        """See `Engine`."""
        self._rest()

    def _rest(self) -> None:
        if not apply(self._hub, patience=PATIENCE).at_rest:
            raise EngineError(f"Work was still due after {PATIENCE:.0f} s. Look at `orderhub status`.")


class AirflowEngine:
    """Triggers the DAGs where the work begins; assets bring the rest. Waits until neither Airflow nor the hub has work."""

    def __init__(self, api: AirflowApi, hub: Hub) -> None:
        self._api = api
        self._hub = hub

    def travel(self, mirrored: Mirrored = lambda: None) -> None:
        """See `Engine`. What intake refused is mirrored at once, the rest when its order is at rest."""
        self._run(f"intake__{SOURCE}", mirrored)

    def come_back(self, mirrored: Mirrored = lambda: None) -> None:
        """See `Engine`. What was observed and what was delivered start the mirror each on its own."""
        self._run(f"observe__{AD_SERVER}", mirrored)
        self._run(f"delivery__{AD_SERVER}", mirrored)

    def mirror(self) -> None:
        """See `Engine`."""
        self._run(f"mirror__{SOURCE}", lambda: None)

    def _run(self, dag: str, mirrored: Mirrored) -> None:
        """Run a DAG and wait until all that follows from it is done."""
        seen = self._mirrorings()
        run = self._api.trigger(dag)
        state = self._api.wait_for_run(dag, run, timeout=PATIENCE)
        if state != "success":
            raise EngineError(
                f"Run {run} of {dag} {state}: {self._reason(dag, run)} What it brings is missing. Look at its log in Airflow."
            )
        self._rest(seen, mirrored)

    def _rest(self, seen: set[str], mirrored: Mirrored) -> None:
        """Assets start the next DAG a moment after the last one ended; what waits for its time is woken when due."""
        until = time.monotonic() + PATIENCE
        calm_since: float | None = None
        while time.monotonic() < until:
            time.sleep(POLL)
            busy, now = self._api.busy(), self._mirrorings()
            if now - seen:
                seen = now
                mirrored()
            calm_since = None if busy else calm_since or time.monotonic()
            if calm_since is None or time.monotonic() - calm_since < CALM:
                continue
            pending = unsettled(self._hub.status())
            if not pending:
                mirrored()
                return
            for name in pending:
                self._wake(name)
            calm_since = None
        raise EngineError(f"Work was still due after {PATIENCE:.0f} s. Look at `orderhub status` and at Airflow.")

    def _mirrorings(self) -> set[str]:
        """Runs that may have written to the CRM and have ended: the mirror's own, and those that send what became due."""
        dags = (f"mirror__{SOURCE}", f"settle__{SOURCE}")
        return {f"{dag} {run['dag_run_id']}" for dag in dags for run in self._api.runs(dag, state="success", limit=20)}

    def _wake(self, connection: str) -> None:
        """Look again at what was not due, or whose start was missed."""
        for dag in (
            f"settle__{connection}",
            f"mirror__{connection}" if connection == SOURCE else f"push__{connection}",
        ):
            self._api.wait_for_run(dag, self._api.trigger(dag), timeout=PATIENCE)

    def _reason(self, dag: str, run: str) -> str:
        """What the failed task's exception said, else the last line of its log that names an error."""
        failed = [task for task, state in self._api.task_instances(dag, run).items() if state == "failed"]
        said = [one for task in failed for one in self._api.raised(dag, run, task)]
        said = said or [
            line for task in failed for line in self._api.log(dag, run, task).splitlines() if "rror" in line
        ]
        return said[-1][:500] if said else "its log names no error."


def unsettled(status: StatusResult) -> list[str]:
    """Connections with lanes that are neither in step nor parked, in the order of the status."""
    settled = {"in_sync", "parked", "needs_human"}
    return [
        each.name for each in status.connections if any(n for state, n in each.lanes.items() if state not in settled)
    ]
