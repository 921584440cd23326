"""Replay: a document computed again from its stored inputs by the rules of its version, compared byte for byte."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hub.billing.answers import Replayed
from hub.billing.documents import body_of, corrected_lines, first_lines, inputs_hash, inputs_of
from hub.billing.review import amount
from hub.billing.rules import Adjustment, Billable, LinePeriodCase, UnknownRuleSet, adjust, replay, rule_set
from hub.errors import NotFound, Refused
from hub.session import Session
from hub.store import billing_documents
from hub.store.billing_documents import StoredDocument
from oms_schema.document import BillingDocument, DocumentLine


def replay_document(session: Session, text: str) -> Replayed:
    """Compute a document again, named by its id or the ERP's number; writes nothing.

    Raises NotFound, and Refused when this version of the program does not have the rules that made it.
    """
    with session.database.transaction() as cur:
        found = billing_documents.named(cur, text.strip())
    if len(found) != 1:
        several = ", ".join(one.document_id for one in found)
        raise NotFound(
            f"{len(found) or 'No'} documents answer to {text!r}. Nothing was replayed. "
            + (f"Name one by its id: {several}." if several else "`orderhub bill documents` lists them.")
        )
    (stored,) = found
    try:
        lines, rules = _lines(stored)
    except UnknownRuleSet as error:
        raise Refused(str(error)) from error
    body = body_of(stored)
    again = BillingDocument.of_lines(
        body.kind,
        id=body.id,
        order_id=body.order_id,
        bill_to=body.bill_to,
        currency=body.currency,
        lines=lines,
        period=body.period,
        issued_on=body.issued_on,
        purchase_order=body.purchase_order,
        corrects=body.corrects,
        inputs_hash=inputs_hash(stored.inputs),
    )
    return Replayed(
        document_id=body.id,
        number=stored.number or "",
        kind=stored.kind,
        rules=sorted(rules),
        stored_hash=stored.content_hash,
        replayed_hash=again.content_hash(),
        equal=again.canonical_bytes() == stored.body and again.content_hash() == stored.content_hash,
        net=amount(again.amounts.net, body.currency),
        currency=body.currency,
        differences=_differences(stored, body, again),
    )


def _lines(stored: StoredDocument) -> tuple[tuple[DocumentLine, ...], set[str]]:
    inputs = inputs_of(stored)
    if inputs["kind"] == "invoice":
        results = []
        for one in inputs["cases"]:
            result = replay(one["inputs"].encode(), one["rules"])
            if not isinstance(result, Billable):
                raise Refused(
                    f"The stored inputs of {stored.document_id} do not give a bill any more: {result.sentences[-1]}"
                )
            results.append((result, str(one["description"])))
        return first_lines(results), {one["rules"] for one in inputs["cases"]}
    return corrected_lines(_adjustments(stored, inputs)), {inputs["rules"]}


def _adjustments(stored: StoredDocument, inputs: dict[str, Any]) -> list[tuple[Adjustment, str]]:
    by_line: dict[str, list[LinePeriodCase]] = defaultdict(list)
    for text in inputs["cases"]:
        case = LinePeriodCase.from_bytes(text.encode())
        by_line[case.line_id].append(case)
    found: list[Adjustment] = []
    for line_cases in by_line.values():
        answer = adjust(line_cases, rule_set(inputs["rules"]))
        found += (
            one
            for one in (*answer.credits, *answer.supplements)
            if one.corrects == inputs["corrects"] and one.kind == stored.kind
        )
    found.sort(key=lambda one: (one.corrects_number, one.line_id, one.period.start))
    return [(one, str(inputs["descriptions"][one.line_id])) for one in found]


def _differences(stored: StoredDocument, body: BillingDocument, again: BillingDocument) -> list[str]:
    found = []
    if body.content_hash() != stored.content_hash:
        found.append("The stored document is not the one whose hash was kept: somebody changed it in the store.")
    if body.inputs_hash != again.inputs_hash:
        found.append("The stored inputs are not those that the document names: somebody changed them in the store.")
    if len(body.lines) != len(again.lines):
        found.append(f"The document has {len(body.lines)} positions, and its inputs give {len(again.lines)}.")
    for known, news in zip(body.lines, again.lines, strict=False):
        if known != news:
            ours, theirs = amount(known.amounts.net, body.currency), amount(news.amounts.net, body.currency)
            found.append(f"Position {known.number} is {ours} {body.currency}, and its inputs give {theirs}.")
    return found
