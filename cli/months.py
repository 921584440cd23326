"""Months on the command line: one that cannot be is a wrong command line, told before anything is opened."""

from __future__ import annotations

import typer

from hub.billing.preparing import month
from hub.errors import Refused


def month_written(text: str) -> str:
    """`2026-02`, as the hub takes it. Raises typer.BadParameter for anything else."""
    try:
        return month(text).label
    except Refused:
        wrong = f"{text!r} is no billing period. Write a month as YYYY-MM, for instance 2026-02."
        raise typer.BadParameter(wrong) from None


def in_order(since: str | None, until: str | None) -> None:
    """Of two months so written the first may not be the later one. Raises typer.BadParameter."""
    if since is not None and until is not None and until < since:
        raise typer.BadParameter(f"{until} lies before {since}. Give the earlier month as --since.")
