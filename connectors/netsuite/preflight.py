"""Tries the account before anything is posted: log-in, rights to query, the item, the currencies, an open period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from connectors.base import CheckReport, Finding, Severity
from connectors.errors import PermissionMissing, RecordRejected, SchemaDrift
from connectors.netsuite.directory import Directory
from connectors.netsuite.schemas import record_schemas
from connectors.netsuite.session import AccountSession
from connectors.netsuite.settings import NetSuiteSettings
from connectors.netsuite.suiteql import wall

_PROBES: Mapping[str, str] = {
    "transaction": "SELECT t.id FROM transaction t WHERE t.type IN ('CustInvc', 'CustCred', 'CustPymt')",
    "nexttransactionlink": "SELECT l.previousdoc FROM nexttransactionlink l",
    "customer": "SELECT u.id, u.externalid FROM customer u",
    "currency": "SELECT c.id, c.symbol FROM currency c",
}


def run(
    session: AccountSession,
    directory: Directory,
    settings: NetSuiteSettings,
    used: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
) -> CheckReport:
    """All findings at once. Writes nothing. Raises AuthFailed, Misconfigured, RetryLater, QuotaExhausted."""
    findings = [*_rights(session), *_item(directory), *_period(session, settings), *_fields(used, written)]
    if all(finding.severity is Severity.OK for finding in findings):
        findings.append(Finding(Severity.OK, "account", f"The log-in works; NetSuite {settings.account} is ready."))
    return CheckReport(settings.account.upper().replace("-", "_"), tuple(findings))


def _rights(session: AccountSession) -> Iterator[Finding]:
    for table, statement in _PROBES.items():
        try:
            session.query(statement, most=1, record=table)
        except (PermissionMissing, SchemaDrift) as error:
            yield Finding(
                Severity.ERROR,
                table,
                f"The hub's role cannot query {table} ({error.code}). Documents are neither posted nor read back. An "
                "administrator of NetSuite extends the role as the how-to page lists.",
            )


def _item(directory: Directory) -> Iterator[Finding]:
    try:
        directory.item(None)
    except (RecordRejected, SchemaDrift, PermissionMissing) as error:
        yield Finding(Severity.ERROR, "item", error.message)


def _period(session: AccountSession, settings: NetSuiteSettings) -> Iterator[Finding]:
    today = datetime.now(settings.zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    statement = (
        "SELECT p.id FROM accountingperiod p WHERE p.isquarter = 'F' AND p.isyear = 'F' AND p.closed = 'F' "  # noqa: S608
        f"AND p.startdate <= {wall(today)} AND p.enddate >= {wall(today)}"
    )
    try:
        found = session.query(statement, most=1, record="accountingperiod")
    except (PermissionMissing, SchemaDrift):
        yield Finding(
            Severity.WARNING,
            "accountingperiod",
            "The hub's role may not see accounting periods. A closed one shows only when a document is refused. An administrator "
            "of NetSuite adds the permission Manage Accounting Periods, level View.",
        )
        return
    if not found:
        yield Finding(
            Severity.WARNING,
            "accountingperiod",
            f"No accounting period is open on {today:%Y-%m-%d}. Documents of today would be refused. Finance opens it.",
        )


def _fields(used: Mapping[str, Sequence[str]], written: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    schemas = record_schemas()
    for record in dict.fromkeys((*used, *written)):
        if record not in schemas:
            yield Finding(
                Severity.ERROR, record, f"The connector knows no record {record}. Integration corrects the mapping."
            )
            continue
        fields = schemas[record].fields
        wrong = [name for name in used.get(record, ()) if name not in fields]
        wrong += [name for name in written.get(record, ()) if name not in fields or not fields[name].createable]
        for name in dict.fromkeys(wrong):
            yield Finding(
                Severity.ERROR,
                f"{record}.{name}",
                f"{record} has no field {name} for this use. Its mapping stops. Integration corrects the mapping.",
            )
