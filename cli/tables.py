"""The tables a person sees: one function per answer of the hub, each returning what rich can print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from cli.flows import Applied, AppliedConnection
from cli.whole_words import WholeWords
from hub.results import (
    CheckResult,
    ConnectionStatus,
    DeliverySummary,
    IntakeResult,
    ParkedGroup,
    ParkedItem,
    PlanItem,
    PlanResult,
    StatusResult,
    TraceResult,
)

_SEVERITY_STYLE = {"ok": "green", "warning": "yellow", "error": "red"}
_ACTION_STYLE = {"create": "green", "update": "cyan", "act": "cyan", "waiting": "yellow", "blocked": "red"}
LONGEST_CELL = 60
PLAN_ROWS = 50
"""Rows of the plan shown before the rest is only counted; `--all` shows every one."""


def connections_checked(results: Sequence[CheckResult], unusable: Mapping[str, str]) -> RenderableType:
    """Findings of every connection; `unusable` are the sentences of those that could not be asked at all."""
    table = _table("Connection", "Account", "Finding")
    for result in results:
        verdict = Text("usable", "green") if result.usable else Text("not usable", "red")
        table.add_row(result.connection, result.account, verdict)
        for severity, subject, sentence in result.findings:
            table.add_row("", "", Text(f"{subject}: {sentence}", _SEVERITY_STYLE.get(severity, "")))
    for name, sentence in unusable.items():
        table.add_row(name, "", Text(sentence, "red"))
    return table


def left_out(unusable: Mapping[str, str]) -> list[RenderableType]:
    """Why connections were left out, one sentence each; nothing when all could be used."""
    return [Text(sentence, "red") for sentence in unusable.values()]


def pulled(intakes: Sequence[IntakeResult], deliveries: Sequence[DeliverySummary]) -> RenderableType:
    """What was read, and what was delivered."""
    parts: list[RenderableType] = []
    if intakes:
        read = _table("Source", "read", "accepted", "unchanged", "refused", "held", "lanes touched")
        for r in intakes:
            read.add_row(r.connection, *_counts(r.read, r.accepted, r.unchanged, r.rejected, r.held, r.lanes_touched))
        parts.append(read)
    if deliveries:
        rows = _table("Delivery", "state", "rows", "new facts", "restated", "unknown lines", "lanes touched")
        for d in deliveries:
            counts = _counts(d.rows, d.facts_new, d.facts_restated, d.quarantined, d.lanes_touched)
            rows.add_row(d.connection, d.state, *counts)
        parts.append(rows)
    return Group(*parts)


def planned(plan: PlanResult, *, everything: bool, whole: bool = True) -> RenderableType:
    """What would be written, what cannot be, and what the vendor cannot express; not `whole` when a connection is left out."""
    items = [item for item in plan.items if item.action != "unchanged"]
    shown = items if everything else items[:PLAN_ROWS]
    table = _table("Connection", "Action", "What", "Name", "Difference")
    for item in shown:
        action = Text(item.action, _ACTION_STYLE.get(item.action, ""))
        table.add_row(item.connection, action, _what(item), _cut(item.name), _difference(item))
    calm = "Nothing to write: every lane holds what it should." if whole else "Nothing to write at the others."
    lines: list[RenderableType] = [table] if items else [Text(calm)]
    if len(shown) < len(items):
        lines.append(Text(f"… and {len(items) - len(shown)} more (--all shows them)."))
    lost = [(item, loss) for item in items for loss in item.losses]
    if lost:
        losses = _table("Line", "Field", "Value the vendor cannot hold", "Why")
        for item, (path, value, why) in lost if everything else lost[:PLAN_ROWS]:
            losses.add_row(_cut(item.name), path, _cut(value), why)
        lines.append(losses)
    others = _tally(item.action for item in plan.items if item.action != "blocked")
    counted = ", ".join(f"{count} {action}" for action, count in others.items())
    lines.append(Text(f"{counted}; {plan.blocked} blocked." if counted else f"{plan.blocked} blocked."))
    lines.append(
        Text(
            f"Targeting values: {plan.values_asked} asked = {plan.values_expressed} expressed + {plan.values_lost} "
            "listed in the notes."
        )
    )
    lines.append(Text(f"Plan hash: {plan.plan_hash}"))
    return Group(*lines)


def applied_tables(applied: Applied) -> RenderableType:
    """What was written where."""
    table = _many_columns(
        "Connection", "calls", "records", "outcomes", "adopted", "resent", "waiting", "parked", "in doubt"
    )
    for name, done in applied.connections.items():
        nothing = "paused" if done.paused else "nothing due"
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(done.outcomes.items())) or nothing
        table.add_row(
            name,
            *_counts(done.calls, done.records),
            outcomes,
            *_counts(done.adopted, done.resent, done.waiting, done.parked, done.in_doubt),
        )
    rest = (
        "Everything is at rest."
        if applied.at_rest
        else "Not at rest yet: some writes wait for their time, or for their connection. Run it again."
    )
    beside = [
        Text(_not_in_plan(name, done), "yellow") for name, done in applied.connections.items() if done.not_in_plan
    ]
    return Group(table, *left_out(applied.unusable), *beside, Text(rest, "green" if applied.at_rest else "yellow"))


def _not_in_plan(name: str, done: AppliedConnection) -> str:
    moved = f", {done.plan_moved:,} of them because they changed since" if done.plan_moved else ""
    return f"{name}: {done.not_in_plan:,} writes are not in the plan{moved}. They stay due; `orderhub plan` shows them."


def status_tables(status: StatusResult) -> RenderableType:
    """The whole hub on one page."""
    table = _many_columns(
        "Connection", "Connector", "State", "Lanes", "in doubt", "parked", "last\nread", "last\npushed"
    )
    for c in status.connections:
        lanes = ", ".join(f"{count} {state}" for state, count in sorted(c.lanes.items())) or "none"
        counts = _counts(c.in_doubt, c.parked)
        table.add_row(
            c.name,
            c.connector,
            Text(c.state),
            lanes,
            *counts,
            *(_when(at).replace(" ", "\n") for at in (c.last_read, c.last_pushed)),
        )
    totals = _table("", "by state", "in sum")
    # `accepted` is the sum of all lines, the other counts are its parts.
    lines = {state: count for state, count in status.lines.items() if state != "accepted"}
    for name, counts_by_state in (("orders", status.orders), ("lines", lines)):
        by_state = ", ".join(f"{count} {state}" for state, count in sorted(counts_by_state.items()))
        totals.add_row(name, by_state or "none", f"{sum(counts_by_state.values()):,}")
    totals.add_row("delivered impressions", "", f"{status.delivered:,}")
    totals.add_row("business time", "", _when(status.business_time))
    wrong = [Text(f"{c.name}: {c.message}", "yellow") for c in status.connections if c.message]
    parts: list[RenderableType] = [table, *wrong, "", totals]
    if rewritten := [Text(_rewritten(c)) for c in status.connections if c.near_misses]:
        parts += ["", *rewritten]
    if status.delivery_missing:
        parts += ["", *(Text(sentence, "yellow") for sentence in status.delivery_missing)]
    if status.parked:
        parts += ["", parked_table(status.parked)]
    return Group(*parts)


def _rewritten(connection: ConnectionStatus) -> str:
    return (
        f"{connection.name}: {connection.near_misses:,} fields were rewritten there before the hub read back what it had "
        f"written ({connection.echoes:,} values came back as written). What stood there was taken in as news. If the number "
        "grows, whoever runs the vendor's automation leaves these fields to the hub, or the mapping gives them to the vendor."
    )


def parked_table(groups: Sequence[ParkedGroup], items: Sequence[ParkedItem] = ()) -> RenderableType:
    """What waits for a person, by cause, each with its sentence in full; below, the single pieces of work if given."""
    if not groups:
        return Text("Nothing is parked.", "green")
    parts: list[RenderableType] = []
    for g in groups:
        head = Text(f"{g.count:,} × {g.reason} · {g.code}", "bold")
        head.append(
            f" · {g.connection} · {g.owner} · {g.key} · since {_when(g.since)} · for instance {g.sample}", "not bold"
        )
        parts += [head, Padding(Text(g.sentence), (0, 0, 1, 2))]
    if items:
        table = _table("Connection", "What", "Order", "Field", "Value")
        for item in items:
            what = (
                item.subject.split(":", 2)[-1]
                if item.subject.startswith("change:")
                else f"{item.kind} {item.entity_id}"
            )
            table.add_row(item.connection, Text(what), item.order_id or "", Text(item.path), Text(_plain(item.value)))
        parts.append(table)
    return Group(*parts)


def trace_tables(trace: TraceResult) -> RenderableType:
    """One order: its sentence, where it stands, its ids, and everything that happened, oldest first."""
    head = _table("Order", "Version", "Stands", "Next step")
    head.add_row(f"{trace.name}\n{trace.order_id}", str(trace.version), Text(trace.sentence), Text(trace.next_step))
    systems = _table("System", "State")
    for name, state in trace.systems:
        systems.add_row(name, Text(state))
    ids = _table("Connection", "Record", "Vendor id")
    for connection, record, vendor_id in trace.vendor_ids[:PLAN_ROWS]:
        ids.add_row(connection, Text(_plain(record.replace(f"{trace.name} ", "line: "))), vendor_id)
    if len(trace.vendor_ids) > PLAN_ROWS:
        ids.add_row("…", f"and {len(trace.vendor_ids) - PLAN_ROWS} more", "")
    events = _table("Time (UTC)", "Where", "Subject", "What", "Evidence")
    for event in trace.events:
        what = Text(_plain(event.what, 100))
        subject = Text(_plain(event.subject.replace(f"{trace.name} ", "line: "), 40))
        events.add_row(_when(event.at), event.where, subject, what, Text(_plain(event.detail, 100)))
    return Group(head, systems, ids, "", events)


def _table(*columns: str) -> WholeWords:
    return WholeWords(*columns, right=_NUMERIC)


def _many_columns(*columns: str) -> WholeWords:
    """One blank between columns instead of three characters, for eight and more of them."""
    return WholeWords(*columns, blanks=1, right=_NUMERIC, named=("last\nread", "last\npushed"))


_NUMERIC = (
    "read", "accepted", "unchanged", "refused", "held", "lanes touched", "rows", "new facts", "restated",
    "unknown lines", "calls", "records", "adopted", "resent", "waiting", "parked", "in doubt", "in sum",
)  # fmt: skip


def _counts(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _when(instant: datetime | None) -> str:
    return "never" if instant is None else instant.strftime("%Y-%m-%d %H:%M:%S")


def _cut(value: Any, most: int = LONGEST_CELL) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _what(item: PlanItem) -> str:
    return f"{item.kind} {item.facet}".strip()


def _difference(item: PlanItem) -> RenderableType:
    if item.problems:
        return Text("\n".join(item.problems), "red")
    if item.action == "create":
        return Text(f"{len(item.changes)} fields")
    return Text("\n".join(f"{field}: {_plain(before)} → {_plain(after)}" for field, before, after in item.changes))


def _plain(value: object, most: int = LONGEST_CELL) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _tally(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts
