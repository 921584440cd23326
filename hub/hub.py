"""The hub: the verbs that the command line, the DAGs and the tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from connectors.base import ObservesRecords, PushesRecords, ReadsChanges, ReportsDelivery
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub import config
from hub.delivery import pull
from hub.errors import ConfigurationError, ConnectionBroken
from hub.mapping_files import mapping_paths
from hub.ops import status as status_page
from hub.ops import trace as trace_page
from hub.results import (
    CheckResult,
    DeliverySummary,
    IntakeResult,
    ObserveSummary,
    ParkedItem,
    PlanResult,
    PushSummary,
    SettleSummary,
    StatusResult,
    TraceResult,
)
from hub.session import Session
from hub.store import database, entities, facts, journal, lanes, parking
from hub.sync import intake, observe, plan, push, settle, targets
from hub.sync.vendor import reading, take_tokens
from oms_schema.ids import EntityKind


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What a connection is for. `pushes`: takes orders and lines; `mirrors`: takes projections; `broken`: why it cannot."""

    name: str
    connector: str
    reads: bool
    pushes: bool
    mirrors: bool
    observes: bool
    reports_delivery: bool
    broken: str | None


class Hub:
    """One open hub. Use as a context manager; not for several threads at once.

    Every verb raises ConnectionBroken, VendorUnavailable, StoreUnavailable or NotFound with a sentence.
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def connections(self) -> Mapping[str, ConnectionInfo]:
        """Every configured connection, broken ones too; no network."""
        found = {name: _info(name, settings) for name, settings in self.session.configuration.connections.items()}
        for name, sentence in self.session.configuration.broken.items():
            found[name] = ConnectionInfo(name, "", False, False, False, False, False, sentence)
        return found

    def migrate(self) -> None:
        """Bring the store's schema to the newest version."""
        url = self.session.database.url
        database.migrate(url)

    def check(self, connection: str) -> CheckResult:
        """Try a connection: credentials, rights, and every field its mappings use. Writes only how the connection is."""
        channel = self.session.channel(connection)
        used: dict[str, list[str]] = {}
        written: dict[str, list[str]] = {}
        for (_, direction), mapping in channel.mappings.items():
            for table in (used, written) if direction == "out" else (used,):
                fields = table.setdefault(mapping.record, [])
                fields += [name for name in mapping.native_fields if name not in fields]
        take_tokens(self.session, channel, "check")
        with reading(self.session, channel):
            report = channel.connector.check(used, written)
        channel.account = report.account
        errors = [finding.sentence for finding in report.findings if finding.severity == "error"]
        with self.session.database.transaction() as cur:
            journal.set_connection(
                cur,
                connection,
                "ok" if report.usable else "check failed",
                " ".join(errors)[:2000],
                report.account,
                self.session.machine.now(),
            )
        findings = [(str(f.severity), f.subject, f.sentence) for f in report.findings]
        return CheckResult(connection, report.usable, report.account, findings)

    def intake(self, connection: str) -> IntakeResult:
        """Read all streams of a source to the present and accept what changed."""
        return intake.intake(self.session, connection)

    def plan(self, connection: str | None = None) -> PlanResult:
        """All differences and all problems; writes nothing."""
        return plan.plan(self.session, connection)

    def push(self, connection: str, *, max_seconds: float = 240.0) -> PushSummary:
        """Send what is due until nothing is."""
        return push.push(self.session, connection, max_seconds=max_seconds)

    def settle(self, connection: str) -> SettleSummary:
        """Look up what is in doubt."""
        return settle.settle(self.session, connection)

    def observe(self, connection: str) -> ObserveSummary:
        """Read back how our records stand."""
        return observe.observe(self.session, connection)

    def start_delivery(self, connection: str, since: date | None = None, until: date | None = None) -> DeliverySummary:
        """Ask for a delivery report."""
        return pull.start_delivery(self.session, connection, since, until)

    def poll_delivery(self, connection: str, job: str) -> DeliverySummary:
        """Look whether a report is ready."""
        return pull.poll_delivery(self.session, connection, job)

    def load_delivery(self, connection: str, job: str) -> DeliverySummary:
        """Load a ready report."""
        return pull.load_delivery(self.session, connection, job)

    def status(self) -> StatusResult:
        """The whole hub on one page; reads only the store."""
        return status_page.status(self.session)

    def trace(self, text: str) -> TraceResult:
        """Everything about the order that `text` names."""
        return trace_page.trace(self.session, text)

    def parked(
        self, reason: str | None = None, code: str | None = None, connection: str | None = None
    ) -> Sequence[ParkedItem]:
        """Every open parked item that matches, oldest first."""
        with self.session.database.transaction() as cur:
            rows = parking.items(cur, reason=reason, code=code, connection=connection)
        return [ParkedItem(row[1], *row[5:]) for row in rows]

    def delivered(self, line_ids: Sequence[str]) -> Mapping[str, int]:
        """Impressions delivered so far by canonical line id; a line without any is absent."""
        with self.session.database.transaction() as cur:
            return facts.totals(cur, line_ids)

    def replay(self, reason: str | None = None, code: str | None = None, connection: str | None = None) -> int:
        """Put parked work back, all of it or what matches; returns how many records and changes got another try."""
        with self.session.database.transaction() as cur:
            rows = parking.items(cur, reason=reason, code=code, connection=connection)
            now = self.session.machine.now()
            woken = lanes.wake(cur, [row[4] for row in rows if row[4] is not None])
            for row in rows:
                if row[4] is not None:
                    parking.resolve(cur, now, "replayed", subject=row[2])
            journal.mark_stale(cur, [row[7] for row in rows if row[7] is not None])
        by_connection: dict[str, set[int]] = {}
        for row in rows:
            if row[3] is not None:
                by_connection.setdefault(row[1], set()).add(row[3])
        for name, change_ids in by_connection.items():
            intake.replay_changes(self.session, name, sorted(change_ids))
        return woken + sum(len(ids) for ids in by_connection.values())

    def retarget(self) -> int:
        """Compute every order's lanes anew, for instance after a connection was added; returns how many got news."""
        with self.session.database.transaction() as cur:
            order_ids = entities.all_ids(cur, EntityKind.ORDER)
            journal.mark_stale(cur, order_ids)
            return targets.touch(self.session, cur, order_ids)

    def set_business_time(self, now: datetime) -> None:
        """Move business time; only where the configuration says `business_clock: store`. Raises ConfigurationError."""
        if self.session.configuration.hub.business_clock != "store":
            raise ConfigurationError(
                "Business time is the machine's own here. It was not moved. Set `business_clock: store` to drive it."
            )
        with self.session.database.transaction() as cur:
            journal.set_business_time(cur, now.astimezone(UTC))

    def close(self) -> None:
        """Close connectors and store."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _info(name: str, settings: config.ConnectionSettings) -> ConnectionInfo:
    try:
        kind = load_connector(settings.connector)
        carried = set(mapping_paths(settings.connector, settings.mapping))
    except Misconfigured as error:
        return ConnectionInfo(name, settings.connector, False, False, False, False, False, error.message)
    except (ConfigurationError, ConnectionBroken) as error:
        return ConnectionInfo(name, settings.connector, False, False, False, False, False, str(error))
    takes = issubclass(kind, PushesRecords)
    mirrors = "order_projection" in carried
    return ConnectionInfo(
        name=name,
        connector=settings.connector,
        reads=issubclass(kind, ReadsChanges) and mirrors,
        pushes=takes and not mirrors and "order" in carried,
        mirrors=takes and mirrors,
        observes=issubclass(kind, ObservesRecords) and "line_observation" in carried,
        reports_delivery=issubclass(kind, ReportsDelivery),
        broken=None,
    )


def open_hub(config_path: Path | None = None) -> Hub:
    """Open the hub of a configuration file (argument, ORDERHUB_CONFIG, ./orderhub.yaml). Raises ConfigurationError."""
    return Hub(Session.from_configuration(config.load(config_path)))
