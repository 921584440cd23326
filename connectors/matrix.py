"""The capability matrix: what every installed connector does, how that was verified, and what it cannot do."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.base import (
    Capabilities,
    ComparesRecords,
    Connector,
    CountsRecords,
    ForecastsAvailability,
    ObservesRecords,
    OffersReportPages,
    PushesRecords,
    ReadsChanges,
    ReportsBilling,
    ReportsDelivery,
    RequestsSignatures,
    ResolvesNames,
    RunsBulkJobs,
)
from connectors.discovery import installed, load

PROTOCOLS = {
    "reads changes": ReadsChanges,
    "pushes records": PushesRecords,
    "runs bulk jobs": RunsBulkJobs,
    "observes records": ObservesRecords,
    "compares records": ComparesRecords,
    "counts records": CountsRecords,
    "resolves names": ResolvesNames,
    "reports delivery": ReportsDelivery,
    "offers report pages": OffersReportPages,
    "forecasts availability": ForecastsAvailability,
    "reports billing": ReportsBilling,
    "requests signatures": RequestsSignatures,
}

EXAMPLES: dict[str, dict[str, object]] = {
    "report-api": {"url": "https://reports.measure.example/delivery", "token": "example"},
    "gam": {"network_code": "1", "access_token": "example"},
    "tryton": {"url": "https://erp.acme.example", "database": "acme", "user": "orderhub", "password": "example"},
    "xero": {
        "tenant_id": "6f1d2c3b-4a59-4e68-8777-0123456789ab",
        "client_id": "example",
        "client_secret": "example",
        "account_code": "200",
    },
    "netsuite": {
        "account": "1234567",
        "client_id": "example",
        "certificate_id": "example",
        "private_key": "example",
        "item": "Advertising",
        "time_zone": "America/Los_Angeles",
    },
    "salesforce": {"domain": "acme.my", "consumer_key": "example", "consumer_secret": "example"},
}
"""Least settings with which a connector can say what it does; it is not connected."""


def page() -> str:
    """The whole matrix as Markdown."""
    kinds = {name: load(name) for name in installed()}
    lines = [
        "# Connectors",
        "",
        "Generated from the connectors themselves (`python -m connectors.matrix`); a test compares it. What is not here is not",
        "done.",
        "",
        "| ability | " + " | ".join(kinds) + " |",
        "|---|" + "---|" * len(kinds),
    ]
    for ability, protocol in PROTOCOLS.items():
        marks = ["yes" if issubclass(kind, protocol) else "–" for kind in kinds.values()]
        lines.append(f"| {ability} | " + " | ".join(marks) + " |")
    for name, kind in kinds.items():
        lines += ["", *_section(name, kind)]
    return "\n".join(lines) + "\n"


def _section(name: str, kind: type[Connector]) -> list[str]:
    connector = kind(kind.config.model_validate(EXAMPLES.get(name, {})))
    abilities = connector.capabilities
    lines = [f"## {kind.title} (`{name}`)", "", *_records(abilities), *_streams(abilities), *_rates(abilities)]
    lines += ["**Verified by**", "", *(f"- {item}" for item in abilities.verified_by), ""]
    lines += ["**Cannot**", "", *(f"- {item}" for item in abilities.cannot), ""]
    lines += ["**Settings**", "", "| setting | default | meaning |", "|---|---|---|", *_settings(kind.config)]
    return lines


def _records(abilities: Capabilities) -> list[str]:
    lines = [
        "| record | batch | operations | a lost create is told by | children | verbs |",
        "|---|---|---|---|---|---|",
    ]
    for record, one in abilities.records.items():
        told = str(one.create).replace("_", " ") + (f" `{one.marker}`" if one.marker else "")
        children = ", ".join(f"{count} {child}" for child, count in one.children.items()) or "–"
        operations = ", ".join(sorted(str(o) for o in one.operations))
        verbs = ", ".join(sorted(one.actions)) or "–"
        jobs = f"; above {one.jobs.above:,} due, jobs of {one.jobs.batch:,}" if one.jobs else ""
        lines.append(f"| {record} | {one.batch}{jobs} | {operations} | {told} | {children} | {verbs} |")
    return [*lines, ""]


def _streams(abilities: Capabilities) -> list[str]:
    if not abilities.streams:
        return []
    lines = ["| stream | read again behind the cursor | tells deletions |", "|---|---|---|"]
    for stream, one in abilities.streams.items():
        lines.append(f"| {stream} | {one.overlap:g} s | {'yes' if one.deletes else 'no'} |")
    return [*lines, ""]


def _rates(abilities: Capabilities) -> list[str]:
    rates = [
        f"- {rate.name}: {rate.limit:g} per {rate.per:g} s, at most {rate.burst} at once"
        + (f" ({', '.join(sorted(rate.operations))})" if rate.operations else "")
        for rate in abilities.rates
    ]
    return ["**Known limits, held before sending**", "", *(rates or ["- none declared"]), ""]


def _settings(config: type[BaseModel]) -> list[str]:
    return [
        f"| `{name}` | {_default(field)} | {_cell(field.description)} |" for name, field in config.model_fields.items()
    ]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(item) for item in value)) or "–"
    return "–" if value is None else _cell(str(value))


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference/connectors.md").write_text(page(), encoding="utf-8")
