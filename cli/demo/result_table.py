"""What the demo shows at its end: the result table, the checks, and one order's trace."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.demo.journey import Outcome


def result(outcome: Outcome, billing: str, *, seconds: float, pss_mb: float | None) -> RenderableType:
    """The figures and the checks. `billing` is the sentence about the bills; `seconds` are those of the journey, from the
    command's beginning; `pss_mb` is the highest sample."""
    calls = ", ".join(f"{number:,} {kind}" for kind, number in outcome.other_calls.items())
    parked = ", ".join(f"{number:,} {reason}" for reason, number in outcome.parked.items())
    money = ", ".join(f"{amount} {currency}" for currency, amount in outcome.spend_difference.items())
    rows = {
        "orders": f"{outcome.orders:,}",
        "lines": f"{outcome.lines:,} ({outcome.lines_live:,} live; parked: {parked or 'none'})",
        "doubled": f"{outcome.duplicates:,}",
        "vendor writes": f"{outcome.vendor_calls:,} calls (no fewer than {outcome.fewest_calls:,} would do)",
        "other calls": calls or "none",
        "delivered": f"{outcome.delivered:,} impressions ({outcome.delivered_in_file:,} in the file)",
        "mirrored": f"{outcome.mirrored:,} impressions in the CRM",
        "second run": f"{outcome.second_run_writes:,} writes",
        "bill − spend": f"{money or 'none'} (reported, never corrected)",
        "billed": billing,
        "seconds": f"{seconds:,.0f}",
        "memory": "not measured" if pss_mb is None else f"{pss_mb:,.0f} MB (PSS, highest sample)",
    }
    table = Table(show_header=False, show_edge=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), value)
    checked = Table(show_edge=False, pad_edge=False, header_style="bold")
    for column in ("Check", "", "Figures"):
        checked.add_column(column, overflow="fold")
    for check in outcome.checks:
        verdict = Text("held", "green") if check.held else Text("FAILED", "bold red")
        checked.add_row(check.name, verdict, Text(check.detail))
    return Group(table, "", checked)
