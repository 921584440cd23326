"""Which flows each configured connection has: read from the configuration file, the connector's class and its mappings.

Runs whenever Airflow parses a DAG file, so it uses no network, no database and no vendor SDK. A connection whose settings
are wrong keeps the flows its connector has, so that its runs fail with the sentence that says what is wrong; one whose
connector is unknown keeps its check.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import yaml
from airflow.sdk import get_parsing_context

from connectors.base import (
    ComparesRecords,
    Connector,
    CountsRecords,
    ObservesRecords,
    OffersReportPages,
    PushesRecords,
    ReadsChanges,
    ReportsBilling,
    ReportsDelivery,
)
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub.config import Configuration, ConnectionSettings, load
from hub.errors import ConfigurationError
from hub.mapping_files import mapping_paths
from plugins.names import identifier

PROJECTION = "order_projection"
"""The entity that tells a CRM how its order fares; who has a mapping for it is read from and mirrored to, as `hub` does."""

DEFAULT_INTAKE_SECONDS = 60


class Flow(StrEnum):
    """The flows, by the names of their files."""

    INTAKE = "intake"
    PUSH = "push"
    SETTLE = "settle"
    DELIVERY = "delivery"
    REPORTS = "reports"
    COMPLETENESS = "completeness"
    OBSERVE = "observe"
    MIRROR = "mirror"
    CHECK = "check"
    CENSUS = "census"
    BILLING_CLOSE = "billing_close"
    BILLING_BACK = "billing_back"


@dataclass(frozen=True, slots=True)
class ClockedConnection:
    """A connection as the clock sees it: its name, its connector's, its flows, and how often its source is read."""

    name: str
    connector: str
    flows: frozenset[Flow]
    intake_seconds: int = DEFAULT_INTAKE_SECONDS
    compares: bool = False
    """Whether its connector can tell foreign edits from its own writes."""
    drops: bool = False
    """Whether its delivery reports are dropped into a folder as files."""
    fetches: bool = False
    """Whether its delivery reports are fetched as pages."""

    def dag_id(self, flow: Flow) -> str:
        """Id of the flow's DAG; characters that Airflow does not allow in ids become underscores."""
        return f"{flow}__{identifier(self.name)}"


def clocked_connections() -> tuple[ClockedConnection, ...]:
    """All connections of the configuration in use. Raises ConfigurationError when the file as a whole is unusable."""
    configuration = load()
    names = list(configuration.hub.connections)
    known = {identifier(name): name for name in names}
    if len(known) < len(names):
        alike = sorted(set(names) - set(known.values()))
        raise ConfigurationError(
            f"The names of the connections {', '.join(alike)} differ from others only in characters that Airflow does not "
            "allow in ids. No flow is loaded. Whoever edits the configuration renames them."
        )
    return tuple(_clocked(configuration, name) for name in names)


def connections_with(flow: Flow) -> Iterator[ClockedConnection]:
    """Connections that have this flow; in a task's process only the one whose DAG is being run."""
    wanted = get_parsing_context().dag_id
    for connection in clocked_connections():
        if flow in connection.flows and wanted in {None, connection.dag_id(flow)}:
            yield connection


def _clocked(configuration: Configuration, name: str) -> ClockedConnection:
    settings = configuration.connections.get(name)
    connector = settings.connector if settings is not None else _written_connector(configuration, name)
    try:
        kind = load_connector(connector)
    except Misconfigured:
        return ClockedConnection(name, connector or "unknown", frozenset({Flow.CHECK}))
    carried = _carried(connector, settings)
    mirrors = not _can(kind, ObservesRecords) if carried is None else PROJECTION in carried
    flows = {Flow.CHECK}
    if _can(kind, ReadsChanges) and mirrors:
        flows.add(Flow.INTAKE)
    if _can(kind, PushesRecords):
        flows |= {Flow.MIRROR if mirrors else Flow.PUSH, Flow.SETTLE}
    if _can(kind, ObservesRecords) and not mirrors:
        flows.add(Flow.OBSERVE)
    if _can(kind, CountsRecords):
        flows.add(Flow.CENSUS)
    if _can(kind, ReportsDelivery):
        flows.add(Flow.DELIVERY)
    report = settings.report if settings is not None else None
    drops = report is not None and report.folder is not None
    only_reports = _can(kind, OffersReportPages) and flows == {Flow.CHECK}
    # A source of files alone needs no address: there is nobody to ask, and nothing to check.
    fetches = report is not None and _can(kind, OffersReportPages) and bool(settings is not None and settings.settings)
    if drops or fetches:
        flows.add(Flow.REPORTS)
    if drops and only_reports and not fetches:
        flows.discard(Flow.CHECK)
    if report is not None or Flow.DELIVERY in flows:
        flows.add(Flow.COMPLETENESS)
    if _can(kind, ReportsBilling):
        flows |= {Flow.BILLING_CLOSE, Flow.BILLING_BACK}
    seconds = settings.intake_every_seconds if settings is not None else DEFAULT_INTAKE_SECONDS
    compares = _can(kind, ComparesRecords)
    return ClockedConnection(name, connector, frozenset(flows), seconds, compares, drops, fetches)


def _written_connector(configuration: Configuration, name: str) -> str:
    body = configuration.hub.connections[name]
    written = body.get("connector") if isinstance(body, dict) else None
    return written if isinstance(written, str) else ""


def _can(kind: type[Connector], protocol: type) -> bool:
    return issubclass(kind, protocol)


def _carried(connector: str, settings: ConnectionSettings | None) -> set[str] | None:
    """Entities the connection has mappings for; None when that cannot be told, and its runs will tell why."""
    try:
        return set(mapping_paths(connector, settings.mapping if settings is not None else None))
    except (ConfigurationError, OSError, yaml.YAMLError):
        return None


def configuration_name() -> str:
    """The configuration file's name for documentation pages, without its folder."""
    return os.path.basename(os.environ.get("ORDERHUB_CONFIG", "orderhub.yaml"))
