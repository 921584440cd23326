"""The result table shows what the JSON says."""

from __future__ import annotations

import inspect
import io
from typing import Any

from rich.console import Console

from cli.demo import result_table
from cli.demo.journey import Outcome


def shown(outcome: Outcome) -> str:
    """The table as text, whatever else it is told."""
    texts: dict[str, Any] = {
        name: "" for name, each in inspect.signature(result_table.result).parameters.items() if each.annotation == "str"
    }
    out = Console(file=io.StringIO(), width=200)
    out.print(result_table.result(outcome, seconds=1.0, pss_mb=None, **texts))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_the_sum_of_the_whole_file_stands_beside_that_of_its_live_lines() -> None:
    text = shown(Outcome(delivered=1_001, delivered_in_file=1_002, delivered_in_whole_file=1_003, not_placed=1_004))
    (row,) = [each for each in text.splitlines() if each.startswith("delivered")]
    assert all(number in row for number in ("1,001", "1,002", "1,003"))
    assert "1,004" in text


def test_the_spend_of_parked_lines_is_told_apart_from_the_difference() -> None:
    text = shown(Outcome(spend_difference={"USD": "-0.05"}, spend_parked={"EUR": "12.50", "USD": "7"}))
    (parked,) = [each for each in text.splitlines() if each.startswith("spend parked")]
    (bills,) = [each for each in text.splitlines() if each.startswith("bill −")]
    assert "12.50 EUR, 7 USD" in parked
    assert "-0.05 USD" in bills
