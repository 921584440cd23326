"""Which flows each configured connection has: read from the configuration file, the connector's class and its mappings.

Runs whenever Airflow parses a DAG file, so it uses no network, no database and no vendor SDK. A connection whose settings
are wrong keeps the flows its connector has, so that its runs fail with the sentence that says what is wrong; one whose
connector is unknown keeps its check.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import yaml
from airflow.sdk import get_parsing_context

from connectors.base import Connector, ObservesRecords, PushesRecords, ReadsChanges, ReportsDelivery
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub.config import Configuration, ConnectionSettings, load
from hub.errors import ConfigurationError
from hub.mapping_files import mapping_paths
from plugins.names import identifier

PROJECTIONS = frozenset({"order_projection", "line_projection"})
"""Entities that tell a CRM how its order fares; who has a mapping for them is a mirror."""

DEFAULT_INTAKE_SECONDS = 60


class Flow(StrEnum):
    """The flows, by the names of their files."""

    INTAKE = "intake"
    PUSH = "push"
    SETTLE = "settle"
    DELIVERY = "delivery"
    OBSERVE = "observe"
    MIRROR = "mirror"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class ClockedConnection:
    """A connection as the clock sees it: its name, its connector's, its flows, and how often its source is read."""

    name: str
    connector: str
    flows: frozenset[Flow]
    intake_seconds: int = DEFAULT_INTAKE_SECONDS

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
    directions = _directions(connector, settings)
    flows = {Flow.CHECK}
    if _can(kind, ReadsChanges) and _serves(directions, lambda _entity, way: way in {"in", "both"}):
        flows.add(Flow.INTAKE)
    if _can(kind, PushesRecords) and _serves(directions, lambda _entity, way: way in {"out", "both"}):
        projects = bool(PROJECTIONS & set(directions))
        mirrors = projects or (not directions and not _can(kind, ObservesRecords))
        flows |= {Flow.MIRROR if mirrors else Flow.PUSH, Flow.SETTLE}
    if _can(kind, ObservesRecords) and Flow.PUSH in flows:
        flows.add(Flow.OBSERVE)
    if _can(kind, ReportsDelivery):
        flows.add(Flow.DELIVERY)
    seconds = settings.intake_every_seconds if settings is not None else DEFAULT_INTAKE_SECONDS
    return ClockedConnection(name, connector, frozenset(flows), seconds)


def _written_connector(configuration: Configuration, name: str) -> str:
    body = configuration.hub.connections[name]
    written = body.get("connector") if isinstance(body, dict) else None
    return written if isinstance(written, str) else ""


def _can(kind: type[Connector], protocol: type) -> bool:
    return issubclass(kind, protocol)


def _serves(directions: dict[str, str], fits: Callable[[str, str], bool]) -> bool:
    """Whether a mapping fits; without readable mappings the connection keeps its flows, and they tell what is wrong."""
    return not directions or any(fits(entity, way) for entity, way in directions.items())


def _directions(connector: str, settings: ConnectionSettings | None) -> dict[str, str]:
    """Direction (`in`, `out`, `both`) of each mapped entity; empty when a mapping cannot be read."""
    own = settings.mapping if settings is not None else None
    found: dict[str, str] = {}
    try:
        for entity, (path, _overlays) in mapping_paths(connector, own).items():
            head = yaml.load(path.read_bytes(), Loader=_fastest_loader())  # noqa: S506 - both are safe loaders
            found[entity] = str(head["direction"])
    except (ConfigurationError, OSError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return found


def _fastest_loader() -> type[yaml.SafeLoader] | type[yaml.CSafeLoader]:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def configuration_name() -> str:
    """The configuration file's name for documentation pages, without its folder."""
    return os.path.basename(os.environ.get("ORDERHUB_CONFIG", "orderhub.yaml"))
