"""The demo closes its book into a real Tryton, once, and says so in its last line; run again, it bills nothing twice.

Needs `.tools/tryton` (`make tryton`); without it the test says so, and ORDERHUB_REQUIRE_TRYTON=1 makes that a failure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cli.erp.installation import installed

ORDERS = "16"

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]


def demo(to_its_end: Callable[..., Any], state: Path, *words: str) -> dict[str, Any]:
    """The object of the last line; the demo must have ended with 0."""
    command = [sys.executable, "-c", "from cli.main import run; run()", "demo", "--once", "--json", "--without-airflow"]
    environment = {**os.environ, "ORDERHUB_DATA": str(state / "absent")}
    done = to_its_end([*command, "--limit", ORDERS, "--state", str(state), *words], env=environment)
    assert done.returncode == 0, done.stderr + done.stdout
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def test_the_demo_bills_its_book_once_and_a_second_demo_nothing_more(
    tmp_path: Path, to_its_end: Callable[..., Any]
) -> None:
    if not installed():
        said = "not run: Tryton is not installed (make tryton)"
        if os.environ.get("ORDERHUB_REQUIRE_TRYTON") == "1":
            pytest.fail(said)
        pytest.skip(said)
    state = tmp_path / "state"
    first = demo(to_its_end, state, "--bill", "all")
    assert first["held"]
    assert first["invoices"] >= 10, first["billing"]
    assert (first["credits"], first["mismatches"], first["second_close_documents"]) == (0, 0, 0)
    assert first["checks"]["the CRM shows the bills that the hub holds"]
    assert first["second_run_writes"] == 0
    assert first["billing_seconds"] > 0
    assert first["sums"]
    assert all(Decimal(parts["invoiced"]) == Decimal(parts["balance"]) > 0 for parts in first["sums"].values())
    again = demo(to_its_end, state, "--bill", "all")
    for name in ("invoices", "credits", "sums", "mismatches", "second_close_documents", "billed_months"):
        assert again[name] == first[name]
    assert json.loads((state / "book.json").read_text("utf-8"))["orders"] == int(ORDERS)
    unbilled = demo(to_its_end, state, "--bill", "none")
    assert (unbilled["invoices"], unbilled["billing"]) == (None, "not run: --bill none")
