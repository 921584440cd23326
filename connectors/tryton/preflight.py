"""Tries the account before anything is posted: company, rights, accounts, journal, term, currencies, open periods."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from connectors.base import CheckReport, Finding, Severity
from connectors.errors import Misconfigured, PermissionMissing, RecordRejected, SchemaDrift
from connectors.tryton.directory import Directory
from connectors.tryton.error_table import Effect, unreadable
from connectors.tryton.rpc import RpcSession
from connectors.tryton.schemas import record_schemas
from connectors.tryton.settings import TrytonSettings

_DIGITS = re.compile(r"\[\s*(?:null|\d+)\s*,\s*(\d{1,2})\s*\]")
_MODELS = {"account.invoice": "create", "sale.sale": "create", "party.party": "create", "account.move.line": "read"}


def run(
    session: RpcSession,
    directory: Directory,
    settings: TrytonSettings,
    used: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
) -> CheckReport:
    """All findings at once. Writes nothing. Raises AuthFailed, Misconfigured (no such database), RetryLater, QuotaExhausted."""
    context = session.context()
    company = directory.company()
    findings = [
        *_rights(session, settings),
        *_set_up(directory, settings),
        *_periods(session, company),
        *_price(session, settings),
        *_fields(used, written),
    ]
    if not any(finding.severity is not Severity.OK for finding in findings):
        findings.append(Finding(Severity.OK, "account", f"Tryton is ready: {context.get('company.rec_name')}."))
    return CheckReport(f"{settings.database}/{company}", tuple(findings))


def _rights(session: RpcSession, settings: TrytonSettings) -> list[Finding]:
    access = session.read("ir.model.access", "get_access", sorted(_MODELS))
    if not isinstance(access, dict):
        raise unreadable("no rights", "ir.model.access.get_access", Effect.READ)
    findings = []
    for model, right in _MODELS.items():
        if model == "party.party" and not settings.create_parties:
            right = "read"
        if not (access.get(model) or {}).get(right):
            findings.append(
                Finding(
                    Severity.ERROR,
                    model,
                    f"{settings.user} may not {right} {model}. No such record is made. An administrator of Tryton gives the "
                    "user the groups Accounting and Sales.",
                )
            )
    return findings


def _set_up(directory: Directory, settings: TrytonSettings) -> list[Finding]:
    tries: list[tuple[str, Callable[[], object]]] = [
        ("receivable_account", directory.receivable),
        ("journal", directory.journal),
        ("payment_term", directory.payment_term),
        ("product" if settings.product else "revenue_account", lambda: directory.sold(settings.product)),
    ]
    findings = []
    for subject, attempt in tries:
        try:
            attempt()
        except (Misconfigured, RecordRejected, PermissionMissing, SchemaDrift) as error:
            findings.append(Finding(Severity.ERROR, subject, error.message))
    return findings


def _periods(session: RpcSession, company: int) -> list[Finding]:
    today = session.read("ir.date", "today")
    domain = [["company", "=", company], ["start_date", "<=", today], ["end_date", ">=", today], ["state", "=", "open"]]
    if session.read("account.period", "search_count", domain):
        return []
    return [
        Finding(
            Severity.WARNING,
            "account.period",
            f"No accounting period is open on {today}. Documents of today would be refused. Finance adds the fiscal year or "
            "opens its period.",
        )
    ]


def _price(session: RpcSession, settings: TrytonSettings) -> list[Finding]:
    described = session.read("account.invoice.line", "fields_get", ["unit_price"])
    field = described.get("unit_price") if isinstance(described, dict) else None
    digits = _DIGITS.fullmatch(str((field or {}).get("digits")))  # a text: it may hold an expression of Tryton's own
    shown = int(digits[1]) if digits else None
    if shown is None or shown >= settings.price_decimals:
        return []
    return [
        Finding(
            Severity.ERROR,
            "price_decimals",
            f"The server keeps {shown} decimals of a price, the connection expects {settings.price_decimals}. Finer prices "
            f"would be refused. The hub's administrator sets price_decimals to {shown}.",
        )
    ]


def _fields(used: Mapping[str, Sequence[str]], written: Mapping[str, Sequence[str]]) -> list[Finding]:
    schemas = record_schemas()
    return [
        Finding(
            Severity.ERROR,
            f"{record}.{name}",
            f"The connector has no field {record}.{name}. A mapping that uses it does not work. Integration corrects it.",
        )
        for record, names in {**used, **written}.items()
        for name in names
        if record not in schemas or name.partition(".")[0] not in schemas[record].fields
    ]
