"""The demo's last stage: months of the delivered book are closed into a Tryton of its own, where Tryton is installed.

Closed are the months in which most lines ran, so that a few seconds show much; `all` closes every one. What the ERP then holds
is read by the bookkeeper's own log-in and compared with the hub's documents one by one, and so is what the CRM then shows.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import hub
from cli.demo.bills_shown import shown_bills, shown_otherwise
from cli.demo.configuration import LEDGER, SETTLE_SECONDS, add_ledger
from cli.demo.crm_client import CrmError
from cli.demo.engine import EngineError
from cli.demo.journey import Check, last_delivery
from cli.demo.machinery import Machinery
from cli.demo.order_book import OrderBook
from cli.demo.supervisor import Program
from cli.erp import company
from cli.erp.bookkeeper import Bookkeeper
from cli.erp.installation import TOOLS, TrytonError, installed
from cli.erp.tryton import TrytonServer
from connectors.errors import ConnectorError
from hub import Hub
from hub.billing.answers import BilledDocument, CloseSummary
from hub.errors import HubError
from hub.store.billing_documents import DocumentState
from oms_schema.document import DocumentKind

PREPARER, APPROVER = "Ada", "Grace"
PATIENCE = 1_800.0
"""Seconds that one month may wait for the ERP."""
TIME_OUT = 120.0
"""Seconds for one answer of Tryton: an invoice of hundreds of lines takes it ten."""
DEFAULT_MONTHS = "1"
LISTED = 3
"""Months that a sentence names one by one."""
FOLDER = "tryton"
PASSWORD = "password"  # noqa: S105 - the name of a file, not a secret
NOT_INSTALLED = "not run: Tryton is not installed (make tryton)"
NOT_WANTED = "not run: --bill none"
_SENT = (DocumentState.EXPORTED, DocumentState.POSTED, DocumentState.PAID)
_STANDS = ("posted", "paid")


class MonthsError(ValueError):
    """What was given with --bill is neither a number of months, `all` nor `none`."""


@dataclass
class Billed:
    """What the bills came to; the names are those of the demo's JSON, None where nothing was closed.

    `sums` are by currency: what was invoiced, credited and is still owed, in major units. `mismatches` are documents that are
    not exactly once in the ERP with our total.
    """

    invoices: int | None = None
    credits: int | None = None
    sums: dict[str, dict[str, Decimal | None]] | None = None
    mismatches: int | None = None
    second_close_documents: int | None = None
    billed_months: list[str] | None = None
    billing_seconds: float | None = None
    billing: str = ""
    """One sentence for a person, or why nothing was closed."""
    checks: list[Check] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For the last line of `--json`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "checks"}


# ---------------------------------------------------------------- which months
def months_wanted(text: str) -> int | None:
    """How many months `--bill` asks for: None for all, 0 for none. Raises MonthsError."""
    if text == "all":
        return None
    if text == "none":
        return 0
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise MonthsError(f"{text!r} is neither a number of months, `all` nor `none`.")


def busiest_months(book: OrderBook, most: int | None) -> list[str]:
    """The months (`2020-09`) in which most lines run, the earlier of two alike, in the order of the calendar."""
    lines: Counter[str] = Counter()
    until = last_delivery(book)
    for line in book.lines:
        lines.update(_months(line.start, line.flight_end or until))
    ranked = sorted(lines, key=lambda month: (-lines[month], month))
    return sorted(ranked[:most])


def _months(start: datetime, end: datetime) -> list[str]:
    last = (end - timedelta(microseconds=1)).date()
    first = start.date()
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]


# ---------------------------------------------------------------- closing them
def bill(
    machinery: Machinery, book: OrderBook, state: Path, wanted: int | None, heard: Callable[[str], None]
) -> Billed:
    """Start Tryton, close the months twice, mirror, and compare. Tryton runs on until the supervisor stops everything.

    The calls of this mirroring are nobody's figure: the journey's were counted before.
    """
    if wanted == 0:
        return Billed(billing=NOT_WANTED)
    if not installed(TOOLS):
        return Billed(billing=NOT_INSTALLED)
    began = time.monotonic()
    months = busiest_months(book, wanted)
    heard(f"Closing {_named(months)} into Tryton …")
    try:
        server = start_ledger(machinery, state)
        with hub.open_hub(machinery.configuration) as opened:
            closed = [_close(opened, month) for month in months]
            again = [_close(opened, month) for month in months]
            ours = [document for month in months for document in opened.billing.documents(month)]
            # An earlier demo of this folder may have closed others, which the CRM shows as well.
            every = [document for month in busiest_months(book, None) for document in opened.billing.documents(month)]
        machinery.engine.mirror()
        shown = shown_bills(machinery.crm)
        with Bookkeeper(server.settings(company.BOOKKEEPER)) as people:
            theirs = people.documents()
    except (TrytonError, HubError, ConnectorError, CrmError, EngineError) as error:
        failed = Check("months are closed into the ERP", held=False, detail=str(error))
        return Billed(billing=f"not finished: {error}", billing_seconds=_since(began), checks=[failed])
    unlike = differences(ours, theirs)
    otherwise = shown_otherwise([one for one in every if one.state in _SENT], shown)
    later = sum(one.new_documents + one.second_close_documents for one in again)
    billed = Billed(
        invoices=sum(one.invoices for one in again),
        credits=sum(one.credits for one in again),
        sums=summed(again),
        mismatches=len(unlike),
        second_close_documents=later + sum(one.second_close_documents for one in closed),
        billed_months=months,
        billing_seconds=_since(began),
    )
    billed.billing = _sentence(billed)
    billed.checks = [
        Check(
            "every invoice is in the ERP once, with our total",
            held=not unlike,
            detail="; ".join(unlike[:3]) or f"{billed.invoices} invoices, {billed.credits} credit memos",
        ),
        Check(
            "the CRM shows the bills that the hub holds",
            held=not otherwise,
            detail="; ".join(otherwise[:3]) or f"{len(shown)} orders",
        ),
        Check(
            "a second close posts nothing",
            held=billed.second_close_documents == 0,
            detail=f"{billed.second_close_documents} documents",
        ),
    ]
    return billed


def start_ledger(machinery: Machinery, state: Path) -> TrytonServer:
    """Tryton with the books of this state folder, as the connection `erp` of the demo's configuration. Raises TrytonError."""

    def launch(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
        return machinery.supervisor.start(Program("tryton", command, environment, folder)).process

    server = TrytonServer(state / FOLDER, fresh=False, launch=launch)
    server.start()
    settings = server.settings(max_in_flight_seconds=SETTLE_SECONDS, timeout_seconds=TIME_OUT)
    password = state / FOLDER / PASSWORD
    password.touch(mode=0o600)
    password.write_text(settings.password.get_secret_value(), encoding="utf-8")
    add_ledger(machinery.configuration, settings.model_dump(exclude={"password"}, exclude_none=True), password)
    return server


def _close(opened: Hub, month: str) -> CloseSummary:
    return opened.billing.close(month, prepared_by=PREPARER, approved_by=APPROVER, connection=LEDGER, patience=PATIENCE)


# ---------------------------------------------------------------- what came of it
def differences(ours: Iterable[BilledDocument], theirs: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each document that was sent and is not exactly once in the ERP, posted, with our total and currency."""
    there: dict[str, list[Mapping[str, Any]]] = {}
    for row in theirs:
        there.setdefault(str(row["reference"]), []).append(row)
    unlike = []
    for one in ours:
        if one.state not in _SENT:
            continue
        found = there.get(one.document_id, [])
        if len(found) != 1:
            unlike.append(f"{one.document_id} is {len(found)} times in the ERP")
            continue
        (row,) = found
        wanted = -one.net if one.kind == DocumentKind.CREDIT_MEMO else one.net
        shown = (row["total_amount"], row["currency."]["code"])
        if shown != (wanted, one.currency):
            unlike.append(f"{one.document_id} has {shown[0]} {shown[1]} in the ERP, {wanted} {one.currency} here")
        elif row["state"] not in _STANDS:
            unlike.append(f"{one.document_id} is {row['state']} in the ERP")
    return unlike


def summed(closed: Iterable[CloseSummary]) -> dict[str, dict[str, Decimal | None]]:
    """By currency, what all months together invoiced and credited, and what is owed; None while the ERP has not said."""
    sums: dict[str, dict[str, Decimal | None]] = {}
    for one in closed:
        for currency, parts in one.sums.items():
            kept = sums.setdefault(currency, {"invoiced": Decimal(0), "credited": Decimal(0), "balance": Decimal(0)})
            for name, value in (
                ("invoiced", parts.invoiced),
                ("credited", parts.credited),
                ("balance", parts.balance),
            ):
                before = kept[name]
                kept[name] = None if before is None or value is None else before + value
    return dict(sorted(sums.items()))


def _sentence(billed: Billed) -> str:
    money = ", ".join(f"{parts['invoiced']:,} {currency}" for currency, parts in (billed.sums or {}).items())
    return (
        f"{_named(billed.billed_months or [])} in {billed.billing_seconds:,.0f} s: {billed.invoices} invoices of "
        f"{money or 'nothing'}; {billed.mismatches} differ from the ERP, a second close posted {billed.second_close_documents}"
    )


def _named(months: Sequence[str]) -> str:
    if len(months) > LISTED:
        return f"{len(months)} months from {months[0]} to {months[-1]}"
    return ", ".join(months) or "no month"


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
