"""The one configuration file: the store, the clocks, and every connection; a broken connection does not break the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.delivery.shape import ReportShape
from hub.errors import ConfigurationError
from mappings.spec import Owner

ENVIRONMENT = "ORDERHUB_CONFIG"
DEFAULT = Path("orderhub.yaml")
# What YAML's errors quote of a file; '<block end>' and the like are its own words.
_QUOTED = re.compile(r"'(?!<)[^']{2,}'")


class StoreSettings(BaseModel):
    """Where the store is: a PostgreSQL URL or a reference to one."""

    model_config = ConfigDict(extra="forbid")
    url: str


class BreakerSettings(BaseModel):
    """When a vendor that does not answer is left alone: per kind of operation, for all workers. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    failures: int = Field(default=5, ge=1, description="Calls that fail within the window until no more are made")
    window_seconds: float = Field(default=60.0, gt=0)
    pause_seconds: float = Field(
        default=30.0, gt=0, description="The first pause; it doubles while the vendor stays away"
    )
    longest_pause_seconds: float = Field(default=600.0, gt=0)


class ShareSettings(BaseModel):
    """How the kinds of work share each of the vendor's rates, in per cent; what one leaves idle the others may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    interactive: float = Field(default=20.0, gt=0)
    push: float = Field(default=50.0, gt=0)
    report: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> ShareSettings:
        total = self.interactive + self.push + self.report
        if abs(total - 100) > 0.001:
            raise ValueError(
                f"interactive, push and report are per cent of one rate: their sum must be 100, not {total:g}"
            )
        return self


class GuardSettings(BaseModel):
    """How much one push may change unasked. 100 per cent switches the guard off."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    share_percent: float = Field(default=5.0, ge=0, le=100, description="Of the records that a connection acknowledged")
    minimum: int = Field(default=25, ge=0, description="So many records never need approval, however few there are")
    billing_fields: tuple[str, ...] = Field(
        default=("purchase_order", "terms", "parties[role=bill_to]"),
        description="Canonical fields; one change of them on an existing record asks. Add price.rate to be asked about prices",
    )


class DriftPolicy(StrEnum):
    """What follows when somebody edited a field at the vendor that is not theirs."""

    OWNER_WINS = "owner_wins"
    PROPOSE = "propose"
    IGNORE = "ignore"


class ConnectionSettings(BaseModel):
    """One connection as written in the file; `settings` are the connector's own and checked by its model."""

    model_config = ConfigDict(extra="forbid")
    connector: str
    settings: dict[str, Any] = Field(default_factory=dict)
    mapping_settings: dict[str, str] = Field(default_factory=dict)
    mapping: Path | None = None
    overlays: tuple[str, ...] = ()
    """Shipped overlays on the connector's mappings that this account has the fields for, by name; laid before its own."""
    adopt_unmarked: bool = True
    """Whether a vendor record with our name but nobody's mark may be taken over instead of being reported."""
    intake_every_seconds: int = Field(default=60, ge=1)
    breaker: BreakerSettings = Field(default_factory=BreakerSettings)
    shares: ShareSettings = Field(default_factory=ShareSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    drift: dict[Owner, DriftPolicy] = Field(default_factory=dict)
    """By the field's owner: the hub writes again, asks a person, or lets it be. Unsaid: it asks; the CRM's mirror it writes."""
    delivery_look_back_days: int = Field(default=35, ge=0, le=3660)
    """Days behind the newest that each pull of the connector's delivery report reads again, because vendors restate them."""
    delivery_late_after_hours: float = Field(default=24.0, ge=0, le=24 * 90)
    """Hours after the end of a day, in the source's own zone, until a day that has not arrived is told as missing."""
    customer_codes: Path | None = None
    """A CSV file with the columns `party` and `code`: by which customer code an ERP knows who pays."""
    report: ReportShape | None = None
    """How delivery reports that arrive as files look, where this connection counts delivery."""
    check_before_update: bool = True
    """Whether an update first looks if somebody edited the record; one read for each call, where the connector can compare."""


class HubSettings(BaseModel):
    """The file without its connections."""

    model_config = ConfigDict(extra="forbid")
    store: StoreSettings
    business_clock: Literal["system", "store"] = "system"
    lease_seconds: float = Field(default=600.0, ge=1.0, le=86_400.0)
    """Machine time after which claimed work counts as a dead worker's; longer than the longest vendor call."""
    keep_reconciliations: int = Field(default=3, ge=1)
    """So many newest runs of each month keep their lines and exceptions; of older ones the sums and the digest remain."""
    report_memory: Literal["ample", "small"] = "ample"
    """How much a worker holds at once of a delivery report that it loads (`hub.delivery.room`); the facts are the same."""
    audit_anchor: Path | None = None
    """A file outside the database that gets the end of the audit chain after each verb that wrote."""
    connections: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says. `broken` holds, by connection name, the sentence that says what is wrong with it."""

    path: Path
    hub: HubSettings
    connections: Mapping[str, ConnectionSettings]
    broken: Mapping[str, str]


def _where(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_input=False, include_url=False):
        parts.append(f"{'.'.join(str(step) for step in item['loc']) or 'the file'}: {item['msg']}")
    return "; ".join(parts)


def configuration_path(path: Path | None = None) -> Path:
    """The file in use: the argument, the environment's ORDERHUB_CONFIG, or ./orderhub.yaml."""
    return path or Path(os.environ.get(ENVIRONMENT, str(DEFAULT)))


def _why_unreadable(error: Exception) -> str:
    """What is wrong and where, without a word of the file: secrets may stand in it."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        return where + _QUOTED.sub("…", error.problem or "it is no YAML")
    return " ".join(str(error).split())


def _raw(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {path}. Nothing can run. Write one (docs/how-to/configure.md), or name it with "
            f"--config or {ENVIRONMENT}."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"The configuration file {path} cannot be read ({_why_unreadable(error)}). Nothing can run. Whoever edited it last "
            "corrects it."
        ) from None
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"The configuration file {path} holds no settings. Nothing can run. Fill it in.")
    return loaded


def load(path: Path | None = None) -> Configuration:
    """Read and check the file; connections one by one. Raises ConfigurationError when the file as a whole is unusable."""
    where = configuration_path(path)
    try:
        hub = HubSettings.model_validate(_raw(where))
    except ValidationError as error:
        raise ConfigurationError(
            f"The configuration file {where} is wrong: {_where(error)}. Nothing can run. Whoever edited it last corrects it."
        ) from error
    good: dict[str, ConnectionSettings] = {}
    broken: dict[str, str] = {}
    for name, body in hub.connections.items():
        try:
            good[name] = ConnectionSettings.model_validate(body)
        except ValidationError as error:
            broken[name] = (
                f"Connection {name} is wrongly configured ({_where(error)}). Its work stops, the other connections go on. "
                f"Whoever edited {where.name} last corrects connections.{name}."
            )
    return Configuration(where, hub, good, broken)


def connection_names(path: Path | None = None) -> tuple[str, ...]:
    """Only the names, for a clock that must not import anything heavy; broken ones included."""
    connections = _raw(configuration_path(path)).get("connections")
    return tuple(connections) if isinstance(connections, dict) else ()
