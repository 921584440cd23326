"""What every verb works with: the store, the clocks, the configuration, and one channel per connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import ValidationError

from connectors.base import Capabilities, Connector
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub import log
from hub.clock import Clock, Sleep, StoredClock, SystemClock, sleep
from hub.config import Configuration, ConnectionSettings, _where
from hub.errors import ConfigurationError, ConnectionBroken, HubError, NotFound
from hub.lease import lease_finding
from hub.secrets import SecretMissing, is_reference, resolve, resolve_all
from hub.store import journal
from hub.store.database import Database
from hub.store.shares import Work
from mappings.actions import Actions
from mappings.errors import MappingErrors
from mappings.memory import calm_collector

if TYPE_CHECKING:
    from mappings.mapping import Mapping

ConnectorFactory = Callable[[str, ConnectionSettings], Connector]
"""Makes the connector of a connection; replaced in simulations."""


@dataclass
class Channel:
    """One usable connection: its connector, what it can do, and its mappings by (entity, direction)."""

    name: str
    settings: ConnectionSettings
    connector: Connector
    mappings: dict[tuple[str, str], Mapping]
    actions: Actions = field(default_factory=Actions)
    account: str = ""
    answers: bool = False
    """Whether this worker has seen it answer, and said so, since it last failed."""
    unsteady: frozenset[str] = frozenset()
    """Kinds of operation whose circuit breaker had something to tell when this worker last asked."""

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the connector declares under these settings."""
        return self.connector.capabilities

    def mapping(self, entity: str, direction: str) -> Mapping | None:
        """The mapping of an entity in one direction, None when the connection does not carry it."""
        return self.mappings.get((entity, direction))

    @property
    def credential(self) -> str:
        """Whose rate limits apply; connections that share credentials share their name here by configuration."""
        return str(self.settings.settings.get("rate_group", self.name))


def build_connector(name: str, settings: ConnectionSettings) -> Connector:
    """The connector of a connection, its secrets resolved. Raises ConnectionBroken."""
    try:
        kind = load_connector(settings.connector)
        body = {key: value for key, value in settings.settings.items() if key != "rate_group"}
        return kind(kind.config.model_validate(resolve_all(body)))
    except (Misconfigured, SecretMissing) as error:
        sentence = error.message if isinstance(error, Misconfigured) else str(error)
        raise ConnectionBroken(name, f"Connection {name}: {sentence}") from error
    except ValidationError as error:
        raise ConnectionBroken(
            name,
            f"Connection {name} has wrong settings ({_where(error)}). Its work stops, the other connections go on. Whoever "
            f"edited the configuration last corrects connections.{name}.settings.",
        ) from None


@dataclass
class Session:
    """Everything a verb needs. Not for several threads at once."""

    configuration: Configuration
    database: Database
    machine: Clock
    business: Clock
    sleep: Sleep = sleep
    connect: ConnectorFactory = build_connector
    work: Work = Work.PUSH
    """What the verb at work is for: whose share of the vendor's rates its calls use."""
    _channels: dict[str, Channel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.database.machine = self.machine

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> Session:
        """A session on the configured store; nothing is connected yet. Raises ConfigurationError."""
        calm_collector()
        url = configuration.hub.store.url
        try:
            database = Database(resolve(url) if is_reference(url) else url)
        except SecretMissing as error:
            raise ConfigurationError(
                f"The store's address (store.url) is not known: {error} Nothing can run."
            ) from error
        machine = SystemClock()
        business: Clock = machine
        if configuration.hub.business_clock == "store":

            def read() -> datetime | None:
                with database.transaction() as cur:
                    return journal.business_time(cur)

            business = StoredClock(read, machine)
        return cls(configuration, database, machine, business)

    @property
    def lease(self) -> timedelta:
        """How long a worker may hold what it claimed without a sign of life; then it counts as dead."""
        return timedelta(seconds=self.configuration.hub.lease_seconds)

    @contextmanager
    def doing(self, work: Work) -> Iterator[None]:
        """Calls made meanwhile use the share of this kind of work."""
        before, self.work = self.work, work
        try:
            yield
        finally:
            self.work = before

    @property
    def names(self) -> list[str]:
        """Every connection that the configuration names, broken ones last."""
        return [*self.configuration.connections, *self.configuration.broken]

    def known(self, name: str) -> bool:
        """Whether the configuration names this connection, broken or not."""
        return name in self.configuration.connections or name in self.configuration.broken

    def channel(self, name: str) -> Channel:
        """The channel of a connection, made once. Raises NotFound or ConnectionBroken."""
        if name in self._channels:
            return self._channels[name]
        if name in self.configuration.broken:
            raise ConnectionBroken(name, self.configuration.broken[name])
        # The compiler of mappings takes 3 MB, which whoever uses no channel (a report's load) keeps.
        from hub.mapping_files import load_action_table, load_mappings

        settings = self.configuration.connections.get(name)
        if settings is None:
            names = ", ".join(self.names) or "none"
            raise NotFound(f"There is no connection {name!r}. Nothing was done. The configuration names: {names}.")
        try:
            connector = self.connect(name, settings)
            schemas, capabilities = connector.record_schemas(), connector.capabilities
        except HubError:
            raise
        except Exception as error:  # a connector of somebody's own may fail anyhow; the other connections go on
            log.stumbled(name, settings.connector, error)
            raise ConnectionBroken(
                name,
                f"Connection {name}: the connector {settings.connector} failed with {type(error).__name__} before any request. "
                "The connection is not used, the others go on. Integration mends the connector; the log names the place.",
            ) from error
        try:
            mappings = load_mappings(settings.connector, schemas, settings.mapping, settings.overlays)
            actions = load_action_table(settings.connector, mappings, capabilities, settings.mapping)
        except (MappingErrors, ConfigurationError) as error:
            raise ConnectionBroken(name, f"Connection {name}: {error}") from error
        advice = lease_finding(name, capabilities, self.configuration.hub.lease_seconds)
        if advice is not None:
            log.advised(name, advice.subject, advice.sentence)
        channel = Channel(name, settings, connector, mappings, actions)
        self._channels[name] = channel
        return channel

    def channels(self) -> list[Channel]:
        """All usable channels, in the order of the configuration; broken ones are left out."""
        usable = []
        for name in self.configuration.connections:
            try:
                usable.append(self.channel(name))
            except ConnectionBroken:
                continue
        return usable

    def close(self) -> None:
        """Close every connector and the store."""
        for channel in self._channels.values():
            channel.connector.close()
        self._channels.clear()
        self.database.close()
