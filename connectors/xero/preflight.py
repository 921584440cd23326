"""Tries the organisation before anybody relies on it: its name, the account, the tax type, lock dates, the calls left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.base import CheckReport, Finding, Severity
from connectors.exact_json import Unwritable
from connectors.xero.elements import elements
from connectors.xero.error_table import one_line
from connectors.xero.schemas import record_schemas
from connectors.xero.session import Call, XeroSession
from connectors.xero.settings import LineAmounts, XeroSettings
from connectors.xero.wire import quoted

_FEW_CALLS = 500


def run(
    session: XeroSession,
    settings: XeroSettings,
    used: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
) -> CheckReport:
    """Three requests that write nothing. Raises like a read."""
    findings: list[Finding] = []
    call = Call("Organisation")
    organisations = elements(session.send(call), "Organisations", call)
    if not organisations:
        findings.append(
            _error("organisation", "Xero shows no organisation. Nothing can be posted. An administrator connects it.")
        )
        return CheckReport(settings.tenant_id, tuple(findings))
    ours = organisations[0]
    name, currency = one_line(ours.get("Name"), 80), one_line(ours.get("BaseCurrency"), 3)
    findings.append(Finding(Severity.OK, "organisation", f"Connected to {name}, which keeps its books in {currency}."))
    for field, who in (("PeriodLockDate", "everybody but advisers"), ("EndOfYearLockDate", "everybody")):
        if (locked := ours.get(field)) is not None:
            findings.append(
                Finding(
                    Severity.OK,
                    field,
                    f"Documents up to {locked} are locked for {who}. They would be parked. Finance moves the date if needed.",
                )
            )
    findings += _account(session, settings)
    findings += _tax(session, settings)
    findings += _fields({**used, **{record: (*used.get(record, ()), *names) for record, names in written.items()}})
    left = session.day_left
    if left is not None and left < _FEW_CALLS:
        findings.append(
            Finding(
                Severity.WARNING,
                "calls",
                f"{left} calls are left today. Large closes will wait for the next day. Nobody needs to act.",
            )
        )
    return CheckReport(f"{settings.tenant_id} {name}", tuple(findings))


def _account(session: XeroSession, settings: XeroSettings) -> list[Finding]:
    try:
        where = f"Code=={quoted(settings.account_code)}"
    except Unwritable as error:
        return [_error("account_code", f"{error}. Nothing can be posted. The hub's administrator corrects it.")]
    call = Call("Accounts", params={"where": where})
    found = [a for a in elements(session.send(call), "Accounts", call) if a.get("Code") == settings.account_code]
    if not found or found[0].get("Status") != "ACTIVE":
        return [
            _error(
                "account_code",
                f"Xero has no active account {settings.account_code}. Nothing can be posted. The hub's administrator corrects "
                "account_code, or finance adds the account.",
            )
        ]
    if found[0].get("Class") != "REVENUE":
        return [
            Finding(
                Severity.WARNING,
                "account_code",
                f"The account {settings.account_code} is no revenue account. Invoices would go there. Finance confirms it.",
            )
        ]
    return [
        Finding(Severity.OK, "account_code", f"Lines are booked on {settings.account_code}, an active revenue account.")
    ]


def _tax(session: XeroSession, settings: XeroSettings) -> list[Finding]:
    if settings.line_amounts is LineAmounts.NO_TAX or settings.tax_type is None:
        return []
    call = Call("TaxRates")
    rates = session.send(call).get("TaxRates")
    known = {
        str(rate.get("TaxType"))
        for rate in (rates if isinstance(rates, list) else [])
        if isinstance(rate, dict) and rate.get("Status") == "ACTIVE"
    }
    if settings.tax_type in known:
        return [Finding(Severity.OK, "tax_type", f"Lines are taxed as {settings.tax_type}.")]
    return [
        _error(
            "tax_type",
            f"Xero has no active tax rate {settings.tax_type}. Nothing can be posted. The hub's administrator corrects tax_type.",
        )
    ]


def _fields(used: Mapping[str, Sequence[str]]) -> list[Finding]:
    schemas = record_schemas()
    return [
        _error(
            f"{record}.{name}",
            f"{record} has no field {name} in Xero. Its mapping cannot work. Integration corrects the mapping.",
        )
        for record, names in used.items()
        for name in dict.fromkeys(names)
        if record not in schemas or (name != "id" and name.partition(".")[0] not in schemas[record].fields)
    ]


def _error(subject: str, sentence: str) -> Finding:
    return Finding(Severity.ERROR, subject, sentence)
