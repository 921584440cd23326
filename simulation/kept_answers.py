"""Answers that the store would give again: what only looks at tables that nobody wrote to since is not sent a second time.

Only the connections of one arena write to its database, so it is known what each committed transaction wrote to. At READ
COMMITTED a statement sees what was committed before it began and what its own transaction wrote: an answer stands until a
transaction that wrote to one of its tables has committed, or its own one has written to them. A statement that found nothing
to change is an answer, too. Which tables a statement looks at is asked of PostgreSQL's plan of it; where that names something
else (a temporary table, a partition, what triggers write), or answers seldom stand, everything is sent.

While several workers run together, or one stands still in the middle of a transaction, nothing is answered from here: then it
matters who holds which rows. For the same reason rows that a statement locks are never kept; the head of the audit chain alone
is told by who moved it, because it is read as the last act of a transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

TRIAL = 64
"""Times that a statement is sent or answered before it is known whether keeping its answers pays."""
WORTH = 4
"""It pays when one in so many was answered: remembering costs a sixth of asking."""

_WRITING = re.compile(
    r"\b(insert|update|delete|merge|truncate|lock|share|copy|set|nextval|setval|create|drop|pg_advisory\w*)\b", re.I
)
"""Words of a statement that must be committed. A name that looks like one costs a needless COMMIT and nothing else."""
_FINDING = frozenset({"update", "delete", "share", "set"})
"""Those of a statement that does nothing at all where it finds no row: no number is drawn, no lock is kept."""
_LOCKING = re.compile(r"\bfor\s+(?:no\s+key\s+)?(?:update|share)\b", re.I)
_WRITTEN = re.compile(
    r"\b(?:insert\s+into|(?<!for )(?<!key )update|delete\s+from|copy|merge\s+into)\s+(?!set\b)(\w+)", re.I
)
"""Tables that a statement writes to. A word too many names no table and costs nothing."""
_NOTHING = frozenset({b"UPDATE 0", b"DELETE 0"})

_TABLES = (
    b"SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relispartition AND relnamespace = 'public'::regnamespace"
)
_IN_PARTITIONS = b"SELECT relname FROM pg_class WHERE relkind = 'p'"
_FUNCTIONS = (
    b"SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang IN "
    b"(SELECT oid FROM pg_language WHERE lanname IN ('sql', 'plpgsql'))"
)
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store said when `at` transactions had written; `count` is the cursor's rowcount."""

    at: int
    rows: Rows | None
    count: int
    result: PGresult | None


@dataclass(slots=True)
class Question:
    """One statement, what is known about it, and its answers by values."""

    text: str
    writing: bool
    """Whether it may write or lock something."""
    locking: bool
    finding: bool
    """Whether it does nothing where it finds no row."""
    written: frozenset[str]
    setting: bool
    hopeless: bool
    tables: frozenset[str] | None = None
    """What it looks at, once that was asked."""
    asked: int = 0
    given: int = 0
    answers: dict[Hashable, Answer] = field(default_factory=dict)

    def changed_nothing(self, result: PGresult) -> bool:
        """Whether it found no row to write; of one that only locks: nothing is ever changed."""
        if not self.written:
            return self.finding
        return len(self.written) == 1 and self.finding and result.command_status in _NOTHING


def question(query: bytes | str) -> Question:
    """What a statement's words say about it."""
    text = query if isinstance(query, str) else query.decode()
    words = {word.lower() for word in _WRITING.findall(text)}
    written, setting = frozenset(_WRITTEN.findall(text)), text[:4] == "SET "
    finding = bool(words) and words <= _FINDING and not setting
    return Question(
        text,
        writing=bool(words),
        locking=_LOCKING.search(text) is not None,
        finding=finding,
        written=written,
        setting=setting,
        hopeless=bool(words) and not finding,
    )


class KeptAnswers:
    """The answers of one database. `given` counts those that were not asked for again."""

    def __init__(self) -> None:
        self.given = 0
        self.disturbed = False
        """Whether a worker stands still in the middle of a transaction: then it matters which rows it holds."""
        self._writes = 0
        self._changed: dict[str, int] = {}
        self._questions: dict[bytes | str, Question] = {}
        self._tables: frozenset[str] | None = None
        self._in_partitions: frozenset[str] = frozenset()

    def question(self, query: bytes | str) -> Question:
        """What is known about a statement."""
        known = self._questions.get(query)
        if known is None:
            known = self._questions[query] = question(query)
        return known

    def committed(self, tables: Set[str]) -> None:
        """A transaction wrote to these tables."""
        self._writes += 1
        for table in tables:
            self._changed[table] = self._writes

    def forget(self) -> None:
        """The database was emptied."""
        for each in self._questions.values():
            each.answers.clear()

    def find(self, asked: Question, values: Hashable, uncommitted: Set[str]) -> Answer | None:
        """What the store would say, if it is known; `uncommitted` is what the asking transaction has written to."""
        asked.asked += 1
        if asked.asked == TRIAL and asked.given * WORTH < TRIAL:
            asked.hopeless = True
        known = asked.answers.get(values)
        if known is None or asked.tables is None or not uncommitted.isdisjoint(asked.tables):
            return None
        changed = self._changed
        for table in asked.tables:
            if changed.get(table, 0) > known.at:
                return None
        asked.given += 1
        self.given += 1
        return known

    def keep(
        self, asked: Question, values: Hashable, uncommitted: Set[str], rows: Rows | None, result: PGresult
    ) -> None:
        """Remember what the store has just said."""
        if asked.tables is None or not uncommitted.isdisjoint(asked.tables):
            return
        if asked.locking and rows:
            return  # who is given these rows must hold them, too
        if any(isinstance(value, list | dict) for row in rows or () for value in row):
            asked.hopeless = True  # whoever gets it may change it
            return
        count = result.ntuples if rows is not None else result.command_tuples
        asked.answers[values] = Answer(self._writes, rows, -1 if count is None else count, result)

    def tell(self, query: str, rows: Rows) -> None:
        """What the store would say to a statement without values, known from what was just written."""
        asked = self.question(query)
        if asked.tables is not None and not asked.hopeless:
            asked.answers[None] = Answer(self._writes, rows, len(rows), None)

    def learn(self, asked: Question, connection: PGconn, name: bytes, types: int) -> None:
        """Ask which tables decide what a prepared statement answers; one that nothing else decides is worth keeping."""
        if self._tables is None:
            functions = [row[0].decode() for row in _rows(connection, _FUNCTIONS)]
            tables = {row[0].decode() for row in _rows(connection, _TABLES)}
            self._tables = frozenset(tables.difference(*map(_WRITTEN.findall, functions)))
            self._in_partitions = frozenset(row[0].decode() for row in _rows(connection, _IN_PARTITIONS))
        read: set[tuple[str, str]] = set()
        if self._in_partitions.isdisjoint(
            re.findall(r"\w+", asked.text)
        ):  # else it depends on the partitions of the day
            values = b"(%b)" % b", ".join([b"NULL"] * types) if types else b""
            ((told,),) = _rows(connection, b"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE %b%b" % (name, values))
            read = set(_relations(json.loads(told)[0]["Plan"]))
        if read and all(schema == "public" and table in self._tables for schema, table in read):
            asked.tables = frozenset(table for _, table in read)
        else:
            asked.hopeless = True


def key_of(values: Any) -> Hashable:
    """What tells the values of a statement from others: a tuple in which lists are tuples."""
    if values is None or not values:
        return None
    each = values.values() if isinstance(values, Mapping) else values
    return tuple([tuple(value) if type(value) is list else value for value in each])


def _relations(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [(str(plan.get("Schema", "")), str(plan["Relation Name"]))] if "Relation Name" in plan else []
    for inner in plan.get("Plans", ()):
        found += _relations(inner)
    return found


def _rows(connection: PGconn, statement: bytes) -> Sequence[tuple[bytes, ...]]:
    result = connection.exec_(statement)
    assert result.status == ExecStatus.TUPLES_OK, result.error_message
    return [tuple(result.get_value(row, at) or b"" for at in range(result.nfields)) for row in range(result.ntuples)]
