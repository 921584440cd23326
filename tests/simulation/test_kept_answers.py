"""The checker asks the store again only when one of the tables was written: what it keeps must be what the store would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from simulation.arena import Arena, tables_read
from simulation.questions import AFTER_VERB, PENDING
from simulation.schedule import generate, run


@pytest.mark.scenario
def test_a_kept_answer_is_what_the_store_says(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Arena.ask
    kept = 0

    def both(self: Arena, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        nonlocal kept
        known = self._answers.pop(statement, None)
        fresh = ask(self, statement, values)
        if known is not None:
            kept += 1
            assert known == fresh, statement
        return fresh

    monkeypatch.setattr(Arena, "ask", both)
    for seed in range(8):
        assert run(arena, generate(seed)).passed
    assert kept > 1_000, "nothing was kept, so nothing was compared"


def test_each_question_names_its_tables() -> None:
    assert all(tables_read(statement) for statement in (*AFTER_VERB, *PENDING))
    assert tables_read("SELECT 1 FROM delivery_fact f JOIN lane l ON true") == {
        "delivery_day",
        "delivery_superseded",
        "lane",
    }
