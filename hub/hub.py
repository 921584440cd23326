"""The hub: the verbs that the command line, the DAGs and the tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from connectors.base import (
    CheckReport,
    ChecksDeclaredFields,
    Connector,
    ObservesRecords,
    PushesRecords,
    ReadsChanges,
    ReportsDelivery,
)
from connectors.discovery import load as load_connector
from connectors.errors import ConnectorError, Misconfigured
from hub import config, log
from hub.billing import reconciling
from hub.billing.reconciling import SESSIONS, Reconciliation
from hub.billing.verbs import Billing
from hub.clock import StoredClock
from hub.delivery import completeness, finality, pull, questions
from hub.delivery.answers import DayFinality, FactVersion, FileSetAside, QuarantinedLine, ReportSummary
from hub.delivery.completeness import SourceCompleteness
from hub.errors import ConfigurationError, ConnectionBroken
from hub.lease import lease_finding
from hub.mapping_files import mapping_paths
from hub.ops import acceptance, answers, approval, chain, correspondence, parked_work, pauses, preflight, retry
from hub.ops import resync as resync_verb
from hub.ops import status as status_page
from hub.ops import trace as trace_page
from hub.ops.chain import anchored
from hub.ops.people import who
from hub.results import (
    AcceptResult,
    AdoptResult,
    AnchorResult,
    ApprovalResult,
    AuditResult,
    CensusSummary,
    CheckResult,
    DeliverySummary,
    DriftResult,
    IntakeResult,
    ObserveSummary,
    ParkedItem,
    PlanResult,
    PushSummary,
    RecoverySummary,
    ResyncResult,
    SettleSummary,
    StatusResult,
    TraceResult,
)
from hub.session import Session
from hub.store import changes, database, entities, facts, journal, parking
from hub.store.parking import Selection
from hub.store.shares import Work
from hub.sync import breaker, census, drift, intake, observe, plan, push, recovery, settle, targets
from hub.sync.vendor import caught, reading, take_tokens
from oms_schema.delivery import DeliveryFact
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
        self.billing = Billing(session)

    @property
    def connections(self) -> Mapping[str, ConnectionInfo]:
        """Every configured connection, broken ones too; no network."""
        found = {name: _info(name, settings) for name, settings in self.session.configuration.connections.items()}
        for name, sentence in self.session.configuration.broken.items():
            found[name] = ConnectionInfo(name, "", False, False, False, False, False, sentence)
        return found

    def unusable(self) -> Mapping[str, str]:
        """Why connections cannot be used with what is configured here (settings, secrets, mappings), by name; no network."""
        found = dict(self.session.configuration.broken)
        for name in self.session.configuration.connections:
            try:
                self.session.channel(name)
            except ConnectionBroken as broken:
                found[name] = str(broken)
        return found

    def migrate(self) -> None:
        """Bring the store's schema to the newest version."""
        url = self.session.database.url
        database.migrate(url)

    @anchored
    def check(self, connection: str) -> CheckResult:
        """Try a connection: credentials, rights, and every field its mappings use. Writes only how the connection is.

        Raises ConnectorStumbled when the connector itself fails.
        """
        channel = self.session.channel(connection)
        used = preflight.used_by(channel.mappings)
        with self.session.doing(Work.INTERACTIVE):
            take_tokens(self.session, channel, "check")
            with reading(self.session, channel, "check"):
                report = caught(channel, "check", lambda: _checked(channel.connector, used), (ConnectorError,))
        breaker.answered(self.session, channel)
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
        lease = lease_finding(connection, channel.capabilities, self.session.configuration.hub.lease_seconds)
        told = report.findings if lease is None else (*report.findings, lease)
        findings = [(str(f.severity), f.subject, f.sentence) for f in told]
        return CheckResult(connection, report.usable, report.account, findings)

    @anchored
    def intake(self, connection: str) -> IntakeResult:
        """Read all streams of a source to the present and accept what changed. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        return log.told("intake", intake.intake(self.session, connection))

    def plan(self, connection: str | None = None) -> PlanResult:
        """All differences and all problems; writes nothing."""
        with self.session.doing(Work.INTERACTIVE):
            return plan.plan(self.session, connection)

    @anchored
    def push(self, connection: str, *, max_seconds: float = 240.0, only: PlanResult | None = None) -> PushSummary:
        """Send what is due until nothing is, or `only` what a plan shows, at the versions it shows.

        Raises ConnectionPaused; a push under way claims nothing more after a pause.
        """
        pauses.refuse_if_paused(self.session, connection)
        recovery.notice_restore(self.session)
        seen = None if only is None else plan.seen(only, connection)
        return log.told("push", push.push(self.session, connection, max_seconds=max_seconds, seen=seen))

    @anchored
    def settle(self, connection: str) -> SettleSummary:
        """Try parked work again whose cause may be gone, then look up what is in doubt. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        retried = retry.retry_parked(self.session)
        recovery.go_on(self.session, connection)
        return log.told("settle", replace(settle.settle(self.session, connection), retried=retried))

    @anchored
    def observe(self, connection: str) -> ObserveSummary:
        """Read back how our records stand. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        with self.session.doing(Work.REPORT):
            return log.told("observe", observe.observe(self.session, connection))

    @anchored
    def census(self, connection: str) -> CensusSummary:
        """Count everything at a connection: what vanished, exists twice or was never read. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        with self.session.doing(Work.REPORT):
            return census.census(self.session, connection)

    @anchored
    def recover(self, connection: str, *, by: str | None = None) -> RecoverySummary:
        """Create nothing at a connection until a census agrees, and end that as soon as one does. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        with self.session.doing(Work.REPORT):
            return recovery.recover(self.session, connection, f"asked for by {who(by)}")

    @anchored
    def drift(self, connection: str) -> DriftResult:
        """Compare what is at rest with what the vendor shows, and do what the policies say. Raises ConnectionPaused."""
        pauses.refuse_if_paused(self.session, connection)
        with self.session.doing(Work.REPORT):
            return drift.drift(self.session, connection)

    @anchored
    def accept(self, order: str, *, by: str | None = None, note: str | None = None) -> AcceptResult:
        """Keep the vendor's values of everything of an order that is in conflict. Raises NotFound, Refused."""
        with self.session.doing(Work.INTERACTIVE):
            return acceptance.accept(self.session, order, by=by, note_text=note)

    @anchored
    def approve_plan(self, plan_hash: str, *, by: str | None, note: str | None = None) -> ApprovalResult:
        """Let exactly the plan go that the guard held. Raises NotFound, PlanMoved, Refused."""
        return approval.approve_plan(self.session, plan_hash, by=by, note_text=note)

    @anchored
    def reconcile(self, since: str, until: str, *, by: str | None, sessions: int = SESSIONS) -> Reconciliation:
        """Reconcile every line-month from `since` to `until` (YYYY-MM), keep what stands out, bill nothing. Raises Refused."""
        return reconciling.reconcile(self.session, since, until, by, sessions=sessions)

    def start_delivery(self, connection: str, since: date | None = None, until: date | None = None) -> DeliverySummary:
        """Ask for a delivery report. Raises ConnectionPaused; a report that was asked for before a pause is still loaded."""
        pauses.refuse_if_paused(self.session, connection)
        with self.session.doing(Work.REPORT):
            return pull.start_delivery(self.session, connection, since, until)

    def poll_delivery(self, connection: str, job: str) -> DeliverySummary:
        """Look whether a report is ready."""
        with self.session.doing(Work.REPORT):
            return pull.poll_delivery(self.session, connection, job)

    @anchored
    def load_delivery(self, connection: str, job: str, *, accept_outliers_by: str | None = None) -> DeliverySummary:
        """Load a ready report. One with days far beyond the usual waits for somebody who accepts it by name."""
        with self.session.doing(Work.REPORT):
            return log.told("load_delivery", pull.load_delivery(self.session, connection, job, accept_outliers_by))

    @anchored
    def load_report(
        self,
        source: str,
        file: Path,
        *,
        as_of: datetime | None = None,
        since: date | None = None,
        until: date | None = None,
        rows: int | None = None,
        final: bool = False,
        accept_outliers_by: str | None = None,
    ) -> ReportSummary:
        """Load a delivery report from a file, whole or not at all. `as_of` is business time, now unless told.

        Raises ReportRefused, ReportHeld (until somebody accepts it), StoreContended, NotFound, ConnectionBroken.
        """
        loaded: ReportSummary = _report_files().load_file(
            self.session,
            source,
            file,
            as_of=as_of,
            since=since,
            until=until,
            rows=rows,
            final=final,
            accepted_by=accept_outliers_by,
        )
        return log.told("load_report", loaded)

    @anchored
    def load_dropped_reports(self, source: str) -> Sequence[ReportSummary]:
        """Load every new file of the source's folder, the oldest first. A bad one is set aside, the others are loaded.

        Raises StoreContended, NotFound, ConnectionBroken.
        """
        loaded: Sequence[ReportSummary] = _report_files().load_dropped(self.session, source)
        return loaded

    @anchored
    def fetch_report(
        self,
        source: str,
        since: date | None = None,
        until: date | None = None,
        *,
        accept_outliers_by: str | None = None,
    ) -> ReportSummary:
        """Fetch a report as JSON pages and load it; days inclusive, by default the look-back to the network's yesterday.

        Raises as `load_report`, VendorUnavailable and ConnectionPaused; Refused for an acceptance without its days.
        """
        pauses.refuse_if_paused(self.session, source)
        with self.session.doing(Work.REPORT):
            fetched: ReportSummary = _report_files().fetch_report(
                self.session, source, since, until, accepted_by=accept_outliers_by
            )
        return log.told("fetch_report", fetched)

    @anchored
    def claim_quarantine(self, source: str) -> int:
        """Make facts of quarantined delivery whose lines have become known; returns how many days."""
        claimed: int = _report_files().claim_quarantine(self.session, source)
        return claimed

    def quarantine(self, source: str | None = None) -> Sequence[QuarantinedLine]:
        """Delivery of lines that nobody knows, the largest first."""
        return questions.quarantine(self.session, source)

    def files_set_aside(self, source: str | None = None) -> Sequence[FileSetAside]:
        """Files of which nothing was loaded, each with the sentence that says why; they lie where they lay."""
        return questions.files_set_aside(self.session, source)

    def fact_versions(self, line: str, *, restated_only: bool = False) -> Sequence[FactVersion]:
        """Every version of a line's facts, all sources. Raises NotFound."""
        return questions.fact_versions(self.session, line, restated_only=restated_only)

    def delivery_facts(self, line_id: str, since: date, until: date) -> Sequence[DeliveryFact]:
        """The newest facts of a canonical line, all sources side by side with their finality, days inclusive."""
        return questions.delivery_facts(self.session, line_id, since, until)

    def completeness(self, source: str | None = None) -> Sequence[SourceCompleteness]:
        """Which expected days of each source have not arrived whole, and who does what. Raises NotFound, ConnectionBroken."""
        return completeness.completeness(self.session, source)

    def finality(self, source: str, since: date, until: date) -> Sequence[DayFinality]:
        """Which days of a source are final, and why; days inclusive. Raises NotFound, and Refused for a span of no day."""
        return finality.asked(self.session, source, since, until)

    def status(self) -> StatusResult:
        """The whole hub on one page; reads only the store."""
        return status_page.status(self.session)

    def trace(self, text: str) -> TraceResult:
        """Everything about the order that `text` names."""
        return trace_page.trace(self.session, text)

    def parked(
        self,
        reason: str | None = None,
        code: str | None = None,
        connection: str | None = None,
        group: str | None = None,
    ) -> Sequence[ParkedItem]:
        """Every open parked item that matches, oldest first."""
        with self.session.database.transaction() as cur:
            items = parking.items(cur, Selection(reason, code, connection, group))
        return [
            ParkedItem(
                connection=item.connection,
                kind=item.entity_kind,
                entity_id=item.entity_id,
                order_id=item.order_id,
                reason=item.reason,
                code=item.code,
                path=item.path,
                value=item.value,
                sentence=item.sentence,
                fix=item.fix,
                owner=item.owner,
                since=item.since,
                key=item.group_key,
                subject=item.subject,
                tries=item.tries,
            )
            for item in items
        ]

    def delivered(self, line_ids: Sequence[str]) -> Mapping[str, int]:
        """Impressions delivered so far by canonical line id; a line without any is absent."""
        with self.session.database.transaction() as cur:
            return facts.totals(cur, line_ids)

    @anchored
    def replay(
        self,
        reason: str | None = None,
        code: str | None = None,
        connection: str | None = None,
        *,
        group: str | None = None,
        subject: str | None = None,
        by: str | None = None,
        note: str | None = None,
        key: str | None = None,
    ) -> int:
        """Put parked work back, all of it or what matches; returns how many records and changes got another try.

        `subject` is an entity, an order, or an item's own subject. The same `key` twice does nothing the second time.
        Raises Refused when too many mass replays follow each other, NotFound for a name that nothing parked has or had.
        """
        selection = Selection(reason, code, connection, group, subject)
        return parked_work.replay(self.session, selection, by=by, note_text=note, key=key)

    @anchored
    def ignore(
        self,
        *,
        note: str,
        reason: str | None = None,
        code: str | None = None,
        connection: str | None = None,
        group: str | None = None,
        subject: str | None = None,
        by: str | None = None,
    ) -> int:
        """Close parked work without sending it until its entity changes; returns how many items.

        Raises Refused, and NotFound for a name that nothing parked has or had.
        """
        selection = Selection(reason, code, connection, group, subject)
        return parked_work.ignore(self.session, selection, by=by, note_text=note)

    @anchored
    def adopt(
        self,
        entity_id: str,
        vendor_id: str,
        *,
        connection: str,
        part: str | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> AdoptResult:
        """A person says which vendor object an entity is. Raises Refused, NotFound; see `hub.ops.answers`."""
        return answers.adopt(
            self.session, entity_id, vendor_id, connection=connection, facet=part, by=by, note_text=note
        )

    @anchored
    def declare_absent(
        self,
        entity_id: str,
        *,
        connection: str,
        part: str | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> AdoptResult:
        """A person says that the vendor does not have an entity's record: it may be created. Raises Refused, NotFound."""
        return answers.declare_absent(self.session, entity_id, connection=connection, facet=part, by=by, note_text=note)

    @anchored
    def resync(self, order: str, *, by: str | None = None, note: str | None = None) -> ResyncResult:
        """Send everything of one order anew, whatever vendors acknowledged. Raises NotFound, Refused."""
        return resync_verb.resync(self.session, order, by=by, note_text=note)

    @anchored
    def pause(self, connection: str, *, by: str | None = None, note: str | None = None) -> bool:
        """Stop intake, push and settle of one connection; False when it was paused already. Raises NotFound."""
        return pauses.pause(self.session, connection, by=by, note_text=note)

    @anchored
    def resume(self, connection: str, *, by: str | None = None, note: str | None = None) -> bool:
        """Let a paused connection go on; False when it was not paused. Raises NotFound."""
        return pauses.resume(self.session, connection, by=by, note_text=note)

    @property
    def paused(self) -> Mapping[str, str]:
        """The paused connections, each with the sentence that says so; reads only the store."""
        return pauses.paused(self.session)

    @anchored
    def retry_parked(self) -> int:
        """Try again what the rules of its reason say; returns how many records and changes. The settle verb does it, too."""
        return retry.retry_parked(self.session)

    def verify_audit(self, anchor: Path | None = None) -> AuditResult:
        """Walk the audit chain and compare it with this anchor file, or the configured one. Raises NotFound, AnchorFailed.

        A configured file that is not there is a fault as soon as the chain has an event: it vanished.
        """
        return chain.verify(self.session, anchor)

    def anchor_audit(self, file: Path) -> AnchorResult:
        """Append the end of the audit chain to a file. Raises NotFound when nothing was ever done, AnchorFailed."""
        return chain.anchor(self.session, file)

    def audit_mismatches(self) -> Sequence[str]:
        """What the audit chain tells and the store does not hold, and the other way round; empty when they correspond."""
        return correspondence.mismatches(self.session)

    @anchored
    def retarget(self) -> int:
        """Compute every order's lanes anew, for instance after a connection was added; returns how many got news."""
        with self.session.database.transaction() as cur:
            changes.one_at_a_time(cur)
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
        if isinstance(self.session.business, StoredClock):
            self.session.business.forget()

    def close(self) -> None:
        """Close connectors and store."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _report_files() -> ModuleType:
    """Imported when a report comes: polars takes a third of a second, and no other verb needs it. Raises ConfigurationError."""
    try:
        from hub.delivery import files
    except ModuleNotFoundError as error:
        if error.name != "polars":
            raise
        raise ConfigurationError(
            "Delivery reports are read with polars, which is not installed. Nothing was loaded. Operations installs "
            "`orderhub[facts]`."
        ) from error
    return files


def _checked(connector: Connector, used: preflight.Used) -> CheckReport:
    report = connector.check(used.fields, used.written)
    if not isinstance(report, CheckReport):
        raise TypeError(f"check() gave {type(report).__name__}, not CheckReport")
    if not isinstance(connector, ChecksDeclaredFields):
        return report
    more = connector.check_declared(used.declared_read, used.declared_written)
    return replace(report, findings=(*report.findings, *more))


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
