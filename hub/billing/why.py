"""Why is this zero, late or blocked? A line-period in words: reference, schedule, report, final flag, cap, document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.billing import cases
from hub.billing.answers import Why
from hub.billing.cases import LineFile
from hub.billing.counts import live_days
from hub.billing.entering import the_line
from hub.billing.preparing import BILLABLE_ORDERS, never_ran, payable
from hub.billing.review import amount
from hub.billing.rules import Billable, Blocked, Flag
from hub.billing.rules.window import closes_on
from hub.errors import NotFound
from hub.session import Session
from hub.store import billing_counts, parking
from hub.store.billing_documents import StoredDocument
from hub.store.lanes import DOCUMENT
from hub.store.parking import Item, Selection
from oms_schema.billing_terms import Finality
from oms_schema.delivery import BillingPeriod
from oms_schema.document import DocumentKind
from oms_schema.problems import Reason
from oms_schema.status import BillingStatus

_ANSWERING = (
    Flag.ALREADY_BILLED,
    Flag.NOT_THIS_PERIOD,
    Flag.NOTHING_LEFT,
)


def why(session: Session, line: str, period: BillingPeriod) -> Why:
    """Why a line-period stands as it does, from the reference at the ad server to the ERP's number; writes nothing.

    Raises NotFound when no line, or more than one, answers to `line`.
    """
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION READ ONLY")
        line_id = the_line(cur, line)
        found = cases.files(session, cur, [line_id], period)
        if not found:
            raise NotFound(f"Line {line_id} belongs to no order that is known. Nothing is shown.")
        (file,) = found
        references = billing_counts.vendor_ids(cur, line_id)
        billed = {one.document_id for one, position in file.positions if position.period_start == period.start}
        refused = {
            document_id: item
            for document_id in sorted(billed)
            for item in parking.items(cur, Selection(subject=document_id))
            if item.entity_kind == DOCUMENT
        }
    stored = file.periods.get(period.start)
    status = BillingStatus.OPEN if stored is None else stored.status
    steps = [*_reference(references), *_schedule(file, period)]
    amounts = None if stored is None else stored.amounts
    if not file.concerns(period):
        answer = f"The line does not run in {period.label}, so there is nothing to bill for it."
        return _answer(file, period, status, None, steps, answer)
    try:
        case = cases.case(file, period, session.business.now())
    except ValueError as error:
        return _answer(file, period, status, None, steps, cases.contradiction(file, error))
    result = payable(file, case.model_copy(update={"billed": ()}) if stored is not None and stored.locked else case)
    steps += [*_reports(file, period), *(_topic(step.rule.value, step.sentence) for step in result.steps)]
    if isinstance(result, Blocked):
        steps += [("blocked", problem.sentence) for problem in result.problems]
    documents = [one for one, position in file.positions if position.period_start == period.start]
    steps += _documents(documents, refused)
    shown = amounts.net if amounts is not None else None
    news = stored is not None and stored.news_hash != cases.news_hash(case)
    answer = _said(file, period, status, result, documents, refused, news=news)
    return _answer(file, period, status, shown, steps, answer)


def _answer(
    file: LineFile,
    period: BillingPeriod,
    status: BillingStatus,
    net: int | None,
    steps: list[tuple[str, str]],
    answer: str,
) -> Why:
    currency = file.line.price.currency
    return Why(
        line_id=file.line.id,
        line=file.line.name,
        period=period.label,
        status=str(status),
        amount=None if net is None else amount(net, currency),
        currency=currency,
        steps=steps,
        answer=answer,
    )


def _topic(rule: str, sentence: str) -> tuple[str, str]:
    return rule.replace("_", " "), sentence


def _reference(references: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    if not references:
        yield (
            "reference",
            "No vendor has a record of this line that the hub knows, so an ad server's report cannot name it.",
        )
    for connection, vendor_id in references:
        yield "reference", f"{connection} has it as {vendor_id}."


def _schedule(file: LineFile, period: BillingPeriod) -> Iterator[tuple[str, str]]:
    terms, status = file.terms, file.order.status
    if status not in BILLABLE_ORDERS:
        yield "schedule", f"The order is {status.value.replace('_', ' ')}; only what was booked is billed."
    first, last = file.cycles[0].label, file.cycles[-1].label
    months = first if first == last else f"{first} to {last}"
    yield (
        "schedule",
        f"It is billed {terms.schedule.value.replace('_', ' ')} by the {terms.source.value.replace('_', ' ')} count, in "
        f"{months}; {terms.cap.value.replace('_', ' ')}.",
    )
    live = live_days(file.line.flight, period)
    if live is not None:
        yield "schedule", f"In {period.label} it runs from {live[0]} to {live[1]}."


def _reports(file: LineFile, period: BillingPeriod) -> Iterator[tuple[str, str]]:
    told = file.counts.get(period, ())
    if not told:
        yield "report", f"No source has reported anything of {period.label}."
    for one in told:
        units = ", ".join(
            f"{number:,} {name.replace('_', ' ')}"
            for name, number in one.count.units.model_dump(exclude_none=True).items()
        )
        when = "without any row of this line" if one.as_of is None else f"as of {one.as_of:%Y-%m-%d %H:%M}Z"
        whole = "all live days" if one.whole else "not all live days"
        yield (
            "report",
            f"{one.count.source} ({one.count.counted_by.value}) covered {whole}, {when}: {units or 'nothing'}.",
        )
        if one.count.awaited is not None:
            month = one.count.awaited.label
            yield (
                "final",
                f"The line is billed at its end, and what {one.count.source} says of {month} is missing or not final.",
            )
        elif one.count.final:
            yield "final", f"The numbers of {one.count.source} are final."
        elif file.terms.finality is Finality.DECLARED:
            yield "final", f"{one.count.source} has not declared its numbers final, and the terms ask for that."
        else:
            closes = closes_on(period, file.terms)
            yield (
                "final",
                f"The numbers of {one.count.source} are not final: reports of every day from {closes} on close them.",
            )


def _documents(documents: list[StoredDocument], refused: Mapping[str, Item]) -> Iterator[tuple[str, str]]:
    for one in {known.document_id: known for known in documents}.values():
        kind = "credit memo" if one.kind == DocumentKind.CREDIT_MEMO else "invoice"
        net = f"{amount(one.amounts.net, one.currency)} {one.currency}"
        number = f"number {one.number}" if one.number else "no number yet"
        balance = "" if one.balance is None else f", {amount(one.balance, one.currency)} {one.currency} open"
        yield "document", f"The {kind} {one.document_id} over {net} is {one.state}: {number}{balance}."
        if one.mismatch:
            yield "document", one.mismatch
        if one.document_id in refused:
            yield "document", f"The ERP refused it: {refused[one.document_id].sentence}"


def _said(
    file: LineFile,
    period: BillingPeriod,
    status: BillingStatus,
    result: Billable | Blocked,
    documents: list[StoredDocument],
    refused: Mapping[str, Item],
    *,
    news: bool,
) -> str:
    """The answer in one sentence or two: what stands in the way first."""
    if file.order.status not in BILLABLE_ORDERS:
        return f"The order is {file.order.status.value.replace('_', ' ')}, so nothing of it is billed."
    mismatch = next((one.mismatch for one in documents if one.mismatch), "")
    if mismatch:
        return mismatch
    stored = file.periods.get(period.start)
    if documents:
        first = documents[0]
        net = (
            "nothing"
            if stored is None or stored.amounts is None
            else f"{amount(stored.amounts.net, first.currency)} {first.currency}"
        )
        said = (
            f"It was billed with {net} on {first.number or first.document_id} and is {status.value.replace('_', ' ')}."
        )
        if any(one.corrects is not None for one in documents):
            left = sum(part.net_amounts.net for part in cases.billed(file, period))
            said += f" With its corrections it is billed with {amount(left, first.currency)} {first.currency}."
        if waiting := next((one for one in documents if one.document_id in refused and one.number is None), None):
            return f"{said} {_way_out(waiting, refused[waiting.document_id])}"
        if isinstance(result, Blocked) and news:
            return f"{said} Its newer numbers correct nothing yet: {result.problems[0].sentence}"
        return said
    if status is BillingStatus.DISPUTED and stored is not None and stored.dispute and not stored.problem_code:
        return f"Somebody objects: {stored.dispute}. Nothing is invoiced until it is resolved."
    if stored is None and never_ran(file, period):
        if file.ends_on is not None and file.ends_on <= period.start:
            until = file.ends_on.isoformat()
            return f"The line is cancelled and was owed until {until}, so nothing is billed for {period.label}."
        return (
            f"The line is cancelled, and whole reports say that nothing of it ran in {period.label}; nothing is billed."
        )
    if isinstance(result, Blocked):
        return result.problems[0].sentence
    # What it waited for has come since it was prepared; a person's objection is told above.
    if stored is None or status in (BillingStatus.OPEN, BillingStatus.AWAITING_FINAL, BillingStatus.DISPUTED):
        return f"It can be billed. Nobody has prepared {period.label} since; `orderhub bill close --period {period.label}` does."
    if not result.amounts.net:
        reason = next(
            (step.sentence for step in result.steps if _is_reason(step.rule.value, result)), result.sentences[-1]
        )
        return f"It is zero, and no invoice of 0.00 is made. {reason}"
    waits = {
        BillingStatus.IN_REVIEW: f"It waits for approval by somebody other than {stored.prepared_by}.",
        BillingStatus.APPROVED: "It is approved and goes out with the next close.",
        BillingStatus.LOCKED: "The document that billed it was withdrawn before it was posted; the next close makes another one.",
    }
    return waits.get(status, f"It is {status.value.replace('_', ' ')}.")


def _way_out(document: StoredDocument, item: Item) -> str:
    """What becomes of a document that the ERP refused, and how it is taken back where that is for good."""
    withdrawal = f"`orderhub bill enter withdrawal {document.document_id}`"
    if item.reason == Reason.PERIOD_CLOSED:
        return (
            f"The ERP refuses the document: {item.sentence} Either Finance opens the period there and operations replays it, or "
            f"`orderhub bill close-accounts` says that it stays closed and {withdrawal} takes the document back: the next close "
            "makes another one, dated into the next open period."
        )
    return (
        f"The ERP refuses the document: {item.sentence} Once that is put right operations replays it; {withdrawal} takes it back "
        "instead."
    )


def _is_reason(rule: str, result: Billable) -> bool:
    if any(flag in result.flags for flag in _ANSWERING):
        return rule in ("already_billed", "schedule", "cap")
    return rule in ("override", "source", "price")
