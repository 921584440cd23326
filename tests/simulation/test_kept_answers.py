"""Checker and workers ask the store again only when a table was written: what is kept must be what the store would say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from psycopg.pq import ExecStatus

from simulation.arena import Arena, Statements, tables_read
from simulation.kept_answers import KeptAnswers, question
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


@pytest.mark.scenario
def test_what_a_worker_is_not_told_by_the_store_is_what_the_store_says(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Statements._ask
    given = 0

    def both(self: Statements, connection: Any, kept: KeptAnswers, asked: Any, query: Any, params: Any) -> Statements:
        nonlocal given
        before = kept.given
        ask(self, connection, kept, asked, query, params)
        if kept.given != before:
            given += 1
            told, count = self._told, self.rowcount
            self.run(query, params)
            result = self._results[0]
            rows = self._tx.load_rows(0, result.ntuples, tuple) if result.status == ExecStatus.TUPLES_OK else None
            assert (rows, self.rowcount) == (told, count), query
            connection.writes = True  # it may have locked rows
            self._told, self._pos = told, 0
        return self

    monkeypatch.setattr(Statements, "_ask", both)
    for seed in range(8):
        assert run(arena, generate(seed)).passed
    assert given > 2_000, "nothing was kept, so nothing was compared"


def test_a_statement_says_what_it_may_write_and_whether_it_does_nothing_where_it_finds_nothing() -> None:
    reading = question("SELECT id FROM lane")
    assert (reading.writing, reading.written, reading.hopeless) == (False, frozenset(), False)
    locking = question("SELECT id FROM lane ORDER BY id FOR NO KEY UPDATE SKIP LOCKED")
    assert (locking.writing, locking.locking, locking.finding, locking.written) == (True, True, True, frozenset())
    claiming = question("WITH due AS (SELECT id FROM lane FOR UPDATE) UPDATE lane l SET fence = fence + 1 FROM due")
    assert (claiming.finding, claiming.written, claiming.hopeless) == (True, {"lane"}, False)
    drawing = question("INSERT INTO lane (id) VALUES (1) ON CONFLICT DO UPDATE SET id = 2")
    assert (drawing.finding, drawing.written, drawing.hopeless) == (False, {"lane"}, True)
    for said in (
        "SELECT pg_advisory_xact_lock(1)",
        "SET TRANSACTION READ ONLY",
        "LOCK TABLE lane",
        "SELECT nextval('n')",
    ):
        assert question(said).hopeless, said


def test_an_answer_stands_until_one_of_its_tables_is_written() -> None:
    kept, result = KeptAnswers(), StandIn()
    asked = kept.question("SELECT id FROM lane")
    asked.tables = frozenset({"lane"})
    kept.keep(asked, None, set(), [(1,)], result)  # type: ignore[arg-type]
    kept.committed({"attempt"})
    found = kept.find(asked, None, set())
    assert found is not None
    assert found.rows == [(1,)]
    assert kept.find(asked, None, {"lane"}) is None, "its own transaction has written to it"
    assert kept.find(asked, (2,), set()) is None, "other values"
    kept.committed({"lane"})
    assert kept.find(asked, None, set()) is None
    kept.keep(asked, None, {"lane"}, [(2,)], result)  # type: ignore[arg-type]
    assert kept.find(asked, None, set()) is None, "what may be rolled back is not kept"
    holding = kept.question("SELECT id FROM lane FOR UPDATE")
    holding.tables = frozenset({"lane"})
    kept.keep(holding, None, set(), [(1,)], result)  # type: ignore[arg-type]
    assert kept.find(holding, None, set()) is None, "who is given rows must hold them"


class StandIn:
    """A result of one row."""

    ntuples = 1
