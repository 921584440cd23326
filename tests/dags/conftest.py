"""A configuration with two healthy connections and broken ones, a hub that answers from a script, and Airflow's DagBag."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

import hub
from hub.results import (
    CensusSummary,
    CheckResult,
    DeliverySummary,
    DriftResult,
    IntakeResult,
    ObserveSummary,
    PushSummary,
    Result,
    SettleSummary,
)

CONFIGURATION = """
store: {url: "postgresql://nobody@/nowhere?host=/nonexistent"}
connections:
  sfdc:
    connector: salesforce
    intake_every_seconds: 45
    settings: {domain: acme.my, consumer_key: orderhub, consumer_secret: "env:ORDERHUB_TEST_SECRET"}
  gam-main:
    connector: gam
    settings: {network_code: "123", access_token: "env:ORDERHUB_TEST_SECRET"}
  Broken Räum/e:
    connector: gam
    settings: {network_code: "not a number", access_token: "env:ORDERHUB_TEST_SECRET"}
  stranger:
    connector: no-such-vendor
  unreadable: 7
"""


@dataclass
class ScriptedHub:
    """Stands in for the hub: answers by verb from `answers` (an exception is raised), and remembers what was asked."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.asked.append(("close",))

    def _answer(self, default: Result, verb: str, *arguments: Any) -> Any:
        self.asked.append((verb, *arguments))
        script = self.answers.get(verb)
        said = script.pop(0) if script else default
        if isinstance(said, Exception):
            raise said
        return said

    def check(self, connection: str) -> Any:
        return self._answer(CheckResult(connection, True, "account"), "check", connection)

    def intake(self, connection: str) -> Any:
        return self._answer(IntakeResult(connection), "intake", connection)

    def push(self, connection: str) -> Any:
        return self._answer(PushSummary(connection), "push", connection)

    def settle(self, connection: str) -> Any:
        return self._answer(SettleSummary(connection), "settle", connection)

    def observe(self, connection: str) -> Any:
        return self._answer(ObserveSummary(connection), "observe", connection)

    def census(self, connection: str) -> Any:
        return self._answer(CensusSummary(connection), "census", connection)

    def drift(self, connection: str) -> Any:
        return self._answer(DriftResult(connection, 9), "drift", connection)

    def start_delivery(self, connection: str, since: date | None = None, until: date | None = None) -> Any:
        return self._answer(DeliverySummary(connection, "job-1", "running"), "start_delivery", connection, since, until)

    def poll_delivery(self, connection: str, job: str) -> Any:
        return self._answer(DeliverySummary(connection, job, "ready"), "poll_delivery", connection, job)

    def load_delivery(self, connection: str, job: str) -> Any:
        return self._answer(DeliverySummary(connection, job, "loaded"), "load_delivery", connection, job)


@pytest.fixture(scope="session")
def configuration_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configuration") / "orderhub.yaml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def dagbag(configuration_file: Path) -> Any:
    """Every DAG of the configuration above; parsing needs no database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERHUB_CONFIG", str(configuration_file))
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(Path(__file__).parents[2] / "dags"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's tables in this process' throw-away SQLite file."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def scripted_hub(monkeypatch: pytest.MonkeyPatch, configuration_file: Path) -> ScriptedHub:
    """The hub every task of this test opens."""
    scripted = ScriptedHub()
    monkeypatch.setattr(hub, "open_hub", lambda: scripted, raising=False)
    monkeypatch.setenv("ORDERHUB_CONFIG", str(configuration_file))
    return scripted
