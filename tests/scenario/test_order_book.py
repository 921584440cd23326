"""The whole real order book travels as `orderhub demo` lets it, without faults and with them, with the same result.

Where the real book is absent (a user's machine) the generated one travels.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.demo.run import BOOK, DATA, chosen_book

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(3_600)]

SAME = ("orders", "lines", "lines_live", "duplicates", "parked", "delivered", "delivered_in_file", "mirrored")
MOST_MEMORY_MB = 3_000


def demo(to_its_end: Callable[..., Any], folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the demo to its end in a process of its own; its last line as JSON."""
    command = [sys.executable, "-c", "from cli.main import run; run()", "demo", "--once", "--json"]
    done = to_its_end([*command, "--state", str(folder), *arguments])
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr[-4_000:]}\n{done.stdout[-4_000:]}"
    told = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(told, dict)
    return told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, to_its_end: Callable[..., Any]) -> dict[str, Any]:
    """What the demo tells of the whole book without faults."""
    return demo(to_its_end, tmp_path_factory.mktemp("undisturbed") / "state")


def test_the_whole_book_travels(undisturbed: dict[str, Any]) -> None:
    told = undisturbed
    book = chosen_book(None)
    assert told["orders"] == len(book.orders)
    assert told["lines"] == len(book.lines) + len(book.refused) == told["lines_live"] + sum(told["parked"].values())
    assert told["duplicates"] == 0
    assert told["delivered"] == told["delivered_in_file"] == told["mirrored"] > 0
    assert told["delivered_in_whole_file"] == sum(line.impressions for line in book.lines)
    assert told["second_run_writes"] == 0
    assert all(told["checks"].values())


def test_it_costs_hardly_more_calls_than_needed(undisturbed: dict[str, Any]) -> None:
    by_operation = (undisturbed["vendor_calls_by_operation"], undisturbed["fewest_calls_by_operation"])
    assert undisturbed["vendor_calls"] <= 1.05 * undisturbed["fewest_calls"], by_operation


def test_it_stays_within_its_memory(undisturbed: dict[str, Any]) -> None:
    if undisturbed["pss_mb"] is None:
        pytest.skip("this system does not tell the proportional set size")
    assert undisturbed["pss_mb"] < MOST_MEMORY_MB


def test_faults_cost_time_but_change_nothing(
    undisturbed: dict[str, Any], tmp_path: Path, to_its_end: Callable[..., Any]
) -> None:
    disturbed = demo(to_its_end, tmp_path / "state", "--faults")
    assert {name: disturbed[name] for name in SAME} == {name: undisturbed[name] for name in SAME}
    assert disturbed["second_run_writes"] == 0


@pytest.mark.data
def test_the_real_book_is_the_one_that_travels(undisturbed: dict[str, Any]) -> None:
    path = Path(os.environ.get("ORDERHUB_DATA", str(DATA))) / BOOK
    if not path.exists():
        pytest.skip(f"not run: {path} is absent, the generated book travelled")
    assert (undisturbed["orders"], undisturbed["lines"]) == (319, 3_844)
