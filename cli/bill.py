"""The verbs of billing: close a month, review, approve, ask why, what if, replay; enter and confirm what people decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from cli.months import month_written
from cli.whole_words import WholeWords
from hub.billing.answers import (
    BilledDocument,
    CancellationFee,
    CloseSummary,
    Customers,
    Entered,
    Replayed,
    Review,
    WhatIf,
    Why,
)
from hub.billing.cases import Terms
from oms_schema.billing_terms import BillingSource, CapMode

app = typer.Typer(help="Billing: close a month, review, approve, ask why, what if, replay.", no_args_is_help=True)
enter_app = typer.Typer(
    help="Enter what counts instead of a report, once somebody else confirms it.", no_args_is_help=True
)
app.add_typer(enter_app, name="enter")

PeriodOption = Annotated[
    str, typer.Option("--period", parser=month_written, metavar="YYYY-MM", help="The billing month")
]
PeriodArgument = Annotated[str, typer.Argument(parser=month_written, metavar="YYYY-MM", help="The billing month")]
LineArgument = Annotated[
    str, typer.Argument(metavar="LINE", help="Any id of the line: canonical, CRM, external, ad server")
]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="Who does it")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, or on what evidence")]
QuantityOption = Annotated[int, typer.Option("--quantity", min=0, help="Units of what the line is paid by")]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--connection", metavar="NAME", help="The ERP's connection [default: the only one that takes invoices]"
    ),
]
SHOWN = 50
"""Rows of a table; --json holds all."""


# ---------------------------------------------------------------- the month
@app.command()
def close(
    period: PeriodOption,
    prepared_by: Annotated[str, typer.Option("--prepared-by", metavar="NAME", help="Who answers for the figures")],
    approved_by: Annotated[
        str | None,
        typer.Option("--approved-by", metavar="NAME", help="Who approves them; without, the month ends at review"),
    ] = None,
    connection: LedgerOption = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for the ERP")] = 300.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prepare, approve, lock, export, post and read back a month. Run again, it posts nothing twice.

    Ends with 1 when the month is not closed: the sentence says who must do what.
    """
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.close(
            period, prepared_by=prepared_by, approved_by=approved_by, connection=connection, patience=patience
        )
        desk.answer(done.as_dict(), _closed(done))
    if not done.complete:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def prepare(period: PeriodOption, by: ByOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Calculate what is not locked and propose corrections of what is. Ends with 1 when something is blocked."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.prepare(period, by=by)
        table = _table("Line", "code", "what stands in the way")
        for one in done.blocked[:SHOWN]:
            table.add_row(one.line_id, one.code, Text(one.sentence))
        sentence = (
            f"{done.lines:,} line-periods looked at, {done.changed:,} calculated anew, {len(done.blocked):,} blocked, "
            f"{done.proposed:,} corrections proposed. Up for approval: {done.review_hash or 'nothing'}."
        )
        desk.answer(done.as_dict(), *([table] if done.blocked else []), sentence)
    if done.blocked:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def review(period: PeriodOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What waits for approval, and the hash that an approval is bound to."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.review(period)
        desk.answer(found.as_dict(), _reviewed(found))


@app.command()
def approve(
    period: PeriodOption,
    review_hash: Annotated[str, typer.Argument(metavar="HASH", help="As `bill review` shows it")],
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve exactly the figures of that review; never one's own. Ends with 5 when they have changed."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.approve(period, review_hash, by=by)
        sentence = (
            f"{done.line_periods:,} line-periods and {done.documents:,} corrections are approved by {done.approved_by}."
        )
        desk.answer(done.as_dict(), sentence)


@app.command()
def export(
    period: PeriodOption,
    by: ByOption,
    connection: LedgerOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lock what is approved and make its documents, with control totals."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.export(period, by=by, connection=connection)
        sentence = (
            f"{done.invoices:,} invoices and {done.credits:,} credit memos of {done.line_periods:,} line-periods, control "
            f"{done.control_hash or '–'}; {done.nothing_due:,} approved line-periods have nothing to pay."
        )
        desk.answer(done.as_dict(), sentence, *done.waiting)


@app.command()
def post(
    connection: LedgerOption = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for the ERP")] = 300.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Post what was exported, each document once. Ends with 1 when something is parked or waits."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.post(connection=connection, patience=patience)
        sentence = f"{done.wanted:,} handed over, {done.posted:,} posted in all, {done.waiting:,} wait."
        desk.answer(done.as_dict(), sentence, *map(Text, done.parked))
    if done.parked or done.waiting:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command("read-back")
def read_back(connection: LedgerOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Bring numbers, balances, payments and credits from the ERP. Ends with 1 when something does not agree."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.read_back(connection=connection)
        sentence = f"{done.seen:,} documents seen, {done.changed:,} changed, {done.payments:,} payments are news."
        desk.answer(done.as_dict(), sentence, *map(Text, done.problems))
    if done.problems:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def documents(period: PeriodOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every invoice and credit memo of a month as it stands."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.documents(period)
        desk.answer({"documents": [one.as_dict() for one in found]}, _documents(found) if found else "No document.")


@app.command()
def customers(connection: LedgerOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Who pays, and which customer code the ERP is told (`customer_codes`). Ends with 1 when the file names nobody who pays."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.customers(connection=connection)
        desk.answer(found.as_dict(), _customers(found))
    if found.unknown:
        raise typer.Exit(ExitCode.ATTENTION)


# ---------------------------------------------------------------- questions
def why(line: LineArgument, period: PeriodArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Why a line-period is zero, late or blocked: reference, schedule, report, final flag, cap, document."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.why(line, period)
        desk.answer(found.as_dict(), _why(found))


@app.command("what-if")
def what_if(
    period: PeriodOption,
    source: Annotated[BillingSource | None, typer.Option(help="Whose count would be billed")] = None,
    cap: Annotated[CapMode | None, typer.Option(help="How over-delivery would be capped")] = None,
    tolerance: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="The difference that would be tolerated, for instance 5")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The same month under another source, cap or tolerance, beside the real one. Writes nothing."""
    terms = Terms(source, cap, None if tolerance is None else _ppm(tolerance))
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.what_if(period, terms)
        desk.answer(found.as_dict(), _what_if(found))


@app.command("cancellation-fee")
def cancellation_fee(
    line: LineArgument,
    fee: Annotated[str, typer.Option("--fee", metavar="PERCENT", help="Of what was committed and not earned")],
    notice_days: Annotated[int, typer.Option(min=0, help="Days of notice after which no fee is due")] = 0,
    told_on: Annotated[
        datetime | None, typer.Option("--told-on", formats=["%Y-%m-%d"], help="When the cancellation was told")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a cancelled line earned and owes as a fee. Writes nothing; ends with 1 while a month of it is not calculated."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.cancellation_fee(
            line, _ppm(fee), notice_days=notice_days, told_on=None if told_on is None else told_on.date()
        )
        desk.answer(found.as_dict(), *_fee(found))
    if found.open_months:
        raise typer.Exit(ExitCode.ATTENTION)


@app.command()
def replay(
    document: Annotated[str, typer.Argument(metavar="DOC", help="The document's id or the ERP's number")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a document again from its stored inputs and rules. Ends with 1 when it is not the same to the byte."""
    with opened(config, as_json) as (desk, hub):
        found = hub.billing.replay(document)
        desk.answer(found.as_dict(), _replayed(found))
    if not found.equal:
        raise typer.Exit(ExitCode.ATTENTION)


# ---------------------------------------------------------------- what people decide
@enter_app.command()
def override(
    line: LineArgument,
    period: PeriodArgument,
    quantity: QuantityOption,
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The quantity to bill instead of the derived one; never above the cap."""
    _enter(line, period, "override", reason, by, config, as_json, quantity=quantity)


@enter_app.command("manual-count")
def manual_count(
    line: LineArgument,
    period: PeriodArgument,
    quantity: QuantityOption,
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """A count from the source's own evidence, where its report is missing or wrong."""
    _enter(line, period, "manual_count", reason, by, config, as_json, quantity=quantity)


@enter_app.command()
def settlement(
    line: LineArgument,
    period: PeriodArgument,
    outcome: Annotated[str, typer.Option(help="controlling, controlling_plus_uplift or agreed")],
    reason: ReasonOption,
    by: ByOption,
    quantity: Annotated[int | None, typer.Option(min=0, help="The agreed quantity")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """How a dispute between two counts was settled with the buyer."""
    _enter(line, period, "settlement", reason, by, config, as_json, quantity=quantity, outcome=outcome)


@enter_app.command()
def cancellation(
    line: LineArgument,
    period: PeriodArgument,
    ends_on: Annotated[
        datetime, typer.Option("--ends-on", formats=["%Y-%m-%d"], help="The first day that is not owed any more")
    ],
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Until when a cancelled line is owed that is billed by its value."""
    _enter(line, period, "cancellation", reason, by, config, as_json, ends_on=ends_on.date())


@enter_app.command()
def withdrawal(
    reason: ReasonOption,
    by: ByOption,
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DOC]...", help="Documents by their ids, as `bill documents` shows them"),
    ] = None,
    closed: Annotated[
        str | None,
        typer.Option(
            "--closed",
            parser=month_written,
            metavar="YYYY-MM",
            help="Every document dated in this month that the ERP refuses: its period is closed",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back documents that the ERP refused; the next close makes others, dated into the next open period."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.withdraw(documents or (), closed=closed, reason=reason, by=by)
        desk.answer(done.as_dict(), _entered(done))


def _entered(done: Entered) -> str:
    return (
        f"Entered as number {done.number}. It counts once somebody other than {done.entered_by} runs "
        f"`orderhub bill confirm {done.number} --by NAME`."
    )


def _enter(line: str, period: str, kind: str, reason: str, by: str, config: Any, as_json: bool, **more: Any) -> None:
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.enter(line, period, kind, reason=reason, by=by, **more)
        desk.answer(done.as_dict(), _entered(done))


@app.command()
def confirm(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `bill enter` showed it")],
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve what somebody else entered. It counts with the next preparation; a withdrawal is carried out at once."""
    with opened(config, as_json) as (desk, hub):
        done = hub.billing.confirm(number, by=by)
        if taken_back := done.detail.get("documents"):
            sentence = (
                f"{len(taken_back):,} documents are withdrawn. The next close makes others, dated into an open accounting period "
                "(`orderhub bill close-accounts` says which are closed); where the ERP kept a draft, Finance deletes it there."
            )
        else:
            sentence = f"The {done.kind.replace('_', ' ')} of {done.line_id} in {done.period} counts from now on."
        desk.answer(done.as_dict(), sentence)


@app.command()
def dispute(
    line: LineArgument,
    period: PeriodArgument,
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Object to figures in review: nothing of them is invoiced until `bill resolve`."""
    with opened(config, as_json) as (desk, hub):
        hub.billing.dispute(line, period, reason=reason, by=by)
        desk.answer({"line": line, "period": period, "disputed": True}, "The figures are disputed.")


@app.command()
def resolve(
    line: LineArgument,
    period: PeriodArgument,
    reason: ReasonOption,
    by: ByOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how an objection was settled without other figures: back into review."""
    with opened(config, as_json) as (desk, hub):
        hub.billing.resolve(line, period, reason=reason, by=by)
        desk.answer({"line": line, "period": period, "disputed": False}, "The figures are in review again.")


@app.command("close-accounts")
def close_accounts(
    period: PeriodOption,
    by: ByOption,
    reopen: Annotated[bool, typer.Option("--reopen", help="Open the accounting period again")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that Finance closed an accounting period: documents are dated into the next open one."""
    with opened(config, as_json) as (desk, hub):
        changed = hub.billing.close_accounts(period, by=by, closed=not reopen)
        stands = "open" if reopen else "closed"
        sentence = f"The accounting period {period} is {stands}." if changed else f"It was {stands} already."
        desk.answer({"period": period, "closed": not reopen, "changed": changed}, sentence)


# ---------------------------------------------------------------- what a person sees
def _ppm(percent: str) -> int:
    try:
        share = Decimal(percent.strip().removesuffix("%")) * 10_000
    except InvalidOperation:
        raise typer.BadParameter(f"{percent!r} is no percentage.") from None
    if not share.is_finite() or share != share.to_integral_value() or not 0 <= share <= 1_000_000:
        raise typer.BadParameter("A share is between 0 and 100 per cent, with at most four decimals.")
    return int(share)


def _table(*columns: str) -> WholeWords:
    return WholeWords(*columns, blanks=2)


def _fee(found: CancellationFee) -> list[Text]:
    notice = " (notice was kept)" if found.notice_kept else ""
    sums = (
        f"{found.line}: {found.committed:,} {found.currency} committed, {found.earned:,} earned, {found.billed:,} of it billed. "
        f"Fee {found.fee:,}{notice}, in all {found.total:,}, net of commission."
    )
    more = ""
    if found.open_months:
        more = f"Not calculated yet, and in no sum: {', '.join(found.open_months)}. `orderhub why` says who acts."
    elif found.fee:
        more = "Nothing is billed by this: sales books the fee as a flat line of its own."
    return [Text(sums), *([Text(more)] if more else [])]


def _customers(found: Customers) -> RenderableType:
    table = _table("Payer", "id here", "id at its source", "orders", "code at the ERP", "")
    for one in found.customers[:SHOWN]:
        ours = "" if one.given else "our own id: a customer of its own there"
        table.add_row(Text(one.name), one.party_id, f"{one.source} {one.native_id}", f"{one.orders:,}", one.code, ours)
    without = sum(not one.given for one in found.customers)
    parts: list[RenderableType] = [
        table,
        f"{len(found.customers):,} pay, {without:,} of them without a customer code of {found.connection}.",
    ]
    if found.unknown:
        parts.append(
            Text(f"Nobody who pays is {', '.join(found.unknown[:SHOWN])}. Finance corrects the file of customer codes.")
        )
    return Group(*parts)


def _closed(done: CloseSummary) -> RenderableType:
    table = _table("Currency", "invoiced", "credited", "open balance")
    for currency, sums in done.sums.items():
        balance = "–" if sums.balance is None else f"{sums.balance:,}"
        table.add_row(currency, f"{sums.invoiced:,}", f"{sums.credited:,}", balance)
    counts = Text(
        f"{done.invoices:,} invoices, {done.credits:,} credit memos; {done.new_documents:,} of this run, "
        f"{done.second_close_documents:,} of a second close; {len(done.mismatches):,} differ from the ERP."
    )
    rest = [Text(f"- {sentence}") for sentence in (*done.mismatches, *done.waiting)]
    return Group(table, counts, Text(done.sentence, "green" if done.complete else "yellow"), *rest)


def _reviewed(found: Review) -> RenderableType:
    if not found.review_hash:
        return Text(f"Nothing of {found.period} waits for approval.")
    table = _table("Line", "name and payer", "quantity", "gross", "net", "", "flags", "prepared by")
    for one in found.line_periods[:SHOWN]:
        quantity = "–" if one.quantity is None else f"{one.quantity:,}"
        flags = ", ".join(one.flags)
        table.add_row(
            one.line_id,
            Text(f"{one.line}\n{one.payer or '–'}"),
            quantity,
            f"{one.gross:,}",
            f"{one.net:,}",
            one.currency,
            flags,
            one.prepared_by,
        )
    parts: list[RenderableType] = [table] if found.line_periods else []
    if len(found.line_periods) > SHOWN:
        parts.append(Text(f"… and {len(found.line_periods) - SHOWN:,} more (--json shows them)."))
    if found.documents:
        corrections = _table("Correction", "of, payer", "period", "net", "", "prepared by")
        for known in found.documents[:SHOWN]:
            what = known.kind.replace("_", " ")
            corrections.add_row(
                f"{what} {known.document_id}",
                Text(f"{known.corrects}\n{known.payer or '–'}"),
                known.period,
                f"{known.net:,}",
                known.currency,
                known.prepared_by,
            )
        parts.append(corrections)
    sums = ", ".join(f"{value:,} {currency}" for currency, value in found.sums.items())
    return Group(*parts, Text(f"Line-periods: {sums or 'none'}. Approve with: {found.review_hash}"))


def _documents(found: Sequence[BilledDocument]) -> WholeWords:
    """Number above id, kind above state: whole on a terminal of 80 columns, because people copy both from here."""
    table = _table("Number and id", "kind", "date", "net", "open", "")
    for column in table.columns[3:5]:
        column.justify = "right"
    for one in found:
        balance = "–" if one.balance is None else f"{one.balance:,}"
        issued = "–" if one.issued_on is None else one.issued_on.isoformat()
        table.add_row(
            f"{one.number or '–'}\n{one.document_id}",
            f"{one.kind.replace('_', ' ')}\n{one.state}",
            issued,
            f"{one.net:,} {one.currency}",
            balance,
            Text(one.mismatch),
        )
    return table


def _why(found: Why) -> RenderableType:
    table = _table("", "")
    for topic, sentence in found.steps:
        table.add_row(topic, Text(sentence))
    net = "" if found.amount is None else f", {found.amount:,} {found.currency} net"
    head = Text(f"{found.line} ({found.line_id}) in {found.period}: {found.status.replace('_', ' ')}{net}.", "bold")
    return Group(head, table, Text(found.answer, "yellow"))


def _what_if(found: WhatIf) -> RenderableType:
    terms = ", ".join(f"{name} {value}" for name, value in found.terms.items())
    table = _table("Currency", "real", terms, "difference")
    for currency, (real, other) in found.sums.items():
        table.add_row(currency, f"{real:,}", f"{other:,}", f"{other - real:+,}")
    lines = _table("Line", "real", "other", "", "why")
    for one in found.different[:SHOWN]:
        nets = ("blocked" if net is None else f"{net:,}" for net in (one.real, one.other))
        lines.add_row(Text(one.line), *nets, one.currency, Text(one.why))
    blocked = Text(f"Blocked: {found.real_blocked:,} really, {found.other_blocked:,} then. Nothing was written.")
    return Group(table, blocked, *([lines] if found.different else []))


def _replayed(found: Replayed) -> RenderableType:
    verdict = "the same to the byte" if found.equal else "NOT the same"
    kind = found.kind.replace("_", " ").capitalize()
    rules = ", ".join(found.rules)
    text = f"{kind} {found.number or found.document_id} by rules {rules}: {found.net:,} {found.currency}, {verdict}."
    hashes = f"Stored {found.stored_hash}, computed again {found.replayed_hash}."
    return Group(Text(text, "green" if found.equal else "red"), Text(hashes), *map(Text, found.differences))
