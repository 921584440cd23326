"""The page of promises names modules and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "reliability.md"
NAMED = re.compile(r"`((?:tests|hub|connectors|dags)(?:/[\w/]+\.py)?)`")


def missing(page: str) -> list[str]:
    """Named files that do not exist, and promises without a proof."""
    rows = [row for row in page.splitlines() if row.startswith("| ") and "`hub/" in row]
    unproved = [row.split("|")[1].strip() for row in rows if "`tests/" not in row]
    return [name for name in NAMED.findall(page) if not (ROOT / name).exists()] + unproved


def test_every_promise_names_a_module_and_a_test_that_exist() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(NAMED.findall(page)) > 50
    assert missing(page) == []


def test_a_promise_without_proof_and_a_file_that_is_gone_are_found() -> None:
    page = "| Nothing is lost | `hub/sync/push.py` | nothing |\n| All is well | `hub/sync/gone.py` | `tests/gone.py` |"
    assert missing(page) == ["hub/sync/gone.py", "tests/gone.py", "Nothing is lost"]
