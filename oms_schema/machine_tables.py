"""The page of the reference that shows the status machines, made from the tables themselves."""

from __future__ import annotations

from typing import Any

from oms_schema.machines import BILLING, COMMERCIAL, DELIVERY, SYNC, Machine, Origin

_INTRODUCTION = """\
# Status machines

<!-- Written by `python -m oms_schema.export --docs` from `oms_schema/machines/`; a test compares them. -->

There is never one "status". Four axes stand side by side, each with its own table: **commercial** (order), **delivery**
(line), **billing** (line-period) and **sync** (lane: one entity at one connection). An order can be booked while one of
its lines is paused, last month is disputed and the CRM waits for an update, and each of these is said on its own.

A move needs a row, and every guard of that row has to pass. A move that has no row, or whose guard refuses, raises
`IllegalMove`: the message names the guard, says why it refuses, and lists the moves that are allowed instead. Nothing
changes then. `Machine.path` walks several rows for a source that jumps (a CRM that shows a deal as won at first sight) and
asks every guard on the way.

The rows of the first three tables are those of the order-management domain study, section 2. Rows marked * are not in it;
they are there because vendors really do these things, and an order would otherwise be stuck or its status untrue. For
sync the study names the statuses only; its rows are those of the push protocol (architecture, decision 3).
"""
_MACHINES: tuple[Machine[Any, Any], ...] = (COMMERCIAL, DELIVERY, BILLING, SYNC)


def status_machines_page() -> str:
    """Markdown, one section and table per axis."""
    return "\n".join([_INTRODUCTION, *map(_section, _MACHINES)])


def _section(machine: Machine[Any, Any]) -> str:
    ends = [f"`{status}`" for status in machine.statuses if status in machine.terminal]
    lines = [
        f"## {machine.axis.capitalize()} ({machine.subject})",
        "",
        f"Begins as `{machine.initial}`. " + (f"Ends as {' or '.join(ends)}." if ends else "Has no end."),
        "",
        "| From | To | Trigger | Guards: the move needs that … | What it means |",
        "|---|---|---|---|---|",
    ]
    for row in machine.transitions:
        mark = "" if row.origin is Origin.DOMAIN else " *"
        guards = "; ".join(guard.rule for guard in row.guards)
        lines.append(f"| `{row.source}` | `{row.target}`{mark} | {row.trigger} | {guards} | {row.sentence} |")
    return "\n".join([*lines, ""])
