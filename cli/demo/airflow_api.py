"""The little of Airflow's REST API (v2) that the demo and the tests use: pools, pausing, runs, asset events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import requests

ENDED = frozenset({"success", "failed"})
TIMEOUT = 30.0
"""Seconds for one request; the API server answers in milliseconds but shares the machine with everything else."""


POOL = "Tasks of one connection at a time"


ASKING = "awaiting_input"
UNDER_WAY = frozenset({"scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred"})
"""States of a task with something to do, now or soon; one without a state waits for those before it."""


def _as_text(entry: Mapping[str, Any]) -> str:
    return "\n".join([str(entry.get("event", entry)), *_raised(entry)])


def _raised(entry: Mapping[str, Any]) -> list[str]:
    """Airflow keeps an exception beside the event that tells of it."""
    return [f"{one.get('exc_type')}: {one.get('exc_value')}" for one in entry.get("error_detail") or ()]


def _question(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


class AirflowApiError(Exception):
    """Airflow refused a request or did not come to an end in time; the message quotes its words."""


class AirflowApi:
    """One logged-in user of Airflow. Not for several threads at once."""

    def __init__(self, url: str, account: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._account = account
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False  # loopback, never through a proxy

    def close(self) -> None:
        """Give back the sockets."""
        self._session.close()

    # ---- set-up
    def create_pools(self, sizes: Mapping[str, int]) -> None:
        """Create pools, or set the size of those that are there."""
        for name, slots in sizes.items():
            body = {"name": name, "slots": slots, "description": POOL, "include_deferred": False}
            if self._send("POST", "/pools", body, accept={409}).status_code == 409:
                self._send("PATCH", f"/pools/{name}", body)

    def dags(self) -> dict[str, bool]:
        """Whether each DAG of the hub is paused, by id."""
        found: dict[str, bool] = {}
        while True:
            page = self._send("GET", "/dags", limit=100, offset=len(found), tags="orderhub").json()
            found.update({dag["dag_id"]: dag["is_paused"] for dag in page["dags"]})
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def wait_for_dags(self, wanted: Iterable[str], timeout: float = 120.0) -> None:
        """Wait until Airflow knows these DAGs. Raises AirflowApiError with its import errors."""
        missing = set(wanted)
        until = time.monotonic() + timeout
        while missing := missing - set(self.dags()):
            if time.monotonic() > until:
                raise AirflowApiError(
                    f"Airflow does not know {', '.join(sorted(missing))} after {timeout:.0f} s. "
                    f"Import errors: {self.import_errors() or 'none'}"
                )
            time.sleep(0.2)

    def import_errors(self) -> dict[str, str]:
        """Why DAG files cannot be used, by file name."""
        page = self._send("GET", "/importErrors").json()
        return {one["filename"]: one["stack_trace"].strip() for one in page["import_errors"]}

    def pause(self, dag_id: str, paused: bool) -> None:
        """Stop or resume a DAG's clock and its reaction to assets."""
        self._send("PATCH", f"/dags/{dag_id}", {"is_paused": paused}, update_mask="is_paused")

    # ---- runs
    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run now; returns its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self._send("POST", f"/dags/{dag_id}/dagRuns", body).json()["dag_run_id"])

    def runs(self, dag_id: str = "~", *, state: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Runs of a DAG (of all: `~`), newest first, as Airflow tells them (`dag_id`, `dag_run_id`, `state`, ...)."""
        asked: dict[str, Any] = {"order_by": "-run_after", "limit": limit}
        if state is not None:
            asked["state"] = state
        return list(self._send("GET", f"/dags/{dag_id}/dagRuns", **asked).json()["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run as Airflow tells it."""
        return dict(self._send("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json())

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 300.0) -> str:
        """Wait for a run's end; returns `success` or `failed`. Raises AirflowApiError when it takes too long."""
        until = time.monotonic() + timeout
        while (state := str(self.run(dag_id, run_id)["state"])) not in ENDED:
            if time.monotonic() > until:
                raise AirflowApiError(f"Run {run_id} of {dag_id} is still {state} after {timeout:.0f} s.")
            time.sleep(0.2)
        return state

    def busy(self) -> list[str]:
        """`dag_id run_id state` of every run that is queued or running.

        One that waits for a person's answer is at rest. So is one whose DAG is gone, because Airflow never ends it.
        """
        under_way = [
            run
            for state in ("queued", "running")
            for run in self.runs(state=state)
            if state == "queued" or not self._waits_for_a_person(run["dag_id"], run["dag_run_id"])
        ]
        present = self.dags() if under_way else {}
        return [f"{run['dag_id']} {run['dag_run_id']} {run['state']}" for run in under_way if run["dag_id"] in present]

    def _waits_for_a_person(self, dag_id: str, run_id: str) -> bool:
        """Whether a task asks a person and nothing else of the run goes on; what follows the answer has no state yet."""
        states = set(self.task_instances(dag_id, run_id).values())
        return ASKING in states and not states & UNDER_WAY

    def wait_until_at_rest(self, timeout: float = 600.0, *, calm: float = 2.0) -> None:
        """Wait until no run has been queued or running for `calm` seconds. Raises AirflowApiError."""
        until = time.monotonic() + timeout
        calm_since: float | None = None
        while True:
            now = time.monotonic()
            busy = self.busy()
            calm_since = None if busy else (calm_since or now)
            if calm_since is not None and now - calm_since >= calm:
                return
            if now > until:
                raise AirflowApiError(f"Airflow is not at rest after {timeout:.0f} s: {'; '.join(busy)}")
            time.sleep(0.2)

    def task_instances(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of each task of a run, by task id."""
        page = self._send("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()
        return {one["task_id"]: one["state"] for one in page["task_instances"]}

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str]) -> list[str]:
        """Let tasks of a run that has ended run again, as a person does by "Clear"; returns the ids of those cleared."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "reset_dag_runs": True,
        }
        page = self._send("POST", f"/dags/{dag_id}/clearTaskInstances", body).json()
        return sorted(one["task_id"] for one in page["task_instances"])

    def returned(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned (its small dictionary of counts)."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._send("GET", path, deserialize="true").json()["value"]

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The log of one attempt of a task, as text; what an exception said stands after the event that tells of it."""
        return "\n".join(
            one if isinstance(one, str) else _as_text(one) for one in self._log(dag_id, run_id, task_id, attempt)
        )

    def raised(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> list[str]:
        """The exceptions in the log of one attempt of a task, the first one first."""
        entries = self._log(dag_id, run_id, task_id, attempt)
        return [said for one in entries if not isinstance(one, str) for said in _raised(one)]

    def _log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> list[Any]:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return list(self._send("GET", path, full_content="true").json()["content"])

    # ---- people
    def question(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a task asks a person, and the answer once there is one (`subject`, `options`, `responded_by_user`, ...)."""
        return dict(self._send("GET", _question(dag_id, run_id, task_id)).json())

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer a task's question under this account's name. Raises AirflowApiError when somebody has answered already."""
        self._send("PATCH", _question(dag_id, run_id, task_id), {"chosen_options": [option], "params_input": {}})

    # ---- assets
    def asset_event(self, uri: str, extra: Mapping[str, Any] | None = None) -> None:
        """Say that an asset changed, so that the DAGs scheduled by it run. Raises AirflowApiError when it is unknown."""
        page = self._send("GET", "/assets", uri_pattern=uri.rstrip("/"), limit=100).json()
        # Airflow writes an address without a path with a slash at its end.
        ids = [asset["id"] for asset in page["assets"] if asset["uri"].rstrip("/") == uri.rstrip("/")]
        if not ids:
            raise AirflowApiError(
                f"Airflow knows no asset {uri}, so no DAG was started. Check the DAGs' import errors."
            )
        self._send("POST", "/assets/events", {"asset_id": ids[0], "extra": dict(extra or {})})

    # ---- inside
    def _log_in(self) -> None:
        reply = self._session.post(
            f"{self.url}/auth/token", json={"username": self._account, "password": self._password}, timeout=TIMEOUT
        )
        if reply.status_code != 201:
            raise AirflowApiError(
                f"Airflow refused the log-in of {self._account}: {reply.status_code} {reply.text[:300]}"
            )
        self._session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"

    def _send(
        self, method: str, path: str, body: object = None, *, accept: Iterable[int] = (), **asked: Any
    ) -> requests.Response:
        if "Authorization" not in self._session.headers:
            self._log_in()
        for attempt in (1, 2):
            reply = self._session.request(
                method, f"{self.url}/api/v2{path}", params=asked or None, json=body, timeout=TIMEOUT
            )
            if reply.status_code != 401 or attempt == 2:
                break
            self._log_in()  # the token of a long demo expires after a day
        if not reply.ok and reply.status_code not in set(accept):
            raise AirflowApiError(f"Airflow answered {method} {path} with {reply.status_code}: {reply.text[:500]}")
        return reply
