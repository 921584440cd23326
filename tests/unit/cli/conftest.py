"""A hub that answers from a script, and the command line in front of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from typer.testing import CliRunner, Result

import hub
from cli.main import app
from hub import ConnectionInfo
from hub.delivery.answers import ReportSummary
from hub.results import (
    AdoptResult,
    AnchorResult,
    AuditResult,
    CheckResult,
    ConnectionStatus,
    DeliverySummary,
    IntakeResult,
    PlanItem,
    PlanResult,
    PushSummary,
    ResyncResult,
    SettleSummary,
    StatusResult,
    TraceEvent,
    TraceResult,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _connections() -> dict[str, ConnectionInfo]:
    return {
        "sfdc": ConnectionInfo("sfdc", "salesforce", True, False, True, False, False, None),
        "gam-main": ConnectionInfo("gam-main", "gam", False, True, False, True, True, None),
    }


def _given(asked: Mapping[str, str | None]) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in asked.items() if value is not None)


@dataclass
class ScriptedHub:
    """Answers each verb from `script` (the last answer stays; an exception is raised), and remembers what was asked."""

    script: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    connections: Mapping[str, ConnectionInfo] = field(default_factory=_connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def says(self, verb: str, *answers: Any) -> None:
        """Script a verb's answers, one per call."""
        self.script[verb] = list(answers)

    def _said(self, verb: str, default: Any, *arguments: Any) -> Any:
        self.asked.append((verb, *arguments))
        answers = self.script.get(verb, [])
        answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else default
        if isinstance(answer, Exception):
            raise answer
        return answer

    def unusable(self) -> Mapping[str, str]:
        return {name: info.broken for name, info in self.connections.items() if info.broken is not None}

    def check(self, connection: str) -> Any:
        return self._said("check", CheckResult(connection, True, "account"), connection)

    def intake(self, connection: str) -> Any:
        return self._said("intake", IntakeResult(connection, read=3, accepted=3), connection)

    def plan(self, connection: str | None = None) -> Any:
        item = PlanItem("gam-main", "line", "lin_a", "", "Spring [x]", "create", (("name", None, "Spring"),))
        return self._said("plan", PlanResult([item], "h1", 0, 5, 4, 1), connection)

    def push(self, connection: str, *, only: PlanResult | None = None) -> Any:
        bound = () if only is None else (only.plan_hash,)
        return self._said(f"push {connection}", PushSummary(connection), *bound)

    def settle(self, connection: str) -> Any:
        return self._said(f"settle {connection}", SettleSummary(connection))

    def observe(self, connection: str) -> Any:
        return self._said("observe", None, connection)

    def start_delivery(self, connection: str) -> Any:
        return self._said("start_delivery", DeliverySummary(connection, "job1", "running"), connection)

    def poll_delivery(self, connection: str, job: str) -> Any:
        return self._said("poll_delivery", DeliverySummary(connection, job, "ready"), connection, job)

    def load_delivery(self, connection: str, job: str) -> Any:
        return self._said("load_delivery", DeliverySummary(connection, job, "loaded", rows=7), connection, job)

    def fetch_report(self, source: str, *days: date | None, **asked: str | None) -> Any:
        default = ReportSummary(source, "2026-03-01..2026-03-02", "loaded", NOON, rows=2)
        return self._said("fetch_report", default, source, *days, *_given(asked))

    def status(self) -> Any:
        rows = [ConnectionStatus("sfdc", "salesforce", "ok", "", {"in_sync": 2}, 0, 0, NOON, NOON)]
        return self._said("status", StatusResult(rows, [], {"booked": 1}, {"accepted": 2}, 1_000, NOON))

    def migrate(self) -> None:
        self._said("migrate", None)

    def trace(self, text: str) -> Any:
        events = [TraceEvent(NOON, "sfdc", "order", "change accepted as version 1", "Opportunity 006")]
        systems, ids = [("gam-main", "3 in sync")], [("gam-main", "order", "29")]
        found = TraceResult("ord_a", "Spring [x]", 1, "All 2 lines are live.", "", systems, ids, events)
        return self._said("trace", found, text)

    def parked(self) -> Any:
        return self._said("parked", [])

    def replay(
        self, reason: str | None = None, code: str | None = None, connection: str | None = None, **more: str
    ) -> Any:
        return self._said("replay", 4, reason, code, connection, *sorted(more.items()))

    def ignore(self, **asked: str | None) -> Any:
        return self._said("ignore", 2, *_given(asked))

    def adopt(self, entity_id: str, vendor_id: str, **asked: str | None) -> Any:
        default = AdoptResult("gam-main", "line", entity_id, "1", "LineItem", vendor_id)
        return self._said("adopt", default, entity_id, vendor_id, *_given(asked))

    def declare_absent(self, entity_id: str, **asked: str | None) -> Any:
        default = AdoptResult("gam-main", "line", entity_id, "1", "LineItem", None)
        return self._said("declare_absent", default, entity_id, *_given(asked))

    def resync(self, order: str, **asked: str | None) -> Any:
        return self._said("resync", ResyncResult("ord_a", 7), order, *_given(asked))

    def pause(self, connection: str, **asked: str | None) -> Any:
        return self._said("pause", True, connection, *_given(asked))

    def resume(self, connection: str, **asked: str | None) -> Any:
        return self._said("resume", True, connection, *_given(asked))

    def verify_audit(self, anchor: Path | None = None) -> Any:
        return self._said("verify_audit", AuditResult(9, 9, "ab" * 32), anchor)

    def anchor_audit(self, file: Path) -> Any:
        return self._said("anchor_audit", AnchorResult(str(file), 9, "ab" * 32, NOON), file)

    def audit_mismatches(self) -> Any:
        return self._said("audit_mismatches", [])


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedHub:
    """The hub that every command opens in this test."""
    made = ScriptedHub()
    monkeypatch.setattr(hub, "open_hub", lambda config=None: made)
    return made


Orderhub = Callable[..., Result]


@pytest.fixture
def orderhub(monkeypatch: pytest.MonkeyPatch) -> Orderhub:
    """Run `orderhub` with arguments on a terminal of 200 columns."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments), catch_exceptions=False)
